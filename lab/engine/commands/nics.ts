// Network interfaces of VMs and their addresses from the cluster's MAC pool. Records only: the lab's guests have no network.
import { placesOf, type Context } from '../context';
import { newId } from '../events';
import { refuse, type Phrase } from '../refusals';
import type { NicModel, NicRecord, VmRecord } from '../state/model';

/** The lowest free address of the cluster's pool. `C` is the phrase of the one who asks. */
export function freeMac({ store }: Context, clusterId: string, C: Phrase): string {
  const used = new Set(store.tables.nics.all().map((nic) => nic.mac));
  const pool = store.tables.macPools.get(store.tables.places.get(clusterId)?.macPoolId);
  for (const { from, to } of pool?.ranges ?? []) {
    for (let number = toNumber(from); number <= toNumber(to); number += 1) {
      const mac = toMac(number);
      if (!used.has(mac)) return mac;
    }
  }
  throw refuse('nic/pool-empty', { C });
}

function toNumber(mac: string): number {
  return Number.parseInt(mac.replaceAll(':', ''), 16);
}

function toMac(number: number): string {
  return (number.toString(16).padStart(12, '0').match(/../g) ?? []).join(':');
}

export interface NewNic {
  readonly name: string;
  readonly interface: NicModel;
  readonly mac: string | undefined;
  readonly profileId: string | undefined;
  readonly linked: boolean;
  readonly plugged: boolean;
}

export function addNic(context: Context, vm: VmRecord, wanted: NewNic): NicRecord {
  const { store } = context;
  if (store.tables.nics.where((nic) => nic.vmId === vm.id).some((nic) => nic.name === wanted.name)) throw refuse('nic/name-used');
  const mac = wanted.mac?.toLowerCase();
  const owner = mac === undefined ? undefined : store.tables.nics.all().find((nic) => nic.mac === mac);
  if (mac !== undefined && owner !== undefined) throw refuse('nic/mac-used', { mac, vm: store.tables.vms.get(owner.vmId)?.name ?? owner.vmId });
  const nic: NicRecord = {
    id: newId(),
    vmId: vm.id,
    name: wanted.name,
    mac: mac ?? freeMac(context, vm.clusterId, 'Cannot add Interface'),
    interface: wanted.interface,
    linked: wanted.linked,
    plugged: wanted.plugged,
    ...(wanted.profileId === undefined ? {} : { profileId: wanted.profileId }),
  };
  store.write(() => {
    store.tables.nics.put(nic);
  });
  return nic;
}

export function profileOfNetwork(context: Context, networkName: string): string | undefined {
  const network = placesOf(context, 'network').find((candidate) => candidate.name === networkName);
  return placesOf(context, 'vnic_profile').find((candidate) => network !== undefined && candidate.parentId === network.id)?.id;
}
