// MAC pools, read-only: which addresses the NICs of a cluster's VMs get.
import type { Context } from '../context';
import { notFound } from '../faults';
import { many, one, param, type Route } from '../http/call';
import type { MacPoolRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { ref } from './links';

function view(pool: MacPoolRecord): Wire {
  return wire('mac_pool', {
    ...ref('macpools', pool.id),
    name: pool.name,
    description: pool.description,
    allow_duplicates: false,
    default_pool: pool.isDefault,
    ranges: pool.ranges.map(({ from, to }) => ({ from, to })),
  });
}

export function macPoolRoutes({ store }: Context): Route[] {
  return [
    { method: 'GET', path: '/macpools', query: ['max'], handle: () => many('mac_pool', store.tables.macPools.all().map(view)) },
    {
      method: 'GET',
      path: '/macpools/:pool',
      handle: (call) => {
        const pool = store.tables.macPools.get(param(call, 'pool'));
        if (pool === undefined) throw notFound();
        return one(view(pool));
      },
    },
  ];
}
