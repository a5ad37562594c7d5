// The first start: data center, cluster, host, network and one file-based data domain, as a fresh oVirt has them.
import { randomBytes } from 'node:crypto';
import { newId } from './events';
import type { Context } from './context';
import type { PlaceRecord } from './state/model';
import type { Account } from './http/sessions';

const passwordBytes = 12;
/** Below this much free space (GiB) a domain takes nothing new. */
const criticalGib = 1;

function place(kind: PlaceRecord['kind'], name: string, parent?: PlaceRecord): PlaceRecord {
  return { id: newId(), kind, name, ...(parent === undefined ? {} : { parentId: parent.id }) };
}

export async function furnish(context: Context): Promise<void> {
  const { store, host } = context;
  if (store.tables.installation.get('installation') === undefined)
    store.write(() => {
      build(context);
    });
  for (const domain of store.tables.domains.all()) await host.createDomain(domain.id);
}

function build({ store }: Context): void {
  const { places, domains, installation } = store.tables;
  const dataCenter = place('data_center', 'Default');
  const cluster = place('cluster', 'Default', dataCenter);
  const network = place('network', 'ovirtmgmt', dataCenter);
  for (const row of [dataCenter, cluster, place('host', 'host-1', cluster), network, place('vnic_profile', 'ovirtmgmt', network)])
    places.put(row);
  domains.put({ id: newId(), name: 'data-1', description: '', comment: '', status: 'active', master: true, backup: false, criticalGib });
  const password = (): string => randomBytes(passwordBytes).toString('base64url');
  installation.put({
    id: 'installation',
    instanceId: newId(),
    password: password(),
    limitedPasswords: { reader: password(), nobody: password() },
    nextEventIndex: 1,
  });
}

/** Who may log in: the administrator, one who may only read, one without any permission. */
export function accounts({ store }: Context): readonly Account[] {
  const installation = store.tables.installation.get('installation');
  if (installation === undefined) throw new Error('the lab has not been furnished');
  return [
    { userName: 'admin@internal', role: 'superuser', password: installation.password },
    { userName: 'reader@internal', role: 'reader', password: installation.limitedPasswords['reader'] ?? '' },
    { userName: 'nobody@internal', role: 'none', password: installation.limitedPasswords['nobody'] ?? '' },
  ];
}
