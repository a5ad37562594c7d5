// Removes any checkpoint of a chain: live after a redefinition, cold volume by volume. The answer waits for it.
import { activeImage, attachmentId, isRunning, needVm, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { notFound, operationFailed } from '../faults';
import { refuse } from '../refusals';
import type { CheckpointRecord } from '../state/backup-model';
import type { VmRecord } from '../state/model';
import type { RemoveCheckpointOperation } from '../state/operations';
import { forgetCheckpoint, unfinishedBackup } from './backup-state';
import { refuseLockedDisks } from './checks';
import { redefine } from './redefine';

export async function removeCheckpoint(
  context: Context,
  vmId: string,
  checkpointId: string,
  actor: Actor,
): Promise<{ readonly jobId: string }> {
  const vm = needVm(context, vmId);
  const { store } = context;
  const checkpoint = store.tables.checkpoints.get(checkpointId);
  if (checkpoint?.vmId !== vm.id) throw notFound();
  const release = lock(context, vm);
  try {
    if (unfinishedBackup(context, vm.id) !== undefined) throw refuse('remove-checkpoint/in-backup');
    refuseLockedDisks(
      checkpoint.diskIds.flatMap((id) => store.tables.disks.get(id) ?? []),
      'remove-checkpoint/disks-locked',
    );
    const job = context.jobs.open(`Removing Checkpoint ${checkpoint.id} of VM ${vm.name}`, actor);
    const operation: RemoveCheckpointOperation = { kind: 'remove-checkpoint', id: newId(), ...actor, ...job, vmId: vm.id, checkpointId };
    store.write(() => {
      store.tables.operations.put(operation);
    });
    if (!(await carryOut(context, vm, checkpoint, operation))) throw operationFailed(400, '');
    return { jobId: operation.jobId };
  } finally {
    release();
  }
}

function lock(context: Context, vm: VmRecord): () => void {
  return context.locks.take('remove checkpoint', 'Cannot remove Checkpoint', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/checkpoint-removal' } },
  ]);
}

async function carryOut(
  context: Context,
  vm: VmRecord,
  checkpoint: CheckpointRecord,
  operation: RemoveCheckpointOperation,
): Promise<boolean> {
  const { store, events, jobs } = context;
  const removed = isRunning(vm) ? await removeLive(context, vm, checkpoint) : await removeCold(context, vm, checkpoint);
  store.write(() => {
    if (removed) forgetCheckpoint(context, checkpoint.id);
    store.tables.operations.delete(operation.id);
    events.record(removed ? 'checkpointRemoved' : 'checkpointRemovalFailed', operation, { vm, checkpoint: checkpoint.id });
    jobs.end(operation.jobId, removed ? 'finished' : 'failed');
  });
  return removed;
}

async function removeLive(context: Context, vm: VmRecord, checkpoint: CheckpointRecord): Promise<boolean> {
  return (await redefine(context, vm, checkpoint.id)) && (await removeBitmaps(context, vm, checkpoint));
}

/** Invalid from here on, and for good if one bitmap stays. */
async function removeCold(context: Context, vm: VmRecord, checkpoint: CheckpointRecord): Promise<boolean> {
  context.store.write(() => {
    context.store.tables.checkpoints.patch(checkpoint.id, { state: 'invalid' });
  });
  return removeBitmaps(context, vm, checkpoint);
}

async function removeBitmaps(context: Context, vm: VmRecord, checkpoint: CheckpointRecord): Promise<boolean> {
  let all = true;
  for (const diskId of checkpoint.diskIds) {
    const image = activeImage(context, diskId);
    const isHere = context.store.tables.attachments.get(attachmentId(vm.id, diskId))?.active === true || !isRunning(vm);
    if (image?.format !== 'cow' || !isHere) continue;
    try {
      await context.backups.removeBitmap(vm.id, volumeRef(image), checkpoint.id);
    } catch (error) {
      context.log(`bitmap ${checkpoint.id} of disk ${diskId}: ${String(error)}`);
      all = false;
    }
  }
  return all;
}

export async function resumeRemoveCheckpoint(context: Context, operation: RemoveCheckpointOperation): Promise<void> {
  const vm = context.store.tables.vms.get(operation.vmId);
  const checkpoint = context.store.tables.checkpoints.get(operation.checkpointId);
  if (vm === undefined || checkpoint === undefined) return;
  const release = lock(context, vm);
  try {
    await carryOut(context, vm, checkpoint, operation);
  } finally {
    release();
  }
}
