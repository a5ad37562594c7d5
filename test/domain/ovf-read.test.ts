// What a saved configuration says about a VM, and which files are no configuration at all.
import { readOvf } from '../../domain/ovf';
import { demo, failureOf, ovfOf } from './ovf-samples';

test('the VM, its disks and its network cards', () => {
  const ovf = readOvf(ovfOf(demo));
  expect(ovf).toMatchObject({ vmId: demo.vmId, name: 'demo', clusterName: 'Default' });
  expect(ovf.disks).toEqual([
    expect.objectContaining({ diskId: demo.disks[0]?.diskId, imageId: demo.disks[0]?.imageId, alias: 'demo_Disk1', interface: 'virtio_scsi', bootable: true, readOnly: false }),
    expect.objectContaining({ diskId: demo.disks[1]?.diskId, interface: 'virtio', bootable: false, passDiscard: true, plugged: true, format: 'cow', sparse: true, description: 'a "quoted" one', storageType: 'IMAGE' }),
  ]);
  expect(ovf.nics).toEqual([
    { id: demo.nics[0]?.id, index: 0, name: 'nic1', mac: '56:6f:00:00:00:01', network: 'ovirtmgmt', profile: 'ovirtmgmt' },
    { id: demo.nics[1]?.id, index: 1, name: 'nic2', mac: '56:6f:00:00:00:02', network: 'storage net', profile: 'storage net' },
  ]);
});

test('a chain of volumes is one disk: the top one', () => {
  const diskId = 'd1000000-0000-4000-8000-000000000001';
  const base = { diskId, imageId: 'a1000000-0000-4000-8000-000000000001', alias: 'demo_Disk1' };
  const top = { ...base, imageId: 'a1000000-0000-4000-8000-000000000009', parentImageId: base.imageId };
  expect(readOvf(ovfOf({ ...demo, disks: [base, top] })).disks.map((disk) => disk.imageId)).toEqual([top.imageId]);
});

test('another prefix for rasd and a pretty-printed file are read all the same', () => {
  const xml = ovfOf({ ...demo, gap: '\n    ' }).replaceAll('rasd:', 'hw:').replace('xmlns:rasd', 'xmlns:hw');
  expect(readOvf(xml)).toEqual(readOvf(ovfOf(demo)));
});

test('a missing interface means IDE, an unknown one is an error that names the disk', () => {
  const xml = ovfOf(demo);
  expect(readOvf(xml.replace(' ovf:disk-interface="VirtIO"', '')).disks[1]?.interface).toBe('ide');
  expect(() => readOvf(xml.replace('ovf:disk-interface="VirtIO"', 'ovf:disk-interface="NVMe"'))).toThrow(/"demo_Disk2".*"NVMe"/);
});

test.each([
  ['cut off', (xml: string) => xml.slice(0, -40), /not well-formed/],
  ['empty', () => '', /not well-formed/],
  ['an unquoted attribute', (xml: string) => xml.replace('ovf:id="out"', 'ovf:id=out'), /not well-formed/],
  ['an undeclared prefix', (xml: string) => xml.replace('xmlns:rasd=', 'xmlns:other='), /not well-formed/],
  ['an unknown entity', (xml: string) => xml.replace('<Name>demo', '<Name>&demo;'), /not well-formed/],
  ['no Content', (xml: string) => xml.replaceAll('Content', 'Inhalt'), /no Content element/],
  ['no operating system section', (xml: string) => xml.replace('ovf:OperatingSystemSection_Type', 'ovf:Other_Type'), /operating system section/],
  ['no VM id', (xml: string) => xml.replace(` ovf:id="${demo.vmId}"`, ''), /operating system section/],
  ['a VM id that is none', (xml: string) => xml.replace(demo.vmId, '42'), /"42", which is no VM id/],
  ['an OVA', (xml: string) => xml.replaceAll('ovf:Envelope', 'Envelope'), /an OVA is not supported/],
  ['a default namespace', (xml: string) => xml.replace('<ovf:Envelope', '<ovf:Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"'), /default namespace/],
])('%s is refused as corrupt, with what is missing', (_what, spoil, message) => {
  const spoiled = spoil(ovfOf(demo));
  const failure = failureOf(() => readOvf(spoiled));
  expect(failure.code).toBe('repository.corrupt');
  expect(failure.message).toMatch(message);
});

test('a replacement character in a description is a character like any other', () => {
  expect(readOvf(ovfOf({ ...demo, name: 'de\uFFFDmo' })).name).toBe('de\uFFFDmo');
});

test('a document type is refused, so no entity of another file is ever read', () => {
  const bomb = ovfOf(demo).replace('?>', '?><!DOCTYPE x [<!ENTITY passwd SYSTEM "file:///etc/passwd">]>').replace('<Name>demo', '<Name>&passwd;');
  expect(failureOf(() => readOvf(bomb)).code).toBe('repository.corrupt');
  const harmless = ovfOf(demo).replace('?>', '?><!DOCTYPE ovf>');
  expect(() => readOvf(harmless)).toThrow(/document type declaration/);
});
