// Checkpoints of a VM, oldest first, and the disks in them.
import { needVm, type Context } from '../context';
import { checkpointsOf } from '../commands/backup-state';
import { removeCheckpoint } from '../commands/remove-checkpoint';
import { notFound } from '../faults';
import { done, many, one, param, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import type { CheckpointRecord } from '../state/backup-model';
import { wire, type Wire } from '../wire/description';
import { diskView } from './disk-views';
import { links, ref } from './links';

function view(checkpoint: CheckpointRecord): Wire {
  const own = ['vms', checkpoint.vmId, 'checkpoints', checkpoint.id];
  return wire(
    'checkpoint',
    {
      ...ref(...own),
      description: checkpoint.description,
      creation_date: new Date(checkpoint.createdMs),
      ...(checkpoint.parentId === undefined ? {} : { parent_id: checkpoint.parentId }),
      state: checkpoint.state,
      vm: ref('vms', checkpoint.vmId),
    },
    links(own, ['disks']),
  );
}

export function checkpointRoutes(context: Context): Route[] {
  const path = '/vms/:vm/checkpoints';
  const vmOf = (call: Call): string => needVm(context, param(call, 'vm')).id;
  const wanted = (call: Call): CheckpointRecord => {
    const checkpoint = context.store.tables.checkpoints.get(param(call, 'checkpoint'));
    if (checkpoint?.vmId !== vmOf(call)) throw notFound();
    return checkpoint;
  };
  const disks = (call: Call): Promise<Wire[]> =>
    Promise.all(
      wanted(call)
        .diskIds.flatMap((id) => context.store.tables.disks.get(id) ?? [])
        .map((disk) => diskView(context, disk)),
    );
  return [
    {
      method: 'GET',
      path,
      query: ['max'],
      handle: (call) => many('checkpoint', select(checkpointsOf(context, vmOf(call)), call, {}).map(view)),
    },
    { method: 'GET', path: `${path}/:checkpoint`, handle: (call) => one(view(wanted(call))) },
    {
      method: 'DELETE',
      path: `${path}/:checkpoint`,
      query: ['async'],
      handle: async (call) => done(await removeCheckpoint(context, vmOf(call), param(call, 'checkpoint'), call.actor)),
    },
    { method: 'GET', path: `${path}/:checkpoint/disks`, query: ['max'], handle: async (call) => many('disk', await disks(call)) },
  ];
}
