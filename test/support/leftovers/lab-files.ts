// What the lab's host leaves in the file system, by the names that lab/host documents: `vms/<vmId>/{sockets.json,by-id,overlays}`,
// `sd/<domain>/images/<disk>/<volume>`, and a run directory with sockets and FUSE mount points.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EngineView } from './engine';
import type { FoundLeftover } from './finding';

export interface LabVm {
  readonly vmId: string;
  readonly directory: string;
  /** Path of the monitor that is free for lookers; only while QEMU runs. */
  readonly observe?: string;
}

/** Sorted; a directory that is not there has no names. */
export async function listNames(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

export async function labVms(labState: string): Promise<readonly LabVm[]> {
  const vms: LabVm[] = [];
  for (const vmId of await listNames(path.join(labState, 'vms'))) {
    const directory = path.join(labState, 'vms', vmId);
    const text = await readFile(path.join(directory, 'sockets.json'), 'utf8').catch(() => undefined);
    const observe: unknown = text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>)['observe'];
    vms.push({ vmId, directory, ...(typeof observe === 'string' ? { observe } : {}) });
  }
  return vms;
}

/** Where sockets and mount points lie. The name is the lab's (lab/host/run-directory.ts): it must be found when no VM points to it any more. */
export async function labRunDirectories(labState: string, vms: readonly LabVm[]): Promise<readonly string[]> {
  const states = [path.resolve(labState), await realpath(labState)];
  const names = states.map((state) => `hf-lab-${createHash('sha256').update(state).digest('hex').slice(0, 8)}`);
  const candidates = [...names.flatMap((name) => [path.join(tmpdir(), name), path.join('/tmp', name)]), ...vms.flatMap(({ observe }) => (observe === undefined ? [] : [path.dirname(observe)]))];
  const found = await Promise.all(candidates.map((candidate) => realpath(candidate).catch(() => undefined)));
  return [...new Set(found.filter((directory) => directory !== undefined))];
}

/** Disks that the engine says are plugged into the VM at this moment. */
export function pluggedDisks(view: EngineView, vmId: string): readonly string[] {
  const vm = view.vms.find(({ id }) => id === vmId);
  return vm === undefined || vm.status === 'down' ? [] : vm.attachments.filter(({ active }) => active).map(({ diskId }) => diskId);
}

/** udev shows 20 characters of a virtio-blk serial and all 36 of a virtio-scsi one. */
const entryOf = (diskId: string): readonly string[] => [`scsi-0QEMU_QEMU_HARDDISK_${diskId}`, `virtio-${diskId.slice(0, 20)}`];

export async function lookAtVmDirectories(vms: readonly LabVm[], view: EngineView): Promise<{ readonly found: readonly FoundLeftover[]; readonly servedPaths: ReadonlySet<string> }> {
  const found: FoundLeftover[] = [];
  const servedPaths = new Set<string>();
  for (const { vmId, directory } of vms) {
    const plugged = pluggedDisks(view, vmId);
    for (const entry of await listNames(path.join(directory, 'by-id'))) {
      const file = path.join(directory, 'by-id', entry);
      if (plugged.some((diskId) => entryOf(diskId).includes(entry))) servedPaths.add(await linkTarget(file));
      else found.push({ where: 'directory', what: 'by-id-entry', object: file, detail: `VM ${vmId} has no such disk plugged` });
    }
    for (const overlay of await listNames(path.join(directory, 'overlays'))) {
      if (plugged.some((diskId) => overlay.startsWith(diskId))) continue;
      found.push({ where: 'directory', what: 'overlay-file', object: path.join(directory, 'overlays', overlay), detail: `throw-away overlay of a disk that VM ${vmId} does not have plugged` });
    }
  }
  return { found, servedPaths };
}

/** As the mount table spells it. The last part is not resolved: it may be a dead mount, which nobody can stat. */
async function linkTarget(file: string): Promise<string> {
  const target = path.resolve(path.dirname(file), await readlink(file).catch(() => file));
  return path.join(await realpath(path.dirname(target)).catch(() => path.dirname(target)), path.basename(target));
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Volumes whose disk or snapshot the engine has forgotten: a merge or a removal that stopped half-way. */
export async function lookAtVolumes(labState: string, view: EngineView): Promise<readonly FoundLeftover[]> {
  const found: FoundLeftover[] = [];
  for (const domain of await listNames(path.join(labState, 'sd'))) {
    const images = path.join(labState, 'sd', domain, 'images');
    for (const diskId of await listNames(images)) {
      for (const volumeId of await listNames(path.join(images, diskId))) {
        if (!uuid.test(volumeId) || view.volumeIds.has(volumeId)) continue;
        found.push({ where: 'directory', what: 'stray-volume', object: path.join(images, diskId, volumeId), detail: 'the engine knows no such volume' });
      }
    }
  }
  return found;
}

/** FUSE exports must belong to a plugged disk; anything else mounted there is forgotten, and after a SIGKILL it is dead, too. */
export async function lookAtMounts(roots: readonly string[], servedPaths: ReadonlySet<string>): Promise<{ readonly found: readonly FoundLeftover[]; readonly mountPoints: ReadonlySet<string> }> {
  const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const mountPoints = lines.map((line) => unescape(line.split(' ')[4] ?? '')).filter((point) => roots.some((root) => point.startsWith(`${root}/`)));
  const found = mountPoints
    .filter((point) => !servedPaths.has(point))
    .map((point): FoundLeftover => ({ where: 'mount', what: 'stray-mount', object: point, detail: 'serves no disk that is plugged' }));
  return { found, mountPoints: new Set(mountPoints) };
}

/** Sockets nobody listens on, and files that were mount points. */
export async function lookAtRunDirectories(directories: readonly string[], mountPoints: ReadonlySet<string>): Promise<readonly FoundLeftover[]> {
  const listening = new Set((await readFile('/proc/net/unix', 'utf8')).split('\n').map((line) => line.split(' ').filter(Boolean)[7] ?? ''));
  const found: FoundLeftover[] = [];
  const visit = async (directory: string): Promise<void> => {
    for (const name of await listNames(directory)) {
      const file = path.join(directory, name);
      // Not even lstat works on a dead FUSE mount: that one is a finding about mounts.
      if (mountPoints.has(file)) continue;
      const kind = await lstat(file).catch(() => undefined);
      if (kind?.isDirectory() === true) await visit(file);
      else if (kind?.isSocket() === true && !listening.has(file)) found.push({ where: 'socket', what: 'dead-socket', object: file, detail: 'no process listens on it' });
      else if (kind?.isFile() === true && kind.size === 0) found.push({ where: 'directory', what: 'empty-mount-point', object: file, detail: 'a mount point without its mount' });
    }
  };
  for (const directory of directories) await visit(directory);
  return found;
}
