// What every Engine must do, whatever stands behind it: the specification of adapters/ovirt/port.ts. It runs against a system
// with a running VM and an appliance, makes its own objects there under names of its own, and removes them again.
import { randomUUID } from 'node:crypto';
import type { Engine, Snapshot, Vm, VmDisk } from '../../adapters/ovirt/port';
import { diskSettingsSchema } from '../../domain/disks';
import { HoldfastError } from '../../domain/failures';
import { snapshotMark, vmMark, zeroUuid } from '../../domain/ids';
import { readOvf, rewriteOvf } from '../../domain/ovf';

export interface EngineSetUp {
  readonly engine: Engine & { close(): Promise<void> };
  /** The same engine with a wrong password. */
  readonly stranger: Engine & { close(): Promise<void> };
  /** A running VM with at least one image disk and one network card. */
  readonly vmName: string;
  /** A running VM that other VMs' snapshot disks are attached to. */
  readonly applianceName: string;
  tearDown(): Promise<void>;
}

const stepMs = 300;
const deadlineMs = 120_000;
const nobody = '0dead000-0000-4000-8000-000000000000';

/** Polls: the port itself never waits. */
async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const endsAt = Date.now() + deadlineMs; Date.now() < endsAt; await new Promise((resolve) => setTimeout(resolve, stepMs))) {
    const value = await look();
    if (value !== undefined) return value;
  }
  throw new Error(`${what}: not within ${deadlineMs} ms`);
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'no failure';
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

/** What the tests of one contract share. */
interface Stage extends EngineSetUp {
  readonly vm: Vm;
  readonly appliance: Vm;
  readonly disks: readonly VmDisk[];
}

export function engineContract(name: string, setUp: () => Promise<EngineSetUp>): void {
  describe(name, () => {
    let stage: Stage | undefined;
    const on = (): Stage => {
      if (stage === undefined) throw new Error('the set-up failed');
      return stage;
    };
    beforeAll(async () => {
      const given = await setUp();
      const [vm, appliance] = await Promise.all([given.engine.findVmByName(given.vmName), given.engine.findVmByName(given.applianceName)]);
      if (!vm || !appliance) throw new Error(`the contract needs the VMs "${given.vmName}" and "${given.applianceName}"`);
      stage = { ...given, vm, appliance, disks: await given.engine.listVmDisks(vm.id) };
    }, 400_000);
    afterAll(async () => {
      await Promise.all([stage?.engine.close(), stage?.stranger.close()]);
      await stage?.tearDown();
    }, 120_000);

    describe('reading', () => readingContract(on));
    describe('snapshots', () => snapshotContract(on));
    describe('disks', () => diskContract(on));
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

  test('the cluster of the VM, and the storage domain of its disk with its status and space', async () => {
    const { engine, vm, disks } = on();
    const cluster = (await engine.listClusters()).find(({ id }) => id === vm.clusterId);
    const domain = (await engine.listStorageDomains()).find(({ id }) => id === disks[0]?.settings.storageDomainId);
    expect(domain).toMatchObject({ status: 'active', type: 'data', dataCenterId: cluster?.dataCenterId });
    expect(domain?.availableBytes).toBeGreaterThan(0);
  });
}

async function createSnapshot({ engine, vm, disks }: Stage, description: string): Promise<{ snapshot: Snapshot; correlationId: string }> {
  const created = await engine.createSnapshot({ vmId: vm.id, description, diskIds: disks.map(({ settings }) => settings.diskId) });
  const snapshot = await until(`snapshot ${created.snapshot.id} is ok`, async () => {
    const now = await engine.getSnapshot(vm.id, created.snapshot.id);
    return now?.status === 'ok' ? now : undefined;
  });
  return { snapshot, correlationId: created.correlationId };
}

async function removeSnapshot({ engine, vm }: Stage, snapshotId: string): Promise<void> {
  await engine.removeSnapshot(vm.id, snapshotId);
  await until(`snapshot ${snapshotId} is gone`, async () => ((await engine.getSnapshot(vm.id, snapshotId)) === undefined ? true : undefined));
}

function snapshotContract(on: () => Stage): void {
  let snapshot: Snapshot | undefined;
  const made = (): Snapshot => {
    if (snapshot === undefined) throw new Error('no snapshot was made');
    return snapshot;
  };
  const mark = snapshotMark('Contract', randomUUID());

  test('is made, is found again by its mark, and its events by the correlation id', async () => {
    const { engine, vm } = on();
    const created = await createSnapshot(on(), mark);
    ({ snapshot } = created);
    expect(snapshot).toMatchObject({ description: mark, status: 'ok', type: 'regular' });
    expect(Math.abs(Date.parse(snapshot.createdAt) - Date.now())).toBeLessThan(deadlineMs);
    const found = (await engine.listSnapshots(vm.id)).filter(({ description }) => description === mark);
    expect(found).toEqual([snapshot]);
    expect(created.correlationId).toMatch(/^[A-Za-z0-9_-]{1,36}$/);
    const codes = await until('event 68 (created)', async () => {
      const events = await engine.listEvents({ correlationId: created.correlationId });
      return events.some(({ code }) => code === 68) ? events.map(({ code }) => code) : undefined;
    });
    expect(codes.indexOf(45)).toBeGreaterThan(codes.indexOf(68));
  });

  test('has the disks that were named, each with its volume', async () => {
    const { engine, vm, disks } = on();
    const inSnapshot = await engine.listSnapshotDisks(vm.id, made().id);
    expect(inSnapshot.map(({ diskId }) => diskId).sort()).toEqual(disks.map(({ settings }) => settings.diskId).sort());
    for (const disk of inSnapshot) expect(disk.status).toBe('ok');
  });

  test('holds the configuration of the VM with exactly these volumes', async () => {
    const { engine, vm } = on();
    const ovf = readOvf(await engine.getSnapshotConfiguration(vm.id, made().id));
    expect(ovf).toMatchObject({ vmId: vm.id, name: vm.name });
    const volumes = (await engine.listSnapshotDisks(vm.id, made().id)).map(({ diskId, imageId }) => `${diskId}/${imageId}`);
    expect(ovf.disks.map(({ diskId, imageId }) => `${diskId}/${imageId}`).sort()).toEqual(volumes.sort());
    expect(ovf.nics.length).toBeGreaterThan(0);
  });

  test('has disks that the appliance takes and gives back; while it has one, the snapshot stays', async () => {
    const { engine, vm, appliance, disks } = on();
    const diskId = disks[0]?.settings.diskId ?? '';
    await engine.attachSnapshotDisk({ vmId: appliance.id, diskId, snapshotId: made().id });
    await expect(engine.getAttachment(appliance.id, diskId)).resolves.toMatchObject({ diskId, active: true, interface: 'virtio_scsi', bootable: false });
    expect((await engine.listAttachments(appliance.id)).map((attachment) => attachment.diskId)).toContain(diskId);
    expect(await codeOf(engine.attachSnapshotDisk({ vmId: appliance.id, diskId, snapshotId: made().id }))).toBe('engine.conflict');
    expect(await codeOf(engine.removeSnapshot(vm.id, made().id))).toBe('engine.conflict');
    await engine.detachDisk(appliance.id, diskId);
    await expect(engine.getAttachment(appliance.id, diskId)).resolves.toBeUndefined();
    await expect(engine.detachDisk(appliance.id, diskId)).resolves.toBeUndefined();
    await expect(engine.getAttachment(vm.id, diskId)).resolves.toMatchObject({ active: true });
  });

  test('is removed; then it is not there, and removing it again says so', async () => {
    await removeSnapshot(on(), made().id);
    const { engine, vm, disks } = on();
    expect((await engine.listSnapshots(vm.id)).map(({ id }) => id)).not.toContain(made().id);
    expect(await codeOf(engine.removeSnapshot(vm.id, made().id))).toBe('engine.not-found');
    for (const { settings } of disks) await expect(engine.getDisk(settings.diskId)).resolves.toMatchObject({ status: 'ok' });
  });

  test('of two at the same time one is made, the other finds the VM locked', async () => {
    const { engine, vm, disks } = on();
    const diskIds = disks.map(({ settings }) => settings.diskId);
    const outcomes = await Promise.all(['one', 'two'].map((word) => codeOf(engine.createSnapshot({ vmId: vm.id, description: `${mark} ${word}`, diskIds }))));
    expect(outcomes.sort()).toEqual(['engine.locked', 'no failure']);
    const extra = await until('the one snapshot is ok', async () => (await engine.listSnapshots(vm.id)).find(({ description, status }) => description.startsWith(mark) && status === 'ok'));
    await removeSnapshot(on(), extra.id);
  });

  test('of a VM or a disk that is not there', async () => {
    const { engine, vm, disks } = on();
    expect(await codeOf(engine.createSnapshot({ vmId: nobody, description: mark, diskIds: disks.map(({ settings }) => settings.diskId) }))).toBe('engine.not-found');
    expect(['engine.not-found', 'engine.refused']).toContain(await codeOf(engine.createSnapshot({ vmId: vm.id, description: mark, diskIds: [nobody] })));
    expect((await engine.listSnapshots(vm.id)).map(({ description }) => description)).not.toContain(mark);
  });
}

function diskContract(on: () => Stage): void {
  test('a disk under our id: made once, attached, active, detached without being deleted, removed', async () => {
    const { engine, appliance, disks } = on();
    const source = disks[0];
    const storageDomainId = source?.settings.storageDomainId;
    if (source === undefined || storageDomainId === undefined) throw new Error('the VM has no disk in a storage domain');
    const id = randomUUID();
    const settings = { ...source.settings, diskId: id, alias: `contract-${id.slice(0, 8)}`, description: 'made by the contract', virtualBytes: 8 * 1024 * 1024 };
    await engine.createDisk({ id, settings, storageDomainId });
    await until(`disk ${id} is ok`, async () => ((await engine.getDisk(id))?.status === 'ok' ? true : undefined));
    await expect(engine.getDisk(id)).resolves.toEqual({ id, alias: settings.alias, status: 'ok', virtualBytes: settings.virtualBytes });
    expect(await codeOf(engine.createDisk({ id, settings, storageDomainId }))).toBe('engine.conflict');

    await engine.attachDisk({ vmId: appliance.id, diskId: id, interface: 'virtio_scsi', bootable: false, active: false, readOnly: false, passDiscard: false });
    await expect(engine.getAttachment(appliance.id, id)).resolves.toMatchObject({ active: false, interface: 'virtio_scsi' });
    await engine.activateAttachment(appliance.id, id);
    await engine.activateAttachment(appliance.id, id);
    await expect(engine.getAttachment(appliance.id, id)).resolves.toMatchObject({ active: true });
    const attached = (await engine.listVmDisks(appliance.id)).find((disk) => disk.settings.diskId === id);
    const { format, sparse, backup, alias, description, virtualBytes, wipeAfterDelete } = settings;
    expect(attached?.settings).toMatchObject({ format, sparse, backup, alias, description, virtualBytes, wipeAfterDelete, storageDomainId });
    expect(await codeOf(engine.removeDisk(id))).toMatch(/^engine\.(?:conflict|locked)$/);

    await engine.detachDisk(appliance.id, id);
    await expect(engine.getDisk(id)).resolves.toMatchObject({ status: 'ok' });
    await engine.removeDisk(id);
    await until(`disk ${id} is gone`, async () => ((await engine.getDisk(id)) === undefined ? true : undefined));
    await expect(engine.removeDisk(id)).resolves.toBeUndefined();
  });

  test('a disk that is not there cannot be attached', async () => {
    const { engine, appliance } = on();
    const request = { vmId: appliance.id, diskId: nobody, interface: 'virtio_scsi', bootable: false, active: true, readOnly: false, passDiscard: false } as const;
    expect(await codeOf(engine.attachDisk(request))).toMatch(/^engine\.(?:not-found|refused)$/);
  });
}

function configurationContract(on: () => Stage): void {
  test('a VM as new: our id, name and mark, fresh network cards, no disks; removing it keeps the disk it got', async () => {
    const { engine, vm, disks } = on();
    const { snapshot } = await createSnapshot(on(), snapshotMark('Contract', randomUUID()));
    const saved = await engine.getSnapshotConfiguration(vm.id, snapshot.id);
    await removeSnapshot(on(), snapshot.id);

    const [vmId, diskId, runId] = [randomUUID(), randomUUID(), randomUUID()];
    const name = `contract-${vmId.slice(0, 8)}`;
    const nicIds = readOvf(saved).nics.map(() => randomUUID());
    const ovf = rewriteOvf(saved, { vmId, name, nics: 'new', newIds: nicIds, stripDisks: true });
    const created = await engine.createVmFromConfiguration({ name, clusterId: vm.clusterId, comment: vmMark(runId), ovf });
    expect(created).toMatchObject({ id: vmId, name, comment: vmMark(runId), clusterId: vm.clusterId });
    await until(`VM ${name} is down`, async () => ((await engine.getVm(vmId))?.status === 'down' ? true : undefined));
    await expect(engine.findVmByName(name)).resolves.toMatchObject({ id: vmId, comment: vmMark(runId) });
    await expect(engine.listAttachments(vmId)).resolves.toEqual([]);
    const again = engine.createVmFromConfiguration({ name, clusterId: vm.clusterId, comment: '', ovf: rewriteOvf(saved, { vmId: randomUUID(), name, nics: 'new', newIds: () => randomUUID(), stripDisks: true }) });
    expect(await codeOf(again)).toBe('engine.conflict');
    // The disks of the original are where they were: an import that names them would take them over.
    expect((await engine.listAttachments(vm.id)).map((attachment) => attachment.diskId).sort()).toEqual(disks.map(({ settings }) => settings.diskId).sort());

    const settings = { ...(disks[0]?.settings ?? diskSettingsSchema.parse({})), diskId, alias: name, virtualBytes: 8 * 1024 * 1024 };
    await engine.createDisk({ id: diskId, settings, storageDomainId: settings.storageDomainId ?? zeroUuid });
    await until(`disk ${diskId} is ok`, async () => ((await engine.getDisk(diskId))?.status === 'ok' ? true : undefined));
    await engine.attachDisk({ vmId, diskId, interface: settings.interface, bootable: true, active: true, readOnly: false, passDiscard: false });
    await expect(engine.getAttachment(vmId, diskId)).resolves.toMatchObject({ active: true, bootable: true });
    await engine.removeVm(vmId);
    await until(`VM ${name} is gone`, async () => ((await engine.getVm(vmId)) === undefined ? true : undefined));
    await expect(engine.removeVm(vmId)).resolves.toBeUndefined();
    await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'ok' });
    await engine.removeDisk(diskId);
    await until(`disk ${diskId} is gone`, async () => ((await engine.getDisk(diskId)) === undefined ? true : undefined));
  });

  test('a running VM is not started again, and is not removed', async () => {
    const { engine, vm } = on();
    expect(await codeOf(engine.startVm(vm.id))).toBe('engine.conflict');
    expect(await codeOf(engine.removeVm(vm.id))).toBe('engine.conflict');
  });
}
