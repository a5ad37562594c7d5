// What a cell is judged by, all of it from outside: the repository through qemu-img, the engine through its API, everything else through the
// outside look. The catalog and Temporal's word on itself are not asked.
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { ask, digestOfVolume, volumePath, type EngineDisk, type TestVm } from '../e2e/support/vms';
import type { Lane } from './lane';

/** USER_CREATE_SNAPSHOT and VM_BACKUP_STARTED: written when a snapshot or a VM backup is begun. */
const begun = { appliance: 45, transfer: 10_790 } as const;
/** In the description of a snapshot that another product takes. */
export const foreignMark = 'of somebody else';
const idSchema = z.looseObject({ id: z.string() });
const manifestSchema = z.looseObject({
  method: z.string(),
  kind: z.string(),
  base: z.looseObject({ backupId: z.string() }).nullable(),
  checkpoint: idSchema.nullable(),
  disks: z.array(z.looseObject({ image: z.looseObject({ file: z.string() }), digests: z.looseObject({ root: z.string() }), settings: z.looseObject({ diskId: z.string() }) })),
});
type Manifest = z.infer<typeof manifestSchema>;
const eventsSchema = z.object({ event: z.array(z.looseObject({ code: z.coerce.number(), description: z.string() })).default([]) });

export interface Backup {
  readonly backupId: string;
  readonly directory: string;
}

const mostLooks = 20;

export async function backupsOf(lane: Lane, vmId: string): Promise<readonly Backup[]> {
  const directory = path.join(lane.repositoryPath, 'vms', vmId);
  return (await readdir(directory).catch(() => [])).map((backupId) => ({ backupId, directory: path.join(directory, backupId) }));
}

/** With size and time: what was changed since is another one. Of a run that was terminated an attempt may still be at work: looked at until nothing went meanwhile. */
export async function filesOf(directory: string): Promise<readonly string[]> {
  for (let look = 1; ; look += 1) {
    try {
      const entries = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      return await Promise.all(entries.map(async (entry) => {
        const file = path.join(entry.parentPath, entry.name);
        const { size, mtimeMs } = await stat(file);
        return `${file}, ${size} bytes, ${mtimeMs}`;
      }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || look === mostLooks) throw error;
    }
  }
}

export async function manifestOf({ directory }: Backup): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(path.join(directory, 'manifest.json'), 'utf8')));
}

/** Every image converts, by qemu-img alone and through what it lies on, to the bytes that its manifest names and that the VM's disks hold. */
export async function checkSealed(stack: Stack, backup: Backup, vm: TestVm): Promise<readonly string[]> {
  const { backupId, directory } = backup;
  const manifest = await manifestOf(backup);
  const problems: string[] = [];
  if (manifest.disks.length !== vm.disks.length) problems.push(`backup ${backupId} has ${manifest.disks.length} disks of ${vm.disks.length}`);
  for (const { image, digests, settings } of manifest.disks) {
    const written = vm.disks.find(({ id }) => id === settings.diskId)?.root;
    const found = await digestOfVolume(stack, path.join(directory, image.file), 'qcow2');
    if (found !== digests.root) problems.push(`backup ${backupId}: the image of disk ${settings.diskId} has the digest ${found}, its manifest says ${digests.root}`);
    // A running guest writes: what its disk held at the snapshot nobody else knows.
    if (written !== '' && digests.root !== written) problems.push(`backup ${backupId}: disk ${settings.diskId} holds ${written ?? 'nothing'}, the manifest says ${digests.root}`);
  }
  return problems;
}

/** What was ever begun for this VM at Holdfast's wish, by the engine's event log: snapshots, or VM backups. */
export async function everBegun({ lab }: Stack, { name }: TestVm, method: keyof typeof begun): Promise<number> {
  const code = begun[method];
  const { event } = eventsSchema.parse(await lab.engine('GET', `/events?search=${encodeURIComponent(`type=${code} and vm=${name}`)}`));
  return event.filter((each) => each.code === code && !each.description.includes(foreignMark)).length;
}

/** Digests of disks by their alias. */
export type Contents = ReadonlyMap<string, string>;
export const contentsOf = ({ disks }: TestVm): Contents => new Map(disks.map(({ alias, root }) => [alias, root]));

/** While its VM is down. */
export async function contentOf(stack: Stack, disk: EngineDisk): Promise<string> {
  return digestOfVolume(stack, await volumePath(stack, disk), disk.format === 'cow' ? 'qcow2' : 'raw');
}

const checkpointsSchema = z.object({ checkpoint: z.array(idSchema).default([]) });

export async function checkpointsOf({ lab }: Stack, vmId: string): Promise<readonly string[]> {
  return checkpointsSchema.parse((await lab.engine('GET', `/vms/${vmId}/checkpoints`)) ?? {}).checkpoint.map(({ id }) => id);
}

export interface Restored {
  readonly vmId: string;
  readonly diskIds: readonly string[];
}

/** Exactly one VM of this name with exactly these disks, and their content. */
export async function checkRestored(stack: Stack, vmName: string, expected: Contents): Promise<{ readonly restored: Restored | undefined; readonly problems: readonly string[] }> {
  const found = (await ask.vms(stack)).filter(({ name }) => name === vmName);
  const [vm] = found;
  if (!vm || found.length !== 1) return { restored: undefined, problems: [`the engine has ${found.length} VMs named ${vmName}`] };
  const problems: string[] = [];
  const attachments = await ask.attachments(stack, vm.id);
  if (attachments.length !== expected.size) problems.push(`${vmName} has ${attachments.length} disks of ${expected.size}`);
  for (const { id } of attachments) {
    const disk = await ask.disk(stack, id);
    const wanted = expected.get(disk?.alias ?? '');
    const root = disk ? await contentOf(stack, disk) : 'no disk';
    if (root !== wanted) problems.push(`${vmName}: disk ${disk?.alias ?? id} has the digest ${root}, not ${wanted ?? 'any'}`);
  }
  return { restored: { vmId: vm.id, diskIds: attachments.map(({ id }) => id) }, problems };
}
