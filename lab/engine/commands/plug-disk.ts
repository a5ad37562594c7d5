// Plugging and unplugging on a running VM, with an operation record around the host's work: after a crash a half-done
// plug is taken back (nobody got an answer) and a half-done unplug is carried through.
import { activeImage, attachmentId, imagesOfSnapshot, isRunning, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { operationFailed, type HttpFault } from '../faults';
import { refuse } from '../refusals';
import { HostError, type VmDisk } from '../../host/port';
import { stuckUnplug } from '../injected/faulty-host';
import type { AttachmentRecord, DiskRecord, ImageRecord, VmRecord } from '../state/model';
import type { PlugDiskOperation, UnplugDiskOperation } from '../state/operations';
import { without } from '../state/without';
import { refuseInactiveDomains, refuseLockedSnapshot, refusePreview, refuseStatus } from './checks';

/** The volume that an attachment shows: the disk's active one, or a snapshot's. */
export function attachedImage(context: Context, attachment: AttachmentRecord): ImageRecord | undefined {
  if (attachment.snapshotId === undefined) return activeImage(context, attachment.diskId);
  return imagesOfSnapshot(context, attachment.snapshotId).find((image) => image.diskId === attachment.diskId);
}

export function vmDisk(context: Context, attachment: AttachmentRecord): VmDisk | undefined {
  const image = attachedImage(context, attachment);
  if (image === undefined) return undefined;
  return {
    diskId: attachment.diskId,
    top: volumeRef(image),
    format: image.format,
    bus: attachment.interface === 'virtio' ? 'virtio' : 'virtio_scsi',
    readOnly: attachment.readOnly,
    transient: attachment.snapshotId !== undefined,
  };
}

/** On a running VM: hot-plugs. The attachment is there already; `onFailure` says what becomes of it. */
export async function plug(
  context: Context,
  vm: VmRecord,
  attachment: AttachmentRecord,
  actor: Actor,
  onFailure: PlugDiskOperation['onFailure'],
): Promise<void> {
  const { store, host } = context;
  const disk = vmDisk(context, attachment);
  if (disk === undefined) throw new Error(`disk ${attachment.diskId} has no volume to plug`);
  const operation: PlugDiskOperation = {
    kind: 'plug-disk',
    id: newId(),
    jobId: '',
    stepId: '',
    ...actor,
    vmId: vm.id,
    diskId: attachment.diskId,
    onFailure,
  };
  store.write(() => {
    store.tables.operations.put(operation);
  });
  try {
    await host.plugDisk(vm.id, disk);
  } catch (error) {
    context.log(`plug disk ${attachment.diskId} to VM ${vm.name}: ${String(error)}`);
    await takeBackPlug(context, operation);
    throw asFault(error);
  }
  store.write(() => {
    store.tables.operations.delete(operation.id);
    store.tables.attachments.patch(attachment.id, { active: true });
  });
}

export async function takeBackPlug(context: Context, operation: PlugDiskOperation): Promise<void> {
  const { store, host } = context;
  await host.unplugDisk(operation.vmId, operation.diskId).catch((error: unknown) => {
    context.log(`unplug disk ${operation.diskId}: ${String(error)}`);
  });
  store.write(() => {
    const id = attachmentId(operation.vmId, operation.diskId);
    if (operation.onFailure === 'detach') forgetAttachment(context, operation.vmId, operation.diskId);
    else store.tables.attachments.patch(id, { active: false });
    store.tables.operations.delete(operation.id);
  });
}

export async function unplug(
  context: Context,
  vm: VmRecord,
  attachment: AttachmentRecord,
  actor: Actor,
  then: UnplugDiskOperation['then'],
): Promise<void> {
  const { store } = context;
  const operation: UnplugDiskOperation = {
    kind: 'unplug-disk',
    id: newId(),
    jobId: '',
    stepId: '',
    ...actor,
    vmId: vm.id,
    diskId: attachment.diskId,
    then,
  };
  store.write(() => {
    store.tables.operations.put(operation);
  });
  // Told to let go, the guest never says that it has: the engine answers, the attachment stays.
  const isStuck = stuckUnplug(context.injected, vm.id, attachment.diskId) !== undefined;
  const finished = finishUnplug(context, operation);
  if (isStuck) void context.background.run(`unplug disk ${attachment.diskId}`, () => finished);
  else await finished;
}

async function finishUnplug(context: Context, operation: UnplugDiskOperation): Promise<void> {
  const { store } = context;
  try {
    await carryOutUnplug(context, operation);
  } catch (error) {
    store.write(() => {
      store.tables.operations.delete(operation.id);
    });
    throw asFault(error);
  }
}

export async function carryOutUnplug(context: Context, operation: UnplugDiskOperation): Promise<void> {
  const { store, host } = context;
  await host.unplugDisk(operation.vmId, operation.diskId);
  store.write(() => {
    if (operation.then === 'detach') forgetAttachment(context, operation.vmId, operation.diskId);
    else store.tables.attachments.patch(attachmentId(operation.vmId, operation.diskId), { active: false });
    store.tables.operations.delete(operation.id);
  });
}

/** The disk floats again, unless it was a snapshot's or is shared. */
export function forgetAttachment({ store }: Context, vmId: string, diskId: string): void {
  const attachment = store.tables.attachments.get(attachmentId(vmId, diskId));
  if (attachment === undefined) return;
  store.tables.attachments.delete(attachment.id);
  if (attachment.snapshotId !== undefined) return;
  for (const image of store.tables.images.where((candidate) => candidate.diskId === diskId && candidate.active)) {
    store.tables.images.put(without(image, 'snapshotId'));
  }
}

/** A failing backend is a 400 with an empty list of messages (observed); the log has the reason. */
function asFault(error: unknown): HttpFault {
  if (error instanceof HostError) return operationFailed(400, '');
  throw error;
}

/** Hot plug cannot do IDE or sPAPR, nor SATA on what the lab's guests run. */
export function refuseHotPlug(vm: VmRecord, disk: DiskRecord, bus: AttachmentRecord['interface']): void {
  if (bus !== 'virtio' && bus !== 'virtio_scsi') throw refuse('attach-disk/interface', { os: vm.osType });
  if (disk.kind === 'lun') throw refuse('attach-disk/lun', { disk: disk.alias });
}

/** PUT active=true|false on an attachment. */
export async function setActive(
  context: Context,
  vm: VmRecord,
  attachment: AttachmentRecord,
  active: boolean,
  actor: Actor,
): Promise<void> {
  const disk = context.store.tables.disks.get(attachment.diskId);
  if (disk === undefined) return;
  const C = active ? 'Cannot hot plug Virtual Disk' : 'Cannot hot unplug Virtual Disk';
  const release = context.locks.take(active ? 'hot plug' : 'hot unplug', C, hotPlugLocks(vm, disk));
  try {
    validatePlug(context, vm, disk, attachment, active, C);
    await change(context, vm, attachment, active, actor).catch((error: unknown) => {
      context.events.record(active ? 'diskPlugFailed' : 'diskUnplugFailed', actor, { vm, disk: disk.alias });
      throw error;
    });
    context.events.record(active ? 'diskPlugged' : 'diskUnplugged', actor, { vm, disk: disk.alias });
  } finally {
    release();
  }
}

/** In the order of HotPlugDiskToVmCommand.validate. */
function validatePlug(
  context: Context,
  vm: VmRecord,
  disk: DiskRecord,
  attachment: AttachmentRecord,
  active: boolean,
  C: 'Cannot hot plug Virtual Disk' | 'Cannot hot unplug Virtual Disk',
): void {
  refuseStatus(vm, ['up', 'paused', 'down'], 'plug-disk/vm-status', { C });
  const hot = active && isRunning(vm);
  if (hot) refuseHotPlug(vm, disk, attachment.interface);
  refuseLockedSnapshot(context, vm.id, 'plug-disk/during-snapshot', { C });
  refusePreview(context, vm.id, 'plug-disk/preview', { C });
  if (!hot) return;
  refuseInactiveDomains(context, [disk], 'plug-disk/domain-status');
  if (context.store.tables.domains.get(disk.domainId)?.backup === true) throw refuse('plug-disk/backup-domain');
}

function hotPlugLocks(vm: VmRecord, disk: DiskRecord): Parameters<Context['locks']['take']>[2] {
  return [
    { kind: 'DISK', id: disk.id, mode: 'exclusive', othersGet: { key: 'lock/hot-plug-disk', parameters: { disks: disk.alias } } },
    { kind: 'VM', id: vm.id, mode: 'shared', othersGet: { key: 'lock/hot-plug-vm' } },
  ];
}

async function change(context: Context, vm: VmRecord, attachment: AttachmentRecord, active: boolean, actor: Actor): Promise<void> {
  if (!isRunning(vm))
    context.store.write(() => {
      context.store.tables.attachments.patch(attachment.id, { active });
    });
  else if (active) await plug(context, vm, attachment, actor, 'deactivate');
  else await unplug(context, vm, attachment, actor, 'deactivate');
}
