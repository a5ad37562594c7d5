// Disks on their own, and their volumes (disk snapshots).
import { activeImage, imagesOf, needDisk, needDomain, type Context } from '../context';
import { addDisk, addLun, type NewDisk } from '../commands/add-disk';
import { removeDisk } from '../commands/remove-disk';
import { resizeDisk } from '../commands/resize-disk';
import type { Actor } from '../events';
import { refuse } from '../refusals';
import { refuseLockedDisks } from '../commands/checks';
import { incomplete, invalidValue, notFound } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import type { VolumeFormat } from '../../host/port';
import type { DiskRecord, DomainRecord, ImageRecord, LunRecord } from '../state/model';
import type { Body } from '../wire/body';
import type { Wire } from '../wire/description';
import { diskSnapshotView, diskView } from './disk-views';

export const newDiskFields = [
  'id',
  'image_id',
  'alias',
  'name',
  'description',
  'provisioned_size',
  'initial_size',
  'format',
  'sparse',
  'shareable',
  'wipe_after_delete',
  'propagate_errors',
  'backup',
  'content_type',
  'storage_domains.id',
  'storage_domains.name',
  'storage_domain.id',
  'storage_domain.name',
];
const lunFields = ['lun_storage'];

function domainOf(context: Context, body: Body): DomainRecord | undefined {
  const [first] = body.list('storage_domains');
  const [id, name] = [first?.word('id') ?? body.word('storage_domain.id'), first?.word('name') ?? body.word('storage_domain.name')];
  if (id === undefined && name === undefined) throw incomplete('Disk', ['storageDomains.storageDomain.id|name']);
  return context.store.tables.domains.where((domain) => (id === undefined ? domain.name === name : domain.id === id.toLowerCase()))[0];
}

export function parseNewDisk(context: Context, call: Call, body: Body): NewDisk {
  const virtualBytes = body.int('provisioned_size');
  if (virtualBytes === undefined || !body.has('format')) throw incomplete('Disk', ['provisionedSize', 'format']);
  const format = body.word('format') ?? '';
  if (!isFormat(format)) throw invalidValue(format, 'DiskFormat');
  const contentType = body.word('content_type') ?? 'data';
  if (contentType !== 'data') throw invalidValue(contentType, 'DiskContentType (the lab makes data disks only)');
  const backup = body.word('backup') ?? 'none';
  if (backup !== 'none' && backup !== 'incremental') throw invalidValue(backup, 'DiskBackup');
  const [id, imageId] = [bodyId({ body }, 'id'), bodyId({ body }, 'image_id')];
  return {
    ...(id === undefined ? {} : { id }),
    ...(imageId === undefined ? {} : { imageId }),
    alias: body.word('alias') ?? body.word('name') ?? '',
    description: body.text('description') ?? '',
    domain: domainOf(context, body),
    virtualBytes,
    format,
    sparse: body.flag('sparse') ?? format === 'cow',
    shareable: body.flag('shareable') ?? false,
    wipeAfterDelete: body.flag('wipe_after_delete') ?? false,
    propagateErrors: body.flag('propagate_errors') ?? false,
    incrementalBackup: backup === 'incremental',
  };
}

function isFormat(word: string): word is VolumeFormat {
  return word === 'cow' || word === 'raw';
}

function parseLun(body: Body): LunRecord {
  const units = body.list('lun_storage.logical_units').map((unit) => {
    const id = unit.word('id');
    if (id === undefined) throw incomplete('LogicalUnit', ['id']);
    const [address, port, target, sizeBytes] = [unit.word('address'), unit.int('port'), unit.word('target'), unit.int('size')];
    return {
      id,
      ...(address === undefined ? {} : { address }),
      ...(port === undefined ? {} : { port }),
      ...(target === undefined ? {} : { target }),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
    };
  });
  const storageType = body.word('lun_storage.type');
  if (storageType === undefined || units.length === 0) throw incomplete('Disk', ['lunStorage.type', 'lunStorage.logicalUnits']);
  return { storageType, units };
}

async function create(context: Context, call: Call): Promise<Answer> {
  if (call.body.has('lun_storage')) {
    const { body } = call;
    const id = bodyId(call, 'id');
    const disk = addLun(context, {
      ...(id === undefined ? {} : { id }),
      alias: body.word('alias') ?? body.word('name') ?? '',
      description: body.text('description') ?? '',
      shareable: body.flag('shareable') ?? false,
      lun: parseLun(body),
    });
    return { kind: 'created', item: await diskView(context, disk) };
  }
  const { diskId, settled } = await addDisk(context, parseNewDisk(context, call, call.body), call.actor);
  const look = (): Promise<Wire> => diskView(context, needDisk(context, diskId));
  return { kind: 'created', item: await look(), settled, again: look };
}

async function update(context: Context, call: Call): Promise<Answer> {
  const disk = needDisk(context, param(call, 'disk'));
  await changeDisk(context, disk, call.body, call.actor);
  return one(await diskView(context, needDisk(context, disk.id)));
}

export const changedDiskFields = ['id', 'alias', 'name', 'description', 'provisioned_size', 'backup'];

/** Also of a disk inside an attachment. Whatever is changed, it takes the disk alone (UpdateDiskCommand), which a backup or a transfer may have. */
export async function changeDisk(context: Context, disk: DiskRecord, body: Body | undefined, actor: Actor): Promise<void> {
  const release = context.locks.take('edit disk', 'Cannot edit Virtual Disk', editLocks(context, disk));
  try {
    refuseLockedDisks([disk], 'update-disk/locked');
    await change(context, disk, body, actor);
  } finally {
    release();
  }
}

/** The engine puts no alias into the sentence that others get. */
function editLocks({ store }: Context, { id }: DiskRecord): Parameters<Context['locks']['take']>[2] {
  const vmIds = store.tables.attachments.where((row) => row.diskId === id && row.active).map(({ vmId }) => vmId);
  return [
    { kind: 'DISK', id, mode: 'exclusive', othersGet: { key: 'lock/hot-plug-disk', parameters: { disks: '${diskAliases}' } } },
    ...vmIds.map((vmId) => ({ kind: 'VM', id: vmId, mode: 'shared', othersGet: { key: 'lock/hot-plug-vm' } }) as const),
  ];
}

async function change(context: Context, disk: DiskRecord, body: Body | undefined, actor: Actor): Promise<void> {
  const alias = body?.word('alias') ?? body?.word('name');
  const description = body?.text('description');
  const backup = body?.word('backup');
  if (backup !== undefined) refuseBackup(context, disk, backup);
  const virtualBytes = body?.int('provisioned_size');
  if (virtualBytes !== undefined) await resizeDisk(context, disk, virtualBytes, actor);
  context.store.write(() => {
    context.store.tables.disks.patch(disk.id, {
      ...(alias === undefined ? {} : { alias }),
      ...(description === undefined ? {} : { description }),
      ...(backup === undefined ? {} : { incrementalBackup: backup === 'incremental' }),
    });
    context.events.record('diskUpdated', actor, { disk: alias ?? disk.alias });
  });
}

function refuseBackup(context: Context, disk: DiskRecord, backup: string): void {
  if (backup !== 'none' && backup !== 'incremental') throw invalidValue(backup, 'DiskBackup');
  if (backup === 'none' || activeImage(context, disk.id)?.format === 'cow') return;
  throw refuse('update-disk/configuration');
}

function searchFields(context: Context): SearchFields<DiskRecord> {
  return {
    id: (disk) => disk.id,
    name: (disk) => disk.alias,
    alias: (disk) => disk.alias,
    description: (disk) => disk.description,
    storage: (disk) => context.store.tables.domains.get(disk.domainId)?.name,
    vm: (disk) =>
      context.store.tables.attachments
        .where((attachment) => attachment.diskId === disk.id)
        .flatMap(({ vmId }) => context.store.tables.vms.get(vmId)?.name ?? []),
  };
}

export function diskRoutes(context: Context): Route[] {
  const { disks } = context.store.tables;
  const wanted = (call: Call): DiskRecord => needDisk(context, param(call, 'disk'));
  return [
    ...listRoute(context, '/disks', () => disks.all()),
    {
      method: 'POST',
      path: '/disks',
      body: { type: 'disk', accepts: [...newDiskFields, ...lunFields] },
      handle: (call) => create(context, call),
    },
    { method: 'GET', path: '/disks/:disk', handle: async (call) => one(await diskView(context, wanted(call))) },
    {
      method: 'PUT',
      path: '/disks/:disk',
      body: { type: 'disk', accepts: changedDiskFields },
      handle: (call) => update(context, call),
    },
    {
      method: 'DELETE',
      path: '/disks/:disk',
      query: ['async'],
      handle: (call) => done(removeDisk(context, param(call, 'disk'), call.actor)),
    },
    ...domainDiskRoutes(context),
    ...volumeRoutes(context),
  ];
}

function listRoute(context: Context, path: string, rows: (call: Call) => readonly DiskRecord[]): Route[] {
  const handle = async (call: Call): Promise<Answer> => {
    const found = select(rows(call), call, searchFields(context));
    return many('disk', await Promise.all(found.map((disk) => diskView(context, disk))));
  };
  return [{ method: 'GET', path, query: ['search', 'max', 'case_sensitive'], handle }];
}

function domainDiskRoutes(context: Context): Route[] {
  const rows = (call: Call): DiskRecord[] => {
    const domain = needDomain(context, param(call, 'domain'));
    return context.store.tables.disks.where((disk) => disk.domainId === domain.id);
  };
  const domainDisk = async (call: Call): Promise<Answer> => {
    const disk = rows(call).find(({ id }) => id === param(call, 'disk'));
    if (disk === undefined) throw notFound();
    return one(await diskView(context, disk));
  };
  return [
    ...listRoute(context, '/storagedomains/:domain/disks', rows),
    ...listRoute(context, '/datacenters/:dc/storagedomains/:domain/disks', rows),
    { method: 'GET', path: '/storagedomains/:domain/disks/:disk', handle: domainDisk },
  ];
}

/** The volumes of a disk or of a domain; the active ones only when they are asked for. */
function volumeRoutes(context: Context): Route[] {
  const { images } = context.store.tables;
  const list = (path: string, rows: (call: Call) => readonly ImageRecord[]): Route => ({
    method: 'GET',
    path,
    query: ['include_active'],
    handle: async (call) => {
      const found = rows(call).filter((image) => call.query.flag('include_active') || !image.active);
      return many('disk_snapshot', await Promise.all(found.map((image) => diskSnapshotView(context, image))));
    },
  });
  const inDomain = (call: Call): ImageRecord[] => {
    const domain = needDomain(context, param(call, 'domain'));
    return images.where((image) => image.domainId === domain.id);
  };
  const oneVolume = async (call: Call): Promise<Answer> => {
    const image = inDomain(call).find(({ id }) => id === param(call, 'volume'));
    if (image === undefined) throw notFound();
    return one(await diskSnapshotView(context, image));
  };
  return [
    list('/disks/:disk/disksnapshots', (call) => imagesOf(context, needDisk(context, param(call, 'disk')).id)),
    list('/storagedomains/:domain/disksnapshots', inDomain),
    { method: 'GET', path: '/storagedomains/:domain/disksnapshots/:volume', handle: oneVolume },
  ];
}
