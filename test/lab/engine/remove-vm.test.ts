// What the removal of a VM takes with it, and when.
import { childText } from '../../../lab/engine/xml';
import { Lab } from './lab-client';
import { lun } from './provoke-disks';
import { previewed } from './provoke-snapshots';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

test('the VM is gone with the answer, its disk when the host has removed it, an own LUN as a record', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('gone');
  const lunId = await lun(lab);
  await lab.attach(vmId, lunId);
  const release = lab.host.hold('removeDisk');
  expect((await lab.api('DELETE', `/vms/${vmId}?correlation_id=gone-1`)).status).toBe(200);
  expect((await lab.api('GET', `/vms/${vmId}`)).status).toBe(404);
  expect(await lab.eventCodes('gone-1')).toEqual([113]);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('locked');
  release();
  await lab.idle();
  expect(await Promise.all([diskId, lunId].map(async (id) => (await lab.api('GET', `/disks/${id}`)).status))).toEqual([404, 404]);
});

test('detach_only leaves the disk floating and free at once', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('kept');
  await lab.xml('DELETE', `/vms/${vmId}?detach_only=true`);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('ok');
  expect((await lab.attach(await lab.vm('next'), diskId)).status).toBe(201);
});

test('a preview does not keep a VM', async () => {
  const { vmId, diskId } = await previewed(lab);
  expect((await lab.api('DELETE', `/vms/${vmId}`)).status).toBe(200);
  await lab.idle();
  expect((await lab.api('GET', `/disks/${diskId}`)).status).toBe(404);
});
