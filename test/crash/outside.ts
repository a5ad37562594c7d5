// What a cell is judged by, all of it from outside: the repository through qemu-img, the engine through its API, everything else through the
// outside look. The catalog and Temporal's word on itself are not asked.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { ask, digestOfVolume, volumePath, type TestVm } from '../e2e/support/vms';
import type { Lane } from './lane';

/** USER_CREATE_SNAPSHOT: written when a snapshot is begun. */
const snapshotBegun = 45;
/** In the description of a snapshot that another product takes. */
export const foreignMark = 'of somebody else';
const manifestSchema = z.looseObject({ disks: z.array(z.looseObject({ image: z.looseObject({ file: z.string() }), digests: z.looseObject({ root: z.string() }), settings: z.looseObject({ diskId: z.string() }) })) });
const eventsSchema = z.object({ event: z.array(z.looseObject({ code: z.coerce.number(), description: z.string() })).default([]) });

export interface Backup {
  readonly backupId: string;
  readonly directory: string;
}

export async function backupsOf(lane: Lane, vmId: string): Promise<readonly Backup[]> {
  const directory = path.join(lane.repositoryPath, 'vms', vmId);
  return (await readdir(directory).catch(() => [])).map((backupId) => ({ backupId, directory: path.join(directory, backupId) }));
}

/** Every image converts, by qemu-img alone, to the bytes that its manifest names and that the VM's disks were filled with. */
export async function checkSealed(stack: Stack, { backupId, directory }: Backup, vm: TestVm): Promise<readonly string[]> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path.join(directory, 'manifest.json'), 'utf8')));
  const problems: string[] = [];
  if (manifest.disks.length !== vm.disks.length) problems.push(`backup ${backupId} has ${manifest.disks.length} disks of ${vm.disks.length}`);
  for (const { image, digests, settings } of manifest.disks) {
    const written = vm.disks.find(({ id }) => id === settings.diskId)?.root;
    const found = await digestOfVolume(stack, path.join(directory, image.file), 'qcow2');
    if (found !== digests.root) problems.push(`backup ${backupId}: the image of disk ${settings.diskId} has the digest ${found}, its manifest says ${digests.root}`);
    // A running guest writes: what its disk held at the snapshot nobody else knows.
    if (written !== '' && digests.root !== written) problems.push(`backup ${backupId}: disk ${settings.diskId} was filled with ${written ?? 'nothing'}, the manifest says ${digests.root}`);
  }
  return problems;
}

/** Snapshots that the engine ever began for this VM at Holdfast's wish, by its event log. */
export async function snapshotsBegun({ lab }: Stack, vm: TestVm): Promise<number> {
  const { event } = eventsSchema.parse(await lab.engine('GET', `/events?search=${encodeURIComponent(`type=${snapshotBegun}`)}`));
  return event.filter(({ code, description }) => code === snapshotBegun && description.includes(`'${vm.name}'`) && !description.includes(foreignMark)).length;
}

export interface Restored {
  readonly vmId: string;
  readonly diskIds: readonly string[];
}

/** Exactly one VM of this name with exactly the disks of the source, and their content. */
export async function checkRestored(stack: Stack, vmName: string, source: TestVm): Promise<{ readonly restored: Restored | undefined; readonly problems: readonly string[] }> {
  const found = (await ask.vms(stack)).filter(({ name }) => name === vmName);
  const [vm] = found;
  if (!vm || found.length !== 1) return { restored: undefined, problems: [`the engine has ${found.length} VMs named ${vmName}`] };
  const problems: string[] = [];
  const attachments = await ask.attachments(stack, vm.id);
  if (attachments.length !== source.disks.length) problems.push(`${vmName} has ${attachments.length} disks of ${source.disks.length}`);
  for (const { id } of attachments) {
    const disk = await ask.disk(stack, id);
    const wanted = source.disks.find(({ alias }) => alias === disk?.alias)?.root;
    const root = disk ? await digestOfVolume(stack, await volumePath(stack, disk), disk.format === 'cow' ? 'qcow2' : 'raw') : 'no disk';
    if (root !== wanted) problems.push(`${vmName}: disk ${disk?.alias ?? id} has the digest ${root}, the source ${wanted ?? 'no such disk'}`);
  }
  return { restored: { vmId: vm.id, diskIds: attachments.map(({ id }) => id) }, problems };
}
