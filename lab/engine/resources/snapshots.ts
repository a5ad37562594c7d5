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

/** Snapshots that are being deleted are left out of the list, but answer by id. */
function listed(context: Context, vmId: string): SnapshotRecord[] {
  const deleting = new Set(
    context.store.tables.operations.all().flatMap((operation) => (operation.kind === 'remove-snapshot' ? [operation.snapshotId] : [])),
  );
  return snapshotsOf(context, vmId).filter((snapshot) => !deleting.has(snapshot.id));
}

export function snapshotRoutes(context: Context): Route[] {
  const path = '/vms/:vm/snapshots';
  const wanted = (call: Call): SnapshotRecord => needSnapshot(context, needVm(context, param(call, 'vm')).id, param(call, 'snapshot'));
  const fields = { id: (row: SnapshotRecord) => row.id, description: (row: SnapshotRecord) => row.description };
  const disks = (call: Call): Promise<Wire[]> =>
    Promise.all(imagesOfSnapshot(context, wanted(call).id).map((image) => snapshotDiskView(context, wanted(call), image)));
  return [
    {
      method: 'GET',
      path,
      query: ['max'],
      handle: (call) =>
        many(
          'snapshot',
          select(listed(context, needVm(context, param(call, 'vm')).id), call, fields).map((row) => view(row, call.allContent)),
        ),
    },
    {
      method: 'POST',
      path,
      body: {
        type: 'snapshot',
        accepts: [
          'description',
          'persist_memorystate',
          'disk_attachments.disk.id',
          'disk_attachments.disk.image_id',
          'disk_attachments.id',
        ],
      },
      handle: (call) => create(context, call),
    },
    { method: 'GET', path: `${path}/:snapshot`, handle: (call) => one(view(wanted(call), call.allContent)) },
    {
      method: 'DELETE',
      path: `${path}/:snapshot`,
      query: ['async'],
      handle: async (call) => done(await removeSnapshot(context, param(call, 'vm'), param(call, 'snapshot'), call.actor)),
    },
    {
      method: 'POST',
      path: `${path}/:snapshot/restore`,
      action: true,
      query: ['async'],
      body: { type: 'action', accepts: ['restore_memory', 'async'] },
      handle: async (call) => {
        if (call.body.flag('restore_memory') === true) throw unsupported('restore_memory: the lab does not save memory');
        await restoreSnapshot(context, needVm(context, param(call, 'vm')).id, wanted(call).id, call.actor);
        return done();
      },
    },
    { method: 'GET', path: `${path}/:snapshot/disks`, query: ['max'], handle: async (call) => many('disk', await disks(call)) },
    {
      method: 'GET',
      path: `${path}/:snapshot/disks/:disk`,
      handle: async (call) => {
        const found = (await disks(call)).find((disk) => disk.fields['id'] === param(call, 'disk'));
        if (found === undefined) throw entityNotFound(param(call, 'disk'));
        return one(found);
      },
    },
  ];
}
