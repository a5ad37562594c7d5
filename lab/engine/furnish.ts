// The first start: a data center with two clusters (one host each), two networks, two MAC pools and two file-based data domains.
import { randomBytes } from 'node:crypto';
import { newId } from './events';
import type { Context } from './context';
import type { MacPoolRecord, PlaceRecord } from './state/model';
import type { Account } from './http/sessions';
import { furnishPermissions } from './permissions/authority';

const passwordBytes = 12;
/** Who can log in beside the administrator; the engine hears of `holdfast` only when somebody adds it (POST /users). */
const directory = ['reader', 'nobody', 'holdfast'] as const;
/** Below this much free space (GiB) a domain takes nothing new. */
const criticalGib = 1;

export async function furnish(context: Context): Promise<void> {
  const { store, host } = context;
  store.write(() => {
    if (store.tables.installation.get('installation') === undefined) install(context);
    build(context);
  });
  for (const domain of store.tables.domains.all()) await host.createDomain(domain.id);
}

function install({ store }: Context): void {
  store.tables.installation.put({
    id: 'installation',
    instanceId: newId(),
    password: password(),
    limitedPasswords: Object.fromEntries(directory.map((name) => [name, password()])),
    nextEventIndex: 1,
  });
}

/** An older state has fewer of them. */
function addToDirectory({ store }: Context): void {
  const { limitedPasswords } = store.tables.installation.get('installation') ?? { limitedPasswords: {} };
  const missing = directory.filter((name) => !(name in limitedPasswords));
  if (missing.length > 0) store.tables.installation.patch('installation', { limitedPasswords: { ...limitedPasswords, ...Object.fromEntries(missing.map((name) => [name, password()])) } });
}

/** What is there stays as it is, so an older state gets what has been added to the lab since. The first of a kind is the default. */
function build(context: Context): void {
  const dataCenter = place(context, 'data_center', 'Default');
  for (const { cluster, host, macs } of [
    { cluster: 'Default', host: 'host-1', macs: { from: '56:6f:1a:b0:00:00', to: '56:6f:1a:b0:ff:ff' } },
    { cluster: 'Second', host: 'host-2', macs: { from: '56:6f:1a:b1:00:00', to: '56:6f:1a:b1:00:ff' } },
  ])
    place(context, 'host', host, place(context, 'cluster', cluster, dataCenter, macPool(context, cluster, macs)));
  for (const name of ['ovirtmgmt', 'backup-net']) place(context, 'vnic_profile', name, place(context, 'network', name, dataCenter));
  for (const name of ['data-1', 'data-2']) domain(context, name);
  addToDirectory(context);
  furnishPermissions(context);
}

function place({ store }: Context, kind: PlaceRecord['kind'], name: string, parent?: PlaceRecord, pool?: MacPoolRecord): PlaceRecord {
  const { places } = store.tables;
  const same = places.where((row) => row.kind === kind && row.name === name)[0];
  if (same !== undefined && same.macPoolId === pool?.id) return same;
  const row: PlaceRecord = {
    ...(same ?? { id: newId(), kind, name }),
    ...(parent === undefined ? {} : { parentId: parent.id }),
    ...(pool === undefined ? {} : { macPoolId: pool.id }),
  };
  places.put(row);
  return row;
}

function macPool({ store }: Context, name: string, range: MacPoolRecord['ranges'][number]): MacPoolRecord {
  const { macPools } = store.tables;
  const same = macPools.where((row) => row.name === name)[0];
  if (same !== undefined) return same;
  const isDefault = name === 'Default';
  const row: MacPoolRecord = { id: newId(), name, description: isDefault ? 'Default MAC pool' : '', isDefault, ranges: [range] };
  macPools.put(row);
  return row;
}

/** A domain may have been renamed by a client: so it is known by being the master or not. */
function domain({ store }: Context, name: string): void {
  const { domains } = store.tables;
  const master = name === 'data-1';
  if (domains.all().some((row) => row.master === master)) return;
  domains.put({ id: newId(), name, description: '', comment: '', status: 'active', master, backup: false, criticalGib });
}

/** Who may log in, the administrator first. What they may do then is a matter of permissions. */
export function accounts({ store }: Context): readonly Account[] {
  const installation = store.tables.installation.get('installation');
  if (installation === undefined) throw new Error('the lab has not been furnished');
  const others = Object.entries(installation.limitedPasswords).map(([name, secret]) => ({ userName: `${name}@internal`, password: secret }));
  return [{ userName: 'admin@internal', password: installation.password }, ...others];
}

const password = (): string => randomBytes(passwordBytes).toString('base64url');
