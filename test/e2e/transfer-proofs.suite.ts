// What the method transfer promises, proven past it: a full backup, three incremental ones and a differential one of a guest that never stops writing,
// and of a VM that is down, each against what QEMU itself showed at that moment. What happens to disks in between is in transfer-disks.suite.ts.
import { LabFaults } from '../crash/lab-faults';
import { some } from '../support/share';
import { change } from './support/changes';
import { startWriting, stopWriting, writesOn } from './support/guest-writer';
import { codesOf, expectImages, transferManifest } from './support/images';
import { backUpAt, changedBytes, expectRestores, type Point } from './support/moments';
import { useStack, type Stack } from './support/stack';
import { checkpointIds, readBytes } from './support/vm-backups';
import { makeVm, type DiskWish, type TestVm } from './support/vms';

const limitMs = 180_000;
const stackOf = useStack();
let stack: Stack;
beforeAll(() => {
  stack = stackOf();
});

const kinds = ['full', 'incremental', 'incremental', 'incremental', 'differential'] as const;
const disk = (name: string): DiskWish => ({ alias: `${name}_Disk1`, format: 'cow', sizeMib: 16, dataMib: 6, bootable: true, backup: 'incremental' });

interface Series {
  readonly vm: TestVm;
  readonly points: Point[];
  /** What the daemon gave out of each disk, backup by backup. */
  readonly read: Record<string, number>[];
  foreignCheckpointId: string;
}
type Name = 'running' | 'stopped';
const guests: Readonly<Record<Name, string>> = { running: 'of a guest that never stops writing', stopped: 'of a VM that is down' };
const names: readonly Name[] = some(['running', 'stopped'], 1);
const made: Partial<Record<Name, Series>> = {};

function seriesOf(name: Name): Series {
  const found = made[name];
  if (!found) throw new Error(`there are no backups of the VM that is ${name}`);
  return found;
}

async function makeSeries(name: Name): Promise<Series> {
  const vm = await makeVm(stack, name, [disk(name)], { start: name === 'running' });
  if (name === 'running') await startWriting(stack, vm);
  const series: Series = { vm, points: [], read: [], foreignCheckpointId: '' };
  for (const [at, kind] of kinds.entries()) {
    if (name === 'running') await writesOn(stack, vm, 8);
    // Once by a guest that is shut down again, whose QEMU has to leave its bitmaps in the file.
    else await (at === 1 ? whileUp(vm, () => change(stack, vm, { blocks: 8 })) : change(stack, vm, { blocks: 8 }));
    const before = await readOf(vm);
    // A guest that runs writes on after the moment.
    series.points.push(await backUpAt(stack, vm, { kind }, () => (name === 'running' ? writesOn(stack, vm, 4) : Promise.resolve())));
    const after = await readOf(vm);
    series.read.push(Object.fromEntries(vm.disks.map(({ id }) => [id, (after[id] ?? 0) - (before[id] ?? 0)])));
    if (series.points.length === 2) series.foreignCheckpointId = await foreignBackup(vm);
  }
  return series;
}

async function readOf({ disks }: TestVm): Promise<Record<string, number>> {
  return Object.fromEntries(await Promise.all(disks.map(async ({ id }) => [id, (await readBytes(stack, id)).reduce((sum, bytes) => sum + bytes, 0)] as const)));
}

/** Another product's, between two of ours. */
async function foreignBackup(vm: TestVm): Promise<string> {
  const before = await checkpointIds(stack, vm);
  const faults = await LabFaults.inject(stack, [{ kind: 'foreign-backup', vmId: vm.id }]);
  await faults.release();
  expect(faults.unfired()).toEqual([]);
  return (await checkpointIds(stack, vm)).find((id) => !before.includes(id)) ?? '';
}

async function whileUp({ id }: TestVm, work: () => Promise<void>): Promise<void> {
  await stack.lab.bring(id, 'up');
  await work();
  await stack.lab.bring(id, 'down');
}

test(`a full, three incremental ones and a differential one: ${names.map((name) => guests[name]).join(', ')}`, async () => {
  await Promise.all(names.map(async (name) => { made[name] = await makeSeries(name); }));
  if (made.running) await stopWriting(stack, made.running.vm);
  for (const { points } of names.map(seriesOf)) {
    expect(points.map(({ output }) => output.backup.kind)).toEqual(kinds);
    for (const { output } of points) expect(output).toMatchObject({ warnings: [], leftovers: [] });
    const [full, first, , third, differential] = points.map(({ output }) => output.backup);
    expect([full?.baseBackupId, first?.baseBackupId, differential?.baseBackupId]).toEqual([null, full?.backupId, full?.backupId]);
    expect(third?.reason?.code).toBe('chain.continued');
  }
}, limitMs);

const restored = some(kinds.map((kind, at) => ({ kind, at })), 2);

describe.each(names)('of the VM that is %s', (name) => {
  test(`restored by both methods to what QEMU showed at that moment: ${restored.map(({ kind, at }) => `${at}, ${kind}`).join('; ')}`, async () => {
    await expectRestores(stack, name, seriesOf(name).points.filter((_point, index) => restored.some(({ at }) => at === index)), ['transfer', 'appliance']);
  }, limitMs);

  test('every image passes the check, lies on its base by a relative path, and gives the same bytes to qemu-img alone', async () => {
    for (const { output, moment } of seriesOf(name).points) await expectImages(stack, output.backup, moment);
  }, limitMs);

  test('only what changed was read from the engine', async () => {
    const { vm, points, read } = seriesOf(name);
    const bases = [undefined, 0, 1, 2, 0];
    for (const [at, base] of bases.entries()) {
      if (base === undefined) continue;
      for (const { id } of vm.disks) {
        const changed = await changedBytes(points[base]?.moment[id], points[at]?.moment[id]);
        expect(changed).toBeGreaterThan(0);
        expect(read[at]?.[id]).toBeGreaterThanOrEqual(changed);
        expect(read[at]?.[id]).toBeLessThanOrEqual(changed * 1.15);
      }
    }
  }, limitMs);

  test('two checkpoints are left, the newest backup\'s and the full one\'s, and the other product\'s, which the next backup tells of', async () => {
    const { vm, points, foreignCheckpointId } = seriesOf(name);
    const [full, , second, , differential] = points.map(({ output }) => output.backup);
    expect([...(await checkpointIds(stack, vm))].sort()).toEqual([full?.checkpointId, differential?.checkpointId, foreignCheckpointId].sort());
    expect(codesOf((await transferManifest(stack, second ?? { vmId: '', backupId: '' })).notes)).toEqual(['checkpoint.others-between']);
  }, limitMs);
});

test('the catalog lists the kind, the base and the reason of each', async () => {
  for (const { vm, points } of names.map(seriesOf)) await expectListed(vm, points);
}, limitMs);

async function expectListed(vm: TestVm, points: readonly Point[]): Promise<void> {
  const { backups } = await stack.client.listBackups({ engine: stack.engine, vmId: vm.id });
  const told = backups.map(({ backupId, kind, baseBackupId, reason }) => ({ backupId, kind, baseBackupId, reason }));
  expect(told).toEqual([...points].reverse().map(({ output: { backup: { backupId, kind, baseBackupId, reason } } }) => ({ backupId, kind, baseBackupId, reason })));
}
