// Backup and restore through the appliance where FUSE works: the data path's promises, VMs that are down, formats, disks left out, and what a
// restored VM has in common with the one it came from.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BackupSummary } from '../../client';
import { laneTests, manifestOf, rootsOf } from './support/lane';
import { restoreTests } from './support/restores';
import { useStack, type Stack } from './support/stack';
import { ask, digestOfVolume, makeVm, volumePath, type DiskWish, type EngineAttachment, type EngineDisk, type TestVm } from './support/vms';

const limitMs = 90_000;
const stackOf = useStack();

/** `san` wherever this user may use FUSE; the lab says so when it falls back. */
function transportHere({ parts }: Stack): string {
  if (!parts.part('lab').logText().includes('FUSE exports do not work here')) return 'san';
  console.warn('FUSE does not work for this user: the NBD lane was tested twice');
  return 'socket';
}

describe('with FUSE', () => {
  laneTests(stackOf, transportHere);
});

describe('restores beyond a new VM', () => {
  restoreTests(stackOf);
});

const wishes: readonly DiskWish[] = [
  { alias: 'boot', format: 'cow', sizeMib: 64, dataMib: 20, bootable: true, backup: 'incremental' },
  { alias: 'old data', format: 'raw', sizeMib: 32, dataMib: 12, interface: 'virtio', wipeAfterDelete: true },
  { alias: 'full size', format: 'raw', sizeMib: 16, dataMib: 4, interface: 'sata', sparse: false },
  { alias: 'scratch', format: 'cow', sizeMib: 32, dataMib: 8 },
];
const description = 'Kept <exactly> & "so" – ünïcode';

describe('a VM that is down, with disks of every kind', () => {
  let stack: Stack;
  let vm: TestVm;
  let backup: BackupSummary;

  beforeAll(async () => {
    stack = stackOf();
    vm = await makeVm(stack, 'mixed', wishes, { description });
  }, limitMs);

  test('is backed up without the disk that is left out by choice', async () => {
    const leaveOutDiskIds = vm.disks.filter(({ alias }) => alias === 'scratch').map(({ id }) => id);
    ({ backup } = await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, leaveOutDiskIds })).result());
    expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks.filter(({ alias }) => alias !== 'scratch')));
    expect((await manifestOf(stack, backup)).leftOut).toEqual([expect.objectContaining({ alias: 'scratch', why: 'left out by choice' })]);
    expect(await stack.lab.engine('GET', `/vms/${vm.id}`)).toMatchObject({ status: 'down' });
  }, limitMs);

  test('comes back with the same bytes, disk settings and description, a new MAC, and nothing of the original touched', async () => {
    const before = await shapeOf(stack, vm.id);
    const restored = await stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: backup.backupId, name: 'mixed-restored' })).result();
    stack.keptVmIds.add(restored.vmId);
    stack.afterwards(() => stack.lab.removeWithDisks(restored.vmId));
    const now = await shapeOf(stack, restored.vmId);
    expect(now.disks).toEqual(before.disks.filter(({ alias }) => alias !== 'scratch'));
    expect(now.description).toBe(description);
    expect(now.nics).toHaveLength(1);
    expect(now.nics[0]?.name).toBe(before.nics[0]?.name);
    expect(now.nics[0]?.mac.address).not.toBe(before.nics[0]?.mac.address);
    // Not by Holdfast's word: the volumes that the engine made, read by qemu-img.
    expect(rootsOf(await contentOf(stack, restored.vmId))).toEqual(rootsOf(backup.disks));
    expect(await shapeOf(stack, vm.id)).toEqual(before);
  }, limitMs);

  test('its saved configuration is the engine\'s own, unchanged', async () => {
    const ovf = await readFile(path.join(stack.parts.repository.path, 'vms', vm.id, backup.backupId, 'vm.ovf'), 'utf8');
    expect(ovf.replaceAll('&quot;', '"')).toContain('<Description>Kept &lt;exactly&gt; &amp; "so" – ünïcode</Description>');
    for (const { id } of vm.disks.filter(({ alias }) => alias !== 'scratch')) expect(ovf).toContain(id);
    expect(ovf).toContain(vm.id);
  });
});

interface Shape {
  readonly description: string;
  readonly disks: readonly (Omit<EngineDisk, 'id' | 'image_id' | 'storage_domains'> & Omit<EngineAttachment, 'id'>)[];
  readonly nics: Awaited<ReturnType<typeof ask.nics>>;
}

/** What the API says of a VM, ids of disks apart. */
async function shapeOf(stack: Stack, vmId: string): Promise<Shape> {
  const disks = await Promise.all((await ask.attachments(stack, vmId)).map(async ({ id, ...attachment }) => {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`disk ${id} is attached and not there`);
    const { alias, status, format, sparse, backup, wipe_after_delete, provisioned_size } = disk;
    return { alias, status, format, sparse, backup, wipe_after_delete, provisioned_size, ...attachment };
  }));
  const vm = (await ask.vms(stack)).find(({ id }) => id === vmId);
  return { description: vm?.description ?? '', disks: disks.sort((one, other) => (one.alias < other.alias ? -1 : 1)), nics: await ask.nics(stack, vmId) };
}

async function contentOf(stack: Stack, vmId: string): Promise<{ alias: string; root: string }[]> {
  return Promise.all((await ask.attachments(stack, vmId)).map(async ({ id }) => {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`disk ${id} is attached and not there`);
    return { alias: disk.alias, root: await digestOfVolume(stack, await volumePath(stack, disk), disk.format === 'cow' ? 'qcow2' : 'raw') };
  }));
}
