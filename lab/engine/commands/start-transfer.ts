// Starts an image transfer of a disk, of a disk snapshot or of a disk in a backup. What follows is advance-transfer.ts.
import { activeImage, attachmentsOf, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { operationFailed } from '../faults';
import { refuse } from '../refusals';
import type { BackupRecord, TransferRecord } from '../state/backup-model';
import type { DiskRecord, ImageRecord } from '../state/model';
import type { ImageTransferOperation } from '../state/operations';
import { imageStatus } from '../disk-status';
import { refuseInactiveDomains, refuseLockedDisks } from './checks';
import { beginTransfer, transferSubject } from './advance-transfer';

export interface TransferRequest extends Pick<TransferRecord, 'direction' | 'shallow' | 'inactivitySeconds' | 'policy'> {
  readonly format: 'raw' | 'cow' | undefined;
  /** A disk, or one volume of it (a disk snapshot). */
  readonly of: { readonly diskId: string } | { readonly imageId: string };
  readonly backupId?: string;
  readonly hostId?: string;
}

interface Source {
  readonly disk: DiskRecord;
  readonly image: ImageRecord;
  readonly ofSnapshot: boolean;
  readonly backup: BackupRecord | undefined;
}

/**
 * The session is begun within the request (TransferDiskImageCommand.executeCommand). Where it cannot be, the request has failed without a
 * message, and all the same there is a transfer, which goes on to its end.
 */
export async function startTransfer(context: Context, request: TransferRequest, actor: Actor): Promise<string> {
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
    await validate(context, request, source);
    record(context, id, request, source, actor);
  } catch (error) {
    context.locks.free(id);
    throw error;
  }
  if (!(await beginTransfer(context, id))) throw operationFailed(400, '');
  return id;
}

/** What TransferDiskImageCommand.getDiskImage does not find is an exception in validate, for which CommandBase.internalValidate has one sentence. */
function find(context: Context, { of, backupId }: TransferRequest): Source {
  const { disks, images, backups } = context.store.tables;
  const backup = backups.get(backupId);
  if (backupId !== undefined && backup === undefined) throw refuse('start-transfer/backup-unknown');
  const named = 'diskId' in of ? activeImage(context, of.diskId) : images.get(of.imageId);
  const image = backup?.kind === 'hybrid' ? images.get(snapshotVolumeId(backup, named?.diskId)) : named;
  const disk = disks.get(image?.diskId);
  if (image === undefined || disk === undefined) throw refuse('start-transfer/disk-unknown');
  return { disk, image, ofSnapshot: 'imageId' in of, backup };
}

/** Known once a hybrid backup's snapshot is made. */
function snapshotVolumeId({ phase, disks }: BackupRecord, diskId: string | undefined): string | undefined {
  if (phase === 'initializing' || phase === 'starting') return undefined;
  return disks.find((each) => each.diskId === diskId)?.imageId;
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

async function validate(context: Context, request: TransferRequest, { disk, image, ofSnapshot, backup }: Source): Promise<void> {
  if ((await imageStatus(context, { ...disk, locked: false }, image)) === 'illegal')
    throw refuse('start-transfer/illegal', { disks: disk.alias });
  refuseInactiveDomains(context, [disk], 'start-transfer/domain-status');
  if (backup !== undefined) {
    validateBackup(context, request, backup);
    return;
  }
  const users = ofSnapshot ? [] : pluggedTo(context, disk);
  if (users.length > 0) throw refuse('start-transfer/plugged', { disk: disk.alias, vms: users.join(',') });
  refuseLockedDisks([disk], 'start-transfer/locked');
}

/** Whether the disk is in a live or cold backup nobody asks. */
function validateBackup({ store }: Context, { format }: TransferRequest, backup: BackupRecord): void {
  if (backup.kind === 'hybrid' && store.tables.snapshots.get(backup.snapshotId) === undefined)
    throw refuse('start-transfer/hybrid-snapshot');
  if (backup.phase !== 'ready' || backup.stopAsked) throw refuse('start-transfer/backup-not-ready', { phase: backup.phase.toUpperCase() });
  if (format === 'cow') throw refuse('start-transfer/backup-format');
}

/** DiskValidator.isDiskPluggedToAnyNonDownVm(false): VMs that have a snapshot of it count too. */
function pluggedTo(context: Context, disk: DiskRecord): string[] {
  return context.store.tables.vms
    .all()
    .filter((vm) => vm.status !== 'down' && attachmentsOf(context, vm.id).some((row) => row.diskId === disk.id && row.active))
    .map(({ name }) => name)
    .sort();
}

function record(context: Context, id: string, request: TransferRequest, { disk, image, ofSnapshot, backup }: Source, actor: Actor): void {
  const { store } = context;
  const { direction, format, shallow, inactivitySeconds, policy, backupId, hostId } = request;
  const nowMs = Date.now();
  store.write(() => {
    const transfer: TransferRecord = {
      ...{ id, direction, shallow, inactivitySeconds, policy, ofSnapshot },
      ...{ format: format ?? image.format, asFile: backup === undefined && format !== 'raw' },
      ...{ phase: 'initializing', diskId: disk.id, imageId: volumeRef(image).volumeId, createdMs: nowMs, updatedMs: nowMs },
      ...{ active: false, transferredBytes: 0, prepared: false },
      ...(backupId === undefined ? {} : { backupId }),
      ...(hostId === undefined ? {} : { hostId }),
    };
    const job = context.jobs.open(`Transferring Disk ${disk.alias} (${transferSubject(context, transfer).direction} Image)`, actor);
    const operation: ImageTransferOperation = { kind: 'image-transfer', id: newId(), ...actor, ...job, transferId: id };
    store.tables.transfers.put(transfer);
    store.tables.operations.put(operation);
    if (!ofSnapshot && backup?.kind !== 'hybrid') store.tables.disks.patch(disk.id, { locked: true });
  });
}
