// The by-id directory of a VM: one entry per plugged disk, named as udev would, served by the very QEMU that has the disk
// and only while it has it. A FUSE export looks like a regular file; a writable disk, or any where FUSE is missing, is the VM's NBD
// socket, and the export's name is the disk's id. A transient disk serves the snapshot's own volume, read-only: what its guest
// writes is not there.
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { volumeNode } from './block-graph';
import type { ExportKind, HostLog } from './host-options';
import type { VmDisk } from './port';
import { identify, killAndWait } from './processes';
import { mountsBelow } from './run-directory';
import type { RunningVm } from './running-vm';
import { isErrno, removeFile } from './state-file';

const exportsSchema = z.array(z.object({ id: z.string() }));
const deletedLimitMs = 10_000;
const probeLimitMs = 3_000;

export const exportId = (diskId: string): string => `export-${diskId}`;
const isWritable = (disk: VmDisk): boolean => !disk.readOnly && !disk.transient;

/** virtio-blk has room for 20 characters of a serial number only, and udev shows what the disk shows. */
export function entryName(disk: Pick<VmDisk, 'diskId' | 'bus'>): string {
  return disk.bus === 'virtio_scsi' ? `scsi-0QEMU_QEMU_HARDDISK_${disk.diskId}` : `virtio-${disk.diskId.slice(0, 20)}`;
}

export async function addExport(vm: RunningVm, disk: VmDisk): Promise<void> {
  const common = { id: exportId(disk.diskId), 'node-name': volumeNode(disk.top), writable: isWritable(disk) };
  let target: string;
  // Never a writable FUSE export: QEMU 7.2 keeps the request in one buffer, which the next request overwrites while a write is under way,
  // so that parallel writes land with each other's bytes (measured here; QEMU's fix is "fuse: Copy write buffer content before polling").
  if (vm.host.exportKind === 'fuse' && !isWritable(disk)) {
    target = vm.host.run.exportFile(vm.vmId, disk.diskId);
    await fs.writeFile(target, '', { mode: 0o600 });
    await vm.qmp.execute('block-export-add', { type: 'fuse', ...common, mountpoint: target, 'allow-other': 'off' });
  } else {
    target = vm.sockets.nbd;
    await startNbdServer(vm);
    await vm.qmp.execute('block-export-add', { type: 'nbd', ...common, name: disk.diskId });
  }
  const entry = path.join(vm.paths.byId, entryName(disk));
  await removeFile(entry);
  await fs.symlink(target, entry);
}

export async function exportIds(vm: RunningVm): Promise<readonly string[]> {
  return exportsSchema.parse(await vm.qmp.execute('query-block-exports')).map(({ id }) => id);
}

/** Absent is fine. Clients are cut off. */
export async function deleteExport(vm: RunningVm, id: string): Promise<void> {
  if (!(await exportIds(vm)).includes(id)) return;
  const deleted = vm.qmp.expectEvent(({ name, data }) => name === 'BLOCK_EXPORT_DELETED' && data['id'] === id);
  await vm.qmp.execute('block-export-del', { id, mode: 'hard' });
  await deleted(deletedLimitMs);
}

/** Absent is fine. The link goes first: nobody shall start on an export that is about to end. */
export async function removeExport(vm: RunningVm, disk: Pick<VmDisk, 'diskId' | 'bus'>): Promise<void> {
  await removeFile(path.join(vm.paths.byId, entryName(disk)));
  await deleteExport(vm, exportId(disk.diskId));
  await vm.host.run.cleanExport(vm.host.run.exportFile(vm.vmId, disk.diskId));
}

/** One server per QEMU, started with the first export that needs it. After an adoption it runs already. */
export function startNbdServer(vm: RunningVm): Promise<void> {
  return vm.nbdServer.run(async () => {
    try {
      await vm.qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: vm.sockets.nbd } }, 'max-connections': 0 });
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('already running')) throw error;
    }
  });
}

/** Tries a real FUSE export: a device node, a missing helper or a QEMU without FUSE cannot be told apart otherwise. */
export async function chooseExportKind(wish: 'auto' | 'off', log: HostLog): Promise<ExportKind> {
  if (wish === 'off') return 'nbd';
  const works = await fuseExportWorks();
  if (!works) log.info({}, 'FUSE exports do not work here: attached disks are served as NBD sockets');
  return works ? 'fuse' : 'nbd';
}

async function fuseExportWorks(): Promise<boolean> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'hf-fuse-'));
  const [image, mountPoint] = [path.join(directory, 'image'), path.join(directory, 'mount')];
  await fs.writeFile(image, 'holdfast'.padEnd(512, '\0'));
  await fs.writeFile(mountPoint, '');
  const child = spawn(
    'qemu-storage-daemon',
    ['--blockdev', `driver=file,node-name=probe,filename=${image}`, '--export', `type=fuse,id=probe,node-name=probe,mountpoint=${mountPoint},allow-other=off`],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  try {
    return await servesWithin(mountPoint, () => child.exitCode !== null || child.pid === undefined);
  } finally {
    child.kill('SIGTERM'); // lets it unmount by itself
    await Promise.race([ended, sleep(2_000, undefined, { ref: false })]);
    if (identity) await killAndWait(identity);
    await fs.rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function servesWithin(mountPoint: string, hasEnded: () => boolean): Promise<boolean> {
  for (const deadline = Date.now() + probeLimitMs; Date.now() < deadline && !hasEnded(); ) {
    await sleep(10);
    if (!(await mountsBelow(path.dirname(mountPoint))).includes(mountPoint)) continue;
    try {
      return (await fs.readFile(mountPoint, 'utf8')).startsWith('holdfast');
    } catch (error) {
      if (!isErrno(error, 'EIO', 'ENOTCONN', 'EACCES')) throw error;
      return false;
    }
  }
  return false;
}
