// Before a live incremental backup (and the removal of a checkpoint of a running VM) the host has to know the checkpoint again: libvirt
// forgets it with every QEMU. It can only when each of its disks still has a good bitmap (engine-rules.md section 4, Redefine).
import { activeImage, attachmentId, volumeRef, type Context } from '../context';
import type { VmRecord } from '../state/model';
import { wipeCheckpoints } from './backup-state';

/** False: it failed, and all checkpoints of the VM are gone. */
export async function redefine(context: Context, vm: VmRecord, checkpointId: string | undefined): Promise<boolean> {
  const checkpoint = context.store.tables.checkpoints.get(checkpointId);
  if (checkpoint === undefined) return true;
  const reason = await whyNot(context, vm, checkpoint.id, checkpoint.diskIds);
  if (reason === undefined) return true;
  context.log(`redefining checkpoint ${checkpoint.id} of VM ${vm.name}: ${reason}; all its checkpoints go`);
  await wipeCheckpoints(context, vm.id);
  return false;
}

async function whyNot(context: Context, vm: VmRecord, checkpointId: string, diskIds: readonly string[]): Promise<string | undefined> {
  const fault = context.injected
    .ofKind('redefinition-failure')
    .find((active) => active.fault.vmId === undefined || active.fault.vmId === vm.id);
  if (fault !== undefined) {
    context.injected.fire(fault);
    return `fault ${fault.id} says that it fails`;
  }
  for (const diskId of diskIds) {
    const image = activeImage(context, diskId);
    const attachment = context.store.tables.attachments.get(attachmentId(vm.id, diskId));
    if (image === undefined || attachment === undefined) continue;
    // RedefineVmCheckpointCommand asks for all disks that the VM still has, vdsm (backup.py, _get_backup_disks) finds only those that are plugged.
    if (!attachment.active) return `disk ${diskId} is not active`;
    if (image.format !== 'cow') return `disk ${diskId} is raw now`;
    const bitmap = (await context.backups.bitmaps(vm.id, volumeRef(image))).find(({ name }) => name === checkpointId);
    if (bitmap === undefined) return `disk ${diskId} has lost its bitmap`;
    if (bitmap.inconsistent) return `the bitmap of disk ${diskId} is inconsistent`;
  }
  return undefined;
}
