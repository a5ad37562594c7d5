// Restores on a real engine and host beyond "as a new VM": the original that is gone, a VM that is replaced and one that comes back because its
// replacement failed, several at once, a VM made from a template. Compared through the API and by qemu-img, never by Holdfast's word.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HoldfastRunError, type BackupSummary, type RestoreHandle, type RestoreRequest, type RestoreVmOutput } from '../../../client';
import { sometimes } from '../../support/sometimes';
import { untilProgress } from './copies';
import { rootsOf } from './lane';
import type { Stack } from './stack';
import { ask, digestOfVolume, makeVm, mib, until, volumePath, type DiskWish, type EngineDisk, type TestVm } from './vms';

const run = promisify(execFile);
const limitMs = 120_000;
const wishes: readonly DiskWish[] = [
  { alias: 'boot', format: 'cow', sizeMib: 16, dataMib: 6, bootable: true, backup: 'incremental' },
  { alias: 'full size', format: 'raw', sizeMib: 8, dataMib: 3, interface: 'virtio', sparse: false },
  { alias: 'secret', format: 'raw', sizeMib: 8, dataMib: 2, interface: 'sata', wipeAfterDelete: true },
];

/** Call it inside a describe: the tests follow each other. */
export function restoreTests(stackOf: () => Stack): void {
  let stack: Stack;
  let vm: TestVm;
  let thin: Pick<TestVm, 'id' | 'name'>;
  let backup: BackupSummary;
  let thinBackup: BackupSummary;
  let before: Awaited<ReturnType<typeof lookAt>>;

  const backUp = async ({ id }: Pick<TestVm, 'id'>): Promise<BackupSummary> => (await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: id, repository: stack.repository })).result()).backup;
  const start = async (request: Partial<RestoreRequest>): Promise<RestoreHandle> => stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: backup.backupId, ...request }));
  const restore = async (request: Partial<RestoreRequest>): Promise<RestoreVmOutput> => (await start(request)).result();

  beforeAll(async () => {
    stack = stackOf();
    vm = await makeVm(stack, 'shop', wishes, { description: 'the web shop' });
    await stack.lab.engine('PUT', `/vms/${vm.id}`, { comment: 'ask Anna' });
    await stack.lab.engine('POST', `/vms/${vm.id}/nics`, { name: 'lan', interface: 'virtio', network: { name: 'ovirtmgmt' } });
    const made = await stack.lab.engine('POST', '/vms', { name: 'thin', cluster: { name: 'Default' }, template: { name: 'tiny-template' } }) as { id: string };
    thin = { id: made.id, name: 'thin' };
    await stack.lab.waitForStatus(thin.id, 'down');
    before = await lookAt(stack, vm.id);
    [backup, thinBackup] = await Promise.all([backUp(vm), backUp(thin)]);
  }, limitMs);

  sometimes('several at once, each a run of its own; the one from a template comes back whole and stands on Blank', async () => {
    const handles = await Promise.all([start({ name: 'shop-2', storageDomain: 'data-2' }), start({ name: 'thin-2', backupId: thinBackup.backupId, cluster: 'Second' })]);
    const [shop, whole] = await Promise.all(handles.map((handle) => handle.result()));
    if (!shop || !whole) throw new Error('two restores gave no two results');
    for (const { vmId } of [shop, whole]) stack.keptVmIds.add(vmId);
    stack.afterwards(() => Promise.all([shop, whole].map(({ vmId }) => stack.lab.removeWithDisks(vmId))));
    expect(await contentOf(stack, shop.vmId)).toEqual(rootsOf(vm.disks));
    for (const { id } of await ask.attachments(stack, shop.vmId)) expect((await ask.disk(stack, id))?.storage_domains?.storage_domain).toEqual([{ id: await domainNamed(stack, 'data-2') }]);
    // Read through the chain down to the template's volume, and without one.
    expect(Object.values(await contentOf(stack, thin.id))).toEqual(Object.values(await contentOf(stack, whole.vmId)));
    expect(await backingFiles(stack, thin.id)).not.toEqual([]);
    expect(await backingFiles(stack, whole.vmId)).toEqual([]);
    expect(await stack.lab.engine('GET', `/vms/${whole.vmId}`)).toMatchObject({ template: { id: '00000000-0000-0000-0000-000000000000' }, cluster: { id: await clusterNamed(stack, 'Second') } });
  }, limitMs);

  test('a VM that is there is not made again; everything that speaks against it comes at once, and nothing is made', async () => {
    const disks = (await ask.disks(stack)).map(({ id }) => id);
    const error = await failureOf(start({ as: 'original', vmId: vm.id, networks: [{ from: 'ovirtmgmt', to: 'nowhere' }] }));
    expect(error.details.reasons.map(({ code }) => code).sort()).toEqual(['mac.taken', 'mac.taken', 'name.taken', 'network.unknown', 'vm.exists']);
    expect((await ask.disks(stack)).map(({ id }) => id)).toEqual(disks);
  }, limitMs);

  test('as the original, when it is gone: ids, name, comment, MAC, disks and their settings; a floating disk of it is left alone', async () => {
    const [floating, ...gone] = vm.disks;
    if (!floating) throw new Error('the VM has no disk');
    await stack.lab.engine('DELETE', `/vms/${vm.id}?detach_only=true`);
    await until('the VM is gone', async () => (await stack.lab.engine('GET', `/vms/${vm.id}`)) === undefined);
    for (const { id } of gone) await stack.lab.engine('DELETE', `/disks/${id}`);
    await until('two of its disks are gone', async () => (await Promise.all(gone.map(({ id }) => ask.disk(stack, id)))).every((disk) => disk === undefined));
    const left = await ask.disk(stack, floating.id);
    stack.afterwards(() => stack.lab.engine('DELETE', `/disks/${floating.id}`));

    const output = await restore({ as: 'original', vmId: vm.id });
    const now = await lookAt(stack, vm.id);
    const fresh = output.disks.find(({ sourceDiskId }) => sourceDiskId === floating.id)?.diskId ?? '';
    expect(fresh).not.toBe(floating.id);
    const idOf = (id: string): string => (id === floating.id ? fresh : id);
    expect(now).toEqual({ ...before, disks: before.disks.map((disk) => ({ ...disk, id: idOf(disk.id) })) });
    expect(await contentOf(stack, vm.id)).toEqual(rootsOf(vm.disks));
    expect(await ask.disk(stack, floating.id)).toEqual(left);
    expect(left && (await rootOfDisk(stack, left))).toBe(floating.root);
  }, limitMs);

  sometimes('a VM that is replaced, and whose successor cannot be made, is back as it was, and nothing else is left', async () => {
    const old = await lookAt(stack, vm.id);
    const mac = '56:6f:1a:b0:fe:01';
    const handle = await start({ as: 'replace', vmId: vm.id, macOfNic: [{ nic: 'nic1', mac }], bandwidthBytesPerSecond: mib });
    await untilProgress(handle, 'the copy has begun', ({ phase }) => phase === 'copy');
    // Somebody takes the address after it was found free: the engine refuses the new VM when the old one is gone already.
    const nic = await stack.lab.engine('POST', `/vms/${stack.applianceId}/nics`, { name: 'thief', interface: 'virtio', mac: { address: mac }, plugged: false }) as { id: string };
    stack.afterwards(() => stack.lab.engine('DELETE', `/vms/${stack.applianceId}/nics/${nic.id}`));
    await handle.setBandwidth(null);
    const error = await failureOf(Promise.resolve(handle));
    expect(error.code).toBe('engine.conflict');
    expect(error.details).toMatchObject({ leftovers: [], undone: expect.arrayContaining(['put the old VM shop back']) as string[] });
    const back = await lookAt(stack, vm.id);
    expect(back).toEqual(old);
    expect(await contentOf(stack, vm.id)).toEqual(rootsOf(vm.disks));
  }, limitMs);

  test('to replace: the VM has its id and the backup\'s bytes, in another place and on another network; only the disks that came back are gone', async () => {
    const old = await lookAt(stack, vm.id);
    await stack.lab.engine('POST', `/vms/${vm.id}/diskattachments`, { disk: { alias: 'added later', provisioned_size: mib, format: 'raw', storage_domains: { storage_domain: [{ name: 'data-1' }] } }, interface: 'virtio_scsi', active: true });
    const added = await until('the disk is made', async () => (await ask.disks(stack)).find(({ alias, status }) => alias === 'added later' && status === 'ok'));
    const output = await restore({ as: 'replace', vmId: vm.id, name: 'shop-again', storageDomainMap: [{ from: 'data-1', to: 'data-2' }], networks: [{ from: 'ovirtmgmt', to: 'backup-net' }] });
    const restoredIds = vm.disks.slice(1).map(({ id }) => id);
    const kept = [...old.disks.filter(({ id }) => !restoredIds.includes(id)).map(({ id }) => id), added.id];
    stack.afterwards(() => Promise.all(kept.map((id) => stack.lab.engine('DELETE', `/disks/${id}`))));
    expect([...output.removedDiskIds].sort()).toEqual([...restoredIds].sort());
    expect(output.keptDisks.map(({ diskId }) => diskId).sort()).toEqual([...kept].sort());
    for (const id of restoredIds) expect(await ask.disk(stack, id)).toBeUndefined();
    for (const id of kept) expect(await ask.disk(stack, id)).toMatchObject({ status: 'ok' });

    const now = await lookAt(stack, vm.id);
    expect({ ...now, disks: now.disks.map((disk) => ({ ...disk, id: '' })) }).toEqual({ ...before, name: 'shop-again', networks: { ...before.networks, lan: 'backup-net' }, disks: before.disks.map((disk) => ({ ...disk, id: '' })) });
    expect(await contentOf(stack, vm.id)).toEqual(rootsOf(vm.disks));
    for (const { id } of now.disks) expect((await ask.disk(stack, id))?.storage_domains?.storage_domain).toEqual([{ id: await domainNamed(stack, 'data-2') }]);
  }, limitMs);

  sometimes('a VM from a template is replaced too, although the engine would not let go of its disks at once', async () => {
    const [disk] = await ask.attachments(stack, thin.id);
    const content = await contentOf(stack, thin.id);
    const output = await restore({ as: 'replace', vmId: thin.id, backupId: thinBackup.backupId });
    expect(output).toMatchObject({ vmId: thin.id, removedDiskIds: [disk?.id], warnings: [], leftovers: [] });
    expect(await contentOf(stack, thin.id)).toEqual(content);
    expect(await backingFiles(stack, thin.id)).toEqual([]);
  }, limitMs);
}

/** Everything that the API says of a VM and that a restore gives back. */
async function lookAt(stack: Stack, vmId: string) {
  const disks = await Promise.all((await ask.attachments(stack, vmId)).map(async (attachment) => {
    const { alias, status, format, sparse, backup, wipe_after_delete, provisioned_size } = (await ask.disk(stack, attachment.id)) ?? {};
    return { ...attachment, alias: alias ?? '', status, format, sparse, backup, wipe_after_delete, provisioned_size };
  }));
  const { name, description, comment } = (await stack.lab.engine('GET', `/vms/${vmId}`)) as { name: string; description: string; comment: string };
  const { nic } = (await stack.lab.engine('GET', `/vms/${vmId}/nics?follow=network`)) as { nic: { name: string; network?: { name: string } }[] };
  const networks = Object.fromEntries(nic.map((each) => [each.name, each.network?.name]));
  return { name, description, comment, nics: [...(await ask.nics(stack, vmId))].sort((one, other) => (one.name < other.name ? -1 : 1)), networks, disks: disks.sort((one, other) => (one.alias < other.alias ? -1 : 1)) };
}

const rootOfDisk = async (stack: Stack, disk: EngineDisk): Promise<string> => digestOfVolume(stack, await volumePath(stack, disk), disk.format === 'cow' ? 'qcow2' : 'raw');

async function disksOf(stack: Stack, vmId: string): Promise<readonly EngineDisk[]> {
  const disks = await Promise.all((await ask.attachments(stack, vmId)).map(({ id }) => ask.disk(stack, id)));
  return disks.filter((disk) => disk !== undefined);
}

export async function contentOf(stack: Stack, vmId: string): Promise<Record<string, string>> {
  return rootsOf(await Promise.all((await disksOf(stack, vmId)).map(async (disk) => ({ alias: disk.alias, root: await rootOfDisk(stack, disk) }))));
}

async function backingFiles(stack: Stack, vmId: string): Promise<readonly string[]> {
  const infos = await Promise.all((await disksOf(stack, vmId)).map(async (disk) => JSON.parse((await run('qemu-img', ['info', '-U', '--output=json', await volumePath(stack, disk)], { env: stack.env })).stdout) as Record<string, string>));
  return infos.flatMap((info) => info['backing-filename'] ?? []);
}

const namedIn = (element: string, path: string) => async ({ lab }: Stack, name: string): Promise<string | undefined> =>
  ((await lab.engine('GET', path)) as Record<string, { id: string; name: string }[]>)[element]?.find((each) => each.name === name)?.id;
const domainNamed = namedIn('storage_domain', '/storagedomains');
const clusterNamed = namedIn('cluster', '/clusters');

async function failureOf(handle: Promise<RestoreHandle>): Promise<HoldfastRunError> {
  const outcome: unknown = await (await handle).result().catch((error: unknown) => error);
  if (outcome instanceof HoldfastRunError) return outcome;
  throw new Error(`the restore was expected to fail, not to give ${JSON.stringify(outcome)}`);
}
