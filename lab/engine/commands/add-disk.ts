// Creates a disk, on its own or inside a VM; its volume is made after the answer. LUNs are records only.
import { activeImage, isRunning, statusWord, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { VolumeFormat } from '../../host/port';
import type { AttachmentRecord, DiskRecord, DomainRecord, LunRecord, VmRecord } from '../state/model';
import type { AddDiskOperation } from '../state/operations';
import { refuseLockedSnapshot, refuseLowSpace, refusePreview } from './checks';
import { record as recordAttachment } from './attach-disk';
import { plug, refuseHotPlug } from './plug-disk';
import { dropDisk } from './remove-disk';

export interface NewDisk {
  readonly id?: string;
  readonly imageId?: string;
  readonly alias: string;
  readonly description: string;
  readonly domain: DomainRecord | undefined;
  readonly virtualBytes: number;
  readonly format: VolumeFormat;
  readonly sparse: boolean;
  readonly shareable: boolean;
  readonly wipeAfterDelete: boolean;
  readonly propagateErrors: boolean;
  readonly incrementalBackup: boolean;
}

export interface StartedDisk {
  readonly diskId: string;
  readonly settled: Promise<void>;
}

/** Where a disk that is made inside a VM goes. */
export interface Place {
  readonly vm: VmRecord;
  readonly attachment: Omit<AttachmentRecord, 'id' | 'vmId' | 'diskId' | 'snapshotId'>;
}

const volumeAlignment = 4096;

export async function addDisk(context: Context, wanted: NewDisk, actor: Actor, place?: Place): Promise<StartedDisk> {
  const release =
    place === undefined
      ? () => undefined
      : context.locks.take('add disk', 'Cannot add Virtual Disk', [
          { kind: 'VM', id: place.vm.id, mode: 'shared', othersGet: { key: 'lock/related-operation' } },
        ]);
  try {
    const domain = await validate(context, wanted, place?.vm);
    const operation = record(context, wanted, domain, actor, place);
    const settled = context.background.run(`add disk ${operation.diskId}`, async () => {
      try {
        await carryOutAdd(context, operation, place);
      } finally {
        release();
      }
    });
    return { diskId: operation.diskId, settled };
  } catch (error) {
    release();
    throw error;
  }
}

async function validate(context: Context, wanted: NewDisk, vm: VmRecord | undefined): Promise<DomainRecord> {
  const { domain, format, sparse } = wanted;
  if (domain === undefined) throw refuse('add-disk/domain-unknown');
  if (domain.status !== 'active') throw refuse('add-disk/domain-status', { status: statusWord(domain.status) });
  const backup = wanted.incrementalBackup ? 'Incremental' : 'None';
  if ((format === 'cow' && !sparse && !wanted.incrementalBackup) || (format === 'raw' && wanted.incrementalBackup)) {
    throw refuse('add-disk/configuration', { format: format.toUpperCase(), allocation: sparse ? 'Sparse' : 'Preallocated', backup });
  }
  await refuseLowSpace(context, [domain.id], 'add-disk/low-space', sparse ? 0 : wanted.virtualBytes);
  if (wanted.shareable && format !== 'raw') throw refuse('add-disk/shareable-cow');
  const { images, disks } = context.store.tables;
  if (wanted.imageId !== undefined && images.get(wanted.imageId) !== undefined) throw refuse('add-disk/image-id-used');
  const same = disks.get(wanted.id);
  if (same !== undefined) throw refuse('add-disk/id-used', { id: same.id, disk: same.alias });
  if (vm !== undefined) {
    refuseLockedSnapshot(context, vm.id, 'add-disk/during-snapshot');
    refusePreview(context, vm.id, 'add-disk/preview');
  }
  return domain;
}

function record(context: Context, wanted: NewDisk, domain: DomainRecord, actor: Actor, place: Place | undefined): AddDiskOperation {
  const { store } = context;
  return store.write(() => {
    const disk = putDisk(context, wanted, domain);
    // Not active before its volume is there; a running VM gets it plugged afterwards.
    if (place !== undefined) {
      const active = place.attachment.active && !isRunning(place.vm);
      recordAttachment(context, place.vm, disk, { ...place.attachment, vmId: place.vm.id, diskId: disk.id, active });
    }
    const operation: AddDiskOperation = {
      kind: 'add-disk',
      id: newId(),
      ...actor,
      ...context.jobs.open(`Creating Disk ${disk.alias}`, actor),
      diskId: disk.id,
      ...(place === undefined ? {} : { vmId: place.vm.id }),
    };
    store.tables.operations.put(operation);
    context.events.record('diskAddAsked', actor, { disk: disk.alias });
    return operation;
  });
}

function putDisk({ store }: Context, wanted: NewDisk, domain: DomainRecord): DiskRecord {
  const { alias, description, sparse, shareable, wipeAfterDelete, propagateErrors, incrementalBackup, format } = wanted;
  const createdMs = Date.now();
  const disk: DiskRecord = {
    ...{ alias, description, sparse, shareable, wipeAfterDelete, propagateErrors, incrementalBackup, createdMs },
    id: wanted.id ?? newId(),
    kind: 'image',
    domainId: domain.id,
    virtualBytes: Math.ceil(wanted.virtualBytes / volumeAlignment) * volumeAlignment,
    locked: true,
  };
  store.tables.disks.put(disk);
  store.tables.images.put({ id: wanted.imageId ?? newId(), diskId: disk.id, domainId: domain.id, format, active: true, createdMs });
  return disk;
}

export async function carryOutAdd(context: Context, operation: AddDiskOperation, place?: Place): Promise<void> {
  const { store, host, events, jobs } = context;
  const disk = store.tables.disks.get(operation.diskId);
  const image = activeImage(context, operation.diskId);
  if (disk?.domainId === undefined || image === undefined) return;
  try {
    await host.createVolume({
      domainId: disk.domainId,
      diskId: disk.id,
      volumeId: image.id,
      format: image.format,
      virtualBytes: disk.virtualBytes,
      sparse: disk.sparse || image.format === 'cow',
    });
  } catch (error) {
    context.log(`add disk ${disk.id}: ${String(error)}`);
    store.write(() => {
      dropDisk(context, disk);
      store.tables.operations.delete(operation.id);
      events.record('diskAddFailed', operation, { disk: disk.alias });
      jobs.end(operation.jobId, 'failed');
    });
    return;
  }
  context.volumes.forget();
  store.write(() => {
    store.tables.disks.patch(disk.id, { locked: false });
    store.tables.operations.delete(operation.id);
    events.record('diskAdded', operation, { disk: disk.alias });
    jobs.end(operation.jobId, 'finished');
  });
  if (place?.attachment.active === true) await plugNew(context, place.vm.id, disk, operation);
}

async function plugNew(context: Context, vmId: string, disk: DiskRecord, actor: Actor): Promise<void> {
  const vm = context.store.tables.vms.get(vmId);
  const attachment = context.store.tables.attachments.get(`${vmId}/${disk.id}`);
  if (vm === undefined || attachment === undefined || attachment.active || !isRunning(vm)) return;
  try {
    refuseHotPlug(vm, disk, attachment.interface);
    await plug(context, vm, attachment, actor, 'deactivate');
    context.events.record('diskPlugged', actor, { vm, disk: disk.alias });
  } catch (error) {
    context.log(`plug the new disk ${disk.id}: ${String(error)}`);
    context.events.record('diskPlugFailed', actor, { vm, disk: disk.alias });
  }
}

/** After a crash the volume is made anew: nobody can have used it. */
export async function resumeAdd(context: Context, operation: AddDiskOperation): Promise<void> {
  const image = activeImage(context, operation.diskId);
  if (image !== undefined) await context.host.removeVolume({ domainId: image.domainId, diskId: image.diskId, volumeId: image.id });
  await carryOutAdd(context, operation);
}

export function addLun(
  context: Context,
  wanted: {
    readonly id?: string;
    readonly alias: string;
    readonly description: string;
    readonly shareable: boolean;
    readonly lun: LunRecord;
  },
): DiskRecord {
  const { store } = context;
  const same = store.tables.disks.get(wanted.id);
  if (same !== undefined) throw refuse('add-disk/id-used', { id: same.id, disk: same.alias });
  const disk: DiskRecord = {
    id: wanted.id ?? newId(),
    kind: 'lun',
    alias: wanted.alias,
    description: wanted.description,
    virtualBytes: wanted.lun.units[0]?.sizeBytes ?? 0,
    sparse: false,
    shareable: wanted.shareable,
    wipeAfterDelete: false,
    propagateErrors: false,
    incrementalBackup: false,
    locked: false,
    createdMs: Date.now(),
    lun: wanted.lun,
  };
  store.write(() => {
    store.tables.disks.put(disk);
  });
  return disk;
}
