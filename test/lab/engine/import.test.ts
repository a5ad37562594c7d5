// VMs from a saved configuration: what the engine takes from an OVF, what it ignores, what crashes its reader.
import { child, childText, parseXml } from '../../../lab/engine/xml';
import { readOvf } from '../../../lab/engine/ovf/reader';
import { Lab, newDisk, type Reply } from './lab-client';
import { importBody, sampleIds, sampleOvf } from './provoke-vms';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

function send(ovf: string, extra = '', initialization = ''): Promise<Reply> {
  return lab.api('POST', '/vms?correlation_id=import-1', { body: importBody(ovf, extra, undefined, initialization) });
}

async function floatingDisk(): Promise<void> {
  await lab.post('/disks', newDisk('restored').replace('<disk>', `<disk id="${sampleIds.disk}">`));
  await lab.idle();
}

async function attachedDisks(vmId: string): Promise<(string | undefined)[]> {
  return (await lab.xml('GET', `/vms/${vmId}/diskattachments`)).children.map((row) => row.attributes['id']);
}

async function configuration(vmId: string): Promise<string> {
  const vm = await lab.xml('GET', `/vms/${vmId}?all_content=true`);
  return childText(child(child(vm, 'initialization') ?? vm, 'configuration') ?? vm, 'data') ?? '';
}

test('the sample is accepted unchanged: id, name, NIC with its MAC, and the floating disk of the same id is attached (174)', async () => {
  await floatingDisk();
  const reply = await send(sampleOvf);
  const vm = parseXml(reply.text);
  expect([reply.status, vm.attributes['id'], childText(vm, 'name')]).toEqual([201, sampleIds.vm, 'lab1']);
  expect(await lab.eventCodes('import-1')).toEqual([2016, 174]);
  const [row] = (await lab.xml('GET', `/vms/${sampleIds.vm}/diskattachments`)).children;
  expect(row && [row.attributes['id'], childText(row, 'bootable'), childText(row, 'active'), childText(row, 'interface')]).toEqual([
    sampleIds.disk,
    'true',
    'true',
    'virtio_scsi',
  ]);
  const [nic] = (await lab.xml('GET', `/vms/${sampleIds.vm}/nics`)).children;
  expect(nic && [nic.attributes['id'], childText(child(nic, 'mac') ?? nic, 'address'), child(nic, 'vnic_profile') !== undefined]).toEqual([
    sampleIds.nic,
    '56:6f:00:00:00:01',
    true,
  ]);
});

test('and it is read back almost as it was', async () => {
  await floatingDisk();
  await send(sampleOvf);
  const back = await configuration(sampleIds.vm);
  const [sent, read] = [readOvf(sampleOvf), readOvf(back)];
  const dates = { CreationDate: expect.any(String) as string, ExportDate: expect.any(String) as string };
  expect(read).toEqual({ ...sent, general: { ...sent.general, ...dates } });
  expect(back).toContain(`<Alias>ua-${sampleIds.disk}</Alias>`);
  expect(back.split('\n')).toHaveLength(1);
});

test('a missing disk is no error: 201, event 175, a VM without it', async () => {
  const reply = await send(sampleOvf);
  expect(reply.status).toBe(201);
  expect(await lab.eventCodes('import-1')).toEqual([175]);
  expect(await attachedDisks(sampleIds.vm)).toEqual([]);
});

test('a disk that is attached elsewhere is not taken away: event 175', async () => {
  await floatingDisk();
  const other = await lab.vm('other');
  await lab.attach(other, sampleIds.disk);
  await send(sampleOvf);
  expect(await lab.eventCodes('import-1')).toContain(175);
  expect(await attachedDisks(other)).toEqual([sampleIds.disk]);
});

test('regenerate_ids makes new VM, NIC and MAC ids, but attaches the disk to the original', async () => {
  await send(sampleOvf);
  await floatingDisk();
  const reply = await send(sampleOvf, '<name>copy</name>', '<regenerate_ids>true</regenerate_ids>');
  const copy = parseXml(reply.text).attributes['id'] ?? '';
  expect([reply.status, copy]).toEqual([201, expect.not.stringContaining(sampleIds.vm)]);
  expect(await attachedDisks(copy)).toEqual([]);
  expect(await attachedDisks(sampleIds.vm)).toEqual([sampleIds.disk]);
  const [nic] = (await lab.xml('GET', `/vms/${copy}/nics`)).children;
  expect(nic && [nic.attributes['id'] === sampleIds.nic, childText(child(nic, 'mac') ?? nic, 'address')]).toEqual([
    false,
    expect.stringMatching(/^56:6f:1a:b0:/),
  ]);
});

test('values of the body win over those of the OVF; an empty MAC comes from the pool', async () => {
  const reply = await send(
    sampleOvf.replace('56:6f:00:00:00:01', ''),
    '<name>renamed</name><comment>mine</comment><memory>2147483648</memory>',
  );
  const vm = parseXml(reply.text);
  expect([childText(vm, 'name'), childText(vm, 'comment'), childText(vm, 'memory')]).toEqual(['renamed', 'mine', '2147483648']);
  const [nic] = (await lab.xml('GET', `/vms/${sampleIds.vm}/nics`)).children;
  expect(nic && childText(child(nic, 'mac') ?? nic, 'address')).toMatch(/^56:6f:1a:b0:/);
});

const disk = /<Disk .*?<\/Disk>/;
const file = /<File .*?<\/File>/;
const item17 = /<Item><rasd:Caption>lab1_Disk1.*?<\/Item>/s;

test.each([
  ['no File: no disk, though it would be there', (ovf: string) => ovf.replace(file, ''), []],
  ['no Item 17: attached all the same', (ovf: string) => ovf.replace(item17, ''), [sampleIds.disk]],
  ['no disk-interface: not attached', (ovf: string) => ovf.replace(/ ovf:disk-interface="[^"]*"/, ''), []],
  [
    'no size, a kept StorageId, a Parent: harmless',
    (ovf: string) => ovf.replace(/ ovf:size="20"/, '').replace(/<rasd:Parent>[^<]*/, '<rasd:Parent>a1000000-0000-4000-8000-000000000009'),
    [sampleIds.disk],
  ],
  [
    'line breaks between elements: fine',
    (ovf: string) =>
      ovf
        .replace(/></g, '>\n<')
        .replace('<PredefinedProperties>\n', '<PredefinedProperties>')
        .replace('<UserDefinedProperties>\n', '<UserDefinedProperties>'),
    [sampleIds.disk],
  ],
  [
    'unknown operating system, foreign template: accepted',
    (ovf: string) => ovf.replace('rhel_9x64', 'plan9').replace(/<TemplateId>[^<]*/, '<TemplateId>5a000000-0000-4000-8000-000000000077'),
    [sampleIds.disk],
  ],
])('%s', async (_, change, attached) => {
  await floatingDisk();
  const reply = await send(change(sampleOvf));
  expect(reply.status).toBe(201);
  expect(await attachedDisks(sampleIds.vm)).toEqual(attached);
});

test.each([
  ['no Disk but an Item 17', (ovf: string) => ovf.replace(disk, '')],
  ['no Parent', (ovf: string) => ovf.replace(/<rasd:Parent>.*?<\/rasd:Parent>/, '')],
  ['no Connection', (ovf: string) => ovf.replace(/<rasd:Connection>.*?<\/rasd:Connection>/, '')],
  ['no File description', (ovf: string) => ovf.replace(' ovf:description="Active VM"', '')],
  ['no OS id', (ovf: string) => ovf.replace(` ovf:id="${sampleIds.vm}"`, '')],
  ['a Section without xsi:type', (ovf: string) => ovf.replace(' xsi:type="ovf:OperatingSystemSection_Type"', '')],
  [
    'a SnapshotId without CustomProperties',
    (ovf: string) => ovf.replace('<Alias></Alias></Item>', `<Alias></Alias><SnapshotId>${sampleIds.vm}</SnapshotId></Item>`),
  ],
  ['a default namespace', (ovf: string) => ovf.replace('<ovf:Envelope ', '<ovf:Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1/" ')],
  ['an unknown disk interface', (ovf: string) => ovf.replace('"VirtIO_SCSI"', '"Floppy"')],
  ['white space in empty PredefinedProperties', (ovf: string) => ovf.replace('<PredefinedProperties>', '<PredefinedProperties>\n')],
  ['not well-formed', (ovf: string) => ovf.slice(0, 900)],
])('the reader crashes on %s: 400 in lower case, and no VM', async (_, change) => {
  const broken = change(sampleOvf);
  expect(broken).not.toBe(sampleOvf);
  const reply = await send(broken);
  const detail = childText(parseXml(reply.text), 'detail') ?? '';
  expect([reply.status, detail]).toEqual([400, detail.toLowerCase()]);
  expect((await lab.xml('GET', '/vms')).children).toHaveLength(0);
});

test('type and data are both needed, and ova is not read', async () => {
  const body = (initialization: string): string =>
    `<vm><cluster><name>Default</name></cluster><initialization><configuration>${initialization}</configuration></initialization></vm>`;
  for (const initialization of ['<type>ovf</type>', '<data>x</data>', '<type>ova</type><data>x</data>']) {
    expect((await lab.api('POST', '/vms', { body: body(initialization) })).status).toBe(400);
  }
});

test("a snapshot's configuration makes a VM again, once its disks are taken out", async () => {
  const { vmId } = await lab.vmWithDisk('original');
  const snapshotId = await lab.snapshot(vmId);
  const snapshot = await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}?all_content=true`);
  const ovf = childText(child(child(snapshot, 'initialization') ?? snapshot, 'configuration') ?? snapshot, 'data') ?? '';
  const stripped = ovf
    .replace(file, '')
    .replace(disk, '')
    .replace(/<Item><rasd:Caption>original_Disk1.*?<\/Item>/, '');
  const reply = await send(stripped, '<name>again</name>', '<regenerate_ids>true</regenerate_ids>');
  expect([reply.status, childText(parseXml(reply.text), 'name')]).toEqual([201, 'again']);
});
