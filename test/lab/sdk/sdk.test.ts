// The official oVirt Python SDK against the lab on real QEMU: what a stranger's program can do with an engine it can do here. What it did
// is walk.py's; what it must have seen is written down here.
import path from 'node:path';
import { runPython } from '../../support/python';
import { realLabDeadlineMs, startRealLab, type RealLab } from '../engine/real-lab';

let lab: RealLab | undefined;
let seen: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  lab = await startRealLab();
  const { code, out, err } = await runPython(path.join(__dirname, 'walk.py'), [lab.connectionFile], realLabDeadlineMs);
  if (code !== 0) throw new Error(`walk.py ended with ${code}:\n${err}`);
  seen = JSON.parse(out) as Readonly<Record<string, unknown>>;
}, 2 * realLabDeadlineMs);

afterAll(async () => {
  await lab?.remove();
});

test('it logs in, and not with a wrong password', () => {
  expect(seen['root']).toEqual({ product: 'oVirt Engine', version: '4.5' });
  expect(seen['wrong_password']).toBe('AuthError');
});

test('it lists the places of a data center', () => {
  expect(seen['places']).toEqual({
    data_center: 'Default',
    cluster: 'Default',
    host: 'up',
    storage_domain: ['data-1', 'active'],
    profile: 'ovirtmgmt',
    network: 'ovirtmgmt',
    template: 'Blank',
  });
});

test('it lists and searches VMs, and follows links', () => {
  expect(seen['vms']).toEqual({
    all: ['appliance', 'demo'],
    first: 1,
    by_name: ['demo'],
    nobody: [],
    memory: 2 ** 30,
    followed_disks: ['demo_Disk1', 'demo_Disk2'],
    macs: [true],
    configuration: 'ovf',
    unknown: true,
  });
});

test('it takes a snapshot of a running VM', () => {
  expect(seen['snapshot']).toEqual({
    listed: ['sdk walk'],
    disks: [
      ['demo_Disk1', 'ok'],
      ['demo_Disk2', 'ok'],
    ],
    ovf: true,
  });
});

test("it attaches a snapshot's disk to the appliance, which keeps the snapshot from being removed, and detaches it", () => {
  const why =
    "Cannot remove Snapshot. The following VM's disks snapshots are attached to other VMs (Disk Alias/Snapshot Description/VM attached to):\n\n " +
    'demo_Disk1 ,sdk walk, appliance \n\nPlease detach them from those VMs and try again.';
  expect(seen['attach']).toEqual({ before: [], is_the_disk: true, active: true, removal_meanwhile: [409, why], detached: true, after: [] });
});

test('it removes the snapshot and finds the job by its correlation id', () => {
  expect(seen['remove_snapshot']).toEqual({ jobs: ['finished'], steps: ['finished'] });
});

test('it reads the events of what it did, and adds one', () => {
  expect(seen['events']).toEqual({
    ours: [
      [45, 'sdk-walk-snapshot'],
      [68, 'sdk-walk-snapshot'],
      [342, 'sdk-walk-removal'],
      [356, 'sdk-walk-removal'],
    ],
    posted: ['walk', 'hello from the SDK', 'normal'],
  });
});

test('it tags a VM and finds it by the tag', () => {
  expect(seen['tag']).toEqual({ found: ['demo'], left: [] });
});

test('it makes a disk and removes it', () => {
  expect(seen['disk']).toEqual({ bytes: 64 * 2 ** 20, found: ['sdk-disk'] });
});

test("it makes a VM from the snapshot's configuration, changes, starts, stops and removes it", () => {
  expect(seen['copy_of_vm']).toEqual({ own_id: true, disks: 0, comment: 'renamed', removal_while_up: 409 });
});

test('it leaves the lab as it was', () => {
  expect(seen['after']).toEqual(['appliance', 'demo', 'demo_Disk1', 'demo_Disk2', 'tiny-template_Disk1']);
});
