// Removes a snapshot: for each of its disks the volume above is merged down into the snapshot's volume, which then takes
// its place in the chain (engine-rules.md sections 3 and 5). Live and cold, per disk in parallel; a repeat goes on.
import { aliases, imagesOfSnapshot, isRunning, needSnapshot, needVm, snapshotsOf, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { DiskRecord, ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { RemoveSnapshotOperation } from '../state/operations';
import { without } from '../state/without';
import { unfinishedBackup } from './backup-state';
import { refuseNoSpaceForMerge } from './merge-space';
import {
  attachedElsewhere,
  refuseIllegalDisks,
  refuseInactiveDomains,
  refuseLockedDisks,
  refusePreview,
  refuseStatus,
} from './checks';

export interface StartedRemoval {
  readonly jobId: string;
  readonly settled: Promise<void>;
}

export async function removeSnapshot(context: Context, vmId: string, snapshotId: string, actor: Actor): Promise<StartedRemoval> {
  const vm = needVm(context, vmId);
  const snapshot = needSnapshot(context, vmId, snapshotId);
  const release = takeForRemoval(context, vm);
  try {
    if (unfinishedBackup(context, vm.id) !== undefined) throw refuse('remove-snapshot/in-backup');
    await validateRemoval(context, vm, snapshot);
    const operation = recordRemoval(context, vm, snapshot, actor);
    return { jobId: operation.jobId, settled: context.background.run(`remove snapshot ${snapshotId}`, () => carryOut(context, operation)) };
  } finally {
    // From here on the locked snapshot and its locked disks keep others away.
    release();
  }
}

export function takeForRemoval(context: Context, vm: VmRecord): () => void {
  return context.locks.take('remove snapshot', 'Cannot remove Snapshot', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/related-operation' } },
  ]);
}

function disksOf({ store }: Context, images: readonly ImageRecord[]): DiskRecord[] {
  return images.flatMap((image) => store.tables.disks.get(image.diskId) ?? []);
}

export async function validateRemoval(context: Context, vm: VmRecord, snapshot: SnapshotRecord): Promise<void> {
  const disks = disksOf(context, imagesOfSnapshot(context, snapshot.id));
  const sharesDisk = (other: SnapshotRecord): boolean =>
    imagesOfSnapshot(context, other.id).some((image) => disks.some((disk) => disk.id === image.diskId));
  if (snapshotsOf(context, vm.id).some((other) => other.status === 'locked' && (other.id === snapshot.id || sharesDisk(other))))
    throw refuse('remove-snapshot/during-snapshot');
  refusePreview(context, vm.id, 'remove-snapshot/preview');
  if (snapshot.type !== 'regular') throw refuse('remove-snapshot/not-regular');
  refuseStatus(vm, ['down', 'up', 'paused'], 'remove-snapshot/vm-status');
  refuseAttached(context, vm.id);
  refuseLockedDisks(disks, 'remove-snapshot/disks-locked');
  // A live removal over an illegal volume is the way to repeat one that failed.
  if (!isRunning(vm)) await refuseIllegalDisks(context, disks, 'remove-snapshot/disks-illegal');
  if (isRunning(vm)) refuseUnplugged(context, vm, disks);
  refuseInactiveDomains(context, disks, 'remove-snapshot/domain-status');
  await refuseNoSpaceForMerge(context, imagesOfSnapshot(context, snapshot.id));
}

function refuseAttached(context: Context, vmId: string): void {
  const list = attachedElsewhere(context, vmId);
  if (list !== '') throw refuse('remove-snapshot/attached', { list });
}

function refuseUnplugged({ store }: Context, vm: VmRecord, disks: readonly DiskRecord[]): void {
  const unplugged = disks.filter((disk) => store.tables.attachments.get(`${vm.id}/${disk.id}`)?.active !== true);
  if (unplugged.length > 0) throw refuse('remove-snapshot/unplugged', { disks: aliases(unplugged) });
}

export function recordRemoval(
  context: Context,
  vm: VmRecord,
  snapshot: SnapshotRecord,
  actor: Actor,
  backupId?: string,
): RemoveSnapshotOperation {
  const { store } = context;
  return store.write(() => {
    // An attach locks the appliance and the disk, not this VM: it may have come while the files were looked at.
    refuseAttached(context, vm.id);
    store.tables.snapshots.patch(snapshot.id, { status: 'locked' });
    for (const image of imagesOfSnapshot(context, snapshot.id)) store.tables.disks.patch(image.diskId, { locked: true });
    const job = context.jobs.open(`Removing Snapshot ${snapshot.description} from VM ${vm.name}`, actor);
    const operation: RemoveSnapshotOperation = {
      kind: 'remove-snapshot',
      id: newId(),
      ...actor,
      ...job,
      vmId: vm.id,
      snapshotId: snapshot.id,
      ...(backupId === undefined ? {} : { backupId }),
    };
    store.tables.operations.put(operation);
    context.events.record('snapshotRemovalAsked', actor, { vm, snapshot: snapshot.description });
    return operation;
  });
}

/** Also how a removal goes on after a restart: merged disks have left the snapshot, the others are asked again. */
export async function carryOut(context: Context, operation: RemoveSnapshotOperation): Promise<void> {
  const bases = imagesOfSnapshot(context, operation.snapshotId);
  const outcomes = await Promise.allSettled(bases.map((base) => mergeDisk(context, operation, base)));
  const failed = bases.filter((_, index) => outcomes[index]?.status === 'rejected');
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') context.log(`remove snapshot ${operation.snapshotId}: ${String(outcome.reason)}`);
  context.volumes.forget();
  finish(context, operation, disksOf(context, failed));
}

async function mergeDisk(context: Context, operation: RemoveSnapshotOperation, base: ImageRecord): Promise<void> {
  const { store, jobs, host } = context;
  const top = store.tables.images.where((image) => image.parentId === base.id)[0];
  const disk = store.tables.disks.get(base.diskId);
  if (top === undefined || disk === undefined) return;
  const above = store.tables.snapshots.get(top.snapshotId);
  const own = store.tables.snapshots.get(operation.snapshotId);
  const stepId = jobs.addStep(
    operation.jobId,
    `Merging snapshots (${above?.description ?? ''} into ${own?.description ?? ''}) of disk ${disk.alias}`,
  );
  try {
    await host.merge(
      operation.vmId,
      { diskId: disk.id, base: volumeRef(base), top: volumeRef(top), topIsActive: top.active },
      everyTenth((percent) => {
        jobs.progress(operation.jobId, stepId, percent);
      }),
    );
  } catch (error) {
    jobs.endStep(operation.jobId, stepId, 'failed');
    throw error;
  }
  store.write(() => {
    putInPlaceOf(context, base, top);
    store.tables.disks.patch(disk.id, { locked: false });
    jobs.endStep(operation.jobId, stepId, 'finished');
  });
}

/** `base` now holds what `top` held and takes its place: in the chain, in the snapshot above, in that one's configuration. */
function putInPlaceOf({ store }: Context, base: ImageRecord, top: ImageRecord): void {
  const { images, snapshots } = store.tables;
  images.put({
    ...without(base, 'snapshotId'),
    active: top.active,
    ...(top.snapshotId === undefined ? {} : { snapshotId: top.snapshotId }),
  });
  for (const image of images.where((candidate) => candidate.parentId === top.id)) images.put({ ...image, parentId: base.id });
  images.delete(top.id);
  const above = snapshots.get(top.snapshotId);
  if (above?.configuration !== undefined) snapshots.put({ ...above, configuration: above.configuration.replaceAll(top.id, base.id) });
}

function finish(context: Context, operation: RemoveSnapshotOperation, failed: readonly DiskRecord[]): void {
  const { store, events, jobs } = context;
  store.write(() => {
    const { snapshots, vms, disks, operations } = store.tables;
    const snapshot = snapshots.get(operation.snapshotId);
    const vm = vms.get(operation.vmId);
    const subject = { ...(vm === undefined ? {} : { vm }), snapshot: snapshot?.description ?? '' };
    if (failed.length === 0) {
      snapshots.delete(operation.snapshotId);
      events.record('snapshotRemoved', operation, subject);
    } else {
      snapshots.patch(operation.snapshotId, { status: 'ok' });
      for (const disk of failed) disks.patch(disk.id, { locked: false });
      events.record('snapshotRemovalPartial', operation, { ...subject, disk: failed.map(({ alias }) => alias).join(', ') });
      events.record('snapshotRemovalFailed', operation, subject);
    }
    operations.delete(operation.id);
    jobs.end(operation.jobId, failed.length === 0 ? 'finished' : 'failed');
  });
}

/** Progress is durable, so not every percent is worth a write. */
function everyTenth(report: (percent: number) => void): (percent: number) => void {
  let next = 10;
  return (percent) => {
    if (percent < next) return;
    next = Math.floor(percent / 10) * 10 + 10;
    report(percent);
  };
}
