// A cold backup after its POST: a bitmap in each tracked volume, and it is ready. Its data is served per transfer, by a process of its own.
import { attachmentId, type Context } from '../context';
import type { VmBackupOperation } from '../state/operations';
import { advance } from './backup-state';
import { failBackup } from './end-backup';
import { vmDisk } from './plug-disk';

export async function carryOutCold(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  if (backup === undefined) return;
  const { toCheckpointId, vmId } = backup;
  try {
    // StartVmBackupCommand.startAddBitmapJobs: the row names the checkpoint as soon as the jobs have begun, and goes on doing so if they fail.
    if (!advance(context, backup.id, 'adding_bitmaps', { phase: 'waiting_for_bitmaps', checkpointVisible: true })) { await failBackup(context, operation); return; }
    const disks = backup.disks.flatMap(({ diskId, tracked }) => {
      const attachment = context.store.tables.attachments.get(attachmentId(vmId, diskId));
      const disk = attachment === undefined ? undefined : vmDisk(context, attachment);
      return disk === undefined || !tracked || toCheckpointId === undefined ? [] : [{ disk, toCheckpointId }];
    });
    if (disks.length > 0) await context.backups.addBitmaps(disks);
  } catch (error) {
    context.log(`backup ${backup.id}: ${String(error)}`);
    return failBackup(context, operation);
  }
  if (!advance(context, backup.id, 'waiting_for_bitmaps', { phase: 'ready' }))
    await failBackup(context, operation);
}
