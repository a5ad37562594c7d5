// Network interfaces of VMs and the MAC address pool. Records only: the lab's guests have no network.
import { placesOf, type Context } from '../context';
import { newId } from '../events';
import { refuse } from '../refusals';
import type { NicModel, NicRecord, VmRecord } from '../state/model';

/** oVirt's own prefix; the lab's pool is the last two bytes. */
const poolPrefix = '56:6f:1a:b0';
const poolSize = 65_536;

export function freeMac({ store }: Context): string {
  const used = new Set(store.tables.nics.all().map((nic) => nic.mac));
  for (let number = 0; number < poolSize; number += 1) {
    const mac = `${poolPrefix}:${hex(number >> 8)}:${hex(number & 255)}`;
    if (!used.has(mac)) return mac;
  }
  throw new Error('not enough MAC addresses left in the MAC address pool');
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
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
  if (mac !== undefined && store.tables.nics.all().some((nic) => nic.mac === mac)) throw refuse('nic/mac-used', { mac });
  const nic: NicRecord = {
    id: newId(),
    vmId: vm.id,
    name: wanted.name,
    mac: mac ?? freeMac(context),
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
