// Snapshots of a VM and what they froze.
import { imagesOfSnapshot, needSnapshot, needVm, snapshotsOf, type Context } from '../context';
import { createSnapshot } from '../commands/create-snapshot';
import { restoreSnapshot } from '../commands/end-preview';
import { removeSnapshot } from '../commands/remove-snapshot';
import { entityNotFound, incomplete, invalidUuid, isUuid, unsupported } from '../faults';
import { done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import type { SnapshotRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { snapshotDiskView } from './disk-views';
import { href, links, ref } from './links';

function view(snapshot: SnapshotRecord, allContent: boolean): Wire {
  const own = ['vms', snapshot.vmId, 'snapshots', snapshot.id];
  const configuration =
    allContent && snapshot.configuration !== undefined
      ? { initialization: { configuration: { type: 'ovf', data: snapshot.configuration } } }
      : {};
  return wire(
    'snapshot',
    {
      ...ref(...own),
      date: new Date(snapshot.createdMs),
      description: snapshot.description,
      ...configuration,
      persist_memorystate: false,
      snapshot_status: snapshot.status,
      snapshot_type: snapshot.type,
      vm: ref('vms', snapshot.vmId),
    },
    snapshot.type === 'active' ? [] : links(own, ['disks']),
    snapshot.type === 'active' ? [] : [{ rel: 'restore', href: href(...own, 'restore') }],
  );
}

async function create(context: Context, call: Call): Promise<Answer> {
  const vm = needVm(context, param(call, 'vm'));
  const description = call.body.text('description');
  if (description === undefined) throw incomplete('Snapshot', ['description']);
  const named = call.body
    .list('disk_attachments')
    .map((attachment) => ({ id: attachment.word('disk.id'), imageId: attachment.word('disk.image_id')?.toLowerCase() }));
  const malformed = named.flatMap(({ id, imageId }) => [id, imageId]).find((id) => id !== undefined && !isUuid(id));
  if (malformed !== undefined) throw invalidUuid(malformed);
  const disks = named.map(({ id, imageId }) => {
    if (id === undefined) throw incomplete('DiskAttachment', ['disk.id']);
    return { diskId: id.toLowerCase(), ...(imageId === undefined ? {} : { imageId }) };
  });
  const { snapshotId, settled } = await createSnapshot(
    context,
    {
      vmId: vm.id,
      description,
      saveMemory: call.body.flag('persist_memorystate') ?? true,
      ...(call.body.has('disk_attachments') ? { disks } : {}),
    },
    call.actor,
  );
  // The answer to the POST holds the OVF already (observed).
  const look = (): Wire => view(needSnapshot(context, vm.id, snapshotId), true);
  return { kind: 'created', item: look(), settled, again: () => Promise.resolve(look()) };
}

const path = '/vms/:vm/snapshots';
const createAccepts = [
  'description',
  'persist_memorystate',
  'disk_attachments.id',
  'disk_attachments.disk.id',
  'disk_attachments.disk.image_id',
];

export function snapshotRoutes(context: Context): Route[] {
  const vmOf = (call: Call): string => needVm(context, param(call, 'vm')).id;
  const wanted = (call: Call): SnapshotRecord => needSnapshot(context, vmOf(call), param(call, 'snapshot'));
  // Those that are being merged as well, as `locked` (BackendSnapshotsResource: only one that vanishes while the list is made is left out).
  const list = (call: Call): Answer =>
    many(
      'snapshot',
      select(snapshotsOf(context, vmOf(call)), call, {}).map((row) => view(row, call.allContent)),
    );
  const remove = async (call: Call): Promise<Answer> =>
    done(await removeSnapshot(context, vmOf(call), param(call, 'snapshot'), call.actor));
  const restore = async (call: Call): Promise<Answer> => {
    if (call.body.flag('restore_memory') === true) throw unsupported('restore_memory: the lab does not save memory');
    await restoreSnapshot(context, vmOf(call), wanted(call).id, call.actor);
    return done();
  };
  const restoreBody = { type: 'action', accepts: ['restore_memory', 'async'] };
  return [
    { method: 'GET', path, query: ['max'], handle: list },
    { method: 'POST', path, body: { type: 'snapshot', accepts: createAccepts }, handle: (call) => create(context, call) },
    { method: 'GET', path: `${path}/:snapshot`, handle: (call) => one(view(wanted(call), call.allContent)) },
    { method: 'DELETE', path: `${path}/:snapshot`, query: ['async'], handle: remove },
    { method: 'POST', path: `${path}/:snapshot/restore`, action: true, query: ['async'], body: restoreBody, handle: restore },
    ...snapshotDiskRoutes(context, wanted),
  ];
}

function snapshotDiskRoutes(context: Context, wanted: (call: Call) => SnapshotRecord): Route[] {
  const disks = (call: Call): Promise<Wire[]> => {
    const snapshot = wanted(call);
    return Promise.all(imagesOfSnapshot(context, snapshot.id).map((image) => snapshotDiskView(context, snapshot, image)));
  };
  const oneDisk = async (call: Call): Promise<Answer> => {
    const found = (await disks(call)).find((disk) => disk.fields['id'] === param(call, 'disk'));
    if (found === undefined) throw entityNotFound(param(call, 'disk'));
    return one(found);
  };
  return [
    { method: 'GET', path: `${path}/:snapshot/disks`, handle: async (call) => many('disk', await disks(call)) },
    { method: 'GET', path: `${path}/:snapshot/disks/:disk`, handle: oneDisk },
  ];
}
