// Disks on VMs: floating ones, new ones, and a snapshot's disk on its way into an appliance and out again.
import { rmSync } from 'node:fs';
import { childText } from '../../../lab/engine/xml';
import { attachment, Lab } from './lab-client';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.remove();
});

async function imageOf(diskId: string): Promise<string> {
  return childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id') ?? '';
}

test("a snapshot's disk: plugged into the running appliance as a throw-away layer over the frozen volume, blocks the removal, detaches alone", async () => {
  const { vmId, diskId } = await lab.vmWithDisk('source');
  const appliance = await lab.vm('appliance');
  await lab.start(vmId);
  await lab.start(appliance);
  const frozen = await imageOf(diskId);
  const snapshotId = await lab.snapshot(vmId, 'for the appliance');
  const attached = await lab.api('POST', `/vms/${appliance}/diskattachments?correlation_id=attach-1`, {
    body: attachment(diskId, '<active>true</active>', snapshotId),
  });
  expect(attached.status).toBe(201);
  expect(await lab.eventCodes('attach-1')).toEqual([2016]);
  expect(lab.host.plugged(appliance)).toEqual([
    expect.objectContaining({ diskId, transient: true, bus: 'virtio_scsi', top: expect.objectContaining({ volumeId: frozen }) as object }),
  ]);
  const refused = await lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
  expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('source_Disk1 ,for the appliance, appliance')]);
  await lab.xml('DELETE', `/vms/${appliance}/diskattachments/${diskId}?correlation_id=detach-1`);
  expect(await lab.eventCodes('detach-1')).toEqual([2018]);
  expect(lab.host.plugged(appliance)).toEqual([]);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('ok');
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
  await lab.idle();
  expect(await imageOf(diskId)).toBe(frozen);
});

test('two appliances may hold the same snapshot; one may not hold two of one disk', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('shared-source');
  const snapshotId = await lab.snapshot(vmId);
  const [first, second] = [await lab.vm('app-1'), await lab.vm('app-2')];
  expect((await lab.attach(first, diskId, '<active>true</active>', snapshotId)).status).toBe(201);
  expect((await lab.attach(second, diskId, '<active>true</active>', snapshotId)).status).toBe(201);
  expect((await lab.attach(first, diskId, '<active>true</active>', snapshotId)).status).toBe(409);
});

test('a failed plug leaves no attachment: 400 without a message, event 2017', async () => {
  const appliance = await lab.vm('unlucky');
  const diskId = await lab.disk('unlucky-disk');
  await lab.start(appliance);
  lab.host.failNext('plugDisk', 'device-busy');
  const reply = await lab.api('POST', `/vms/${appliance}/diskattachments?correlation_id=unlucky-1`, {
    body: attachment(diskId, '<active>true</active>'),
  });
  expect([reply.status, reply.text]).toEqual([400, expect.stringContaining('<detail>[]</detail>')]);
  expect(await lab.eventCodes('unlucky-1')).toEqual([2017]);
  expect((await lab.xml('GET', `/vms/${appliance}/diskattachments`)).children).toHaveLength(0);
  expect((await lab.attach(appliance, diskId)).status).toBe(201);
});

test('a refusal is not logged', async () => {
  const errors = async (): Promise<number> => (await lab.api('GET', '/events')).text.split('<severity>error<').length;
  const before = await errors();
  const { vmId, diskId } = await lab.vmWithDisk('a');
  const other = await lab.vm('b');
  expect([(await lab.attach(other, diskId)).status, (await lab.api('DELETE', `/vms/${other}/diskattachments/${diskId}`)).status]).toEqual([409, 400]);
  await lab.start(vmId);
  lab.host.report(vmId, 'not_responding');
  const body = '<disk_attachment><active>false</active></disk_attachment>';
  expect((await lab.api('PUT', `/vms/${vmId}/diskattachments/${diskId}`, { body })).status).toBe(409);
  expect(await errors()).toBe(before);
});

test('attaching is not activating: without active the disk is not plugged; PUT active plugs and unplugs', async () => {
  const vmId = await lab.vm('switch');
  const diskId = await lab.disk('switch-disk');
  await lab.start(vmId);
  await lab.attach(vmId, diskId, '');
  expect(lab.host.plugged(vmId)).toHaveLength(0);
  const put = async (active: boolean): Promise<void> => {
    await lab.xml('PUT', `/vms/${vmId}/diskattachments/${diskId}`, `<disk_attachment><active>${active}</active></disk_attachment>`);
  };
  await put(true);
  expect(lab.host.plugged(vmId).map((disk) => [disk.diskId, disk.transient])).toEqual([[diskId, false]]);
  await put(false);
  expect(lab.host.plugged(vmId)).toHaveLength(0);
});

test('a new disk made inside a running VM is locked, then ok and plugged', async () => {
  const vmId = await lab.vm('grows');
  await lab.start(vmId);
  const release = lab.host.hold('createVolume');
  const body =
    '<disk_attachment><interface>virtio</interface><active>true</active><disk><alias>inline</alias><provisioned_size>1048576</provisioned_size><format>raw</format>' +
    '<storage_domains><storage_domain><name>data-1</name></storage_domain></storage_domains></disk></disk_attachment>';
  const diskId = await lab.post(`/vms/${vmId}/diskattachments`, body);
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('locked');
  release();
  await lab.idle();
  expect(childText(await lab.xml('GET', `/disks/${diskId}`), 'status')).toBe('ok');
  expect(lab.host.plugged(vmId)).toEqual([expect.objectContaining({ diskId, bus: 'virtio', format: 'raw' })]);
});

test('a disk keeps the id that it was asked for; detach_only=false removes it', async () => {
  const wanted = 'aaaaaaaa-1111-4222-8333-bbbbbbbbbbbb';
  await lab.post(
    '/disks',
    `<disk id="${wanted}"><alias>mine</alias><provisioned_size>1048576</provisioned_size><format>cow</format><storage_domains><storage_domain><name>data-1</name></storage_domain></storage_domains></disk>`,
  );
  await lab.idle();
  const vmId = await lab.vm('owner');
  await lab.attach(vmId, wanted);
  await lab.xml('DELETE', `/vms/${vmId}/diskattachments/${wanted}?detach_only=false`);
  await lab.idle();
  expect((await lab.api('GET', `/disks/${wanted}`)).status).toBe(404);
  expect((await lab.xml('GET', `/vms/${vmId}/diskattachments`)).children).toHaveLength(0);
});

test('deleting the file of a volume makes the disk and its snapshots above illegal, without anybody telling the engine', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('damaged');
  const snapshotId = await lab.snapshot(vmId);
  const disk = (path: string) => lab.xml('GET', path);
  expect(childText(await disk(`/disks/${diskId}`), 'status')).toBe('ok');
  const [base] = lab.engine.context.store.tables.images.where((image) => image.snapshotId === snapshotId);
  rmSync(lab.host.volumeFile({ domainId: base?.domainId ?? '', diskId, volumeId: base?.id ?? '' }));
  const status = async (): Promise<(string | undefined)[]> => [
    childText(await disk(`/disks/${diskId}`), 'status'),
    childText(await disk(`/vms/${vmId}/snapshots/${snapshotId}/disks/${diskId}`), 'status'),
  ];
  // Within the half second for which the last look may be reused.
  for (let attempts = 0; attempts < 100 && (await status())[0] === 'ok'; attempts += 1)
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  expect(await status()).toEqual(['illegal', 'illegal']);
});

test('an attach and the removal of its snapshot at the same moment: exactly one of them wins', async () => {
  const { vmId, diskId } = await lab.vmWithDisk('raced');
  const appliance = await lab.vm('racer');
  await lab.start(appliance);
  for (let round = 0; round < 5; round += 1) {
    const snapshotId = await lab.snapshot(vmId, `round ${round}`);
    const [attached, removed] = await Promise.all([
      lab.attach(appliance, diskId, '<active>true</active>', snapshotId),
      lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`),
    ]);
    expect([attached.status === 201, removed.status === 200].filter(Boolean)).toHaveLength(1);
    await lab.idle();
    if (attached.status !== 201) continue;
    await lab.xml('DELETE', `/vms/${appliance}/diskattachments/${diskId}`);
    await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
    await lab.idle();
  }
});
