// The part of the engine contract that changes things: snapshots and their disks on the appliance, disks, VMs.
import { randomUUID } from 'node:crypto';
import type { Snapshot } from '../../adapters/ovirt/port';
import { diskSettingsSchema } from '../../domain/disks';
import { snapshotMark, vmMark, zeroUuid } from '../../domain/ids';
import { readOvf, rewriteOvf } from '../../domain/ovf';
import { codeOf, createSnapshot, deadlineMs, nobody, removeSnapshot, type Stage, until } from './engine-stage';

export function snapshotContract(on: () => Stage): void {
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

export function diskContract(on: () => Stage): void {
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

export function configurationContract(on: () => Stage): void {
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
    await engine.changeVm({ vmId, deleteProtected: true, comment: 'changed' });
    await expect(engine.getVm(vmId)).resolves.toMatchObject({ deleteProtected: true, comment: 'changed' });
    expect(await codeOf(engine.removeVm(vmId))).toBe('engine.conflict');
    await engine.changeVm({ vmId, deleteProtected: false });
    await engine.removeVm(vmId);
    await until(`VM ${name} is gone`, async () => ((await engine.getVm(vmId)) === undefined ? true : undefined));
    await expect(engine.removeVm(vmId)).resolves.toBeUndefined();
    await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'ok' });
    await engine.removeDisk(diskId);
    await until(`disk ${diskId} is gone`, async () => ((await engine.getDisk(diskId)) === undefined ? true : undefined));
  });

  test('a VM made again under its own id, name and NICs as it was saved; one that has no disks goes without keeping any', async () => {
    const { engine, vm } = on();
    const saved = await engine.getVmConfiguration(vm.id);
    const [vmId, name] = [randomUUID(), `contract-again-${randomUUID().slice(0, 8)}`];
    const make = async (ovf: string): Promise<void> => {
      await engine.createVmFromConfiguration({ name, clusterId: vm.clusterId, comment: 'first', ovf });
      await until(`VM ${name} is down`, async () => ((await engine.getVm(vmId))?.status === 'down' ? true : undefined));
    };
    // Another VM's MAC addresses are refused while it has them.
    expect(await codeOf(make(rewriteOvf(saved, { vmId, name, nics: 'new', newIds: () => randomUUID(), nicChanges: readOvf(saved).nics, stripDisks: true })))).toBe('engine.conflict');
    await make(rewriteOvf(saved, { vmId, name, nics: 'new', newIds: () => randomUUID(), stripDisks: true }));
    const [before, nics] = [await engine.getVmConfiguration(vmId), await engine.listNics()];
    await engine.removeVmWithoutDisks(vmId);
    await until(`VM ${name} is gone`, async () => ((await engine.getVm(vmId)) === undefined ? true : undefined));
    await expect(engine.removeVmWithoutDisks(vmId)).resolves.toBeUndefined();
    await make(rewriteOvf(before, { vmId, name, nics: 'keep', samePlace: true, stripDisks: true }));
    expect((await engine.listNics()).filter((nic) => nic.vmId === vmId)).toEqual(nics.filter((nic) => nic.vmId === vmId));
    await engine.removeVmWithoutDisks(vmId);
    await until(`VM ${name} is gone again`, async () => ((await engine.getVm(vmId)) === undefined ? true : undefined));
  });

  test('a running VM is not started again, and is not removed', async () => {
    const { engine, vm } = on();
    expect(await codeOf(engine.startVm(vm.id))).toBe('engine.conflict');
    expect(await codeOf(engine.removeVm(vm.id))).toBe('engine.conflict');
  });
}
