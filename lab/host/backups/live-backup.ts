// A backup of a running VM, as libvirt makes it: at one moment all disks get their new bitmaps, a scratch volume for what the guest
// overwrites from then on, and a bitmap of what changed before; then QEMU serves that moment over its NBD server.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { granularityBytes } from '../bitmaps/good-bitmaps';
import { removeFileBitmap, saysSizesDiffer } from '../bitmaps/file-bitmaps';
import { addAction, liveBitmapsSince, removeLiveBitmaps, type BitmapAction } from '../bitmaps/live-bitmaps';
import type { BackupDisk, StartedBackup } from '../backup-port';
import { scratchNode, volumeNode } from '../block-graph';
import { deleteExport, exportIds, startNbdServer } from '../exports';
import { aroundFrozen } from '../freeze';
import { HostError } from '../port';
import { QmpError } from '../qmp-client';
import type { RunningVm, VmPaths } from '../running-vm';
import type { Storage } from '../storage';
import { toHostError } from '../tools';
import { readRecord, removeRecord, writeRecord, type BackupRecord, type RecordedDisk } from './backup-record';
import { dirtyExtents, makeBitmapFile, withoutFirst } from './bitmap-lies';

const jobEndLimitMs = 10_000;
const jobsSchema = z.array(z.object({ id: z.string(), status: z.string() }));

export interface LiveBackupRequest {
  readonly vm: RunningVm;
  readonly backupId: string;
  readonly disks: readonly BackupDisk[];
  readonly freeze: boolean;
  readonly requireConsistency: boolean;
  /** For faults. */
  readonly scratchLimit: (diskId: string) => number | undefined;
  readonly lie: (diskId: string) => number | undefined;
}

interface PlannedDisk extends RecordedDisk {
  readonly virtualBytes: number;
  /** Bitmaps to unite; undefined: the whole disk. */
  readonly since?: readonly { readonly node: string; readonly name: string }[];
}

/** Of the job and of the export; the export's name in NBD. */
const nameOf = (backupId: string, diskId: string): string => `backup-${backupId}-${diskId}`;
const jobPrefix = 'backup-';
/** The bitmap of what changed; QEMU's alone, it never reaches the file. */
const changedBitmap = (backupId: string): string => `changed-${backupId}`;

export function startLiveBackup(request: LiveBackupRequest): Promise<StartedBackup> {
  const { vm, backupId } = request;
  return vm.backupTurns.run(async () => {
    if (await readRecord(vm.paths.backups, backupId)) throw new HostError('already-running', `backup ${backupId} of ${vm.label} was begun already; stop it first`);
    const planned = await Promise.all(request.disks.map((disk) => planDisk(vm, disk)));
    const record: BackupRecord = { disks: planned.map(({ diskId, volume, scratch, toCheckpointId }) => ({ diskId, volume, scratch, toCheckpointId })) };
    await writeRecord(vm.paths.backups, backupId, record);
    try {
      for (const disk of planned) await openScratch(vm, disk, request.scratchLimit(disk.diskId));
      const actions = planned.flatMap((disk) => diskActions(backupId, disk));
      const atOnce = (): Promise<unknown> => vm.qmp.execute('transaction', { actions });
      const frozen = request.freeze ? await aroundFrozen(vm, { required: request.requireConsistency }, atOnce) : (await atOnce(), false);
      const exports = [];
      for (const disk of planned) exports.push(await serve(request, disk));
      const started = { frozen, exports };
      await writeRecord(vm.paths.backups, backupId, { ...record, started });
      return started;
    } catch (error) {
      await withdraw(vm, backupId, record);
      if (saysSizesDiffer(error)) throw new HostError('bitmap-lost', `${vm.label}: a disk of backup ${backupId} grew above a snapshot, so what changed cannot be told; make a full backup (${String(error)})`);
      throw toHostError(error, `backup ${backupId} of ${vm.label}`);
    }
  });
}

/** What cannot be withdrawn (QEMU died) stays noted, for `stopLiveBackup`. */
async function withdraw(vm: RunningVm, backupId: string, record: BackupRecord): Promise<void> {
  try {
    await endInQemu(vm, backupId, record, { dropCheckpoint: true });
    await removeRecord(vm.paths.backups, backupId);
  } catch (error) {
    vm.host.log.warn({ vmId: vm.vmId, backupId, error: String(error) }, `${vm.label}: what was begun of backup ${backupId} could not be taken back`);
  }
}

async function planDisk(vm: RunningVm, { disk, toCheckpointId, changedSince, scratch }: BackupDisk): Promise<PlannedDisk> {
  const plugged = vm.disks.get(disk.diskId);
  if (!plugged || plugged.transient) throw new HostError('qemu-failed', `${vm.label}: disk ${disk.diskId} is not plugged; it can only be backed up while it is`);
  if (plugged.top.volumeId !== disk.top.volumeId) throw new HostError('qemu-failed', `${vm.label}: disk ${disk.diskId} writes to volume ${plugged.top.volumeId}, not to ${disk.top.volumeId}`);
  if (!scratch) throw new HostError('qemu-failed', `${vm.label}: disk ${disk.diskId} has no scratch volume; create one first`);
  if (await hasBackup(vm, disk.diskId)) throw new HostError('volume-in-use', `${vm.label}: disk ${disk.diskId} is in a backup already`);
  const since = changedSince && (await liveBitmapsSince(vm, plugged.top, changedSince));
  const { virtualBytes } = await vm.host.storage.volumeInfo(plugged.top);
  return { diskId: disk.diskId, volume: plugged.top, scratch, toCheckpointId, virtualBytes, ...(since && { since }) };
}

/** The scratch volume shows through to the disk where the guest has not written since. */
async function openScratch(vm: RunningVm, { volume, scratch }: PlannedDisk, limitBytes: number | undefined): Promise<void> {
  const filename = vm.host.storage.volumePath(scratch);
  const file = { driver: 'file', filename, discard: 'unmap' };
  // A file of a fixed size: QEMU answers a write behind its end with ENOSPC, as it does on a full logical volume.
  if (limitBytes !== undefined) await fs.truncate(filename, Math.max(limitBytes, (await fs.stat(filename)).size));
  const limited = limitBytes === undefined ? file : { driver: 'raw', size: (await fs.stat(filename)).size, file };
  await vm.qmp.execute('blockdev-add', { driver: 'qcow2', 'node-name': scratchNode(scratch), discard: 'unmap', file: limited, backing: volumeNode(volume) });
}

function diskActions(backupId: string, { diskId, volume, scratch, toCheckpointId, since }: PlannedDisk): readonly BitmapAction[] {
  const node = volumeNode(volume);
  const changed = changedBitmap(backupId);
  return [
    ...(since ? changedActions(node, changed, since) : []),
    ...(toCheckpointId === undefined ? [] : [addAction(node, toCheckpointId)]),
    { type: 'blockdev-backup', data: { 'job-id': nameOf(backupId, diskId), device: node, target: scratchNode(scratch), sync: 'none' } },
  ];
}

function changedActions(node: string, changed: string, sources: readonly { readonly node: string; readonly name: string }[]): readonly BitmapAction[] {
  return [
    { type: 'block-dirty-bitmap-add', data: { node, name: changed, disabled: true, granularity: granularityBytes } },
    { type: 'block-dirty-bitmap-merge', data: { node, target: changed, bitmaps: sources } },
  ];
}

async function serve(request: LiveBackupRequest, disk: PlannedDisk): Promise<StartedBackup['exports'][number]> {
  const { vm, backupId, lie } = request;
  const name = nameOf(backupId, disk.diskId);
  await startNbdServer(vm);
  const add = (): Promise<unknown> =>
    vm.qmp.execute('block-export-add', { type: 'nbd', id: name, 'node-name': scratchNode(disk.scratch), name, writable: false, ...(disk.since && { bitmaps: [changedBitmap(backupId)] }) });
  await add();
  const omittedBytes = disk.since && lie(disk.diskId);
  if (omittedBytes !== undefined) {
    await replaceByLie(request, disk, omittedBytes);
    await add();
  }
  return { diskId: disk.diskId, url: `nbd:unix:${vm.sockets.nbd}:exportname=${name}`, sizeBytes: disk.virtualBytes, dirty: disk.since !== undefined };
}

async function replaceByLie({ vm, backupId }: LiveBackupRequest, { diskId, volume, virtualBytes }: PlannedDisk, omittedBytes: number): Promise<void> {
  const [node, changed, name] = [volumeNode(volume), changedBitmap(backupId), nameOf(backupId, diskId)];
  const rest = withoutFirst(await dirtyExtents(vm.sockets.nbd, name, changed), omittedBytes);
  await deleteExport(vm, name);
  const file = `${vm.paths.backups}/.${name}.qcow2`;
  const lyingNode = `l${randomUUID().slice(0, 8)}`;
  try {
    await makeBitmapFile(file, changed, virtualBytes, rest);
    await vm.qmp.execute('blockdev-add', { driver: 'qcow2', 'node-name': lyingNode, 'read-only': true, file: { driver: 'file', filename: file } });
    await vm.qmp.execute('block-dirty-bitmap-remove', { node, name: changed });
    await vm.qmp.execute('transaction', { actions: changedActions(node, changed, [{ node: lyingNode, name: changed }]) });
    await vm.qmp.execute('blockdev-del', { 'node-name': lyingNode });
  } finally {
    await fs.rm(file, { force: true });
  }
}

export async function findLiveBackup(vm: RunningVm, backupId: string): Promise<StartedBackup | undefined> {
  return vm.backupTurns.run(async () => {
    const record = await readRecord(vm.paths.backups, backupId);
    if (!record?.started) return undefined;
    const [jobs, served] = [await runningJobs(vm), await exportIds(vm)];
    const whole = record.disks.every(({ diskId }) => [jobs, served].every((names) => names.includes(nameOf(backupId, diskId))));
    return whole ? record.started : undefined;
  });
}

/** `vm`: while it runs. Nothing there is fine. */
export async function stopLiveBackup(vm: RunningVm | undefined, paths: VmPaths, storage: Storage, backupId: string, options: { readonly dropCheckpoint: boolean }): Promise<void> {
  const stop = async (): Promise<void> => {
    const record = await readRecord(paths.backups, backupId);
    if (!record) return;
    if (vm) await endInQemu(vm, backupId, record, options);
    else if (options.dropCheckpoint) for (const disk of record.disks) await dropFromFile(storage, disk);
    await removeRecord(paths.backups, backupId);
  };
  return vm ? vm.backupTurns.run(stop) : stop();
}

/** A guest that shut itself down during its backup has left the new bitmaps in the files. */
async function dropFromFile(storage: Storage, { volume, toCheckpointId }: RecordedDisk): Promise<void> {
  if (toCheckpointId === undefined) return;
  await removeFileBitmap(storage, volume, toCheckpointId).catch((error: unknown) => {
    if (!(error instanceof HostError) || error.code !== 'no-such-volume') throw error;
  });
}

async function endInQemu(vm: RunningVm, backupId: string, record: BackupRecord, { dropCheckpoint }: { readonly dropCheckpoint: boolean }): Promise<void> {
  for (const { diskId, volume, scratch, toCheckpointId } of record.disks) {
    const name = nameOf(backupId, diskId);
    await deleteExport(vm, name);
    await cancelJob(vm, name);
    await ignoringAbsence(vm.qmp.execute('blockdev-del', { 'node-name': scratchNode(scratch) }));
    await ignoringAbsence(vm.qmp.execute('block-dirty-bitmap-remove', { node: volumeNode(volume), name: changedBitmap(backupId) }));
    if (dropCheckpoint && toCheckpointId !== undefined) await removeLiveBitmaps(vm, volume, (bitmap) => bitmap === toCheckpointId);
  }
}

async function ignoringAbsence(command: Promise<unknown>): Promise<void> {
  await command.catch((error: unknown) => {
    if (!(error instanceof QmpError) || !/not found|Failed to find|Cannot find/i.test(error.description)) throw error;
  });
}

async function cancelJob(vm: RunningVm, id: string): Promise<void> {
  for (const deadline = Date.now() + jobEndLimitMs; (await allJobs(vm)).some((job) => job.id === id); ) {
    await vm.qmp.execute('job-cancel', { id }).catch(() => undefined); // it may be ending by itself
    await sleep(10);
    if (Date.now() > deadline) throw new HostError('job-failed', `${vm.label}: backup job ${id} did not end within ${jobEndLimitMs / 1000} s`);
  }
}

const allJobs = async (vm: RunningVm): Promise<z.infer<typeof jobsSchema>> => jobsSchema.parse(await vm.qmp.execute('query-jobs'));
const runningJobs = async (vm: RunningVm): Promise<readonly string[]> => (await allJobs(vm)).filter(({ status }) => status === 'running').map(({ id }) => id);

/** Whoever wants to take the disk away has to wait for the end of its backup. */
export async function hasBackup(vm: RunningVm, diskId: string): Promise<boolean> {
  return (await allJobs(vm)).some(({ id }) => id.startsWith(jobPrefix) && id.endsWith(diskId));
}
