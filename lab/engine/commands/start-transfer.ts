// Starts an image transfer of a disk, of a disk snapshot or of a disk in a backup. What follows is advance-transfer.ts.
import { activeImage, attachmentsOf, isRunning, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { BackupRecord, TransferRecord } from '../state/backup-model';
import type { DiskRecord, ImageRecord } from '../state/model';
import type { ImageTransferOperation } from '../state/operations';
import { imageStatus } from '../volumes';
import { refuseInactiveDomains, refuseLockedDisks } from './checks';
import { transferSubject, runTransfer } from './advance-transfer';

export interface TransferRequest extends Pick<TransferRecord, 'direction' | 'format' | 'shallow' | 'inactivitySeconds' | 'policy'> {
  /** A disk, or one volume of it (a disk snapshot). */
  readonly of: { readonly diskId: string } | { readonly imageId: string };
  readonly backupId?: string;
  readonly hostId?: string;
}

interface Source {
  readonly disk: DiskRecord;
  readonly image: ImageRecord;
  readonly ofSnapshot: boolean;
}

export async function startTransfer(
  context: Context,
  request: TransferRequest,
  actor: Actor,
): Promise<{ transferId: string; settled: Promise<void> }> {
  const source = find(context, request);
  const id = newId();
  if (request.backupId === undefined)
    context.locks.hold(
      id,
      'image transfer',
      'Cannot transfer Virtual Disk',
      transferLocks(context, request.direction, source.disk, source.ofSnapshot),
    );
  try {
    const image = await validate(context, request, source);
    record(context, id, request, { ...source, image }, actor);
  } catch (error) {
    context.locks.free(id);
    throw error;
  }
  return { transferId: id, settled: context.background.run(`transfer ${id}`, () => runTransfer(context, id)) };
}

function find(context: Context, { of }: TransferRequest): Source {
  const { disks, images } = context.store.tables;
  const image = 'diskId' in of ? activeImage(context, of.diskId) : images.get(of.imageId);
  const disk = disks.get(image?.diskId);
  if (image === undefined || disk === undefined) throw refuse('start-transfer/disk-unknown');
  return { disk, image, ofSnapshot: 'imageId' in of };
}

/** A disk's snapshot shares the disk, and its VMs; an upload has the disk alone. */
export function transferLocks(
  context: Context,
  direction: TransferRecord['direction'],
  disk: DiskRecord,
  ofSnapshot: boolean,
): Parameters<Context['locks']['take']>[2] {
  const othersGet = { key: 'lock/transfer', parameters: { disk: disk.alias } } as const;
  const vmIds = context.store.tables.attachments.where((attachment) => attachment.diskId === disk.id).map(({ vmId }) => vmId);
  return [
    { kind: 'DISK', id: disk.id, mode: direction === 'upload' ? 'exclusive' : 'shared', othersGet },
    ...(ofSnapshot ? vmIds.map((id) => ({ kind: 'VM', id, mode: 'shared', othersGet }) as const) : []),
  ];
}

/** Returns the volume that is served: a hybrid backup's is its snapshot's. */
async function validate(context: Context, request: TransferRequest, { disk, image, ofSnapshot }: Source): Promise<ImageRecord> {
  if ((await imageStatus(context, { ...disk, locked: false }, image)) === 'illegal')
    throw refuse('start-transfer/illegal', { disks: disk.alias });
  refuseInactiveDomains(context, [disk], 'start-transfer/domain-status');
  if (request.backupId !== undefined) return validateBackup(context, request, disk, image);
  const users = ofSnapshot ? [] : runningUsers(context, disk);
  if (users.length > 0) throw refuse('start-transfer/plugged', { disk: disk.alias, vms: users.join(', ') });
  refuseLockedDisks([disk], 'start-transfer/locked');
  return image;
}

function validateBackup({ store }: Context, request: TransferRequest, disk: DiskRecord, image: ImageRecord): ImageRecord {
  const backup = store.tables.backups.get(request.backupId);
  if (backup?.kind === 'hybrid' && hybridImage(store.tables, backup, disk) === undefined && backup.phase === 'ready')
    throw refuse('start-transfer/hybrid-snapshot');
  if (backup?.disks.some(({ diskId }) => diskId === disk.id) !== true) throw refuse('start-transfer/backup-unknown');
  if (backup.phase !== 'ready' || backup.stopAsked) throw refuse('start-transfer/backup-not-ready', { phase: backup.phase.toUpperCase() });
  if (request.format === 'cow') throw refuse('start-transfer/backup-format');
  return (backup.kind === 'hybrid' ? hybridImage(store.tables, backup, disk) : undefined) ?? image;
}

function hybridImage(tables: Context['store']['tables'], backup: BackupRecord, disk: DiskRecord): ImageRecord | undefined {
  const known = tables.images.get(backup.disks.find(({ diskId }) => diskId === disk.id)?.imageId);
  return known?.snapshotId === backup.snapshotId ? known : undefined;
}

function runningUsers(context: Context, disk: DiskRecord): string[] {
  return context.store.tables.vms
    .all()
    .filter(
      (vm) =>
        isRunning(vm) && attachmentsOf(context, vm.id).some((row) => row.diskId === disk.id && row.active && row.snapshotId === undefined),
    )
    .map(({ name }) => name);
}

function record(context: Context, id: string, request: TransferRequest, { disk, image, ofSnapshot }: Source, actor: Actor): void {
  const { store } = context;
  const { direction, format, shallow, inactivitySeconds, policy, backupId, hostId } = request;
  const nowMs = Date.now();
  store.write(() => {
    const transfer: TransferRecord = {
      ...{ id, direction, format, shallow, inactivitySeconds, policy, ofSnapshot },
      ...{ phase: 'initializing', diskId: disk.id, imageId: volumeRef(image).volumeId, createdMs: nowMs, updatedMs: nowMs },
      ...{ active: false, transferredBytes: 0, prepared: false },
      ...(backupId === undefined ? {} : { backupId }),
      ...(hostId === undefined ? {} : { hostId }),
    };
    const words = transferSubject(context, transfer);
    const job = context.jobs.open(`Transferring Disk ${disk.alias} (${words.direction} Image)`, actor);
    const operation: ImageTransferOperation = { kind: 'image-transfer', id: newId(), ...actor, ...job, transferId: id };
    store.tables.transfers.put(transfer);
    store.tables.operations.put(operation);
    if (backupId === undefined && !ofSnapshot) store.tables.disks.patch(disk.id, { locked: true });
    context.events.record('transferStarted', actor, words);
  });
}
