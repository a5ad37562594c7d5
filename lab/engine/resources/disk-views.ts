// How disks look: on their own, inside a snapshot, and each volume as a disk snapshot.
import { activeImage, chainOf, imagesOf, volumeRef, type Context } from '../context';
import type { DiskRecord, ImageRecord, SnapshotRecord } from '../state/model';
import { wire, type Wire, type WireObject } from '../wire/description';
import { diskStatus, imageStatus } from '../disk-status';
import { href, links, ref } from './links';

async function actualBytes(context: Context, image: ImageRecord | undefined): Promise<number> {
  return image === undefined ? 0 : ((await context.volumes.info(volumeRef(image)))?.actualBytes ?? 0);
}

function common(disk: DiskRecord): WireObject {
  return {
    name: disk.alias,
    alias: disk.alias,
    description: disk.description,
    content_type: disk.contentType ?? 'data',
    propagate_errors: disk.propagateErrors,
    shareable: disk.shareable,
    wipe_after_delete: disk.wipeAfterDelete,
    storage_type: disk.kind,
  };
}

export async function diskView(context: Context, disk: DiskRecord): Promise<Wire> {
  if (disk.kind === 'lun') return lunView(disk);
  const image = activeImage(context, disk.id);
  const sizes = await Promise.all(imagesOf(context, disk.id).map((each) => actualBytes(context, each)));
  return wire(
    'disk',
    {
      ...ref('disks', disk.id),
      ...common(disk),
      actual_size: await actualBytes(context, image),
      total_size: sizes.reduce((sum, bytes) => sum + bytes, 0),
      backup: disk.incrementalBackup ? 'incremental' : 'none',
      ...(disk.backupMode === undefined ? {} : { backup_mode: disk.backupMode }),
      format: image?.format ?? 'raw',
      image_id: image?.id,
      provisioned_size: disk.virtualBytes,
      ...(image?.format === 'cow' ? { qcow_version: 'qcow2_v3' } : {}),
      sparse: disk.sparse || image?.format === 'cow',
      status: await diskStatus(context, disk),
      storage_domains: [ref('storagedomains', disk.domainId ?? '')],
    },
    links(['disks', disk.id], ['disksnapshots']),
  );
}

function lunView(disk: DiskRecord): Wire {
  const units =
    disk.lun?.units.map((unit): WireObject => ({
      id: unit.id,
      address: unit.address,
      port: unit.port,
      target: unit.target,
      size: unit.sizeBytes,
    })) ?? [];
  return wire('disk', {
    ...ref('disks', disk.id),
    ...common(disk),
    lun_storage: { type: disk.lun?.storageType, logical_units: units },
    status: 'ok',
  });
}

/** In a snapshot a disk keeps its own id; what is frozen is told by `image_id`. */
export async function snapshotDiskView(context: Context, snapshot: SnapshotRecord, image: ImageRecord): Promise<Wire> {
  const disk = context.store.tables.disks.get(image.diskId);
  if (disk === undefined) throw new Error(`volume ${image.id} belongs to no disk`);
  const own = ['vms', snapshot.vmId, 'snapshots', snapshot.id];
  return wire('disk', {
    href: href(...own, 'disks', disk.id),
    id: disk.id,
    ...common(disk),
    actual_size: await actualBytes(context, image),
    backup: disk.incrementalBackup ? 'incremental' : 'none',
    format: image.format,
    image_id: image.id,
    provisioned_size: disk.virtualBytes,
    snapshot: ref(...own),
    sparse: disk.sparse || image.format === 'cow',
    status: await imageStatus(context, disk, image),
    storage_domains: [ref('storagedomains', image.domainId)],
  });
}

/** The id of a disk snapshot is its volume's. */
export async function diskSnapshotView(context: Context, image: ImageRecord): Promise<Wire> {
  const disk = context.store.tables.disks.get(image.diskId);
  if (disk === undefined) throw new Error(`volume ${image.id} belongs to no disk`);
  const snapshot = context.store.tables.snapshots.get(image.snapshotId);
  const parent = chainOf(context, image).at(-2);
  const path = (id: string): WireObject => ref('storagedomains', image.domainId, 'disksnapshots', id);
  return wire('disk_snapshot', {
    ...path(image.id),
    ...common(disk),
    actual_size: await actualBytes(context, image),
    disk: ref('disks', disk.id),
    format: image.format,
    image_id: image.id,
    ...(parent === undefined ? {} : { parent: path(parent.id) }),
    provisioned_size: disk.virtualBytes,
    description: snapshot?.description ?? '',
    ...(snapshot === undefined ? {} : { snapshot: { ...ref('vms', snapshot.vmId, 'snapshots', snapshot.id) } }),
    sparse: disk.sparse || image.format === 'cow',
    status: await imageStatus(context, disk, image),
    storage_domains: [ref('storagedomains', image.domainId)],
  });
}
