// An engine in memory WITH RULES: it locks, refuses and takes its time as the real one does (facts: engine-rules), loses replies on
// demand, and passes the same contract as the HTTP adapter. It serves no bytes.
import { randomUUID } from 'node:crypto';
import { neededPermits, type PermissionFacts } from '../../domain/doctor/judge-engine';
import type { Attachment, Cluster, Disk, Engine, NewDisk, Nic, Snapshot, SnapshotDisk, StorageDomain, Vm, VmDisk, VnicProfile } from '../../adapters/ovirt/port';
import { readOvf } from '../../domain/ovf';
import { FakeEngineBackups } from './fake-engine-backups';
import { fakeIds, freeMac, look, refuse, type FakeAttachment, type FakeDisk, type FakeSnapshot, type FakeVm } from './fake-world';

/** How a snapshot that is being made ends: usable, gone again, or `ok` by its status but with an event that says otherwise. */
export type SnapshotEnd = 'usable' | 'vanishes' | { readonly unusableByEvent: number };

export class FakeEngine extends FakeEngineBackups implements Engine {
  readonly domains: StorageDomain[] = [{ id: fakeIds.domain, name: 'data', type: 'data', status: 'active', availableBytes: 2 ** 40, backup: false, dataCenterId: fakeIds.dataCenter }];
  readonly clusters: Cluster[] = [{ id: fakeIds.cluster, name: 'Default', dataCenterId: fakeIds.dataCenter, macPoolId: fakeIds.macPool }];
  readonly vnicProfiles: VnicProfile[] = [{ id: fakeIds.profile, name: 'ovirtmgmt', networkId: fakeIds.network, networkName: 'ovirtmgmt', dataCenterId: fakeIds.dataCenter }];
  /** Looks that an unplug takes. */
  unplugLooks = 0;
  snapshotEnd: SnapshotEnd = 'usable';
  /** Merges that fail before one succeeds. */
  failingMerges = 0;
  vmStartFails = false;
  newDiskIsIllegal = false;

  add(vm: FakeVm, ...disks: readonly FakeDisk[]): FakeVm {
    this.vms.set(vm.id, vm);
    for (const disk of disks) {
      this.disks.set(disk.settings.diskId, disk);
      vm.attachments.set(disk.settings.diskId, { diskId: disk.settings.diskId, active: disk.settings.active, interface: disk.settings.interface, readOnly: false, bootable: disk.settings.bootable });
    }
    return vm;
  }

  // — reading —
  about = (): ReturnType<Engine['about']> => this.read('about', () => ({ product: 'oVirt Engine', version: '4.5.8' }));
  getVm = (vmId: string): Promise<Vm | undefined> => this.read('getVm', () => this.vmView(this.vms.get(vmId)));
  findVmByName = (name: string): Promise<Vm | undefined> => this.read('findVmByName', () => this.vmView([...this.vms.values()].find((vm) => vm.name === name)));
  listVms = ({ search, max, page }: Parameters<Engine['listVms']>[0]): Promise<readonly Vm[]> =>
    this.read('listVms', () => {
      const wanted = /^name=(.*)$/.exec(search ?? '')?.[1];
      const tag = /^tag="(.*)"$/.exec(search ?? '')?.[1];
      const pattern = wanted === undefined ? /./ : new RegExp(`^${wanted.replaceAll('*', '.*')}$`);
      return [...this.vms.values()].filter((vm) => pattern.test(vm.name) && (tag === undefined || vm.tags?.includes(tag) === true)).sort((a, b) => a.name.localeCompare(b.name)).slice((page - 1) * max, page * max).map((vm) => this.vmView(vm)).filter((vm) => vm !== undefined);
    });
  listVmDisks = (vmId: string): Promise<readonly VmDisk[]> =>
    this.read('listVmDisks', () => [...this.vmOf(vmId).attachments.values()].flatMap(({ diskId, ...attachment }) => {
      const disk = this.disks.get(diskId);
      if (!disk) return [];
      const { settings, status, storageType, shareable, contentType, actualBytes } = look(disk);
      return [{ settings: { ...settings, active: attachment.active, interface: attachment.interface, bootable: attachment.bootable }, status, storageType, shareable, contentType, actualBytes }];
    }));
  listSnapshots = (vmId: string): Promise<readonly Snapshot[]> => this.read('listSnapshots', () => [...this.vmOf(vmId).snapshots.values()].map((each) => snapshotView(look(each))));
  getSnapshot = (vmId: string, snapshotId: string): Promise<Snapshot | undefined> =>
    this.read('getSnapshot', () => {
      const { snapshots = new Map<string, FakeSnapshot>() } = this.vms.get(vmId) ?? {};
      const found = snapshots.get(snapshotId);
      if (found) look(found);
      return snapshots.has(snapshotId) && found ? snapshotView(found) : undefined;
    });
  listSnapshotDisks = (vmId: string, snapshotId: string): Promise<readonly SnapshotDisk[]> => this.read('listSnapshotDisks', () => [...this.snapshotOf(vmId, snapshotId).volumes].map(([diskId, imageId]) => ({ diskId, imageId, status: 'ok' })));
  getSnapshotConfiguration = (vmId: string, snapshotId: string): Promise<string> => this.read('getSnapshotConfiguration', () => this.snapshotOf(vmId, snapshotId).ovf);
  listAttachments = (vmId: string): Promise<readonly Attachment[]> => this.read('listAttachments', () => [...this.vmOf(vmId).attachments.values()].map((each) => attachmentView(look(each))));
  getAttachment = (vmId: string, diskId: string): Promise<Attachment | undefined> =>
    this.read('getAttachment', () => {
      const attachments = this.vms.get(vmId)?.attachments;
      const found = attachments?.get(diskId);
      if (found) look(found);
      return found && attachments?.has(diskId) ? attachmentView(found) : undefined;
    });
  getDisk = (diskId: string): Promise<Disk | undefined> =>
    this.read('getDisk', () => {
      const found = this.disks.get(diskId);
      if (found) look(found);
      return found && this.disks.has(diskId) ? { id: diskId, alias: found.settings.alias, status: found.status, virtualBytes: found.settings.virtualBytes } : undefined;
    });
  /** SuperUser on System, unless a test takes something away. */
  permissions: readonly PermissionFacts[] = [{ role: 'SuperUser', on: 'system', permits: neededPermits.map(({ permit }) => permit) }];
  ownPermissions = (): Promise<readonly PermissionFacts[]> => Promise.resolve(this.permissions);

  getVmConfiguration = (vmId: string): Promise<string> => this.read('getVmConfiguration', () => this.ovfOf(this.vmOf(vmId), [...this.vmOf(vmId).attachments.keys()].map((diskId) => this.diskOf(diskId))));
  listNics = (): Promise<readonly Nic[]> => this.read('listNics', () => [...this.vms.values()].flatMap((vm) => vm.nics.map(({ mac }) => ({ vmId: vm.id, vmName: vm.name, clusterId: vm.clusterId, mac }))));
  listVnicProfiles = (): Promise<readonly VnicProfile[]> => this.read('listVnicProfiles', () => this.vnicProfiles);
  macPoolAllowsDuplicates = (): Promise<boolean> => this.read('macPoolAllowsDuplicates', () => false);
  listClusters = (): Promise<readonly Cluster[]> => this.read('listClusters', () => this.clusters);
  listStorageDomains = (): Promise<readonly StorageDomain[]> => this.read('listStorageDomains', () => this.domains);

  // — snapshots —
  createSnapshot = ({ vmId, description, diskIds }: Parameters<Engine['createSnapshot']>[0]): ReturnType<Engine['createSnapshot']> =>
    this.change('createSnapshot', () => {
      const vm = this.vmOf(vmId);
      this.refuseInBackup(vmId, ['live', 'cold']);
      for (const diskId of diskIds) if (!vm.attachments.has(diskId)) refuse('engine.refused', `disk ${diskId} is not attached to VM ${vm.name}`);
      if ([...vm.snapshots.values()].some((each) => each.status === 'locked')) refuse('engine.locked', 'The VM is performing an operation on a Snapshot.');
      if ([...vm.snapshots.values()].some((each) => each.status === 'in_preview')) refuse('engine.conflict', 'VM is previewing a Snapshot.');
      const disks = diskIds.map((diskId) => this.diskOf(diskId));
      for (const disk of disks) if (disk.status !== 'ok') refuse(disk.status === 'locked' ? 'engine.locked' : 'disk.illegal', `disk ${disk.settings.alias} is ${disk.status}`);
      const id = randomUUID();
      const correlationId = randomUUID();
      const volumes = new Map(disks.map((disk) => [disk.settings.diskId, disk.volume]));
      const ovf = this.ovfOf(vm, disks);
      for (const disk of disks) disk.volume = randomUUID();
      const snapshot: FakeSnapshot = { id, description, status: 'locked', type: 'regular', createdAt: new Date().toISOString(), ovf, volumes };
      const event = (code: number): void => this.tell(vm, code, `Snapshot '${description}' of VM '${vm.name}'`, correlationId);
      event(45);
      const end = this.snapshotEnd;
      snapshot.moving = { looks: this.looks, then: () => {
        event(typeof end === 'object' ? end.unusableByEvent : end === 'vanishes' ? 69 : 68);
        if (end === 'vanishes') vm.snapshots.delete(id);
        else snapshot.status = 'ok';
      } };
      vm.snapshots.set(id, snapshot);
      return { snapshot: snapshotView(snapshot), correlationId };
    });
  removeSnapshot = (vmId: string, snapshotId: string): ReturnType<Engine['removeSnapshot']> =>
    this.change('removeSnapshot', () => {
      const vm = this.vmOf(vmId);
      const snapshot = this.snapshotOf(vmId, snapshotId);
      this.refuseInBackup(vmId);
      if (snapshot.status !== 'ok') refuse('engine.locked', 'The VM is performing an operation on a Snapshot.');
      if (!['up', 'down', 'paused'].includes(vm.status)) refuse('engine.conflict', `VM ${vm.name} must be in status Down, Up or Paused.`);
      for (const other of this.vms.values()) for (const each of other.attachments.values()) if (each.snapshotId !== undefined && vm.snapshots.has(each.snapshotId)) refuse('engine.conflict', `The following VM's disks snapshots are attached to other VMs: ${each.diskId}. Please detach them from those VMs and try again.`);
      const merged = this.failingMerges-- <= 0;
      snapshot.status = 'locked';
      snapshot.moving = { looks: this.looks, then: () => {
        if (merged) vm.snapshots.delete(snapshotId);
        else snapshot.status = 'ok';
      } };
      return { correlationId: randomUUID() };
    });

  // — attachments —
  attachSnapshotDisk = ({ vmId, diskId, snapshotId }: Parameters<Engine['attachSnapshotDisk']>[0]): Promise<void> =>
    this.change('attachSnapshotDisk', () => {
      const owner = [...this.vms.values()].find((vm) => vm.snapshots.has(snapshotId))?.snapshots.get(snapshotId);
      if (!owner?.volumes.has(diskId)) refuse('engine.refused', `no snapshot ${snapshotId} with disk ${diskId}`);
      if (owner.status !== 'ok') refuse('engine.locked', 'The snapshot is in LOCKED status.');
      this.attach(vmId, { diskId, active: true, interface: 'virtio_scsi', readOnly: false, bootable: false, snapshotId });
    });
  attachDisk = ({ vmId, diskId, interface: bus, bootable, active, readOnly }: Parameters<Engine['attachDisk']>[0]): Promise<void> =>
    this.change('attachDisk', () => {
      if (this.diskOf(diskId).status === 'locked') refuse('engine.locked', `disk ${diskId} is locked`);
      for (const other of this.vms.values()) if (other.id !== vmId && other.attachments.has(diskId) && !other.attachments.get(diskId)?.snapshotId) refuse('engine.conflict', `disk ${diskId} is attached to VM ${other.name}`);
      this.attach(vmId, { diskId, active, interface: bus, readOnly, bootable });
    });
  activateAttachment = (vmId: string, diskId: string): Promise<void> =>
    this.change('activateAttachment', () => {
      const found = this.vmOf(vmId).attachments.get(diskId) ?? refuse('engine.not-found', `disk ${diskId} is not attached`);
      if (!found.active) found.moving = { looks: 0, then: () => void (found.active = true) };
    });
  detachDisk = (vmId: string, diskId: string): Promise<void> =>
    this.change('detachDisk', () => {
      const attachments = this.vms.get(vmId)?.attachments;
      const found = attachments?.get(diskId);
      if (found && this.unplugLooks > 0) found.moving = { looks: this.unplugLooks, then: () => void attachments?.delete(diskId) };
      else attachments?.delete(diskId);
    });

  // — disks and VMs —
  createDisk = ({ id, settings, storageDomainId }: NewDisk): Promise<void> =>
    this.change('createDisk', () => {
      if (this.disks.has(id)) refuse('engine.conflict', `The selected disk ID: ${id} is already used`);
      const domain = this.domains.find((each) => each.id === storageDomainId) ?? refuse('engine.not-found', `no storage domain ${storageDomainId}`);
      if (domain.availableBytes < settings.virtualBytes) refuse('engine.conflict', `Low disk space on Storage Domain ${domain.name}.`);
      const disk: FakeDisk = { settings: { ...settings, diskId: id, storageDomainId }, volume: randomUUID(), status: 'locked', storageType: 'image', shareable: false, contentType: 'data', actualBytes: 0 };
      const status = this.newDiskIsIllegal ? 'illegal' : 'ok';
      disk.moving = { looks: this.looks, then: () => void (disk.status = status) };
      this.disks.set(id, disk);
    });
  removeDisk = (diskId: string): Promise<void> =>
    this.change('removeDisk', () => {
      const disk = this.disks.get(diskId);
      if (!disk) return;
      if (disk.status === 'locked') refuse('engine.locked', `disk ${diskId} is locked`);
      for (const vm of this.vms.values()) if (vm.status !== 'down' && vm.attachments.get(diskId)?.active) refuse('engine.conflict', 'At least one of the VMs is not down.');
      disk.status = 'locked';
      disk.moving = { looks: this.looks, then: () => void this.disks.delete(diskId) };
    });
  createVmFromConfiguration = ({ name, clusterId, comment, ovf }: Parameters<Engine['createVmFromConfiguration']>[0]): Promise<Vm> =>
    this.change('createVmFromConfiguration', () => {
      const { vmId: id, disks, nics } = readOvf(ovf);
      if (disks.length > 0) refuse('engine.refused', 'disks in the OVF would be taken from the original VM');
      const used = [...this.vms.values()].flatMap((vm) => vm.nics);
      for (const nic of nics) if (used.some(({ mac }) => mac === nic.mac)) refuse('engine.conflict', `MAC ${nic.mac} is in use`);
      if (this.vms.has(id) || [...this.vms.values()].some((vm) => vm.name === name)) refuse('engine.conflict', `VM ${name} (${id}) exists already`);
      const vm: FakeVm = { id, name, status: 'image_locked', comment, clusterId, deleteProtected: ovf.includes('<DeleteProtected>true<'), nics: nics.map((nic) => ({ ...nic, mac: nic.mac || freeMac() })), attachments: new Map(), snapshots: new Map() };
      vm.moving = { looks: this.looks, then: () => void (vm.status = 'down') };
      this.vms.set(id, vm);
      return viewOf(vm);
    });
  changeVm = ({ vmId, comment, deleteProtected }: Parameters<Engine['changeVm']>[0]): Promise<void> =>
    this.change('changeVm', () => {
      const vm = this.vmOf(vmId);
      vm.comment = comment ?? vm.comment;
      vm.deleteProtected = deleteProtected ?? vm.deleteProtected;
    });
  removeVm = (vmId: string): Promise<void> =>
    this.change('removeVm', () => {
      const vm = this.vms.get(vmId);
      if (vm?.templateId) refuse('engine.conflict', 'Cannot remove VM with detaching disks, VM is based from template.');
      if (vm && vm.snapshots.size > 0) refuse('engine.conflict', 'Cannot remove VM with detaching disks, snapshots exist.');
      this.dropVm(vm);
    });
  removeVmWithoutDisks = (vmId: string): Promise<void> =>
    this.change('removeVmWithoutDisks', () => {
      const vm = this.vms.get(vmId);
      for (const diskId of vm?.attachments.keys() ?? []) this.disks.delete(diskId);
      this.dropVm(vm);
    });
  private dropVm(vm: FakeVm | undefined): void {
    if (vm) this.refuseInBackup(vm.id);
    if (vm?.deleteProtected || vm?.poolId) refuse('engine.conflict', `VM ${vm.name} is protected, or in a pool`);
    if (vm?.status === 'image_locked') refuse('engine.locked', 'VM is locked. Please try again in a few minutes.');
    if (vm && vm.status !== 'down') refuse('engine.conflict', `VM ${vm.name} is running`);
    if (vm) vm.moving = { looks: this.looks, then: () => void this.vms.delete(vm.id) };
  }
  startVm = (vmId: string): Promise<void> =>
    this.change('startVm', () => {
      this.refuseInBackup(vmId, ['live', 'cold']);
      const vm = this.vmOf(vmId);
      if (vm.status !== 'down') refuse('engine.conflict', `VM ${vm.name} is ${vm.status}`);
      const end = this.vmStartFails ? 'down' : 'up';
      vm.status = 'powering_up';
      vm.moving = { looks: this.looks, then: () => void (vm.status = end) };
    });
  stopVm = (vmId: string): Promise<void> =>
    this.change('stopVm', () => {
      this.refuseInBackup(vmId, ['live', 'cold']);
      const vm = this.vmOf(vmId);
      if (vm.status === 'image_locked') refuse('engine.conflict', `Cannot stop VM because the VM is in ImageLocked status.`);
      if (vm.status === 'down') return;
      vm.status = 'powering_down';
      vm.moving = { looks: this.looks, then: () => void (vm.status = 'down') };
    });
  shutdownVm = (vmId: string): Promise<void> => this.stopVm(vmId);
  close = (): Promise<void> => Promise.resolve();

  private attach(vmId: string, attachment: FakeAttachment): void {
    const { attachments, status, name } = this.vmOf(vmId);
    if (!['up', 'paused', 'down'].includes(status)) refuse('engine.conflict', `VM ${name} is ${status}`);
    if (attachments.has(attachment.diskId)) refuse('engine.conflict', 'The disk is already attached to VM.');
    attachments.set(attachment.diskId, attachment);
  }
  private snapshotOf(vmId: string, snapshotId: string): FakeSnapshot {
    return this.vmOf(vmId).snapshots.get(snapshotId) ?? refuse('engine.not-found', `no snapshot ${snapshotId}`);
  }
  private vmView(vm: FakeVm | undefined): Vm | undefined {
    if (vm) look(vm);
    return vm && this.vms.has(vm.id) ? viewOf(vm) : undefined;
  }
}

const snapshotView = ({ id, description, status, type, createdAt }: FakeSnapshot): Snapshot => ({ id, description, status, type, createdAt });
const attachmentView = ({ diskId, active, interface: bus, readOnly, bootable, snapshotId }: FakeAttachment): Attachment => ({ diskId, active, interface: bus, readOnly, bootable, ...(snapshotId === undefined ? {} : { snapshotId }) });
const viewOf = ({ id, name, status, comment, clusterId, deleteProtected, poolId, templateId, isHostedEngine }: FakeVm): Vm => ({
  id, name, status, statusText: status, comment, clusterId, clusterName: 'Default', deleteProtected, ...(poolId ? { poolId } : {}), ...(templateId ? { templateId } : {}), ...(isHostedEngine ? { isHostedEngine } : {}),
});
