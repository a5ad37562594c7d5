// A live backup after its POST: scratch disks, then one moment of the guest from which QEMU serves the disks until the backup is finalized.
import { attachmentId, type Context } from '../context';
import type { BackupDisk, StartedBackup } from '../../host/backup-port';
import type { BackedUpDisk, BackupRecord } from '../state/backup-model';
import type { VmBackupOperation } from '../state/operations';
import { advance, backupTurn } from './backup-state';
import { failBackup } from './end-backup';
import { vmDisk } from './plug-disk';
import { makeScratchDisks, removeScratchDisks, scratchVolume } from './scratch-disks';

export async function carryOutLive(context: Context, operation: VmBackupOperation): Promise<void> {
  const made = await makeScratchDisks(context, operation);
  await context.turns.run(backupTurn(operation.backupId), () => start(context, operation, made));
}

async function start(context: Context, operation: VmBackupOperation, made: boolean): Promise<void> {
  if (!made || !advance(context, operation.backupId, 'creating_scratch_disks', { phase: 'starting' }))
    return failBackup(context, operation);
  const backup = context.store.tables.backups.get(operation.backupId);
  if (backup === undefined) return;
  try {
    limitScratch(context, backup);
    const disks = backup.disks.flatMap((disk) => forHost(context, backup, disk) ?? []);
    const started = await context.backups.startLiveBackup(backup.vmId, backup.id, disks, {
      freeze: true,
      requireConsistency: backup.requireConsistency,
    });
    if (!ready(context, backup, started)) await failBackup(context, operation);
  } catch (error) {
    context.log(`backup ${backup.id}: ${String(error)}`);
    await failBackup(context, operation);
  }
}

function forHost(context: Context, backup: BackupRecord, { diskId, tracked, mode, scratchDiskId }: BackedUpDisk): BackupDisk | undefined {
  const attachment = context.store.tables.attachments.get(attachmentId(backup.vmId, diskId));
  const disk = attachment === undefined ? undefined : vmDisk(context, attachment);
  const scratch = scratchVolume(context, scratchDiskId);
  if (disk === undefined) return undefined;
  return {
    disk,
    ...(tracked && backup.toCheckpointId !== undefined ? { toCheckpointId: backup.toCheckpointId } : {}),
    ...(mode === 'incremental' && backup.fromCheckpointId !== undefined ? { changedSince: [backup.fromCheckpointId] } : {}),
    ...(scratch === undefined ? {} : { scratch }),
  };
}

function limitScratch({ injected, backups }: Context, backup: BackupRecord): void {
  for (const active of injected.ofKind('scratch-full').filter(({ fault }) => fault.vmId === undefined || fault.vmId === backup.vmId)) {
    for (const { diskId } of backup.disks) backups.limitNextScratch(diskId, active.fault.bytes);
    injected.fire(active);
  }
}

function ready(context: Context, backup: BackupRecord, started: StartedBackup): boolean {
  const disks = backup.disks.map((disk): BackedUpDisk => {
    const served = started.exports.find(({ diskId }) => diskId === disk.diskId);
    return served === undefined ? disk : { ...disk, export: { url: served.url, sizeBytes: served.sizeBytes, dirty: served.dirty } };
  });
  return advance(context, backup.id, 'starting', { phase: 'ready', disks, checkpointVisible: true });
}

/** A new engine asks the host how far it had got; what never got an answer is not begun again. */
export async function resumeLive(context: Context, operation: VmBackupOperation, backup: BackupRecord): Promise<void> {
  if (backup.phase === 'creating_scratch_disks') {
    await removeScratchDisks(context, backup);
    return carryOutLive(context, operation);
  }
  const found = backup.phase === 'starting' ? await context.backups.findLiveBackup(backup.vmId, backup.id) : undefined;
  if (found === undefined || !ready(context, backup, found)) await failBackup(context, operation);
}
