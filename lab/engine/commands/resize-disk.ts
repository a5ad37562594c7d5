// Disks grow; a running guest sees it at once. Checkpoints stay: bitmaps grow with their volume.
import { activeImage, attachmentsOf, isRunning, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { operationFailed } from '../faults';
import { refuse } from '../refusals';
import { HostError } from '../../host/port';
import type { DiskRecord } from '../state/model';
import type { ResizeDiskOperation } from '../state/operations';
import { refuseLowSpace } from './checks';

const volumeAlignment = 4096;

/** Its caller has the disk's lock. */
export async function resizeDisk(context: Context, disk: DiskRecord, wantedBytes: number, actor: Actor): Promise<void> {
  const virtualBytes = Math.ceil(wantedBytes / volumeAlignment) * volumeAlignment;
  if (virtualBytes < disk.virtualBytes) throw refuse('resize-disk/smaller');
  if (virtualBytes === disk.virtualBytes || disk.kind !== 'image') return;
  await refuseLowSpace(context, [disk.domainId], 'resize-disk/low-space', disk.sparse ? 0 : virtualBytes - disk.virtualBytes);
  const job = context.jobs.open(`Extending Disk ${disk.alias}`, actor);
  const operation: ResizeDiskOperation = { kind: 'resize-disk', id: newId(), ...actor, ...job, diskId: disk.id, virtualBytes };
  context.store.write(() => {
    context.store.tables.disks.patch(disk.id, { locked: true });
    context.store.tables.operations.put(operation);
  });
  if (!(await carryOutResize(context, operation))) throw operationFailed(400, '');
}

/** False: the host could not. A repeat after a restart changes nothing that was done. */
export async function carryOutResize(context: Context, operation: ResizeDiskOperation): Promise<boolean> {
  const { store, jobs } = context;
  const image = activeImage(context, operation.diskId);
  if (image === undefined) return false;
  let done = true;
  try {
    await context.backups.resizeVolume(runningOwner(context, operation.diskId), volumeRef(image), operation.virtualBytes);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`resizing disk ${operation.diskId}: ${error.message}`);
    done = false;
  }
  context.volumes.forget();
  store.write(() => {
    store.tables.disks.patch(operation.diskId, { locked: false, ...(done ? { virtualBytes: operation.virtualBytes } : {}) });
    store.tables.operations.delete(operation.id);
    jobs.end(operation.jobId, done ? 'finished' : 'failed');
  });
  return done;
}

function runningOwner(context: Context, diskId: string): string | undefined {
  return context.store.tables.vms
    .all()
    .find(
      (vm) =>
        isRunning(vm) && attachmentsOf(context, vm.id).some((row) => row.diskId === diskId && row.snapshotId === undefined && row.active),
    )?.id;
}
