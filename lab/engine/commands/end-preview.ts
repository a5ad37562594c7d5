// The ways out of a preview: commit keeps what was previewed, undo brings back what was before, restore is preview and
// commit in one. What nobody names any more goes by an operation that a restart repeats.
import { activeSnapshot, imagesOfSnapshot, isRunning, needVm, ownImageDisks, snapshotsOf, statusWord, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse, type Phrase } from '../refusals';
import type { ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { DropVolumesOperation } from '../state/operations';
import { without } from '../state/without';
import { invalidateCheckpoints, wipeCheckpoints } from './backup-state';
import { attachedElsewhere, inPreview, refuseInactiveDomains } from './checks';
import { applyConfiguration, lockVm, previewSnapshot } from './preview-snapshot';

interface Preview {
  readonly active: SnapshotRecord;
  readonly before: SnapshotRecord;
  readonly shown: SnapshotRecord;
}

function currentPreview(context: Context, vm: VmRecord, C: Phrase): Preview {
  const snapshots = snapshotsOf(context, vm.id);
  const before = snapshots.find((snapshot) => snapshot.type === 'preview');
  const shown = snapshots.find((snapshot) => snapshot.status === 'in_preview');
  if (before === undefined || shown === undefined) throw refuse('commit-snapshot/not-in-preview', { C });
  const disks = ownImageDisks(context, vm.id).map(({ disk }) => disk);
  refuseInactiveDomains(context, disks, 'commit-snapshot/domain-status', { C });
  if (isRunning(vm)) throw refuse('commit-snapshot/vm-not-down', { C, status: statusWord(vm.status) });
  return { before, shown, active: activeSnapshot(context, vm.id) };
}

/** Keeps the previewed state: the old active volumes go, and with them every snapshot that was made after the shown one. */
export async function commitPreview(context: Context, vmId: string, actor: Actor): Promise<void> {
  const C = 'Cannot revert to Snapshot';
  const vm = needVm(context, vmId);
  const release = lockVm(context, vm, C);
  try {
    const { before, shown } = currentPreview(context, vm, C);
    const list = attachedElsewhere(context, vm.id);
    if (list !== '') throw refuse('commit-snapshot/attached', { list });
    const doomed = [
      before,
      ...snapshotsOf(context, vm.id).filter((snapshot) => snapshot.type === 'regular' && snapshot.createdMs > shown.createdMs),
    ];
    const operation = context.store.write(() => {
      const row = drop(
        context,
        vm,
        doomed.flatMap((snapshot) => imagesOfSnapshot(context, snapshot.id)),
        actor,
        shown.description,
      );
      for (const snapshot of doomed) context.store.tables.snapshots.delete(snapshot.id);
      context.store.tables.snapshots.patch(shown.id, { status: 'ok' });
      invalidateCheckpoints(context, vm.id);
      context.events.record('commitAsked', actor, { vm });
      return row;
    });
    await carryOutDrop(context, operation);
    context.events.record('commitDone', actor, { vm });
  } finally {
    release();
  }
  // `invalid` is only what they are on their way out: a command of its own, which the answer does not wait for
  // (RestoreAllSnapshotsCommand.invalidateAndRemoveAllVmCheckpoints).
  void context.background.run(`remove the checkpoints of VM ${vm.name}`, () => wipeCheckpoints(context, vm.id));
}

export async function undoPreview(context: Context, vmId: string, actor: Actor): Promise<void> {
  const C = 'Cannot revert to Snapshot';
  const vm = needVm(context, vmId);
  const release = lockVm(context, vm, C);
  try {
    const { active: shownActive, before, shown } = currentPreview(context, vm, C);
    const operation = context.store.write(() => {
      const { snapshots, images } = context.store.tables;
      const back = imagesOfSnapshot(context, before.id);
      const returning = new Set(back.map((image) => image.diskId));
      const current = imagesOfSnapshot(context, shownActive.id);
      const row = drop(
        context,
        vm,
        current.filter((image) => returning.has(image.diskId)),
        actor,
        before.description,
      );
      for (const image of current.filter((candidate) => !returning.has(candidate.diskId))) images.put({ ...image, snapshotId: before.id });
      for (const image of back) images.put({ ...image, active: true });
      snapshots.delete(shownActive.id);
      snapshots.put({ ...without(before, 'configuration'), type: 'active', description: 'Active VM' });
      applyConfiguration(context, vm, before);
      snapshots.patch(shown.id, { status: 'ok' });
      context.events.record('undoAsked', actor, { vm });
      return row;
    });
    await carryOutDrop(context, operation);
    context.events.record('undoDone', actor, { vm });
  } finally {
    release();
  }
}

/** Forgets volumes at once; their files go by an operation that a restart repeats. */
function drop(context: Context, vm: VmRecord, images: readonly ImageRecord[], actor: Actor, snapshot: string): DropVolumesOperation {
  for (const image of images) context.store.tables.images.delete(image.id);
  const operation: DropVolumesOperation = {
    kind: 'drop-volumes',
    id: newId(),
    ...actor,
    ...context.jobs.open(`Restoring VM Snapshot ${snapshot} of VM ${vm.name}`, actor),
    vmId: vm.id,
    volumes: images.map(volumeRef),
  };
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

/** Both in one, as the API's `restore` does it, which puts its own correlation id over the request's (BackendSnapshotResource). */
export async function restoreSnapshot(context: Context, vmId: string, snapshotId: string, { user }: Actor): Promise<void> {
  if (inPreview(context, vmId)) throw refuse('preview-snapshot/preview');
  const actor = { user, correlationId: 'RestoreSnapshot' };
  await previewSnapshot(context, vmId, snapshotId, actor);
  await commitPreview(context, vmId, actor);
}
