// The two ways in which a backup ends, and how finalizing is asked for. Disks and locks are free before the last phase is told, since clients
// take that for the permission to go on.
import { activeImage, isRunning, needVm, volumeRef, type Context } from '../context';
import { notFound, operationFailed } from '../faults';
import { refuse } from '../refusals';
import { isFinal, type BackupRecord } from '../state/backup-model';
import type { VmRecord } from '../state/model';
import type { VmBackupOperation } from '../state/operations';
import { without } from '../state/without';
import { backupTurn, forgetCheckpoint, patchBackup } from './backup-state';
import { removeOwnSnapshot } from './hybrid-snapshot';
import { removeScratchDisks } from './scratch-disks';

export async function failBackup(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  if (backup === undefined) return;
  if (backup.kind === 'hybrid') return failHybrid(context, backup, operation);
  // StartVmBackupCommand.performVmBackupOperation: whatever the host answers, the row names the checkpoint from then on, which goes below.
  const isNamed = backup.kind === 'live' && backup.phase === 'starting' ? { checkpointVisible: true } : {};
  patchBackup(context, backup.id, { phase: 'finalizing_failure', ...isNamed });
  await takeBack(context, backup).catch((error: unknown) => {
    context.log(`taking back backup ${backup.id}: ${String(error)}`);
  });
  context.store.write(() => {
    forgetCheckpoint(context, backup.toCheckpointId);
  });
  await end(context, operation, 'failed');
}

/**
 * HybridBackupCommand.endWithFailure: failed first, and without its snapshot, for RemoveSnapshot refuses a VM that is in a backup; what becomes of
 * the snapshot then is nobody's concern. The bitmaps stay with it.
 */
async function failHybrid(context: Context, { id, snapshotId }: BackupRecord, operation: VmBackupOperation): Promise<void> {
  const { backups } = context.store.tables;
  context.store.write(() => {
    patchBackup(context, id, { phase: 'failed' });
    const failed = backups.get(id);
    if (failed !== undefined) backups.put(without(failed, 'snapshotId'));
  });
  await end(context, operation, 'failed');
  await removeOwnSnapshot(context, snapshotId, operation);
}

async function takeBack(context: Context, backup: BackupRecord): Promise<void> {
  if (backup.kind === 'live') return context.backups.stopLiveBackup(backup.vmId, backup.id, { dropCheckpoint: true });
  if (backup.toCheckpointId === undefined) return;
  for (const { diskId } of backup.disks.filter(({ tracked }) => tracked)) {
    const image = activeImage(context, diskId);
    if (image !== undefined) await context.backups.removeBitmap(backup.vmId, volumeRef(image), backup.toCheckpointId);
  }
}

export function succeedBackup(context: Context, operation: VmBackupOperation): Promise<void> {
  return end(context, operation, 'succeeded');
}

async function end(context: Context, operation: VmBackupOperation, phase: 'succeeded' | 'failed'): Promise<void> {
  const { store, events, jobs } = context;
  const backup = store.tables.backups.get(operation.backupId);
  if (backup === undefined) return;
  const vm = store.tables.vms.get(backup.vmId);
  store.write(() => {
    unlock(context, backup);
  });
  await removeScratchDisks(context, backup);
  store.write(() => {
    patchBackup(context, backup.id, { phase });
    events.record(phase === 'succeeded' ? 'backupSucceeded' : 'backupFailed', operation, {
      ...(vm === undefined ? {} : { vm }),
      backup: backup.id,
    });
    store.tables.operations.delete(operation.id);
    jobs.end(operation.jobId, phase === 'succeeded' ? 'finished' : 'failed');
  });
}

/** StartVmBackupCommand.restoreCommandState finds no row any more, which ends the command: endWithFailure frees what it held all the time. */
export async function endPurged(context: Context, operation: VmBackupOperation): Promise<void> {
  const { backups } = context.store.tables;
  const backup = backups.get(operation.backupId);
  if (backup === undefined) return;
  await end(context, operation, 'failed');
  context.store.write(() => {
    forgetCheckpoint(context, backup.toCheckpointId);
    backups.delete(backup.id);
  });
}

function unlock(context: Context, backup: BackupRecord): void {
  const { disks } = context.store.tables;
  const held = backup.kind === 'hybrid' ? [] : backup.disks.flatMap(({ diskId }) => disks.get(diskId) ?? []);
  for (const disk of held) disks.put({ ...without(disk, 'backupMode'), locked: false });
  context.locks.free(backup.id);
}

/** POST finalize. Live: the host has stopped when it is answered; hybrid: it is only noted. */
export async function finalizeBackup(context: Context, vmId: string, backupId: string): Promise<void> {
  const vm = needVm(context, vmId);
  const backup = context.store.tables.backups.get(backupId);
  if (backup?.vmId !== vm.id) throw notFound();
  if (context.store.tables.transfers.all().some((transfer) => transfer.backupId === backup.id && !isFinal(transfer.phase)))
    throw refuse('stop-backup/active-transfer');
  await context.turns.run(backupTurn(backup.id), () => stopInTurn(context, vm, backup.id));
}

async function stopInTurn(context: Context, vm: VmRecord, backupId: string): Promise<void> {
  const backup = context.store.tables.backups.get(backupId);
  if (backup === undefined) throw notFound();
  const words = { vm: vm.id, backup: backup.id, phase: backup.phase };
  const over = ['finalizing', 'finalizing_failure', 'removing_snapshot', 'succeeded', 'failed'].includes(backup.phase);
  if (over) throw refuse('stop-backup/again', words);
  if (backup.stopAsked) throw refuse('stop-backup/stopped', words);
  const operation = operationOf(context, backup.id);
  if (operation === undefined) throw refuse('stop-backup/again', words);
  if (backup.kind === 'hybrid') {
    patchBackup(context, backup.id, { stopAsked: true });
    context.events.record('backupStopped', operation, { vm, backup: backup.id });
    return;
  }
  if (backup.phase !== 'ready') {
    // Whoever is at work on it finds this phase and takes the backup back.
    patchBackup(context, backup.id, { phase: 'finalizing_failure' });
    throw refuse('stop-backup/premature', words);
  }
  await stop(context, backup, operation);
}

export function operationOf({ store }: Context, backupId: string): VmBackupOperation | undefined {
  const [found] = store.tables.operations
    .all()
    .filter((row): row is VmBackupOperation => row.kind === 'vm-backup' && row.backupId === backupId);
  return found;
}

async function stop(context: Context, backup: BackupRecord, operation: VmBackupOperation): Promise<void> {
  const vm = context.store.tables.vms.get(backup.vmId);
  const subject = { ...(vm === undefined ? {} : { vm }), backup: backup.id };
  patchBackup(context, backup.id, { phase: 'finalizing' });
  try {
    failWhenAsked(context, backup);
    // StopVmBackupVDSCommand: vdsm knows no VM that has gone down, and says so (NoSuchVM). Of one that runs again it finds no backup, which is fine.
    if (backup.kind === 'live' && (vm === undefined || !isRunning(vm))) throw new Error(`VM ${backup.vmId} is not on its host`);
    if (backup.kind === 'live') await context.backups.stopLiveBackup(backup.vmId, backup.id, { dropCheckpoint: false });
  } catch (error) {
    context.log(`stopping backup ${backup.id}: ${String(error)}`);
    context.events.record('backupFinalizeFailed', operation, subject);
    void context.background.run(`fail backup ${backup.id}`, () => failBackup(context, operation));
    throw operationFailed(400, '');
  }
  context.events.record('backupFinalized', operation, subject);
  void context.background.run(`finalize backup ${backup.id}`, () => carryOutFinalize(context, operation));
}

function failWhenAsked({ injected }: Context, { vmId }: BackupRecord): void {
  const fault = injected.ofKind('finalize-failure').find((active) => active.fault.vmId === undefined || active.fault.vmId === vmId);
  if (fault === undefined) return;
  injected.fire(fault);
  throw new Error(`fault ${fault.id} says that it fails`);
}

export async function carryOutFinalize(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  if (backup === undefined) return;
  await context.holds.slowFinalize({ what: 'backup', id: backup.vmId });
  await succeedBackup(context, operation);
}
