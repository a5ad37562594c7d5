// What follows the answer to "create snapshot": the host's work, its success or its being taken back, and how an engine
// that was killed meanwhile goes on from what the host really did.
import type { Context } from '../context';
import { HostError, type SnapshotDisk, type VolumeRef } from '../../host/port';
import type { CreateSnapshotOperation, SnapshotVolume } from '../state/operations';

/** Volumes of disks that stay out of the snapshot follow the Active to its new id. */
export function moveImages({ store }: Context, fromSnapshotId: string, toSnapshotId: string, except: readonly string[]): void {
  for (const image of store.tables.images.where(
    (candidate) => candidate.snapshotId === fromSnapshotId && !except.includes(candidate.diskId),
  )) {
    store.tables.images.put({ ...image, snapshotId: toSnapshotId });
  }
}

export async function carryOut(context: Context, operation: CreateSnapshotOperation): Promise<void> {
  const { disks, vmId } = operation;
  const wasRunning = isQemuThere(context, vmId);
  try {
    if (disks.length > 0) await context.host.snapshot(vmId, disks.map(forHost));
  } catch (error) {
    context.log(`snapshot ${operation.snapshotId} of VM ${vmId}: ${String(error)}`);
    if (isQemuThere(context, vmId)) takeBack(context, operation);
    else await leave(context, operation, wasRunning);
    return;
  }
  complete(context, operation);
}

/** Whom the engine can ask which volumes are open (ImagesHandler.isSnapshotUsed). */
function isQemuThere({ host }: Context, vmId: string): boolean {
  return !['down', 'not_responding'].includes(host.vmStatus(vmId));
}

function forHost({ diskId, current, currentFormat, next, toCheckpointId }: SnapshotVolume): SnapshotDisk {
  return { diskId, current, currentFormat, next, ...(toCheckpointId === undefined ? {} : { toCheckpointId }) };
}

function complete(context: Context, operation: CreateSnapshotOperation): void {
  const { store } = context;
  context.volumes.forget();
  store.write(() => {
    const { snapshots, disks, vms, operations } = store.tables;
    snapshots.patch(operation.snapshotId, { status: 'ok' });
    for (const { diskId } of operation.disks) disks.patch(diskId, { locked: false });
    operations.delete(operation.id);
    const vm = vms.get(operation.vmId);
    context.events.record('snapshotCreated', operation, {
      ...(vm === undefined ? {} : { vm }),
      snapshot: snapshots.get(operation.snapshotId)?.description ?? '',
    });
    context.jobs.end(operation.jobId, 'finished');
  });
}

/**
 * Of a guest that does not write to the new volumes nothing is left: the row vanishes and Active gets its id back (CreateSnapshotForVmCommand.endVmCommand).
 * Event 170 is a host's that refuses the job at once, which this one never does; of a job that fails 69 is all that is told.
 */
function takeBack(context: Context, operation: CreateSnapshotOperation): void {
  const { store } = context;
  context.volumes.forget();
  store.write(() => {
    const { snapshots, images, disks, vms, operations } = store.tables;
    const description = snapshots.get(operation.snapshotId)?.description ?? '';
    const active = snapshots.get(operation.newActiveId);
    snapshots.delete(operation.newActiveId);
    if (active !== undefined) snapshots.put({ ...active, id: operation.snapshotId });
    for (const { diskId, current, next } of operation.disks) {
      images.delete(next.volumeId);
      images.patch(current.volumeId, { active: true });
      disks.patch(diskId, { locked: false });
    }
    moveImages(context, operation.newActiveId, operation.snapshotId, []);
    operations.delete(operation.id);
    const vm = vms.get(operation.vmId);
    context.events.record('snapshotFailed', operation, { ...(vm === undefined ? {} : { vm }), snapshot: description });
    context.jobs.end(operation.jobId, 'failed');
  });
}

/**
 * Where no QEMU can be asked the engine takes the new volumes for used: the snapshot ends `ok`, with 10774 and 69, whether or not its volumes are there.
 * Those of a live snapshot are, because the engine has them made before it asks the guest; those of a VM that was down are what has failed.
 */
async function leave(context: Context, operation: CreateSnapshotOperation, areThere: boolean): Promise<void> {
  const { store } = context;
  if (areThere) await makeEmptyVolumes(context, operation);
  context.volumes.forget();
  store.write(() => {
    const { snapshots, disks, vms, operations, backups } = store.tables;
    snapshots.patch(operation.snapshotId, { status: 'ok' });
    for (const { diskId } of operation.disks) disks.patch(diskId, { locked: false });
    if (operation.backupId !== undefined) backups.patch(operation.backupId, { phase: 'finalizing_failure' });
    operations.delete(operation.id);
    const vm = vms.get(operation.vmId);
    const subject = { ...(vm === undefined ? {} : { vm }), snapshot: snapshots.get(operation.snapshotId)?.description ?? '' };
    context.events.record('snapshotDoubtful', operation, subject);
    context.events.record('snapshotFailed', operation, subject);
    context.jobs.end(operation.jobId, 'failed');
  });
}

/** The host has withdrawn them with the live snapshot. Without bitmaps, as the engine has them made of a running VM. */
async function makeEmptyVolumes({ host, log }: Context, { disks, snapshotId }: CreateSnapshotOperation): Promise<void> {
  for (const { current, currentFormat, next, virtualBytes } of disks) {
    try {
      await host.createVolume({ ...next, format: 'cow', virtualBytes, sparse: true, backing: { volumeId: current.volumeId, format: currentFormat } });
    } catch (error) {
      log(`snapshot ${snapshotId}: volume ${next.volumeId}: ${String(error)}`);
    }
  }
}

/** After a crash: how far the host had got is found in its files and its QEMU, not guessed. */
export async function resumeCreateSnapshot(context: Context, operation: CreateSnapshotOperation): Promise<void> {
  const vm = context.store.tables.vms.get(operation.vmId);
  const release = context.locks.take('create snapshot', 'Cannot create Snapshot', [
    { kind: 'VM', id: operation.vmId, mode: 'exclusive', othersGet: { key: 'lock/create-snapshot', parameters: { vm: vm?.name ?? '' } } },
  ]);
  try {
    const running = context.host.vmStatus(operation.vmId) !== 'down';
    if (running) await goOnLive(context, operation);
    else await goOnCold(context, operation);
  } finally {
    release();
  }
}

/** Asked again, the host refuses a guest that already writes to the new volumes before it touches anything. */
async function goOnLive(context: Context, operation: CreateSnapshotOperation): Promise<void> {
  const { host } = context;
  const disks = operation.disks.map(forHost);
  try {
    if (disks.length > 0) await host.snapshot(operation.vmId, disks);
    complete(context, operation);
  } catch (error) {
    const existing = await volumesThatExist(context, operation);
    if (error instanceof HostError && error.code === 'qemu-failed' && existing.length === disks.length) {
      complete(context, operation);
    } else if (error instanceof HostError && error.code === 'volume-in-use' && (await removed(context, existing))) {
      // Files of an attempt that never reached the guest.
      await carryOut(context, operation);
    } else {
      context.log(`snapshot ${operation.snapshotId} cannot be resumed: ${String(error)}`);
      takeBack(context, operation);
    }
  }
}

/** Of a VM that is down: complete layers are right whether or not anything was written; a part of them is made anew. */
async function goOnCold(context: Context, operation: CreateSnapshotOperation): Promise<void> {
  const existing = await volumesThatExist(context, operation);
  if (existing.length === operation.disks.length) complete(context, operation);
  else if (await removed(context, existing)) await carryOut(context, operation);
}

async function volumesThatExist({ host }: Context, { disks }: CreateSnapshotOperation): Promise<readonly VolumeRef[]> {
  const found = await Promise.all(
    disks.map(({ next }) =>
      host.volumeInfo(next).then(
        () => [next],
        () => [],
      ),
    ),
  );
  return found.flat();
}

async function removed({ host, log }: Context, volumes: readonly VolumeRef[]): Promise<boolean> {
  try {
    for (const volume of volumes) await host.removeVolume(volume);
    return true;
  } catch (error) {
    log(String(error));
    return false;
  }
}
