// Data centers, clusters, hosts, networks and vNIC profiles: the fixed furniture, read-only.
import { placesOf, type Context } from '../context';
import { notFound } from '../faults';
import { many, one, param, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import { blankId } from '../ovf/words';
import type { PlaceRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

const level = { major: 4, minor: 7 };
const named: SearchFields<PlaceRecord> = { id: (place) => place.id, name: (place) => place.name };
const listQuery = ['search', 'max', 'case_sensitive'];

function dataCenter(place: PlaceRecord): Wire {
  return wire(
    'data_center',
    {
      ...ref('datacenters', place.id),
      name: place.name,
      description: '',
      local: false,
      status: 'up',
      storage_format: 'v5',
      version: level,
    },
    links(['datacenters', place.id], ['clusters', 'networks', 'storagedomains']),
  );
}

function cluster(place: PlaceRecord): Wire {
  return wire('cluster', {
    ...ref('clusters', place.id),
    name: place.name,
    description: '',
    bios_type: 'q35_ovmf',
    cpu: { architecture: 'x86_64', type: 'Secure Intel Cascadelake Server Family' },
    data_center: ref('datacenters', place.parentId ?? ''),
    ...(place.macPoolId === undefined ? {} : { mac_pool: ref('macpools', place.macPoolId) }),
    version: level,
  });
}

function host(place: PlaceRecord): Wire {
  return wire('host', {
    ...ref('hosts', place.id),
    name: place.name,
    comment: '',
    address: 'localhost',
    cluster: ref('clusters', place.parentId ?? ''),
    status: 'up',
    type: 'rhel',
    spm: { priority: 5, status: place.name === 'host-1' ? 'spm' : 'none' },
  });
}

function network(place: PlaceRecord): Wire {
  return wire(
    'network',
    {
      ...ref('networks', place.id),
      name: place.name,
      description: '',
      data_center: ref('datacenters', place.parentId ?? ''),
      mtu: 0,
      stp: false,
      usages: ['vm'],
      vdsm_name: place.name,
    },
    links(['networks', place.id], ['vnicprofiles']),
  );
}

function vnicProfile(place: PlaceRecord): Wire {
  return wire('vnic_profile', {
    ...ref('vnicprofiles', place.id),
    name: place.name,
    network: ref('networks', place.parentId ?? ''),
    port_mirroring: false,
  });
}

function collection(context: Context, path: string, kind: PlaceRecord['kind'], view: (place: PlaceRecord) => Wire): Route[] {
  const type = view({ id: blankId, kind, name: '' }).type;
  const find = (id: string): PlaceRecord => {
    const found = placesOf(context, kind).find((place) => place.id === id);
    if (found === undefined) throw notFound();
    return found;
  };
  return [
    {
      method: 'GET',
      path: `/${path}`,
      query: listQuery,
      handle: (call) => many(type, select(placesOf(context, kind), call, named).map(view)),
    },
    { method: 'GET', path: `/${path}/:id`, handle: (call) => one(view(find(param(call, 'id')))) },
  ];
}

/** `/datacenters/{id}/clusters` and the like. */
function children(context: Context, path: string, kind: PlaceRecord['kind'], view: (place: PlaceRecord) => Wire): Route {
  const type = view({ id: blankId, kind, name: '' }).type;
  return {
    method: 'GET',
    path,
    query: ['max'],
    handle: (call: Call) => {
      if (context.store.tables.places.get(param(call, 'id')) === undefined) throw notFound();
      return many(
        type,
        select(
          placesOf(context, kind).filter((place) => place.parentId === param(call, 'id')),
          call,
          named,
        ).map(view),
      );
    },
  };
}

export function placeRoutes(context: Context): Route[] {
  return [
    ...collection(context, 'datacenters', 'data_center', dataCenter),
    ...collection(context, 'clusters', 'cluster', cluster),
    ...collection(context, 'hosts', 'host', host),
    ...collection(context, 'networks', 'network', network),
    ...collection(context, 'vnicprofiles', 'vnic_profile', vnicProfile),
    children(context, '/datacenters/:id/clusters', 'cluster', cluster),
    children(context, '/datacenters/:id/networks', 'network', network),
    children(context, '/networks/:id/vnicprofiles', 'vnic_profile', vnicProfile),
  ];
}
