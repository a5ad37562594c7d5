// What every Engine must do, whatever stands behind it: the specification of adapters/ovirt/port.ts. It runs against a system
// with a running VM and an appliance, makes its own objects there under names of its own, and removes them again.
import type { Vm } from '../../adapters/ovirt/port';
import { diskSettingsSchema } from '../../domain/disks';
import { readOvf } from '../../domain/ovf';
import { backupContract, transferContract } from './engine-backups.contract';
import { configurationContract, diskContract, snapshotContract } from './engine-changes.contract';
import { eventContract } from './engine-events.contract';
import { codeOf, type EngineSetUp, nobody, type Stage, until } from './engine-stage';

export function engineContract(name: string, setUp: () => Promise<EngineSetUp>): void {
  describe(name, () => {
    let stage: Stage | undefined;
    const on = (): Stage => {
      if (stage === undefined) throw new Error('the set-up failed');
      return stage;
    };
    beforeAll(async () => {
      const given = await setUp();
      const running = (vmName: string): Promise<Vm> =>
        until(`VM "${vmName}" is up`, async () => {
          const found = await given.engine.findVmByName(vmName);
          return found?.status === 'up' ? found : undefined;
        });
      const [vm, appliance] = await Promise.all([running(given.vmName), running(given.applianceName)]);
      stage = { ...given, vm, appliance, disks: await given.engine.listVmDisks(vm.id) };
    }, 400_000);
    afterAll(async () => {
      await Promise.all([stage?.engine.close(), stage?.stranger.close(), stage?.reader.close()]);
      await stage?.tearDown();
    }, 120_000);

    describe('reading', () => readingContract(on));
    describe('snapshots', () => snapshotContract(on));
    describe('posted events', () => eventContract(on));
    describe('disks', () => diskContract(on));
    describe('VM backups', () => backupContract(on));
    describe('image transfers', () => transferContract(on));
    describe('VMs from a configuration', () => configurationContract(on));
  });
}

function readingContract(on: () => Stage): void {
  test('says what it is', async () => {
    const { product, version } = await on().engine.about();
    expect(product).not.toBe('');
    expect(version).toMatch(/^\d+\.\d+/);
  });

  test('a wrong password is unauthorized', async () => {
    expect(await codeOf(on().stranger.about())).toBe('engine.unauthorized');
  });

  test('an expired token is nobody\'s business', async () => {
    const { engine, vm, letTokenExpire } = on();
    await letTokenExpire();
    await expect(Promise.all([engine.getVm(vm.id), engine.about(), engine.listClusters()])).resolves.toHaveLength(3);
  });

  test('who may only look reads, and is refused with "forbidden" when it touches', async () => {
    const { reader, vm, disks } = on();
    await expect(reader.getVm(vm.id)).resolves.toMatchObject({ id: vm.id });
    expect(await codeOf(reader.createSnapshot({ vmId: vm.id, description: 'not allowed', diskIds: disks.map(({ settings }) => settings.diskId) }))).toBe('engine.forbidden');
  });

  test('pages together give every VM once', async () => {
    const { engine, vm, appliance } = on();
    const all = await engine.listVms({ max: 1000, page: 1 });
    const paged: Vm[] = [];
    for (let page = 1; page <= all.length + 1; page += 1) paged.push(...(await engine.listVms({ max: 1, page })));
    expect(paged).toEqual(all);
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining([vm.id, appliance.id]));
  });

  test('a search selects', async () => {
    const { engine, vm } = on();
    await expect(engine.listVms({ search: `name=${vm.name}`, max: 10, page: 1 })).resolves.toEqual([vm]);
    await expect(engine.listVms({ search: 'name=no-such-vm-*', max: 10, page: 1 })).resolves.toEqual([]);
  });

  test('a VM by id and by its exact name; neither is undefined, not an error', async () => {
    const { engine, vm } = on();
    await expect(engine.getVm(vm.id)).resolves.toEqual(vm);
    expect(vm.status).toBe('up');
    await expect(engine.findVmByName(vm.name.slice(0, -1))).resolves.toBeUndefined();
    await expect(engine.findVmByName(`${vm.name}*`)).resolves.toBeUndefined();
    await expect(engine.getVm(nobody)).resolves.toBeUndefined();
    await expect(engine.getDisk(nobody)).resolves.toBeUndefined();
    await expect(engine.getAttachment(vm.id, nobody)).resolves.toBeUndefined();
    await expect(engine.getSnapshot(vm.id, nobody)).resolves.toBeUndefined();
  });

  test('disks come with all that a restore gives back', async () => {
    const { engine, vm, disks } = on();
    expect(disks.length).toBeGreaterThan(0);
    for (const disk of disks) {
      expect(() => diskSettingsSchema.parse(disk.settings)).not.toThrow();
      expect(disk).toMatchObject({ status: 'ok', storageType: 'image', shareable: false, contentType: 'data' });
      expect(disk.actualBytes).toBeGreaterThan(0);
      await expect(engine.getDisk(disk.settings.diskId)).resolves.toMatchObject({ alias: disk.settings.alias, virtualBytes: disk.settings.virtualBytes });
    }
    const attachments = await engine.listAttachments(vm.id);
    expect(attachments.map(({ diskId, active, bootable }) => ({ diskId, active, bootable }))).toEqual(disks.map(({ settings: { diskId, active, bootable } }) => ({ diskId, active, bootable })));
  });

  test('the ways onto networks, the addresses in use, and whether the pool of the VM\'s cluster allows one twice', async () => {
    const { engine, vm } = on();
    const cluster = (await engine.listClusters()).find(({ id }) => id === vm.clusterId);
    expect((await engine.listVnicProfiles()).filter(({ dataCenterId }) => dataCenterId === cluster?.dataCenterId)).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'ovirtmgmt', networkName: 'ovirtmgmt' })]));
    const own = (await engine.listNics()).filter(({ vmId }) => vmId === vm.id);
    expect(own).toEqual([{ vmId: vm.id, vmName: vm.name, clusterId: vm.clusterId, mac: expect.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/) as string }]);
    expect(await engine.macPoolAllowsDuplicates(cluster?.macPoolId ?? '')).toBe(false);
  });

  test('the configuration of a VM as it is now: its disks and its NIC with its address', async () => {
    const { engine, vm, disks } = on();
    const ovf = readOvf(await engine.getVmConfiguration(vm.id));
    expect(ovf).toMatchObject({ vmId: vm.id, name: vm.name });
    expect(ovf.disks.map(({ diskId }) => diskId).sort()).toEqual(disks.map(({ settings }) => settings.diskId).sort());
    expect(ovf.nics.map(({ mac }) => mac)).toEqual((await engine.listNics()).filter(({ vmId }) => vmId === vm.id).map(({ mac }) => mac));
  });

  test('the cluster of the VM, and the storage domain of its disk with its status and space', async () => {
    const { engine, vm, disks } = on();
    const cluster = (await engine.listClusters()).find(({ id }) => id === vm.clusterId);
    const domain = (await engine.listStorageDomains()).find(({ id }) => id === disks[0]?.settings.storageDomainId);
    expect(domain).toMatchObject({ status: 'active', type: 'data', dataCenterId: cluster?.dataCenterId });
    expect(domain?.availableBytes).toBeGreaterThan(0);
  });
}
