// The life of a snapshot: what changes at once, what changes when the host is done, what events and jobs tell.
import { Lab, newSnapshot } from './lab-client';
import { child, childText, parseXml, type XmlNode } from '../../../lab/engine/xml';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.remove();
});

async function snapshots(vmId: string): Promise<XmlNode[]> {
  return [...(await lab.xml('GET', `/vms/${vmId}/snapshots`)).children];
}

async function ovfOf(vmId: string, snapshotId: string): Promise<XmlNode> {
  const snapshot = await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}?all_content=true`);
  const configuration = child(child(snapshot, 'initialization') ?? snapshot, 'configuration');
  return parseXml(childText(configuration ?? snapshot, 'data') ?? '');
}

test('create: the snapshot takes the id of Active, is locked while the host works, then ok; events 45 and 68, a finished job', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('life');
  await lab.start(vmId);
  const activeBefore = (await snapshots(vmId))[0]?.attributes['id'];
  const release = lab.host.hold('snapshot');
  const created = await lab.xml('POST', `/vms/${vmId}/snapshots?correlation_id=life-1`, newSnapshot('first'));
  const snapshotId = created.attributes['id'] ?? '';
  expect(snapshotId).toBe(activeBefore);
  expect(childText(created, 'snapshot_status')).toBe('locked');
  expect(child(created, 'initialization')).toBeDefined();
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('locked');
  release();
  await lab.idle();
  expect(childText(await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}`), 'snapshot_status')).toBe('ok');
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('ok');
  const active = (await snapshots(vmId)).find((snapshot) => childText(snapshot, 'snapshot_type') === 'active');
  expect(active?.attributes['id']).not.toBe(activeBefore);
  expect(await lab.eventCodes('life-1')).toEqual([45, 68]);
  const jobs = await lab.xml('GET', '/jobs?search=correlation_id%3Dlife-1');
  expect(jobs.children.map((job) => [childText(job, 'description'), childText(job, 'status')])).toEqual([
    ['Creating VM Snapshot first for VM life', 'finished'],
  ]);
});

test('its configuration names only the frozen volume and no storage domain', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('frozen');
  const frozen = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id') ?? '';
  const snapshotId = await lab.snapshot(vmId);
  const text = JSON.stringify(await ovfOf(vmId, snapshotId));
  expect(text).toContain(`${diskId}/${frozen}`);
  expect(text).not.toContain('rasd:StorageId');
  const active = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id') ?? '';
  expect(active).not.toBe(frozen);
  expect(text).not.toContain(active);
  const disks = await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}/disks`);
  expect(disks.children.map((disk) => [disk.attributes['id'], childText(disk, 'image_id')])).toEqual([[diskId, frozen]]);
});

test('remove: locked while the volumes merge, in the list as well, then 404 with a Fault; events 342 and 356; the base volume takes the place of the top', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('merge');
  await lab.start(vmId);
  const base = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
  const snapshotId = await lab.snapshot(vmId);
  const release = lab.host.hold('merge');
  const removal = await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}?correlation_id=merge-1`);
  const jobId = child(removal, 'job')?.attributes['id'] ?? '';
  expect(childText(await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}`), 'snapshot_status')).toBe('locked');
  expect((await snapshots(vmId)).map((snapshot) => [snapshot.attributes['id'], childText(snapshot, 'snapshot_status')])).toContainEqual([snapshotId, 'locked']);
  release();
  await lab.idle();
  const gone = await lab.api('GET', `/vms/${vmId}/snapshots/${snapshotId}`);
  expect([gone.status, parseXml(gone.text).name]).toEqual([404, 'fault']);
  expect(await lab.eventCodes('merge-1')).toEqual([342, 356]);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id')).toBe(base);
  expect(lab.host.plugged(vmId)[0]?.top.volumeId).toBe(base);
  const steps = await lab.xml('GET', `/jobs/${jobId}/steps`);
  expect(steps.children.map((step) => childText(step, 'description'))).toContain(
    'Merging snapshots (Active VM into snap) of disk merge_Disk1',
  );
});

test('removing the older of two snapshots rewrites the volume in the configuration of the newer', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('two');
  const first = await lab.snapshot(vmId, 'one');
  const second = await lab.snapshot(vmId, 'two');
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${first}`);
  await lab.idle();
  const image =
    childText((await lab.xml('GET', `/vms/${vmId}/snapshots/${second}/disks`)).children[0] ?? (await lab.xml('GET', '/')), 'image_id') ??
    '';
  expect(JSON.stringify(await ovfOf(vmId, second))).toContain(`${diskId}/${image}`);
});

test('a failed live snapshot is taken back: event 69, 404, Active has its id again, and the next one works', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('fails');
  await lab.start(vmId);
  const image = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
  lab.host.failNext('snapshot', 'qemu-failed');
  const snapshotId = await lab.post(`/vms/${vmId}/snapshots?correlation_id=fails-1`, newSnapshot('broken'));
  await lab.idle();
  expect(await lab.eventCodes('fails-1')).toEqual([45, 69]);
  const rows = await snapshots(vmId);
  expect(rows.map((row) => [row.attributes['id'], childText(row, 'snapshot_type')])).toEqual([[snapshotId, 'active']]);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id')).toBe(image);
  await lab.snapshot(vmId);
  expect(await snapshots(vmId)).toHaveLength(2);
});

test('of a VM that is down a failed snapshot stays, ok and without its volumes: events 10774 and 69', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('cold');
  const before = childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
  lab.host.failNext('snapshot', 'no-space');
  const snapshotId = await lab.post(`/vms/${vmId}/snapshots?correlation_id=cold-1`, newSnapshot('hollow'));
  await lab.idle();
  expect(await lab.eventCodes('cold-1')).toEqual([45, 10_774, 69]);
  expect(childText(await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}`), 'snapshot_status')).toBe('ok');
  const disk = await lab.xml('GET', `/disks/${diskId}`);
  expect([childText(disk, 'status'), childText(disk, 'image_id') === before]).toEqual(['illegal', false]);
  expect((await lab.action(`/vms/${vmId}/start`)).status).toBe(500);
});

test('of a VM that is stopped meanwhile it stays as well, ok and on new volumes, from which the VM starts again', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('dies');
  await lab.start(vmId);
  const release = lab.host.hold('snapshot');
  lab.host.failNext('snapshot', 'qemu-failed');
  const snapshotId = await lab.post(`/vms/${vmId}/snapshots?correlation_id=dies-1`, newSnapshot('doubtful'));
  // Stop takes no lock.
  expect((await lab.action(`/vms/${vmId}/stop`)).status).toBe(200);
  release();
  await lab.idle();
  expect(await lab.eventCodes('dies-1')).toEqual([45, 10_774, 69]);
  expect(childText(await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}`), 'snapshot_status')).toBe('ok');
  await lab.start(vmId);
  expect(lab.host.plugged(vmId)[0]?.top.volumeId).toBe(childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id'));
});

test('while another VM holds any snapshot of the disk, none of its snapshots is removed', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('held');
  const [first, second] = [await lab.snapshot(vmId, 'first'), await lab.snapshot(vmId, 'second')];
  const appliance = await lab.vm('holder');
  await lab.attach(appliance, diskId, '<active>false</active>', second);
  const refused = await lab.api('DELETE', `/vms/${vmId}/snapshots/${first}`);
  expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('held_Disk1 ,second, holder') as string]);
  await lab.xml('DELETE', `/vms/${appliance}/diskattachments/${diskId}`);
  expect((await lab.api('DELETE', `/vms/${vmId}/snapshots/${first}`)).status).toBe(200);
  await lab.idle();
});

test('a domain below its critical space takes no snapshot, and lets one go for which there is room', async () => {
  const { vmId } = await lab.vmWithDisk('tight');
  const snapshotId = await lab.snapshot(vmId);
  lab.host.availableBytes = 1024 ** 2;
  try {
    expect((await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('more') })).status).toBe(409);
    expect((await lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`)).status).toBe(200);
    await lab.idle();
  } finally {
    lab.host.availableBytes = 1024 ** 4;
  }
});

test('a failed merge leaves the snapshot, with 359 and 357, and a repeat goes through', async () => {
  const { vmId } = await lab.vmWithDisk('again');
  await lab.start(vmId);
  const snapshotId = await lab.snapshot(vmId);
  lab.host.failNext('merge', 'job-failed');
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}?correlation_id=again-1`);
  await lab.idle();
  expect(await lab.eventCodes('again-1')).toEqual([342, 359, 357]);
  expect(childText(await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}`), 'snapshot_status')).toBe('ok');
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
  await lab.idle();
  expect((await lab.api('GET', `/vms/${vmId}/snapshots/${snapshotId}`)).status).toBe(404);
});

test('preview shows the snapshot on fresh volumes, undo brings everything back, commit drops what came later', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('preview');
  const [first, second] = [await lab.snapshot(vmId, 'first'), await lab.snapshot(vmId, 'second')];
  const image = async (): Promise<string | undefined> => childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id');
  const before = await image();
  expect((await lab.action(`/vms/${vmId}/previewsnapshot`, `<action><snapshot id="${first}"/></action>`)).status).toBe(200);
  const during = await image();
  expect(during).not.toBe(before);
  expect((await snapshots(vmId)).map((row) => [childText(row, 'snapshot_type'), childText(row, 'snapshot_status')])).toContainEqual([
    'regular',
    'in_preview',
  ]);
  expect((await lab.action(`/vms/${vmId}/undosnapshot`)).status).toBe(200);
  expect(await image()).toBe(before);
  expect(
    (await lab.action(`/vms/${vmId}/snapshots/${first}/restore`, '<action><restore_memory>false</restore_memory></action>')).status,
  ).toBe(200);
  expect((await snapshots(vmId)).map((row) => row.attributes['id'])).not.toContain(second);
  expect(await lab.eventCodes('RestoreSnapshot')).toEqual([46, 71, 94, 95]);
  expect(await image()).not.toBe(before);
  await lab.start(vmId);
  expect(lab.host.plugged(vmId)[0]?.top.volumeId).toBe(await image());
});
