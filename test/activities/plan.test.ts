// Planning on an engine: the facts it reads come out as one list of reasons, and it changes nothing.
import { randomUUID } from 'node:crypto';
import type { ControlActivities } from '../../activities';
import type { BackupPlan } from '../../activities/plan';
import { reasonCodes } from '../../domain/plan/reasons';
import { openDesks, type Desk, type Desks } from './desk';

let desks: Desks;
let desk: Desk;
beforeAll(async () => {
  desks = await openDesks();
}, 120_000);
afterAll(() => desks.stop());
beforeEach(async () => {
  desk = await desks.open();
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

test('a restore: name, place and appliance at once', async () => {
  const disks = desk.disks.map((disk) => ({ ...disk.settings, dataBytes: 1 }));
  const request = { engine: 'lab', name: 'demo-restored', disks, origin: { clusterId: desk.vm.clusterId }, applianceId: desk.appliance.id };
  expect(await desk.attempt('planRestore', request)).toEqual({ clusterId: desk.vm.clusterId, domainOfDisk: Object.fromEntries(disks.map((disk) => [disk.diskId, disk.storageDomainId])), reasons: [] });
  desk.appliance.status = 'down';
  const { reasons } = await desk.attempt('planRestore', { ...request, name: 'demo', clusterId: randomUUID(), storageDomainId: randomUUID() });
  expect(reasons.map(({ code }) => code)).toEqual(['name.taken', 'cluster.unknown', 'domain.unknown', 'domain.unknown', 'appliance.down']);
  expect(desk.engine.changes).toEqual([]);
});
