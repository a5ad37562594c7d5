// Backups that a killed engine left behind: those whose command is known go on (or are taken back), the others are nobody's any more:
// failed, with event 10814 (DbEntityCleanupManager.failUnmonitoredBackups, at each start).
import { activeImage, volumeRef, type Context } from '../context';
import type { Actor } from '../events';
import { isUnfinished, type BackupRecord } from '../state/backup-model';
import type { VmBackupOperation } from '../state/operations';
import { patchBackup } from './backup-state';
import { carryOutCold } from './cold-backup';
import { carryOutFinalize, failBackup, operationOf, succeedBackup } from './end-backup';
import { resumeCreateSnapshot } from './finish-snapshot';
import { resumeHybrid } from './hybrid-backup';
import { resumeLive } from './live-backup';
import { carryOut as carryOutRemoval } from './remove-snapshot';
import { locksOf } from './start-backup';

const engineActor: Actor = { user: 'SYSTEM', correlationId: '' };

export async function resumeBackup(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  const vm = context.store.tables.vms.get(backup?.vmId);
  if (backup === undefined || vm === undefined) return;
  const diskIds = backup.disks.map(({ diskId }) => diskId);
  context.locks.hold(backup.id, 'backup', 'Cannot backup VM', locksOf(context, backup.kind, vm, diskIds));
  if (backup.phase === 'failed') return goOnFailed(context, operation, backup);
  if (backup.phase === 'initializing' || backup.phase === 'finalizing_failure') return failBackup(context, operation);
  if (backup.kind === 'hybrid') return resumeHybrid(context, operation, backup);
  if (backup.phase === 'ready') return;
  if (backup.phase === 'finalizing') return finishStop(context, operation, backup);
  return backup.kind === 'live' ? resumeLive(context, operation, backup) : resumeCold(context, operation, backup);
}

/**
 * One that the client named and that was failed below. HybridBackupCommand.performNextOperation knows no such phase: it ends, as a success, and its
 * snapshot stays. StartVmBackupCommand waits, with all that it holds, until its row is purged (endPurged); nobody stops the host.
 */
async function goOnFailed(context: Context, operation: VmBackupOperation, backup: BackupRecord): Promise<void> {
  if (backup.kind !== 'hybrid') return;
  for (const row of context.store.tables.operations.all()) {
    if (row.kind === 'create-snapshot' && row.backupId === backup.id) await resumeCreateSnapshot(context, row);
    if (row.kind === 'remove-snapshot' && row.backupId === backup.id) await carryOutRemoval(context, row);
  }
  await succeedBackup(context, operation);
}

async function finishStop(context: Context, operation: VmBackupOperation, backup: BackupRecord): Promise<void> {
  if (backup.kind === 'live') await context.backups.stopLiveBackup(backup.vmId, backup.id, { dropCheckpoint: false });
  await carryOutFinalize(context, operation);
}

/** Bitmaps that are there already may be of any age of this backup: they are made anew. */
async function resumeCold(context: Context, operation: VmBackupOperation, backup: BackupRecord): Promise<void> {
  for (const { diskId, tracked } of backup.disks) {
    const image = activeImage(context, diskId);
    if (tracked && image !== undefined && backup.toCheckpointId !== undefined)
      await context.backups.removeBitmap(backup.vmId, volumeRef(image), backup.toCheckpointId);
  }
  patchBackup(context, backup.id, { phase: 'adding_bitmaps' });
  await carryOutCold(context, operation);
}

/**
 * What they left lies about: scratch disks, a checkpoint, a snapshot; their disks are unlocked, the host serves them no longer. The engine takes a
 * backup's own id for its command's (GetUnmonitoredBackups, since 4.5.3), so that one which the client named is always among them.
 */
export function failUnmonitored(context: Context): void {
  const { store, settings } = context;
  const isLost = (row: BackupRecord): boolean => operationOf(context, row.id) === undefined;
  const isTakenForLost = ({ isNamed = false }: BackupRecord): boolean => isNamed && settings.restartFailsNamedBackups;
  for (const backup of store.tables.backups.where((row) => isUnfinished(row) && (isLost(row) || isTakenForLost(row)))) {
    const vm = store.tables.vms.get(backup.vmId);
    const wasLost = isLost(backup);
    store.write(() => {
      patchBackup(context, backup.id, { phase: 'failed' });
      for (const { diskId } of wasLost && backup.kind !== 'hybrid' ? backup.disks : []) store.tables.disks.patch(diskId, { locked: false });
      context.events.record('backupUnmonitored', engineActor, { ...(vm === undefined ? {} : { vm }), backup: backup.id });
    });
    if (wasLost && backup.kind === 'live')
      void context.background.run(`stop backup ${backup.id}`, () =>
        context.backups.stopLiveBackup(backup.vmId, backup.id, { dropCheckpoint: false }),
      );
  }
}
