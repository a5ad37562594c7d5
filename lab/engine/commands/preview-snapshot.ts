// Previews a snapshot: puts fresh volumes on top of the snapshot's and lets them be the active
// ones; the old active ones wait under a snapshot of type `preview` until commit drops them or undo brings them back.
import { activeImage, activeSnapshot, imagesOfSnapshot, needVm, ownImageDisks, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { operationFailed } from '../faults';
import { readOvf } from '../ovf/reader';
import { snapshotConfiguration } from './configuration';
import { refuse, type Phrase } from '../refusals';
import type { ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { PreviewSnapshotOperation } from '../state/operations';
import {
  refuseIllegalDisks,
  refuseInactiveDomains,
  refuseLockedDisks,
  refuseLockedSnapshot,
  refuseLowSpace,
  refusePreview,
  refuseRunning,
} from './checks';

export function lockVm(context: Context, vm: VmRecord, C: Phrase): () => void {
  return context.locks.take(C, C, [{ kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/related-operation' } }]);
}

export async function previewSnapshot(context: Context, vmId: string, snapshotId: string | undefined, actor: Actor): Promise<void> {
  const vm = needVm(context, vmId);
  const release = lockVm(context, vm, 'Cannot preview Snapshot');
  try {
    const snapshot = await validate(context, vm, snapshotId);
    const operation = record(context, vm, snapshot, actor);
    await makeVolumes(context, operation, vm, snapshot);
  } finally {
    release();
  }
}

async function validate(context: Context, vm: VmRecord, snapshotId: string | undefined): Promise<SnapshotRecord> {
  refuseRunning(vm, 'preview-snapshot/vm-not-down');
  const snapshot = context.store.tables.snapshots.get(snapshotId);
  if (snapshot?.vmId !== vm.id) throw refuse('preview-snapshot/unknown');
  refuseLockedSnapshot(context, vm.id, 'preview-snapshot/during-snapshot');
  refusePreview(context, vm.id, 'preview-snapshot/preview');
  if (snapshot.configuration === undefined)
    throw refuse('preview-snapshot/no-configuration', { snapshot: snapshot.description, vm: vm.name });
  // All of the VM's own disks, also those that the snapshot does not have; without any nothing more is asked (TryBackToAllSnapshotsOfVmCommand).
  const own = ownImageDisks(context, vm.id).map(({ disk }) => disk);
  if (own.length === 0) return snapshot;
  await refuseIllegalDisks(context, own, 'preview-snapshot/disks-illegal');
  refuseLockedDisks(own, 'preview-snapshot/disks-locked');
  const gone = imagesOfSnapshot(context, snapshot.id).filter(({ diskId }) => !own.some(({ id }) => id === diskId));
  const list = gone.map(({ diskId }) => `${context.store.tables.disks.get(diskId)?.alias ?? ''} ,${snapshot.description}`).join('%n');
  if (list !== '') throw refuse('preview-snapshot/not-attached', { vm: vm.name, list });
  refuseInactiveDomains(context, own, 'preview-snapshot/domain-status');
  await refuseLowSpace(
    context,
    own.map(({ domainId }) => domainId),
    'preview-snapshot/low-space',
  );
  return snapshot;
}

function record(context: Context, vm: VmRecord, snapshot: SnapshotRecord, actor: Actor): PreviewSnapshotOperation {
  const { store } = context;
  return store.write(() => {
    const newActiveId = newId();
    const volumes = imagesOfSnapshot(context, snapshot.id).map((image): ImageRecord => ({
      id: newId(),
      diskId: image.diskId,
      domainId: image.domainId,
      format: 'cow',
      parentId: image.id,
      snapshotId: newActiveId,
      active: true,
      createdMs: Date.now(),
    }));
    const job = context.jobs.open(`Preview VM Snapshot ${snapshot.description} of VM ${vm.name}`, actor);
    const operation: PreviewSnapshotOperation = {
      kind: 'preview-snapshot',
      id: newId(),
      ...actor,
      ...job,
      vmId: vm.id,
      snapshotId: snapshot.id,
      newActiveId,
      volumes,
    };
    store.tables.operations.put(operation);
    for (const { diskId } of volumes) store.tables.disks.patch(diskId, { locked: true });
    context.events.record('previewAsked', actor, { vm, snapshot: snapshot.description });
    return operation;
  });
}

async function makeVolumes(context: Context, operation: PreviewSnapshotOperation, vm: VmRecord, snapshot: SnapshotRecord): Promise<void> {
  const { store, host } = context;
  try {
    for (const volume of operation.volumes) {
      const below = store.tables.images.get(volume.parentId);
      const disk = store.tables.disks.get(volume.diskId);
      if (below === undefined || disk === undefined) throw new Error(`volume ${volume.parentId ?? ''} is not known any more`);
      await host.createVolume({
        ...volumeRef(volume),
        format: 'cow',
        sparse: true,
        virtualBytes: disk.virtualBytes,
        backing: { volumeId: below.id, format: below.format },
      });
    }
  } catch (error) {
    context.log(`preview of snapshot ${snapshot.id}: ${String(error)}`);
    await takeBackPreview(context, operation);
    throw operationFailed(400, '');
  }
  const current = await snapshotConfiguration(context, vm, imagesOfSnapshot(context, activeSnapshot(context, vm.id).id));
  store.write(() => {
    changeOver(context, operation, vm, snapshot, current);
  });
  context.volumes.forget();
}

function changeOver(context: Context, operation: PreviewSnapshotOperation, vm: VmRecord, snapshot: SnapshotRecord, current: string): void {
  const { snapshots, images, disks, operations } = context.store.tables;
  const before = activeSnapshot(context, vm.id);
  snapshots.put({ ...before, type: 'preview', description: 'Active VM before the preview', configuration: current });
  snapshots.put({ id: operation.newActiveId, vmId: vm.id, description: 'Active VM', type: 'active', status: 'ok', createdMs: Date.now() });
  snapshots.patch(snapshot.id, { status: 'in_preview' });
  for (const volume of operation.volumes) {
    const old = activeImage(context, volume.diskId);
    if (old !== undefined) images.put({ ...old, active: false });
    images.put(volume);
    disks.patch(volume.diskId, { locked: false });
  }
  // Disks that the snapshot does not have stay what they are, under the new Active.
  for (const image of imagesOfSnapshot(context, before.id).filter((candidate) => candidate.active))
    images.put({ ...image, snapshotId: operation.newActiveId });
  applyConfiguration(context, vm, snapshot);
  operations.delete(operation.id);
  context.events.record('previewDone', operation, { vm, snapshot: snapshot.description });
  context.jobs.end(operation.jobId, 'finished');
}

/** The VM becomes what it was, except for its name. What it is now is kept on the preview snapshot for the undo. */
export function applyConfiguration({ store }: Context, vm: VmRecord, snapshot: SnapshotRecord): void {
  if (snapshot.configuration === undefined) return;
  const ovf = readOvf(snapshot.configuration);
  store.tables.vms.patch(vm.id, {
    description: ovf.description,
    comment: ovf.comment,
    memoryBytes: ovf.memoryMib * 1024 ** 2,
    sockets: ovf.sockets,
    cores: ovf.cores,
    threads: ovf.threads,
    osType: ovf.osType,
    general: ovf.general,
    devices: ovf.devices,
  });
}

export async function takeBackPreview(context: Context, operation: PreviewSnapshotOperation): Promise<void> {
  const { store, host } = context;
  for (const volume of operation.volumes) await host.removeVolume(volumeRef(volume));
  store.write(() => {
    for (const { diskId } of operation.volumes) store.tables.disks.patch(diskId, { locked: false });
    store.tables.operations.delete(operation.id);
    const vm = store.tables.vms.get(operation.vmId);
    context.events.record('previewFailed', operation, {
      ...(vm === undefined ? {} : { vm }),
      snapshot: store.tables.snapshots.get(operation.snapshotId)?.description ?? '',
    });
    context.jobs.end(operation.jobId, 'failed');
  });
}
