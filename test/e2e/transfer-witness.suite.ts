// Who finds out when a backup is not what it should be: the host's own checksum at backup and restore, the digests when a backup is verified,
// restored or built on. Bits are flipped in the repository behind Holdfast's back, and the engine's record of changes is made to lie.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BackupVmOutput, VerifyBackupOutput } from '../../client';
import { LabFaults } from '../crash/lab-faults';
import { some } from '../support/share';
import { change } from './support/changes';
import { expectImages, flipBit, transferManifest } from './support/images';
import { backUpAt, changedBytes, expectRestores, transferBackup, type Point } from './support/moments';
import { failureOf } from './support/refusals';
import { contentOf } from './support/restores';
import { useStack, type Stack } from './support/stack';
import { transferIds } from './support/vm-backups';
import { makeVm, mib, type TestVm } from './support/vms';

const limitMs = 120_000;
const stackOf = useStack();
let stack: Stack;
let vm: TestVm;
let diskId = '';
let full: Point;
let incremental: Point;

beforeAll(async () => {
  stack = stackOf();
  vm = await makeVm(stack, 'witnessed', [{ alias: 'witnessed_Disk1', format: 'cow', sizeMib: 12, dataMib: 5, backup: 'incremental' }]);
  diskId = vm.disks[0]?.id ?? '';
}, limitMs);

const always = { witness: 'always' } as const;
const never = { witness: 'never' } as const;

/** The checksums that the host's daemon says it computed for transfers of the disk. */
async function checksumsOf(disk: string): Promise<number> {
  const log = await readFile(path.join(stack.labState, 'imageio', 'daemon.log'), 'utf8');
  const ids = await transferIds(stack, disk);
  return [...log.matchAll(/CHECKSUM transfer=([0-9a-f-]{36})/g)].filter(([, id]) => ids.includes(id ?? '')).length;
}

const verify = async ({ output }: Point, chain = false): Promise<VerifyBackupOutput> => {
  const handle = await stack.client.verifyBackup({ engine: stack.engine, repository: stack.repository, backupId: output.backup.backupId, chain });
  return handle.result();
};
const backUp = async (request = {}): Promise<BackupVmOutput> => (await transferBackup(stack, vm, request)).result();

test('the host agrees with a full backup, an incremental one, and what was restored from them', async () => {
  full = await backUpAt(stack, vm, { kind: 'full', ...always });
  expect(await checksumsOf(diskId)).toBe(1);
  await change(stack, vm, { at: 0 });
  incremental = await backUpAt(stack, vm, { kind: 'incremental', strict: true, ...always });
  expect(await checksumsOf(diskId)).toBe(2);
  for (const { output } of [full, incremental]) {
    expect(output.witnessedDiskIds).toEqual([diskId]);
    expect((await transferManifest(stack, output.backup)).disks.map(({ witnessed }) => witnessed)).toEqual([true]);
  }
  const handle = stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: incremental.output.backup.backupId, method: 'transfer', name: 'witnessed-again' }));
  const { vmId, disks } = await handle.result();
  stack.keptVmIds.add(vmId);
  stack.afterwards(() => stack.lab.removeWithDisks(vmId));
  expect(await checksumsOf(disks[0]?.diskId ?? '')).toBe(1);
  expect(Object.values(await contentOf(stack, vmId))).toEqual([incremental.moment[diskId]?.root]);
  expect((await verify(incremental, true)).backups.map(({ kind, outcome }) => [kind, outcome])).toEqual([['incremental', 'passed'], ['full', 'passed']]);
}, limitMs);

const parts = ['a bit of the repository that has flipped', 'a verification that failed', 'a record of changes that lies, before a witness', 'a record of changes that lied without one'] as const;
const proven = some(parts, 1);

function part(name: (typeof parts)[number], tests: () => void): void {
  if (proven.includes(name)) describe(name, tests);
}

part('a bit of the repository that has flipped', () => {
  let flipped: Awaited<ReturnType<typeof flipBit>>;

  test('is found by the next backup that needs its block: a full one is made instead, in the same run, and it is right', async () => {
    flipped = await flipBit(stack, full.output.backup, diskId, mib);
    // A part of the block changes, the rest of it comes from the backup below.
    await change(stack, vm, { at: flipped.at, blocks: 1 });
    const next = await backUpAt(stack, vm, never);
    expect(next.output).toMatchObject({ backup: { kind: 'full', baseBackupId: null, reason: { code: 'base.damaged' } }, leftovers: [], warnings: [expect.stringContaining(`holdfast verify ${incremental.output.backup.backupId} --chain`)] });
    await expectImages(stack, next.output.backup, next.moment);
    await expectRestores(stack, 'sound', [next], ['transfer']);
  }, limitMs);

  test('is found by a verification, of the backup itself and of the one that lies on it', async () => {
    const error = await failureOf(verify(incremental, true));
    expect(error).toMatchObject({ code: 'digest.mismatch', details: { backups: [{ backupId: incremental.output.backup.backupId, outcome: 'failed' }, { backupId: full.output.backup.backupId, outcome: 'failed' }] } });
    const { backups } = await stack.client.listBackups({ engine: stack.engine, vmId: vm.id });
    expect(backups.filter(({ verification }) => verification?.outcome === 'failed').map(({ backupId }) => backupId).sort()).toEqual([full, incremental].map(({ output }) => output.backup.backupId).sort());
  }, limitMs);

  test.each(['transfer', 'appliance'] as const)('is found by a restore by %s, of which nothing is left', async (method) => {
    const handle = stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: incremental.output.backup.backupId, method, name: `damaged-${method}` }));
    expect(await failureOf(handle.result())).toMatchObject({ code: 'digest.mismatch', details: { leftovers: [] } });
    expect(await stack.lab.findVm(`damaged-${method}`)).toBeUndefined();
  }, limitMs);

  test('is no reason against the backup once it is mended', async () => {
    await flipped.mend();
    expect((await verify(incremental, true)).backups.map(({ outcome }) => outcome)).toEqual(['passed', 'passed']);
  }, limitMs);
});

part('a verification that failed', () => {
  test('the next backup is a full one, and who insists is refused', async () => {
    // Nothing older may be left to go on from.
    await backUp({ kind: 'full', ...never });
    const newest = await backUpAt(stack, vm, never);
    expect(newest.output.backup.kind).toBe('incremental');
    const base = { vmId: vm.id, backupId: newest.output.backup.baseBackupId ?? '' };
    const { mend } = await flipBit(stack, base, diskId);
    await failureOf(verify(newest, true));
    expect((await backUp({ ...never, strict: true, kind: 'incremental' }).catch((error: unknown) => error))).toMatchObject({ code: 'plan.refused', details: { reasons: [{ code: 'kind.impossible', text: expect.stringContaining('base.failing') as string }] } });
    expect((await backUp(never)).backup).toMatchObject({ kind: 'full', reason: { code: 'base.failing' } });
    await mend();
  }, limitMs);
});

const lie = async (): Promise<LabFaults> => LabFaults.inject(stack, [{ kind: 'lying-bitmap', diskId, bytes: 65_536 }]);

async function released(faults: LabFaults): Promise<void> {
  await faults.release();
  expect(faults.unfired()).toEqual([]);
}

part('a record of changes that lies, before a witness', () => {
  test('is found before the seal, and the next backup begins anew and is right', async () => {
    const before = (await stack.client.listBackups({ engine: stack.engine, vmId: vm.id })).backups.length;
    await change(stack, vm, { blocks: 4 });
    const faults = await lie();
    const error = await failureOf(backUp({ kind: 'incremental', ...always }));
    await released(faults);
    expect(error).toMatchObject({ code: 'digest.mismatch', details: { leftovers: [] } });
    expect((await stack.client.listBackups({ engine: stack.engine, vmId: vm.id })).backups).toHaveLength(before);
    const next = await backUpAt(stack, vm, always);
    expect(next.output).toMatchObject({ backup: { kind: 'full', reason: { code: 'base.contradicted' } }, witnessedDiskIds: [diskId] });
    await expectImages(stack, next.output.backup, next.moment);
    await expectRestores(stack, 'honest', [next], ['transfer']);
  }, limitMs);
});

part('a record of changes that lied without one', () => {
  test('is sealed in a wrong backup, which the first witness after it finds; then the chain begins anew', async () => {
    const base = await backUpAt(stack, vm, never);
    await change(stack, vm, { blocks: 4 });
    const faults = await lie();
    const wrong = await backUpAt(stack, vm, never);
    await released(faults);
    expect(wrong.output.backup.kind).toBe('incremental');
    // The lab did lie: its backup is not what QEMU showed, and the digests cannot know it.
    expect(await changedBytes(base.moment[diskId], wrong.moment[diskId])).toBe(4 * 65_536);
    await expect(expectImages(stack, wrong.output.backup, wrong.moment)).rejects.toThrow();
    await verify(wrong, true);

    await change(stack, vm, { blocks: 1 });
    expect(await failureOf(backUp(always))).toMatchObject({ code: 'digest.mismatch' });
    const next = await backUpAt(stack, vm, always);
    expect(next.output.backup).toMatchObject({ kind: 'full', reason: { code: 'base.contradicted' } });
    await expectImages(stack, next.output.backup, next.moment);
    const last = await backUpAt(stack, vm, always);
    expect(last.output).toMatchObject({ backup: { kind: 'incremental' }, witnessedDiskIds: [diskId] });
  }, limitMs);
});
