// Disks of a VM that comes from a template: thin, as oVirt makes them by default. Each has one volume of its own on top of the
// template's, which it shares with all others; snapshots and merges stay above it.
import { activeImage, activeSnapshot, attachmentId, attachmentsOf, imagesOf, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import type { DiskRecord, ImageRecord, TemplateRecord, VmRecord } from '../state/model';
import type { CopyTemplateOperation } from '../state/operations';
import { dropDisk } from './remove-disk';

export function isTemplateDisk({ store }: Context, diskId: string): boolean {
  return store.tables.templates.all().some((template) => template.disks.some((disk) => disk.diskId === diskId));
}

/** Inside the write that makes the VM: its disks, locked like the VM itself, and the operation that makes their volumes. */
export function copyTemplate(context: Context, vm: VmRecord, template: TemplateRecord, actor: Actor): void {
  const { store } = context;
  for (const source of template.disks) {
    const [original, base] = [store.tables.disks.get(source.diskId), activeImage(context, source.diskId)];
    if (original === undefined || base === undefined) throw new Error(`template ${template.name} has lost its disk ${source.diskId}`);
    putThinDisk(context, vm, source, original, base);
  }
  const operation: CopyTemplateOperation = {
    kind: 'copy-template',
    id: newId(),
    ...actor,
    ...context.jobs.open(`Creating VM ${vm.name} from Template ${template.name}`, actor),
    vmId: vm.id,
  };
  store.tables.operations.put(operation);
  void context.background.run(`copy template for VM ${vm.name}`, () => carryOutCopy(context, operation));
}

function putThinDisk(
  context: Context,
  vm: VmRecord,
  source: TemplateRecord['disks'][number],
  original: DiskRecord,
  base: ImageRecord,
): void {
  const { disks, images, attachments } = context.store.tables;
  const { domainId } = base;
  const [id, createdMs] = [newId(), Date.now()];
  const alias = original.alias.replace(/^.*_(Disk\d+)$/, `${vm.name}_$1`);
  disks.put({ ...original, id, alias, sparse: true, locked: true, createdMs });
  images.put({
    id: newId(),
    diskId: id,
    domainId,
    format: 'cow',
    parentId: base.id,
    snapshotId: activeSnapshot(context, vm.id).id,
    active: true,
    createdMs,
  });
  attachments.put({
    id: attachmentId(vm.id, id),
    vmId: vm.id,
    diskId: id,
    interface: source.interface,
    bootable: source.bootable,
    active: true,
    readOnly: false,
    passDiscard: false,
  });
}

/** After a crash what is there is made anew: nobody can have used it. */
export async function carryOutCopy(context: Context, operation: CopyTemplateOperation): Promise<void> {
  // The rows are written first: this starts inside their write.
  await Promise.resolve();
  const { store } = context;
  const thin = attachmentsOf(context, operation.vmId).flatMap(({ diskId }) => store.tables.disks.get(diskId) ?? []);
  try {
    for (const disk of thin) await makeVolume(context, disk);
    finish(context, operation, thin, 'finished');
  } catch (error) {
    context.log(`copy template for VM ${operation.vmId}: ${String(error)}`);
    for (const disk of thin) if (disk.domainId !== undefined) await context.host.removeDisk(disk.domainId, disk.id);
    finish(context, operation, thin, 'failed');
  }
}

async function makeVolume(context: Context, disk: DiskRecord): Promise<void> {
  const { store, host } = context;
  const [top] = imagesOf(context, disk.id);
  const base = store.tables.images.get(top?.parentId);
  if (top === undefined || base === undefined) throw new Error(`disk ${disk.id} has no volume of a template below it`);
  await host.removeDisk(top.domainId, disk.id);
  await host.shareVolume(volumeRef(base), disk.id);
  const { virtualBytes } = disk;
  await host.createVolume({
    ...volumeRef(top),
    format: 'cow',
    virtualBytes,
    sparse: true,
    backing: { volumeId: base.id, format: base.format },
  });
}

function finish(context: Context, operation: CopyTemplateOperation, thin: readonly DiskRecord[], outcome: 'finished' | 'failed'): void {
  const { store, events, jobs, volumes } = context;
  volumes.forget();
  store.write(() => {
    const { vms, disks, snapshots, operations } = store.tables;
    const vm = vms.get(operation.vmId);
    if (outcome === 'finished') {
      vms.patch(operation.vmId, { status: 'down' });
      for (const disk of thin) disks.patch(disk.id, { locked: false });
    } else {
      for (const disk of thin) dropDisk(context, disk);
      for (const snapshot of snapshots.where((row) => row.vmId === operation.vmId)) snapshots.delete(snapshot.id);
      vms.delete(operation.vmId);
    }
    operations.delete(operation.id);
    events.record(outcome === 'finished' ? 'vmCreatedDone' : 'vmCreateFailed', operation, vm === undefined ? {} : { vm });
    jobs.end(operation.jobId, outcome);
  });
}
