// The engine is killed and started again on the same state: nothing that was answered is lost, what was going on is
// finished or taken back, sessions are gone.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { childText } from '../../../lab/engine/xml';
import { Lab, newDisk, newSnapshot } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

async function snapshotRows(vmId: string): Promise<(string | undefined)[][]> {
  return (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children.map((row) => [
    childText(row, 'snapshot_type'),
    childText(row, 'snapshot_status'),
  ]);
}

test('objects, events and passwords stay; tokens do not; a torn last line of the journal is dropped', async () => {
  const { vmId } = await lab.vmWithDisk('stays');
  const [before, token, password] = [await lab.json('GET', `/vms/${vmId}`), lab.token, lab.password('admin@internal')];
  await lab.crash();
  appendFileSync(join(lab.directory, 'engine.journal'), '[["vms","x",{"id":');
  lab = await Lab.start(lab.directory);
  expect(await lab.json('GET', `/vms/${vmId}`)).toEqual(before);
  expect(lab.password('admin@internal')).toBe(password);
  expect((await lab.api('GET', '/vms', { headers: { Authorization: `Bearer ${token}` } })).status).toBe(401);
  expect(((await lab.json('GET', '/events'))['event'] as unknown[]).length).toBeGreaterThan(2);
});

test('a VM whose QEMU is gone is down after the start, with event 119; one that runs is still up', async () => {
  const [gone, runs] = [await lab.vm('gone'), await lab.vm('runs')];
  await lab.start(gone);
  await lab.start(runs);
  await lab.crash();
  await lab.host.stopVm(gone);
  lab = await Lab.start(lab.directory);
  expect(childText(await lab.xml('GET', `/vms/${gone}`), 'status')).toBe('down');
  expect(childText(await lab.xml('GET', `/vms/${runs}`), 'status')).toBe('up');
  expect((await lab.api('GET', '/events?search=type%3D119')).text).toContain('VM gone is down with error');
});

// Where the engine dies during a live snapshot, and what the host had done by then.
test.each(['snapshot', 'afterSnapshotFiles', 'afterSnapshot'] as const)(
  'killed at "%s": the snapshot is completed once, and the guest writes above it',
  async (step) => {
    const { vmId, diskId } = await lab.vmWithDisk('dies');
    await lab.start(vmId);
    const frozen = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
    lab.host.hold(step);
    const snapshotId = await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('dies'));
    lab = await lab.restart();
    await lab.idle();
    expect(await snapshotRows(vmId)).toEqual([
      ['regular', 'ok'],
      ['active', 'ok'],
    ]);
    const [disk] = (await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}/disks`)).children;
    expect(disk && childText(disk, 'image_id')).toBe(frozen);
    expect(lab.host.plugged(vmId)[0]?.top.volumeId).toBe(childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id'));
    expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('ok');
    await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
    await lab.idle();
    expect(await snapshotRows(vmId)).toEqual([['active', 'ok']]);
  },
);

test('killed while a snapshot of a stopped VM is made: completed', async () => {
  const { vmId } = await lab.vmWithDisk('cold');
  lab.host.hold('snapshot');
  await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('cold'));
  lab = await lab.restart();
  await lab.idle();
  expect(await snapshotRows(vmId)).toEqual([
    ['regular', 'ok'],
    ['active', 'ok'],
  ]);
});

test('killed while a snapshot merges: the merge goes on and the snapshot vanishes', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('merges');
  await lab.start(vmId);
  const base = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
  const snapshotId = await lab.snapshot(vmId);
  lab.host.hold('merge');
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}?correlation_id=merges-1`);
  lab = await lab.restart();
  await lab.idle();
  expect(await snapshotRows(vmId)).toEqual([['active', 'ok']]);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id')).toBe(base);
  expect(await lab.eventCodes('merges-1')).toEqual([342, 356]);
});

test('killed while a snapshot disk is plugged: the attachment is taken back, because nobody got an answer', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('source');
  const appliance = await lab.vm('appliance');
  await lab.start(appliance);
  const snapshotId = await lab.snapshot(vmId);
  lab.host.hold('plugDisk');
  const lost = lab.attach(appliance, diskId, '<active>true</active>', snapshotId).catch(() => undefined);
  await until(() => lab.engine.context.store.tables.operations.all().length === 1);
  lab = await lab.restart();
  await lost;
  await lab.idle();
  expect((await lab.xml('GET', `/vms/${appliance}/diskattachments`)).children).toHaveLength(0);
  expect(lab.host.plugged(appliance)).toHaveLength(0);
});

test('killed while a disk is created, and while one is removed: both are finished', async () => {
  const doomed = await lab.disk('doomed');
  lab.host.hold('createVolume');
  lab.host.hold('removeDisk');
  const fresh = await lab.post('/disks', newDisk('fresh'));
  await lab.xml('DELETE', `/disks/${doomed}`);
  lab = await lab.restart();
  await lab.idle();
  expect(childText(await lab.xml('GET', `/disks/${fresh}`), 'status')).toBe('ok');
  expect((await lab.api('GET', `/disks/${doomed}`)).status).toBe(404);
});

async function until(holds: () => boolean): Promise<void> {
  for (let attempts = 0; attempts < 500 && !holds(); attempts += 1)
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  expect(holds()).toBe(true);
}
