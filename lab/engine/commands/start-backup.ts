// Starts a backup of a VM: live or cold when `legacy` is asked for or the VM is below 4.7, else hybrid (engine-rules.md section 4). What belongs to the POST itself
// is here, the rest goes on in live-backup.ts, cold-backup.ts and hybrid-backup.ts.
import { activeImage, attachmentId, hostOf, needVm, ownImageDisks, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { BackedUpDisk, BackupKind, BackupRecord } from '../state/backup-model';
import type { DiskRecord, VmRecord } from '../state/model';
import type { VmBackupOperation } from '../state/operations';
import { addCheckpoint, patchBackup, tellModes, unfinishedBackup } from './backup-state';
import { inPreview, refuseLockedDisks } from './checks';
import { carryOutCold } from './cold-backup';
import { failBackup } from './end-backup';
import { startHybrid } from './hybrid-backup';
import { carryOutLive } from './live-backup';
import { redefine } from './redefine';

export interface BackupRequest {
  readonly id?: string;
  readonly vmId: string;
  readonly fromCheckpointId?: string;
  readonly description: string;
  readonly diskIds: readonly string[];
  readonly requireConsistency: boolean;
  readonly legacy: boolean;
}

const longestDescription = 1024;

export async function startBackup(
  context: Context,
  request: BackupRequest,
  actor: Actor,
): Promise<{ backupId: string; settled: Promise<void> }> {
  const vm = needVm(context, request.vmId);
  const isHybrid = !request.legacy && !context.settings.vmsBelow47.includes(vm.id);
  const kind: BackupKind = isHybrid ? 'hybrid' : vm.status === 'down' ? 'cold' : 'live';
  const id = request.id ?? newId();
  // Not under the id that the client chose: that one may belong to a backup which runs.
  const lease = newId();
  context.locks.hold(lease, 'backup', 'Cannot backup VM', locksOf(context, kind, vm, request.diskIds));
  try {
    const disks = validate(context, vm, request);
    const { backup, operation } = record(context, { ...request, id, isNamed: request.id !== undefined }, kind, vm, disks, actor);
    context.locks.rename(lease, id);
    const { settled } = await begin(context, vm, backup, operation);
    return { backupId: id, settled };
  } catch (error) {
    context.locks.free(lease);
    throw error;
  }
}

/** Live and cold hold the VM and the disks, hybrid all disks of the VM that a snapshot would take (the VM only while its snapshot is made). */
export function locksOf(
  context: Context,
  kind: BackupKind,
  vm: VmRecord,
  diskIds: readonly string[],
): Parameters<Context['locks']['take']>[2] {
  const held = kind === 'hybrid' ? ownImageDisks(context, vm.id).map(({ disk }) => disk.id) : [...new Set(diskIds)];
  return [
    ...(kind === 'hybrid' ? [] : [{ kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/vm-backup' } } as const]),
    ...held.map((diskId) => ({ kind: 'DISK', id: diskId, mode: 'exclusive', othersGet: { key: 'lock/backup-disk' } }) as const),
  ];
}

function validate(context: Context, vm: VmRecord, request: BackupRequest): DiskRecord[] {
  const { disks, attachments, checkpoints, backups } = context.store.tables;
  const unknown = request.diskIds.filter((id) => disks.get(id) === undefined);
  if (unknown.length > 0) throw refuse('start-backup/disk-unknown', { disks: unknown.join(', ') });
  const wanted = request.diskIds.flatMap((id) => disks.get(id) ?? []);
  refuseLockedDisks(wanted, 'start-backup/disks-locked');
  const plugs = wanted.map((disk) => ({ disk, attachment: attachments.get(attachmentId(vm.id, disk.id)) }));
  if (plugs.some(({ attachment }) => attachment === undefined)) throw refuse('start-backup/disk-of-another-vm');
  const inactive = plugs.filter(({ attachment }) => attachment?.active !== true).map(({ disk }) => disk.id);
  if (inactive.length > 0) throw refuse('start-backup/disks-inactive', { vm: vm.name, disks: inactive.join(', ') });
  if (request.fromCheckpointId !== undefined) {
    const from = checkpoints.get(request.fromCheckpointId);
    if (from?.vmId !== vm.id) throw refuse('start-backup/checkpoint-unknown', { checkpoint: request.fromCheckpointId });
    if (from.state === 'invalid') throw refuse('start-backup/checkpoint-invalid', { checkpoint: from.id });
  }
  if (vm.status !== 'up' && vm.status !== 'down') throw refuse('start-backup/vm-status');
  if (inPreview(context, vm.id)) throw refuse('start-backup/preview');
  if (unfinishedBackup(context, vm.id) !== undefined) throw refuse('start-backup/other-backup');
  if (request.description.length > longestDescription) throw refuse('start-backup/description');
  if (backups.get(request.id ?? '') !== undefined) throw refuse('start-backup/id-used', { backup: request.id ?? '' });
  return wanted;
}

/** Shareable disks and LUNs: dropped without a word (live, cold), or left to the snapshot, which refuses them (hybrid). */
function record(
  context: Context,
  request: BackupRequest & { readonly id: string; readonly isNamed: boolean },
  kind: BackupKind,
  vm: VmRecord,
  wanted: readonly DiskRecord[],
  actor: Actor,
): { readonly backup: BackupRecord; readonly operation: VmBackupOperation } {
  const own = ownImageDisks(context, vm.id).map(({ disk }) => disk.id);
  const disks = wanted
    .filter(({ id }) => kind === 'hybrid' || own.includes(id))
    .map((disk) => backedUp(context, disk, request.fromCheckpointId));
  const tracked = kind === 'hybrid' || disks.some((disk) => disk.tracked);
  const nowMs = Date.now();
  return context.store.write(() => {
    const backup: BackupRecord = {
      ...{ id: request.id, isNamed: request.isNamed, vmId: vm.id, kind, phase: 'initializing', disks, stopAsked: false, checkpointVisible: false },
      ...{ description: request.description, requireConsistency: request.requireConsistency, createdMs: nowMs, modifiedMs: nowMs },
      ...(request.fromCheckpointId === undefined ? {} : { fromCheckpointId: request.fromCheckpointId }),
      ...(tracked ? { toCheckpointId: newId() } : {}),
      ...(kind === 'live' ? { hostId: hostOf(context, vm).id } : {}),
    };
    const job = context.jobs.open(`Backing up VM ${vm.name}`, actor);
    const operation: VmBackupOperation = { kind: 'vm-backup', id: newId(), ...actor, ...job, backupId: backup.id };
    context.store.tables.backups.put(backup);
    context.store.tables.operations.put(operation);
    if (kind !== 'hybrid') {
      tellModes(context, backup);
      for (const { diskId } of disks) context.store.tables.disks.patch(diskId, { locked: true });
    }
    return { backup, operation };
  });
}

/**
 * A disk that is not in the from-checkpoint is copied in full, any other is called incremental, even one that has become raw since (a snapshot over
 * a raw volume was merged): its bitmap is gone, and whoever needs it fails. Every cow disk gets into the new one, whether or not incremental backup is enabled
 * on it (StartVmBackupCommand.createVmCheckpoint, isQcowFormat; that was asked for below 4.6 only).
 */
function backedUp(context: Context, disk: DiskRecord, fromCheckpointId: string | undefined): BackedUpDisk {
  const image = activeImage(context, disk.id);
  const tracked = image?.format === 'cow';
  const from = context.store.tables.checkpoints.get(fromCheckpointId);
  return {
    diskId: disk.id,
    tracked,
    mode: from?.diskIds.includes(disk.id) === true ? 'incremental' : 'full',
    imageId: image?.id ?? '',
  };
}

/** What the POST waits for. Its failures are the backup's, too: it is `failed` soon after. */
async function begin(
  context: Context,
  vm: VmRecord,
  backup: BackupRecord,
  operation: VmBackupOperation,
): Promise<{ readonly settled: Promise<void> }> {
  const run = (work: () => Promise<void>): Promise<void> => context.background.run(`backup ${backup.id}`, work);
  const subject = { vm, backup: backup.id };
  if (backup.kind === 'hybrid') return startHybrid(context, vm, backup, operation, run);
  if (backup.kind === 'live' && !(await redefine(context, vm, backup.fromCheckpointId))) {
    context.events.record('backupNeedsFull', operation, subject);
    context.events.record('backupStarted', operation, subject);
    void run(() => failBackup(context, operation));
    throw refuse('start-backup/redefinition-failed');
  }
  context.store.write(() => {
    if (backup.toCheckpointId !== undefined) addCheckpoint(context, backup);
    patchBackup(context, backup.id, { phase: backup.kind === 'live' ? 'creating_scratch_disks' : 'adding_bitmaps' });
    context.events.record('backupStarted', operation, subject);
  });
  return { settled: run(() => (backup.kind === 'live' ? carryOutLive(context, operation) : carryOutCold(context, operation))) };
}
