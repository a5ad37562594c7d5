// Creates a snapshot: the Active's id becomes the snapshot's, Active gets a new one, every included disk gets a volume
// on top. The host does it live or cold; a failure takes everything back (engine-rules.md sections 3 and 5).
import {
  activeImage, activeSnapshot, aliases, isRunning, needVm, ownImageDisks, volumeRef, type Context,
} from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import { HostError, type VolumeRef } from '../../host/port';
import type { DiskRecord, ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { CreateSnapshotOperation, SnapshotVolume } from '../state/operations';
import { refuseIllegalDisks, refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot, refuseLowSpace, refusePreview } from './checks';
import { snapshotConfiguration } from './configuration';

export interface SnapshotRequest {
  readonly vmId: string;
  readonly description: string;
  readonly saveMemory: boolean;
  /** Undefined: all disks that can be. */
  readonly disks?: readonly { readonly diskId: string; readonly imageId?: string }[];
}

export interface StartedSnapshot {
  readonly snapshotId: string;
  readonly settled: Promise<void>;
}

const refusedStatuses: readonly VmRecord['status'][] = ['image_locked', 'not_responding'];

export async function createSnapshot(context: Context, request: SnapshotRequest, actor: Actor): Promise<StartedSnapshot> {
  const vm = needVm(context, request.vmId);
  const release = context.locks.take('create snapshot', 'Cannot create Snapshot', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/create-snapshot', parameters: { vm: vm.name } } },
  ]);
  try {
    const volumes = await validate(context, vm, request);
    const frozen = volumes.map(({ image }) => image);
    const configuration = await snapshotConfiguration(context, vm, frozen);
    const operation = record(context, vm, request, volumes, configuration, actor);
    const settled = context.background.run(`create snapshot ${operation.snapshotId}`, async () => {
      try {
        await carryOut(context, operation);
      } finally {
        release();
      }
    });
    return { snapshotId: operation.snapshotId, settled };
  } catch (error) {
    release();
    context.events.record('snapshotRefused', actor, { vm, snapshot: request.description });
    throw error;
  }
}

interface Included {
  readonly disk: DiskRecord;
  readonly image: ImageRecord;
  readonly nextId: string;
}

async function validate(context: Context, vm: VmRecord, request: SnapshotRequest): Promise<Included[]> {
  const disks = chooseDisks(context, vm, request);
  if (refusedStatuses.includes(vm.status)) throw refuse('create-snapshot/vm-status', { status: vm.status === 'image_locked' ? 'ImageLocked' : 'NotResponding' });
  refuseLockedSnapshot(context, vm.id, 'create-snapshot/during-snapshot');
  refusePreview(context, vm.id, 'create-snapshot/preview');
  if (request.saveMemory && isRunning(vm)) throw refuse('create-snapshot/memory');
  refuseLockedDisks(disks, 'create-snapshot/disks-locked');
  await refuseIllegalDisks(context, disks, 'create-snapshot/disks-illegal');
  const wanted = request.disks?.flatMap(({ imageId }) => (imageId === undefined ? [] : [imageId])) ?? [];
  const used = wanted.filter((id) => context.store.tables.images.get(id) !== undefined);
  if (used.length > 0) throw refuse('create-snapshot/image-id-used', { images: used.join(', ') });
  refuseInactiveDomains(context, disks, 'create-snapshot/domain-status');
  await refuseLowSpace(context, disks.map((disk) => disk.domainId), 'create-snapshot/low-space');
  return disks.flatMap((disk) => {
    const image = activeImage(context, disk.id);
    const nextId = request.disks?.find(({ diskId }) => diskId === disk.id)?.imageId ?? newId();
    return image === undefined ? [] : [{ disk, image, nextId }];
  });
}

function chooseDisks(context: Context, vm: VmRecord, { disks: named }: SnapshotRequest): DiskRecord[] {
  const own = ownImageDisks(context, vm.id).map(({ disk }) => disk);
  if (named === undefined) return own;
  const { disks, attachments } = context.store.tables;
  const unknown = named.filter(({ diskId }) => disks.get(diskId) === undefined);
  if (unknown.length > 0) throw refuse('create-snapshot/disk-unknown', { disks: unknown.map(({ diskId }) => diskId).join(', ') });
  const chosen = named.flatMap(({ diskId }) => disks.get(diskId) ?? []);
  const notSnapable = chosen.filter((disk) => disk.kind === 'lun' || disk.shareable);
  if (notSnapable.length > 0) throw refuse('create-snapshot/not-snapable', { disks: aliases(notSnapable) });
  const strangers = chosen.filter((disk) => !own.some(({ id }) => id === disk.id) || attachments.get(`${vm.id}/${disk.id}`) === undefined);
  if (strangers.length > 0) throw refuse('create-snapshot/not-attached', { vm: vm.name, disks: aliases(strangers) });
  return chosen;
}

/** One write: the rows, the locks that survive (disks locked, snapshot locked), the job, the event, the operation. */
function record(context: Context, vm: VmRecord, request: SnapshotRequest, included: readonly Included[], configuration: string, actor: Actor): CreateSnapshotOperation {
  const { store } = context;
  return store.write(() => {
    const { snapshots, images, disks, operations } = store.tables;
    const active = activeSnapshot(context, vm.id);
    const nowMs = Date.now();
    const snapshot: SnapshotRecord = { ...active, type: 'regular', status: 'locked', description: request.description, createdMs: nowMs, configuration };
    const newActive: SnapshotRecord = { id: newId(), vmId: vm.id, description: 'Active VM', type: 'active', status: 'ok', createdMs: nowMs + 1 };
    snapshots.put(snapshot);
    snapshots.put(newActive);
    moveImages(context, active.id, newActive.id, included.map(({ disk }) => disk.id));
    const volumes = included.map(({ disk, image, nextId }): SnapshotVolume => {
      images.put({ ...image, snapshotId: snapshot.id, active: false });
      images.put({ id: nextId, diskId: disk.id, domainId: image.domainId, format: 'cow', parentId: image.id, snapshotId: newActive.id, active: true, createdMs: nowMs });
      disks.patch(disk.id, { locked: true });
      return { diskId: disk.id, current: volumeRef(image), currentFormat: image.format, next: { ...volumeRef(image), volumeId: nextId }, virtualBytes: disk.virtualBytes };
    });
    const job = context.jobs.open(`Creating VM Snapshot ${request.description} for VM ${vm.name}`, actor);
    const operation: CreateSnapshotOperation = {
      kind: 'create-snapshot', id: newId(), ...actor, ...job, vmId: vm.id, snapshotId: snapshot.id, newActiveId: newActive.id, disks: volumes,
    };
    operations.put(operation);
    context.events.record('snapshotAsked', actor, { vm, snapshot: request.description });
    return operation;
  });
}

/** Volumes of disks that stay out of the snapshot follow the Active to its new id. */
function moveImages({ store }: Context, fromSnapshotId: string, toSnapshotId: string, except: readonly string[]): void {
  for (const image of store.tables.images.where((candidate) => candidate.snapshotId === fromSnapshotId && !except.includes(candidate.diskId))) {
    store.tables.images.put({ ...image, snapshotId: toSnapshotId });
  }
}

async function carryOut(context: Context, operation: CreateSnapshotOperation): Promise<void> {
  const { disks, vmId } = operation;
  try {
    if (disks.length > 0) await context.host.snapshot(vmId, disks.map(({ diskId, current, currentFormat, next }) => ({ diskId, current, currentFormat, next })));
  } catch (error) {
    context.log(`snapshot ${operation.snapshotId} of VM ${vmId}: ${String(error)}`);
    takeBack(context, operation, error);
    return;
  }
  complete(context, operation);
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
    context.events.record('snapshotCreated', operation, { ...(vm === undefined ? {} : { vm }), snapshot: snapshots.get(operation.snapshotId)?.description ?? '' });
    context.jobs.end(operation.jobId, 'finished');
  });
}

/** The host does all disks or none, so a failure leaves nothing: the row vanishes and Active gets its id back. */
function takeBack(context: Context, operation: CreateSnapshotOperation, error: unknown): void {
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
    const beforeTheGuest = !(error instanceof HostError) || error.code === 'no-space' || error.code === 'no-such-volume' || vm === undefined || !isRunning(vm);
    context.events.record(beforeTheGuest ? 'snapshotFailed' : 'snapshotLiveFailed', operation, { ...(vm === undefined ? {} : { vm }), snapshot: description });
    context.jobs.end(operation.jobId, 'failed');
  });
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
  const disks = operation.disks.map(({ diskId, current, currentFormat, next }) => ({ diskId, current, currentFormat, next }));
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
      takeBack(context, operation, error);
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
  const found = await Promise.all(disks.map(({ next }) => host.volumeInfo(next).then(() => [next], () => [])));
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
