// Planning on an engine: the facts it reads come out as one list of reasons, and it changes nothing.
import { randomUUID } from 'node:crypto';
import type { ControlActivities } from '../../activities';
import type { BackupPlan } from '../../activities/plan';
import { reasonCodes } from '../../domain/plan/reasons';
import { useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});

type Asked = Parameters<ControlActivities['planBackup']>[0];
const plan = (changes: Partial<Asked> = {}): Promise<BackupPlan> => desk.attempt('planBackup', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, leaveOutDiskIds: [], quiesce: 'best-effort', applianceId: desk.appliance.id, ...changes });
const codes = async (changes?: Partial<Asked>): Promise<readonly string[]> => (await plan(changes)).reasons.map(({ code }) => code);

test('a VM in order gives its disks and how much room they may need, and the run its name', async () => {
  expect(await plan()).toEqual({
    product: 'oVirt Engine', version: '4.5.8', vm: { id: desk.vm.id, name: 'demo', status: 'up', clusterId: desk.vm.clusterId, clusterName: 'Default' },
    disks: desk.disks.map((disk) => disk.settings), leftOut: [], neededBytes: 2 * 1024 * 1024, reasons: [],
  });
  expect(desk.engine.changes).toEqual([]);
  const { runs } = await desk.attempt('listRunsInCatalog', { runId: desk.runId, page: { limit: 1, offset: 0 } });
  expect(runs).toEqual([expect.objectContaining({ vmName: 'demo' })]);
});

test('a right that the engine\'s user lacks is a reason that names the permit; one on the cluster is enough for what lies in it', async () => {
  const { engine, vm } = desk;
  const [all] = engine.permissions;
  if (!all) throw new Error('the fake has a SuperUser');
  const without = (...permits: readonly string[]) => ({ ...all, permits: all.permits.filter((permit) => !permits.includes(permit)) });
  engine.permissions = [without('manipulate_vm_snapshots', 'attach_disk')];
  const { reasons } = await plan();
  expect(reasons.map(({ code, object }) => [code, object])).toEqual([['engine.permit', 'manipulate_vm_snapshots'], ['engine.permit', 'attach_disk']]);
  expect(reasons[1]?.text).toContain('attach disk demo_Disk1; attach disk demo_Disk2');
  engine.permissions = [...engine.permissions, { role: 'Backup', on: `cluster ${vm.clusterId}`, permits: ['manipulate_vm_snapshots', 'attach_disk'] }];
  expect(await codes()).toEqual([]);
  engine.permissions = [{ role: 'Backup', on: `cluster ${randomUUID()}`, permits: all.permits }];
  expect(await codes()).toEqual(['engine.permit', 'engine.permit', 'engine.permit']);
});

test('a disk that says it takes more than its size counts with its size; one that is left out does not count', async () => {
  const [first, second] = desk.disks;
  if (!first || !second) throw new Error('the desk has two disks');
  Object.assign(first, { actualBytes: 2 ** 50 });
  expect(await plan()).toMatchObject({ neededBytes: first.settings.virtualBytes + second.actualBytes });
  expect(await plan({ leaveOutDiskIds: [first.settings.diskId] })).toMatchObject({ neededBytes: second.actualBytes, disks: [second.settings], leftOut: [{ diskId: first.settings.diskId }] });
});

test('what is wrong with VM, disks and appliance comes at once', async () => {
  Object.assign(desk.disks[0] ?? {}, { status: 'illegal' });
  Object.assign(desk.disks[1] ?? {}, { shareable: true });
  desk.vm.status = 'powering_down';
  desk.appliance.status = 'down';
  expect(await codes()).toEqual(['vm.status', 'disk.illegal', 'disk.shared', 'appliance.down']);
});

test('an unknown VM does not hide what is wrong with the appliance', async () => {
  desk.appliance.status = 'down';
  expect(await codes({ vmId: randomUUID() })).toEqual(['vm.unknown', 'appliance.down']);
  expect(await codes({ vmId: randomUUID(), applianceId: undefined })).toEqual(['vm.unknown', 'appliance.unset']);
});

test('an appliance that has one of the disks already, is unknown, or is the VM itself', async () => {
  const diskId = desk.disks[0]?.settings.diskId ?? '';
  desk.appliance.attachments.set(diskId, { diskId, active: true, interface: 'virtio_scsi', readOnly: false, bootable: false });
  expect((await plan()).reasons).toEqual([expect.objectContaining({ code: 'appliance.other', object: diskId })]);
  expect(await codes({ leaveOutDiskIds: [diskId] })).toEqual([]);
  expect(await codes({ applianceId: randomUUID() })).toEqual(['appliance.unknown']);
  expect(await codes({ applianceId: desk.vm.id })).toContain('appliance.is-the-vm');
  for (const code of await codes({ applianceId: desk.vm.id })) expect(reasonCodes).toContain(code);
});

describe('a restore', () => {
  type Request = Parameters<ControlActivities['planRestore']>[0];
  const planned = (changes: Partial<Request> = {}): ReturnType<ControlActivities['planRestore']> => desk.attempt('planRestore', {
    engine: 'lab', runId: desk.runId, as: 'new', name: 'demo-restored', storageDomainMap: [], storageDomainOfDisk: [], networks: [], macOfNic: [], oldDisks: 'restored', applianceId: desk.appliance.id, applianceIds: [desk.appliance.id],
    saved: { vmId: desk.vm.id, name: 'demo', clusterId: desk.vm.clusterId, disks: desk.disks.map((disk) => ({ ...disk.settings, dataBytes: 1 })), leftOut: [], nics: desk.vm.nics.map(({ name, mac, network }) => ({ name, mac, network, profile: network })) },
    ...changes,
  });
  const reasonCodesOf = async (changes: Partial<Request>): Promise<readonly string[]> => (await planned(changes)).reasons.map(({ code }) => code);

  test('as a new VM: name, place, NICs and appliance at once, and the run gets its name', async () => {
    const ids = desk.disks.map(({ settings }) => settings.diskId);
    expect(await planned()).toEqual({
      clusterId: desk.vm.clusterId, domainOfDisk: Object.fromEntries(desk.disks.map(({ settings }) => [settings.diskId, settings.storageDomainId])), sameDiskIds: [],
      nics: [{ mac: '', network: 'ovirtmgmt', profile: 'ovirtmgmt' }], leftOut: [], reasons: [],
    });
    const { runs } = await desk.attempt('listRunsInCatalog', { runId: desk.runId, page: { limit: 1, offset: 0 } });
    expect(runs).toEqual([expect.objectContaining({ vmName: 'demo-restored' })]);
    desk.appliance.status = 'down';
    // The VM that was backed up runs on, so its MAC addresses cannot be kept.
    expect(await reasonCodesOf({ name: 'demo', cluster: randomUUID(), storageDomain: 'nowhere', diskIds: ids.slice(0, 1) })).toEqual(['name.taken', 'cluster.unknown', 'domain.unknown', 'appliance.down']);
    expect(await reasonCodesOf({ macs: 'keep' })).toEqual(['mac.taken', 'appliance.down']);
    expect(desk.engine.changes).toEqual([]);
  });

  test('as the original: the VM must be gone; a disk of it that floats about keeps its id', async () => {
    const request = { as: 'original', vmId: desk.vm.id, name: undefined } as const;
    expect(await reasonCodesOf(request)).toEqual(['name.taken', 'vm.exists', 'mac.taken']);
    desk.engine.vms.delete(desk.vm.id);
    const [first, second] = desk.disks.map(({ settings }) => settings.diskId);
    desk.engine.disks.delete(first ?? '');
    expect(await planned(request)).toMatchObject({ sameDiskIds: [first], reasons: [] });
    expect(desk.engine.disks.has(second ?? '')).toBe(true);
  });

  test('to replace: reads the VM that is there, with its snapshots, disks and protection', async () => {
    const request = { as: 'replace', vmId: desk.vm.id, name: undefined } as const;
    desk.vm.status = 'down';
    const removed = desk.disks.map(({ settings: { diskId, alias } }) => ({ diskId, alias }));
    expect(await planned(request)).toMatchObject({ old: { name: 'demo', removed, kept: [] }, reasons: [] });
    Object.assign(desk.vm, { deleteProtected: true, poolId: randomUUID() });
    Object.assign(desk.disks[0] ?? {}, { status: 'illegal' });
    await desk.engine.createSnapshot({ vmId: desk.vm.id, description: 'mine', diskIds: [desk.disks[1]?.settings.diskId ?? ''] });
    desk.engine.changes.length = 0;
    expect(await reasonCodesOf(request)).toEqual(['vm.snapshot-busy', 'vm.pool', 'vm.delete-protected', 'disk.illegal']);
    expect(await reasonCodesOf({ ...request, applianceIds: [desk.vm.id] })).toContain('appliance.is-the-vm');
    expect(desk.engine.changes).toEqual([]);
  });
});
