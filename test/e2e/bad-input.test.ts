// Bad input on the real system: every case gets a clear error that names the object and the remedy, all reasons at once, and before
// anything is made, which the engine's objects and events and the repository's directory prove.
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { refused, refusedBackup } from './support/refusals';
import { deleteVolume, duringSnapshot, makeSnapshot, removeSnapshot } from './support/trouble';
import { useStack, type Stack } from './support/stack';
import { ask, makeVm, until, volumePath, type TestVm } from './support/vms';

const unknownId = randomUUID();
const stackOf = useStack({
  // Without the default of two minutes: a queue that nobody serves is part of the tests.
  configure: { control: (config) => ({ ...config, deadlines: { workerSeconds: 4 } }) },
});
let stack: Stack;
let plain: TestVm;

beforeAll(async () => {
  stack = stackOf();
  plain = await makeVm(stack, 'plain', [{ alias: 'plain_Disk1', format: 'cow', sizeMib: 64, dataMib: 24 }]);
}, 60_000);

const limitMs = 90_000;

describe('the VM and its disks', () => {
  test('an unknown VM', async () => {
    const { codes, textOf } = await refusedBackup(stack, unknownId);
    expect(codes).toEqual(['vm.unknown']);
    expect(textOf('vm.unknown')).toMatch(/Engine lab knows no VM .* holdfast list vms/);
  }, limitMs);

  test('a disk that another operation has locked', async () => {
    const vm = await makeVm(stack, 'busy', [{ alias: 'busy_Disk1', format: 'cow', sizeMib: 8, dataMib: 1 }], { start: true });
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    const { codes, textOf } = await duringSnapshot(stack, vm, () => refusedBackup(stack, vm.id));
    expect(codes).toEqual(['disk.locked', 'vm.snapshot-busy']);
    expect(textOf('disk.locked')).toMatch(/Disk busy_Disk1 .* of VM busy is locked by another operation\. Wait/);
    expect(textOf('vm.snapshot-busy')).toMatch(/VM busy has the snapshot "takes its time" that is locked.* Wait/);
  }, limitMs);

  test('an illegal disk: its volume file is gone', async () => {
    const vm = await makeVm(stack, 'damaged', [{ alias: 'damaged_Disk1', format: 'raw', sizeMib: 8, dataMib: 1 }]);
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    await deleteVolume(stack, vm);
    const { codes, textOf } = await refusedBackup(stack, vm.id);
    expect(codes).toEqual(['disk.illegal']);
    expect(textOf('disk.illegal')).toMatch(/Disk damaged_Disk1 .* of VM damaged is illegal.* Repair or remove it/);
  }, limitMs);

  test('an illegal disk: the volume behind one of its snapshots is gone', async () => {
    const vm = await makeVm(stack, 'undermined', [{ alias: 'undermined_Disk1', format: 'cow', sizeMib: 8, dataMib: 1 }]);
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    const snapshotId = await makeSnapshot(stack, vm, 'somebody else\'s');
    const [frozen] = await ask.snapshotDisks(stack, vm.id, snapshotId);
    if (!frozen) throw new Error('the snapshot froze no disk');
    await rm(await volumePath(stack, frozen));
    await until('the lab notices it', async () => (await ask.disk(stack, frozen.id))?.status === 'illegal');
    expect((await refusedBackup(stack, vm.id)).codes).toEqual(['disk.illegal']);
  }, limitMs);

  test('a VM that previews a snapshot', async () => {
    const snapshotId = await makeSnapshot(stack, plain, 'to be previewed');
    stack.afterwards(async () => {
      await stack.lab.engine('POST', `/vms/${plain.id}/undosnapshot`, {});
      await until('the preview is undone', async () => (await ask.snapshots(stack, plain.id)).every(({ snapshot_status }) => snapshot_status === 'ok'));
      await removeSnapshot(stack, plain, snapshotId);
    });
    await stack.lab.engine('POST', `/vms/${plain.id}/previewsnapshot`, { snapshot: { id: snapshotId } });
    await until('the preview is on', async () => (await ask.snapshots(stack, plain.id)).some(({ snapshot_status }) => snapshot_status === 'in_preview'));
    const { codes, textOf } = await refusedBackup(stack, plain.id);
    expect(codes).toEqual(['vm.preview']);
    expect(textOf('vm.preview')).toMatch(/VM plain is previewing a snapshot\. Commit or undo/);
  }, limitMs);

  test('all reasons at once: a shareable disk, a direct LUN, an illegal disk, an unknown disk to leave out, quiescing without evidence, a repository that nobody serves', async () => {
    const vm = await makeVm(stack, 'troubled', [
      { alias: 'good', format: 'cow', sizeMib: 8, dataMib: 1 },
      { alias: 'shared', format: 'raw', sizeMib: 8, dataMib: 1, shareable: true },
      { alias: 'broken', format: 'raw', sizeMib: 8, dataMib: 1 },
    ], { start: true });
    const lunId = await attachLun(vm);
    stack.afterwards(async () => {
      await stack.lab.removeWithDisks(vm.id);
      // What others may share stays when the VM goes.
      for (const diskId of [lunId, ...vm.disks.filter(({ alias }) => alias === 'shared').map(({ id }) => id)]) await stack.lab.engine('DELETE', `/disks/${diskId}`);
    });
    await deleteVolume(stack, { ...vm, disks: vm.disks.filter(({ alias }) => alias === 'broken') });
    const { codes, textOf, error } = await refusedBackup(stack, vm.id, { leaveOutDiskIds: [unknownId], quiesce: 'required', repository: 'nowhere' });
    expect(codes).toEqual(['appliance.repository', 'disk.illegal', 'disk.lun', 'disk.shared', 'disk.unknown', 'quiesce.impossible', 'repository.no-worker']);
    expect(error.message).toMatch(/for 7 reasons/);
    expect(textOf('disk.shared')).toMatch(/Disk shared .* is shareable.*\(--leave-out/);
    expect(textOf('disk.lun')).toContain(`--leave-out ${lunId}`);
    expect(textOf('disk.unknown')).toMatch(/VM troubled has no such disk/);
    expect(textOf('repository.no-worker')).toMatch(/No worker serves repository nowhere\. Start one/);
    await acceptedWhenLeftOut(vm, [...vm.disks.filter(({ alias }) => alias !== 'good').map(({ id }) => id), lunId]);
  }, limitMs);
});

/** Attached, not plugged: the lab's guests have no such bus. */
async function attachLun(vm: TestVm): Promise<string> {
  const disk = { alias: 'lun', lun_storage: { type: 'iscsi', logical_units: { logical_unit: [{ id: '3600140512345678', address: '192.0.2.1', port: 3260, target: 'iqn.2026-11.example:lun', size: 1024 ** 3 }] } } };
  const { id } = z.object({ id: z.string() }).parse(await stack.lab.engine('POST', '/disks', disk));
  await stack.lab.engine('POST', `/vms/${vm.id}/diskattachments`, { disk: { id }, interface: 'virtio_scsi', bootable: false, active: false });
  return id;
}

async function acceptedWhenLeftOut(vm: TestVm, diskIds: readonly string[]): Promise<void> {
  const { backup } = await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, leaveOutDiskIds: [...diskIds] })).result();
  expect(backup.disks.map(({ alias, root }) => ({ alias, root }))).toEqual([{ alias: 'good', root: vm.disks[0]?.root }]);
}

describe('the appliance', () => {
  test('is the VM itself, which moreover has no disk', async () => {
    const { codes, textOf } = await refusedBackup(stack, stack.applianceId);
    expect(codes).toEqual(['appliance.is-the-vm', 'vm.no-disks']);
    expect(textOf('appliance.is-the-vm')).toMatch(/The appliance appliance is the VM to be backed up.* Use another/);
  }, limitMs);

  test('is unknown, and so nobody works in it', async () => {
    const { codes, textOf } = await refusedBackup(stack, plain.id, { applianceId: unknownId });
    expect(codes).toEqual(['appliance.no-worker', 'appliance.unknown']);
    expect(textOf('appliance.no-worker')).toMatch(/Start one there with role "appliance"/);
  }, limitMs);

  test('is down', async () => {
    stack.afterwards(() => stack.lab.bring(stack.applianceId, 'up'));
    await stack.lab.bring(stack.applianceId, 'down');
    const { codes, textOf } = await refusedBackup(stack, plain.id);
    expect(codes).toContain('appliance.down');
    expect(textOf('appliance.down')).toMatch(/The appliance appliance is down.* Start it/);
  }, limitMs);
});

describe('a restore', () => {
  test('under a name that exists, to a cluster and a storage domain that do not', async () => {
    const { backup } = await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: plain.id, repository: stack.repository })).result();
    const request = { engine: stack.engine, repository: stack.repository, backupId: backup.backupId, name: 'demo' };
    const taken = await refused(stack, () => stack.client.restoreVm(request));
    expect(taken.codes).toEqual(['name.taken']);
    expect(taken.error.message).toMatch(/A VM named demo exists already .* Choose another name/);
    const all = await refused(stack, () => stack.client.restoreVm({ ...request, clusterId: unknownId, storageDomainId: unknownId, applianceId: unknownId }));
    expect(all.codes).toEqual(['appliance.no-worker', 'appliance.unknown', 'cluster.unknown', 'domain.unknown', 'name.taken']);
    expect(all.textOf('cluster.unknown')).toMatch(/Name one of: Default/);
    expect(all.textOf('domain.unknown')).toMatch(/active data domains: data-1/);
  }, limitMs);

  test('of a backup that is not there', async () => {
    const { error } = await refused(stack, () => stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: unknownId, name: 'from-nothing' }));
    expect({ code: error.code, message: error.message }).toEqual({ code: 'backup.not-found', message: expect.stringContaining(`Repository main has no backup ${unknownId}. List what it has`) as string });
  }, limitMs);
});
