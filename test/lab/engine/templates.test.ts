// VMs from a template: thin disks on the template's volume, their own life above it, and what their configuration says.
import { child, childText, parseXml } from '../../../lab/engine/xml';
import { Lab } from './lab-client';

let lab: Lab;
let templateId: string;
let templateDisk: string;
beforeEach(async () => {
  lab = await Lab.start();
  ({ templateId, diskId: templateDisk } = await lab.template('golden'));
});
afterEach(async () => {
  await lab.remove();
});

const fromTemplate = (name: string): string =>
  `<vm><name>${name}</name><cluster><name>Default</name></cluster><template><name>golden</name></template></vm>`;

async function diskOf(vmId: string): Promise<string> {
  return (await lab.xml('GET', `/vms/${vmId}/diskattachments`)).children[0]?.attributes['id'] ?? '';
}

async function imageOf(diskId: string): Promise<string> {
  return childText(await lab.xml('GET', `/disks/${diskId}`), 'image_id') ?? '';
}

async function parentOf(diskId: string): Promise<string | undefined> {
  const [volume] = (await lab.xml('GET', `/disks/${diskId}/disksnapshots?include_active=true`)).children;
  return volume && child(volume, 'parent')?.attributes['id'];
}

test('templates are listed with Blank first and tell their disks', async () => {
  expect((await lab.xml('GET', '/templates')).children.map((row) => childText(row, 'name'))).toEqual(['Blank', 'golden']);
  expect((await lab.xml('GET', `/templates/${templateId}/diskattachments`)).children.map((row) => row.attributes['id'])).toEqual([
    templateDisk,
  ]);
});

test('the VM is locked until its thin disk stands on the template; two VMs share the base and differ in everything else', async () => {
  const release = lab.host.hold('createVolume');
  const created = await lab.xml('POST', '/vms', fromTemplate('one'));
  expect(childText(created, 'status')).toBe('image_locked');
  release();
  await lab.idle();
  const [one, two] = [created.attributes['id'] ?? '', await lab.post('/vms', fromTemplate('two'))];
  await lab.idle();
  const vm = await lab.xml('GET', `/vms/${one}`);
  expect([childText(vm, 'status'), child(vm, 'template')?.attributes['id']]).toEqual(['down', templateId]);
  const [first, second] = [await diskOf(one), await diskOf(two)];
  expect(new Set([first, second, templateDisk]).size).toBe(3);
  const base = await imageOf(templateDisk);
  expect([await parentOf(first), await parentOf(second)]).toEqual([base, base]);
  expect((await lab.xml('GET', `/disks/${first}`)).children.find(({ name }) => name === 'alias')?.text).toBe('one_Disk1');
  await lab.xml('DELETE', `/vms/${one}`);
  await lab.idle();
  expect([(await lab.api('GET', `/disks/${first}`)).status, childText(await lab.xml('GET', `/disks/${second}`), 'status')]).toEqual([
    404,
    'ok',
  ]);
});

test('its snapshots come and go above the base', async () => {
  const vmId = await lab.post('/vms', fromTemplate('snapped'));
  await lab.idle();
  await lab.start(vmId);
  const diskId = await diskOf(vmId);
  const [base, own] = [await imageOf(templateDisk), await imageOf(diskId)];
  const snapshotId = await lab.snapshot(vmId);
  expect(await imageOf(diskId)).not.toBe(own);
  await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
  await lab.idle();
  expect([await imageOf(diskId), await parentOf(diskId), await imageOf(templateDisk)]).toEqual([own, base, base]);
});

test('the configuration names the template and its volume, but not as a file of the VM', async () => {
  const vmId = await lab.post('/vms', fromTemplate('described'));
  await lab.idle();
  const vm = await lab.xml('GET', `/vms/${vmId}?all_content=true`);
  const ovf = childText(child(child(vm, 'initialization') ?? vm, 'configuration') ?? vm, 'data') ?? '';
  const base = await imageOf(templateDisk);
  expect(ovf).toContain('<TemplateName>golden</TemplateName>');
  expect(ovf).toContain(`<rasd:Parent>${base}</rasd:Parent><rasd:Template>${base}</rasd:Template>`);
  expect(child(parseXml(ovf), 'References')?.children).toHaveLength(1);
  expect(ovf).not.toContain(templateDisk);
});

test("killed while the disks are made: they are finished; the template's disk cannot be attached", async () => {
  lab.host.hold('createVolume');
  const vmId = await lab.post('/vms', fromTemplate('resumed'));
  lab = await lab.restart();
  await lab.idle();
  expect(childText(await lab.xml('GET', `/vms/${vmId}`), 'status')).toBe('down');
  expect(await parentOf(await diskOf(vmId))).toBe(await imageOf(templateDisk));
  expect((await lab.attach(await lab.vm('thief'), templateDisk)).status).toBe(409);
});
