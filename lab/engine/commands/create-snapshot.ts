// Creates a snapshot: the Active's id becomes the snapshot's, Active gets a new one, every included disk gets a volume
// on top. The host does it live or cold; a failure takes everything back (engine-rules.md sections 3 and 5).
import { activeImage, activeSnapshot, aliases, isRunning, needVm, ownImageDisks, statusWord, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { DiskRecord, ImageRecord, SnapshotRecord, VmRecord } from '../state/model';
import type { CreateSnapshotOperation, SnapshotVolume } from '../state/operations';
import {
  refuseIllegalDisks,
  refuseInactiveDomains,
  refuseLockedDisks,
  refuseLockedSnapshot,
  refuseLowSpace,
  refusePreview,
} from './checks';
import { snapshotConfiguration } from './configuration';
import { carryOut, moveImages } from './finish-snapshot';

export interface SnapshotRequest {
  readonly vmId: string;
  readonly description: string;
  readonly saveMemory: boolean;
  /** Undefined: all disks that can be. */
  readonly disks?: readonly { readonly diskId: string; readonly imageId?: string }[];
  /** A hybrid backup's own snapshot. */
  readonly backup?: { readonly id: string; readonly toCheckpointId: string; readonly trackedDiskIds: readonly string[] };
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
    const operation = await prepareSnapshot(context, vm, request, actor);
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
    throw error;
  }
}

/** All that comes before the host's work; whoever calls holds the VM's lock. */
export async function prepareSnapshot(
  context: Context,
  vm: VmRecord,
  request: SnapshotRequest,
  actor: Actor,
): Promise<CreateSnapshotOperation> {
  const volumes = await validate(context, vm, request);
  const frozen = volumes.map(({ image }) => image);
  const configuration = await snapshotConfiguration(context, vm, frozen);
  return record(context, vm, request, volumes, configuration, actor);
}

interface Included {
  readonly disk: DiskRecord;
  readonly image: ImageRecord;
  readonly nextId: string;
}

async function validate(context: Context, vm: VmRecord, request: SnapshotRequest): Promise<Included[]> {
  const disks = chooseDisks(context, vm, request);
  if (refusedStatuses.includes(vm.status)) throw refuse('create-snapshot/vm-status', { status: statusWord(vm.status) });
  refuseLockedSnapshot(context, vm.id, 'create-snapshot/during-snapshot');
  refusePreview(context, vm.id, 'create-snapshot/preview');
  if (request.saveMemory && isRunning(vm)) throw refuse('create-snapshot/memory');
  refuseLockedDisks(disks, 'create-snapshot/disks-locked');
  await refuseIllegalDisks(context, disks, 'create-snapshot/disks-illegal');
  const wanted = request.disks?.flatMap(({ imageId }) => (imageId === undefined ? [] : [imageId])) ?? [];
  const used = wanted.filter((id) => context.store.tables.images.get(id) !== undefined);
  if (used.length > 0) throw refuse('create-snapshot/image-id-used', { images: used.join(', ') });
  refuseInactiveDomains(context, disks, 'create-snapshot/domain-status');
  await refuseLowSpace(
    context,
    disks.map((disk) => disk.domainId),
    'create-snapshot/low-space',
  );
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
  const isAttached = ({ id }: DiskRecord): boolean => attachments.get(`${vm.id}/${id}`) !== undefined;
  const notSnapable = chosen.filter((disk) => isAttached(disk) && (disk.kind === 'lun' || disk.shareable));
  if (notSnapable.length > 0) throw refuse('create-snapshot/not-snapable', { disks: aliases(notSnapable) });
  const strangers = chosen.filter((disk) => !isAttached(disk));
  if (strangers.length > 0) throw refuse('create-snapshot/not-attached', { vm: vm.name, disks: aliases(strangers) });
  // A disk of which the VM holds another's snapshot is attached, and silently left out (getDisksList: ONLY_ACTIVE).
  return chosen.filter(({ id }) => own.some((disk) => disk.id === id));
}

/** One write: the rows, the locks that survive (disks locked, snapshot locked), the job, the event, the operation. */
function record(
  context: Context,
  vm: VmRecord,
  request: SnapshotRequest,
  included: readonly Included[],
  configuration: string,
  actor: Actor,
): CreateSnapshotOperation {
  return context.store.write(() => {
    refuseDetached(context, vm, included);
    const { snapshot, newActive } = putSnapshots(context, vm, request.description, configuration);
    const includedIds = included.map(({ disk }) => disk.id);
    moveImages(context, snapshot.id, newActive.id, includedIds);
    const disks = included.map((each) => ({
      ...putVolume(context, each, snapshot, newActive),
      ...(request.backup?.trackedDiskIds.includes(each.disk.id) === true ? { toCheckpointId: request.backup.toCheckpointId } : {}),
    }));
    const operation: CreateSnapshotOperation = {
      kind: 'create-snapshot',
      id: newId(),
      ...actor,
      ...context.jobs.open(`Creating VM Snapshot ${request.description} for VM ${vm.name}`, actor),
      vmId: vm.id,
      snapshotId: snapshot.id,
      newActiveId: newActive.id,
      disks,
      ...(request.backup === undefined ? {} : { backupId: request.backup.id }),
    };
    context.store.tables.operations.put(operation);
    context.events.record('snapshotAsked', actor, { vm, snapshot: request.description });
    return operation;
  });
}

/** A detach takes no lock: it may have come while the files were looked at. */
function refuseDetached({ store }: Context, vm: VmRecord, included: readonly Included[]): void {
  const gone = included.map(({ disk }) => disk).filter((disk) => store.tables.attachments.get(`${vm.id}/${disk.id}`) === undefined);
  if (gone.length > 0) throw refuse('create-snapshot/not-attached', { vm: vm.name, disks: aliases(gone) });
}

function putSnapshots(
  context: Context,
  vm: VmRecord,
  description: string,
  configuration: string,
): { readonly snapshot: SnapshotRecord; readonly newActive: SnapshotRecord } {
  const { snapshots } = context.store.tables;
  const active = activeSnapshot(context, vm.id);
  const createdMs = Date.now();
  const snapshot: SnapshotRecord = { ...active, type: 'regular', status: 'locked', description, createdMs, configuration };
  const newActive: SnapshotRecord = { ...active, id: newId(), createdMs: createdMs + 1 };
  snapshots.put(snapshot);
  snapshots.put(newActive);
  return { snapshot, newActive };
}

/** The active volume is frozen under the snapshot; a new one under the new Active stands on it. */
function putVolume(
  { store }: Context,
  { disk, image, nextId }: Included,
  snapshot: SnapshotRecord,
  newActive: SnapshotRecord,
): SnapshotVolume {
  const { images, disks } = store.tables;
  images.put({ ...image, snapshotId: snapshot.id, active: false });
  const { createdMs } = snapshot;
  images.put({ ...image, id: nextId, format: 'cow', parentId: image.id, snapshotId: newActive.id, active: true, createdMs });
  disks.patch(disk.id, { locked: true });
  const current = volumeRef(image);
  return { diskId: disk.id, current, currentFormat: image.format, next: { ...current, volumeId: nextId }, virtualBytes: disk.virtualBytes };
}
