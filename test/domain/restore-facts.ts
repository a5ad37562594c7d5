// A backup and an engine that fit each other, for the tables about planning a restore: each row changes one thing.
import { randomUUID } from 'node:crypto';
import type { DiskFacts } from '../../domain/plan/backup';
import type { RestoreAsked, RestoreFacts, SavedVm } from '../../domain/plan/restore';
import type { VnicProfileFacts } from '../../domain/plan/restore-nics';
import type { ClusterFacts, DomainFacts, SavedDisk } from '../../domain/plan/restore-places';
import type { OldVmFacts } from '../../domain/plan/restore-target';

export const [center, otherCenter] = [randomUUID(), randomUUID()];
export const cluster: ClusterFacts = { id: randomUUID(), name: 'Default', dataCenterId: center, macPoolId: randomUUID() };
export const domain = (changes: Partial<DomainFacts> = {}): DomainFacts => ({ id: randomUUID(), name: 'data', type: 'data', status: 'active', availableBytes: 1000, backup: false, dataCenterId: center, ...changes });
export const home = domain();

export const disk = (changes: Partial<SavedDisk> = {}): SavedDisk => ({
  diskId: randomUUID(), alias: 'system', description: '', virtualBytes: 500, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false, interface: 'virtio_scsi',
  bootable: true, active: true, readOnly: false, passDiscard: false, storageDomainId: home.id, dataBytes: 100, ...changes,
});

export const profile = (networkName: string, name = networkName, dataCenterId = center): VnicProfileFacts => ({ id: randomUUID(), name, networkId: randomUUID(), networkName, dataCenterId });
export const vmId = randomUUID();
const saved: SavedVm = {
  vmId, name: 'demo', clusterId: cluster.id, clusterName: cluster.name, disks: [disk()], leftOut: [],
  nics: [{ name: 'nic1', mac: '56:6f:00:00:00:01', network: 'ovirtmgmt', profile: 'ovirtmgmt' }, { name: 'nic2', mac: '56:6F:00:00:00:02', network: 'dmz', profile: 'fast' }],
};
const asked: RestoreAsked = { engine: 'lab', as: 'new', name: 'demo-restored', storageDomainMap: [], storageDomainOfDisk: [], networks: [], macOfNic: [], oldDisks: 'restored' };

export interface Changes extends Partial<Omit<RestoreFacts, 'asked' | 'saved'>> {
  readonly asked?: Partial<RestoreAsked>;
  readonly saved?: Partial<SavedVm> | 'unread';
}

export function facts({ asked: asks, saved: has, ...changes }: Changes = {}): RestoreFacts {
  return {
    asked: { ...asked, ...asks }, clusters: [cluster], domains: [home], takenDiskIds: [], macsInUse: [], poolsWithDuplicates: [],
    profiles: [profile('ovirtmgmt'), profile('dmz', 'fast')],
    ...(has === 'unread' ? {} : { saved: { ...saved, ...has } }),
    ...changes,
  };
}

export const oldDisk = (changes: Partial<Omit<DiskFacts, 'settings'>> & { readonly settings?: Partial<SavedDisk> } = {}): DiskFacts => ({ status: 'ok', storageType: 'image', shareable: false, contentType: 'data', ...changes, settings: disk(changes.settings) });

export function oldVm({ vm, ...changes }: Partial<Omit<OldVmFacts, 'vm'>> & { readonly vm?: Partial<OldVmFacts['vm']> } = {}): OldVmFacts {
  return { vm: { id: vmId, name: 'demo', status: 'down', statusText: 'down', clusterId: randomUUID(), deleteProtected: false, ...vm }, snapshots: [{ description: 'Active VM', status: 'ok', type: 'active' }], disks: [oldDisk()], isAppliance: false, ...changes };
}
