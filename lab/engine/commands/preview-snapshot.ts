// Preview, commit, undo and restore. A preview puts fresh volumes on top of the snapshot's and lets them be the active
// ones; the old active ones wait under a snapshot of type `preview` until commit drops them or undo brings them back.
import {
  activeImage, activeSnapshot, aliases, imagesOfSnapshot, isRunning, needVm, snapshotsOf, volumeRef, type Context,
} from '../context';
import { newId, type Actor } from '../events';
import { operationFailed } from '../faults';
import { readOvf } from '../ovf/reader';
import { snapshotConfiguration } from './configuration';
import { refuse, type Phrase } from '../refusals';
import type { DiskRecord, ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { DropVolumesOperation, PreviewSnapshotOperation } from '../state/operations';
import { without } from '../state/without';
import { attachedElsewhere, inPreview, refuseIllegalDisks, refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot, refusePreview, refuseRunning } from './checks';

function lockVm(context: Context, vm: VmRecord, C: Phrase): () => void {
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
  if (snapshot.configuration === undefined) throw refuse('preview-snapshot/no-configuration', { snapshot: snapshot.description, vm: vm.name });
  const { disks, attachments } = context.store.tables;
  const frozen = imagesOfSnapshot(context, snapshot.id).flatMap((image): DiskRecord[] => {
    const disk = disks.get(image.diskId);
    return disk === undefined ? [] : [disk];
  });
  await refuseIllegalDisks(context, frozen, 'preview-snapshot/disks-illegal');
  refuseLockedDisks(frozen, 'preview-snapshot/disks-locked');
  const gone = frozen.filter((disk) => attachments.get(`${vm.id}/${disk.id}`)?.snapshotId !== undefined || attachments.get(`${vm.id}/${disk.id}`) === undefined);
  if (gone.length > 0) throw refuse('preview-snapshot/not-attached', { disks: aliases(gone) });
  refuseInactiveDomains(context, frozen, 'preview-snapshot/domain-status');
  return snapshot;
}

function record(context: Context, vm: VmRecord, snapshot: SnapshotRecord, actor: Actor): PreviewSnapshotOperation {
  const { store } = context;
  return store.write(() => {
    const newActiveId = newId();
    const volumes = imagesOfSnapshot(context, snapshot.id).map((image): ImageRecord => (
      { id: newId(), diskId: image.diskId, domainId: image.domainId, format: 'cow', parentId: image.id, snapshotId: newActiveId, active: true, createdMs: Date.now() }));
    const job = context.jobs.open(`Preview VM Snapshot ${snapshot.description} of VM ${vm.name}`, actor);
    const operation: PreviewSnapshotOperation = { kind: 'preview-snapshot', id: newId(), ...actor, ...job, vmId: vm.id, snapshotId: snapshot.id, newActiveId, volumes };
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
      await host.createVolume({ ...volumeRef(volume), format: 'cow', sparse: true, virtualBytes: disk.virtualBytes, backing: { volumeId: below.id, format: below.format } });
    }
  } catch (error) {
    context.log(`preview of snapshot ${snapshot.id}: ${String(error)}`);
    await takeBackPreview(context, operation);
    throw operationFailed(400, '');
  }
  const current = await snapshotConfiguration(context, vm, imagesOfSnapshot(context, activeSnapshot(context, vm.id).id));
  store.write(() => { changeOver(context, operation, vm, snapshot, current); });
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
  for (const image of imagesOfSnapshot(context, before.id).filter((candidate) => candidate.active)) images.put({ ...image, snapshotId: operation.newActiveId });
  applyConfiguration(context, vm, snapshot);
  operations.delete(operation.id);
  context.events.record('previewDone', operation, { vm, snapshot: snapshot.description });
  context.jobs.end(operation.jobId, 'finished');
}

/** The VM becomes what it was, except for its name. What it is now is kept on the preview snapshot for the undo. */
function applyConfiguration({ store }: Context, vm: VmRecord, snapshot: SnapshotRecord): void {
  if (snapshot.configuration === undefined) return;
  const ovf = readOvf(snapshot.configuration);
  store.tables.vms.patch(vm.id, {
    description: ovf.description, comment: ovf.comment, memoryBytes: ovf.memoryMib * 1024 ** 2, sockets: ovf.sockets, cores: ovf.cores, threads: ovf.threads,
    osType: ovf.osType, general: ovf.general, devices: ovf.devices,
  });
}

export async function takeBackPreview(context: Context, operation: PreviewSnapshotOperation): Promise<void> {
  const { store, host } = context;
  for (const volume of operation.volumes) await host.removeVolume(volumeRef(volume));
  store.write(() => {
    for (const { diskId } of operation.volumes) store.tables.disks.patch(diskId, { locked: false });
    store.tables.operations.delete(operation.id);
    const vm = store.tables.vms.get(operation.vmId);
    context.events.record('previewFailed', operation, { ...(vm === undefined ? {} : { vm }), snapshot: store.tables.snapshots.get(operation.snapshotId)?.description ?? '' });
    context.jobs.end(operation.jobId, 'failed');
  });
}

interface Preview {
  readonly vm: VmRecord;
  readonly active: SnapshotRecord;
  readonly before: SnapshotRecord;
  readonly shown: SnapshotRecord;
}

function currentPreview(context: Context, vmId: string, C: Phrase): Preview {
  const vm = needVm(context, vmId);
  const snapshots = snapshotsOf(context, vm.id);
  const before = snapshots.find((snapshot) => snapshot.type === 'preview');
  const shown = snapshots.find((snapshot) => snapshot.status === 'in_preview');
  if (before === undefined || shown === undefined) throw refuse('commit-snapshot/not-in-preview', { C });
  if (isRunning(vm)) throw refuse('commit-snapshot/vm-not-down', { C });
  return { vm, before, shown, active: activeSnapshot(context, vm.id) };
}

/** Keeps the previewed state: the old active volumes go, and with them every snapshot that was made after the shown one. */
export async function commitPreview(context: Context, vmId: string, actor: Actor): Promise<void> {
  const C = 'Cannot revert to Snapshot';
  const { vm, before, shown } = currentPreview(context, vmId, C);
  const release = lockVm(context, vm, C);
  try {
    const doomed = [before, ...snapshotsOf(context, vm.id).filter((snapshot) => snapshot.type === 'regular' && snapshot.createdMs > shown.createdMs)];
    const list = attachedElsewhere(context, doomed);
    if (list !== '') throw refuse('commit-snapshot/attached', { list });
    const operation = context.store.write(() => {
      const row = drop(context, vm, doomed.flatMap((snapshot) => imagesOfSnapshot(context, snapshot.id)), actor, `Reverting VM ${vm.name} to Snapshot ${shown.description}`);
      for (const snapshot of doomed) context.store.tables.snapshots.delete(snapshot.id);
      context.store.tables.snapshots.patch(shown.id, { status: 'ok' });
      context.events.record('restored', actor, { vm, snapshot: shown.description });
      return row;
    });
    await carryOutDrop(context, operation);
  } finally {
    release();
  }
}

export async function undoPreview(context: Context, vmId: string, actor: Actor): Promise<void> {
  const C = 'Cannot revert to Snapshot';
  const { vm, active: shownActive, before, shown } = currentPreview(context, vmId, C);
  const release = lockVm(context, vm, C);
  try {
    const operation = context.store.write(() => {
      const { snapshots, images } = context.store.tables;
      const back = imagesOfSnapshot(context, before.id);
      const returning = new Set(back.map((image) => image.diskId));
      const current = imagesOfSnapshot(context, shownActive.id);
      const row = drop(context, vm, current.filter((image) => returning.has(image.diskId)), actor, `Undoing the preview of VM ${vm.name}`);
      for (const image of current.filter((candidate) => !returning.has(candidate.diskId))) images.put({ ...image, snapshotId: before.id });
      for (const image of back) images.put({ ...image, active: true });
      snapshots.delete(shownActive.id);
      snapshots.put({ ...without(before, 'configuration'), type: 'active', description: 'Active VM' });
      applyConfiguration(context, vm, before);
      snapshots.patch(shown.id, { status: 'ok' });
      return row;
    });
    await carryOutDrop(context, operation);
  } finally {
    release();
  }
}

/** Forgets volumes at once; their files go by an operation that a restart repeats. */
function drop(context: Context, vm: VmRecord, images: readonly ImageRecord[], actor: Actor, description: string): DropVolumesOperation {
  for (const image of images) context.store.tables.images.delete(image.id);
  const operation: DropVolumesOperation = { kind: 'drop-volumes', id: newId(), ...actor, ...context.jobs.open(description, actor), vmId: vm.id, volumes: images.map(volumeRef) };
  context.store.tables.operations.put(operation);
  return operation;
}

export async function carryOutDrop(context: Context, operation: DropVolumesOperation): Promise<void> {
  for (const volume of operation.volumes) await context.host.removeVolume(volume);
  context.volumes.forget();
  context.store.write(() => {
    context.store.tables.operations.delete(operation.id);
    context.jobs.end(operation.jobId, 'finished');
  });
}

/** Both in one, as the API's `restore` does it. */
export async function restoreSnapshot(context: Context, vmId: string, snapshotId: string, actor: Actor): Promise<void> {
  if (inPreview(context, vmId)) throw refuse('preview-snapshot/preview');
  await previewSnapshot(context, vmId, snapshotId, actor);
  await commitPreview(context, vmId, actor);
}
