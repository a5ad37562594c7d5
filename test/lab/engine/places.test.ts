// The furniture of the demo data center: what a client may choose between, and what follows from the choice.
import { child, childText } from '../../../lab/engine/xml';
import { Lab, newDisk } from './lab-client';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.remove();
});

async function names(path: string): Promise<(string | undefined)[]> {
  return (await lab.xml('GET', path)).children.map((row) => childText(row, 'name'));
}

async function idOf(path: string, name: string): Promise<string> {
  return (await lab.xml('GET', path)).children.find((row) => childText(row, 'name') === name)?.attributes['id'] ?? '';
}

test('two of most things, the default first; a host for each cluster, one profile for each network', async () => {
  expect(await names('/clusters')).toEqual(['Default', 'Second']);
  expect(await names('/hosts')).toEqual(['host-1', 'host-2']);
  expect(await names('/networks')).toEqual(['ovirtmgmt', 'backup-net']);
  expect(await names(`/networks/${await idOf('/networks', 'backup-net')}/vnicprofiles`)).toEqual(['backup-net']);
  expect(await names(`/datacenters/${await idOf('/datacenters', 'Default')}/storagedomains`)).toEqual(['data-1', 'data-2']);
});

test('a disk goes to the domain that was asked for', async () => {
  const diskId = await lab.post('/disks', newDisk('second', '').replace('data-1', 'data-2'));
  await lab.idle();
  const disk = await lab.xml('GET', `/disks/${diskId}`);
  expect(child(child(disk, 'storage_domains') ?? disk, 'storage_domain')?.attributes['id']).toBe(await idOf('/storagedomains', 'data-2'));
});

test("a VM of the second cluster runs on its host, and its NIC's address comes from its pool", async () => {
  const body = '<vm><name>elsewhere</name><cluster><name>Second</name></cluster><template><name>Blank</name></template></vm>';
  const vmId = await lab.post('/vms', body);
  const profile = await idOf('/vnicprofiles', 'backup-net');
  const nic = await lab.xml('POST', `/vms/${vmId}/nics`, `<nic><name>nic1</name><vnic_profile id="${profile}"/></nic>`);
  expect(childText(child(nic, 'mac') ?? nic, 'address')).toBe('56:6f:1a:b1:00:00');
  const cluster = await lab.xml('GET', `/clusters/${await idOf('/clusters', 'Second')}`);
  const pool = await lab.xml('GET', `/macpools/${child(cluster, 'mac_pool')?.attributes['id'] ?? ''}`);
  const range = child(child(pool, 'ranges') ?? pool, 'range');
  expect([childText(pool, 'name'), range && childText(range, 'from'), range && childText(range, 'to')]).toEqual([
    'Second',
    '56:6f:1a:b1:00:00',
    '56:6f:1a:b1:00:ff',
  ]);
  await lab.start(vmId);
  expect(child(await lab.xml('GET', `/vms/${vmId}`), 'host')?.attributes['id']).toBe(await idOf('/hosts', 'host-2'));
});

test('a renamed domain is not made a second time at the next start', async () => {
  await lab.xml('PUT', `/storagedomains/${await idOf('/storagedomains', 'data-2')}`, '<storage_domain><name>other</name></storage_domain>');
  lab = await lab.restart();
  expect(await names('/storagedomains')).toEqual(['data-1', 'other']);
});
