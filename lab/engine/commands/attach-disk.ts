// Attaches a disk, or a snapshot of one, to a VM, and detaches it again. Snapshot disks are how an appliance reads
// another VM's data (engine-rules.md sections 0.6 and 3).
import {
  activeImage,
  activeSnapshot,
  attachmentId,
  attachmentsOf,
  imagesOf,
  imagesOfSnapshot,
  isRunning,
  needVm,
  statusWord,
  type Context,
} from '../context';
import type { Actor } from '../events';
import { refuse } from '../refusals';
import type { AttachmentRecord, DiskRecord, VmRecord } from '../state/model';
import { diskStatus } from '../disk-status';
import { wipeTracking } from './backup-state';
import { refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot, refusePreview, refuseStatus } from './checks';
import { isTemplateDisk } from './copy-template';
import { forgetAttachment, plug, refuseHotPlug, unplug } from './plug-disk';

export type AttachRequest = Omit<AttachmentRecord, 'id'>;

export async function attachDisk(context: Context, request: AttachRequest, actor: Actor): Promise<AttachmentRecord> {
  const vm = needVm(context, request.vmId);
  const disk = context.store.tables.disks.get(request.diskId);
  if (disk === undefined) throw refuse('attach-disk/unknown');
  const hot = request.active && isRunning(vm);
  const release = context.locks.take('attach disk', 'Cannot attach Virtual Disk', locksFor(vm, disk, request));
  try {
    await validate(context, vm, disk, request, hot);
    // Once more: a removal of the snapshot locks its own VM, not this one, and may have begun while the files were looked at.
    if (request.snapshotId !== undefined) checkSnapshot(context, disk, request.snapshotId);
    const attachment = record(context, vm, disk, { ...request, active: request.active && !hot });
    if (hot) await plugAttached(context, vm, disk, attachment, actor);
    context.events.record('diskAttached', actor, { vm, disk: disk.alias });
    return context.store.tables.attachments.get(attachment.id) ?? attachment;
  } finally {
    release();
  }
}

/** Only what was begun and failed is logged; a refusal is not (CommandBase.executeAction). */
async function plugAttached(context: Context, vm: VmRecord, disk: DiskRecord, attachment: AttachmentRecord, actor: Actor): Promise<void> {
  try {
    await plug(context, vm, attachment, actor, 'detach');
  } catch (error) {
    context.events.record('diskAttachFailed', actor, { vm, disk: disk.alias });
    throw error;
  }
}

/** Not of the VM, even when it runs (AttachDiskToVmCommand.getExclusiveLocks). */
function locksFor(vm: VmRecord, disk: DiskRecord, request: AttachRequest): Parameters<Context['locks']['take']>[2] {
  const related = { othersGet: { key: 'lock/related-operation' } } as const;
  return [
    ...(disk.shareable ? [] : [{ kind: 'DISK', id: disk.id, mode: 'exclusive', ...related } as const]),
    ...(request.bootable ? [{ kind: 'VM_DISK_BOOT', id: vm.id, mode: 'exclusive', ...related } as const] : []),
  ];
}

async function validate(context: Context, vm: VmRecord, disk: DiskRecord, request: AttachRequest, hot: boolean): Promise<void> {
  if (request.snapshotId !== undefined) checkSnapshot(context, disk, request.snapshotId);
  if ((await diskStatus(context, disk)) === 'illegal') throw refuse('attach-disk/illegal');
  refuseLockedDisks([disk], 'attach-disk/locked');
  refuseStatus(vm, ['up', 'paused', 'down'], 'attach-disk/vm-status');
  refuseSecondBootDisk(context, vm, request);
  const { attachments, domains } = context.store.tables;
  if (attachments.get(attachmentId(vm.id, disk.id)) !== undefined) throw refuse('attach-disk/already-attached');
  const elsewhere = attachments.where((other) => other.diskId === disk.id && other.snapshotId === undefined);
  if (request.snapshotId === undefined && !disk.shareable && (elsewhere.length > 0 || isTemplateDisk(context, disk.id)))
    throw refuse('attach-disk/not-shareable');
  if (domains.get(disk.domainId)?.backup === true) throw refuse('attach-disk/backup-domain');
  refuseInactiveDomains(context, [disk], 'attach-disk/domain-status');
  refuseLockedSnapshot(context, vm.id, 'attach-disk/during-snapshot');
  refusePreview(context, vm.id, 'attach-disk/preview');
  if (hot) refuseHotPlug(vm, disk, request.interface);
}

function checkSnapshot(context: Context, disk: DiskRecord, snapshotId: string): void {
  const snapshot = context.store.tables.snapshots.get(snapshotId);
  if (snapshot === undefined || !imagesOfSnapshot(context, snapshotId).some((image) => image.diskId === disk.id))
    throw refuse('attach-disk/snapshot-unknown');
  if (snapshot.type !== 'regular') throw refuse('attach-disk/snapshot-not-regular');
  if (snapshot.status !== 'ok') throw refuse('attach-disk/snapshot-status', { status: snapshot.status.toUpperCase() });
}

export function refuseSecondBootDisk(
  context: Context,
  vm: VmRecord,
  request: { readonly bootable: boolean; readonly diskId?: string },
): void {
  if (!request.bootable) return;
  const other = attachmentsOf(context, vm.id).find((attachment) => attachment.bootable && attachment.diskId !== request.diskId);
  const disk = context.store.tables.disks.get(other?.diskId);
  if (other !== undefined) throw refuse('attach-disk/boot-in-use', { disk: disk?.alias ?? '', vm: vm.name });
}

/** A VM's own disk belongs to its Active from now on. */
export function record(context: Context, vm: VmRecord, disk: DiskRecord, request: AttachRequest): AttachmentRecord {
  const { store } = context;
  const attachment: AttachmentRecord = { ...request, id: attachmentId(vm.id, disk.id) };
  store.write(() => {
    store.tables.attachments.put(attachment);
    const image = activeImage(context, disk.id);
    if (request.snapshotId === undefined && !disk.shareable && image !== undefined)
      store.tables.images.put({ ...image, snapshotId: activeSnapshot(context, vm.id).id });
  });
  return attachment;
}

export async function detachDisk(context: Context, vmId: string, diskId: string, actor: Actor): Promise<void> {
  const vm = needVm(context, vmId);
  const attachment = context.store.tables.attachments.get(attachmentId(vmId, diskId));
  const disk = context.store.tables.disks.get(diskId);
  refuseStatus(vm, ['up', 'down'], 'detach-disk/vm-status', { word: statusWord(vm.status) });
  // Its name has no place in the sentence's variable.
  if (attachment === undefined || disk === undefined) throw refuse('detach-disk/not-attached', { vm: '${VmName}' });
  const isOwn = attachment.snapshotId === undefined && !disk.shareable;
  if (isOwn && imagesOf(context, diskId).length > 1) throw refuse('detach-disk/in-snapshot');
  try {
    if (attachment.active && isRunning(vm)) await unplug(context, vm, attachment, actor, 'detach');
    else
      context.store.write(() => {
        forgetAttachment(context, vmId, diskId);
      });
    if (context.settings.detachWipesTracking) await wipeTracking(context, vmId, diskId);
    context.events.record('diskDetached', actor, { vm, disk: disk.alias });
  } catch (error) {
    context.events.record('diskDetachFailed', actor, { vm, disk: disk.alias });
    throw error;
  }
}
