// backupVm as a runbook: its order, what it undoes after a failure or cancel at every step, and that it closes its run exactly once.
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import { some } from '../support/share';
import { applianceId, disk, engine } from './answers';
import { startBackup, type Backup } from './backup-run';
import { failWhenCancelled, Holding, untilCalled, type ActivityName } from './script';
import { ending, type Ended, useStage } from './stage';
import { nth, stoppedAt, stopsOf } from './stopped-run';

const stageOf = useStage();

const backup = (prepare?: Parameters<typeof startBackup>[1]): Promise<Backup> => startBackup(stageOf(), prepare, { configured: { disks: [disk('a'), disk('b')] } });

const undos: readonly ActivityName[] = ['ensureSnapshotGone', 'dropPartialBackup', 'detachDisk'];
/** What was undone, in order, in the words of the tables below. */
function undone({ script, world: { disks } }: Backup): readonly string[] {
  return script.of(...undos).map(({ activity, input }) => {
    if (activity === 'detachDisk') return `detach ${disks.find((each) => each.diskId === input['diskId'])?.alias ?? 'unknown'}`;
    return activity === 'dropPartialBackup' ? 'drop' : 'snapshot';
  });
}

const steps: readonly { readonly step: ActivityName; readonly n: number; readonly undone: readonly string[] }[] = [
  { step: 'listEarlierHoldings', n: 1, undone: [] },
  { step: 'listEarlierRuns', n: 1, undone: [] },
  { step: 'planBackup', n: 1, undone: [] },
  { step: 'checkAppliance', n: 1, undone: [] },
  { step: 'checkRepository', n: 1, undone: [] },
  { step: 'ensureSnapshot', n: 1, undone: ['snapshot'] },
  { step: 'saveConfiguration', n: 1, undone: ['drop', 'snapshot'] },
  { step: 'attachSnapshotDisk', n: 1, undone: ['detach a', 'drop', 'snapshot'] },
  { step: 'findDevice', n: 1, undone: ['detach a', 'drop', 'snapshot'] },
  { step: 'attachSnapshotDisk', n: 2, undone: ['detach b', 'detach a', 'drop', 'snapshot'] },
  { step: 'findDevice', n: 2, undone: ['detach b', 'detach a', 'drop', 'snapshot'] },
  { step: 'backupDisk', n: 1, undone: ['detach b', 'detach a', 'drop', 'snapshot'] },
  { step: 'backupDisk', n: 2, undone: ['detach b', 'detach a', 'drop', 'snapshot'] },
  { step: 'sealBackup', n: 1, undone: ['detach b', 'detach a', 'drop', 'snapshot'] },
];

const stops = stopsOf(steps, ({ step }) => step === 'sealBackup');

test('the runbook, read aloud', async () => {
  const run = await backup();
  const end = await ending(run.handle);
  expect(end.status).toBe('COMPLETED');
  // The two checks are asked at the same time.
  const names = run.script.names().map((name) => (name === 'checkRepository' ? 'checkAppliance' : name));
  expect(names).toEqual([
    'openRun', 'listEarlierHoldings', 'listEarlierRuns', 'planBackup', 'checkAppliance', 'checkAppliance',
    'ensureSnapshot', 'saveConfiguration', 'attachSnapshotDisk', 'findDevice', 'attachSnapshotDisk', 'findDevice',
    ...['backupDisk', 'backupDisk'].flatMap((copy) => ['takeCopySlot', copy, 'giveBackCopySlot']), 'sealBackup', 'indexBackup', 'detachDisk', 'detachDisk', 'ensureSnapshotGone', 'closeRun',
  ]);
  expect(undone(run)).toEqual(['detach b', 'detach a', 'snapshot']);
  const output = end.output as BackupVmOutput;
  expect(output).toMatchObject({ warnings: [], leftovers: [], consistencyEvidence: 'the engine tells nothing', backup: { dataBytes: 2000 } });
  const [open] = run.script.of('openRun');
  expect(open?.input).toEqual({ runId: output.runId, workflowId: `vm/lab/${run.world.vmId}`, workflowType: 'backupVm', engine, vmId: run.world.vmId, vmName: '', repository: 'main', backupId: output.backup.backupId });
  expect(run.script.of('closeRun').map((call) => call.input)).toEqual([{ runId: output.runId, engine, vmId: run.world.vmId, outcome: 'completed', warnings: [], leftovers: [] }]);
  const [snapshot] = run.script.of('ensureSnapshot');
  expect(snapshot?.input).toMatchObject({ mark: `Holdfast backup ${output.backup.backupId}`, vmStatus: 'up', quiesce: 'best-effort', diskIds: run.world.disks.map((each) => each.diskId) });
  for (const call of run.script.of('attachSnapshotDisk', 'detachDisk')) expect(call.input).toMatchObject({ runId: output.runId, toVmId: applianceId });
  const [seal] = run.script.of('sealBackup');
  expect(seal?.input).toMatchObject({ backupId: output.backup.backupId, manifest: { runId: output.runId, engine: { name: 'lab', product: 'oVirt Engine', version: '4.5.8' }, kind: 'full', base: null }, disks: run.world.disks.map((settings) => ({ settings, dataBytes: 1000, transport: 'san' })) });
});

describe('a final failure', () => {
  const how = 'a final failure';
  const rows = stops[how];
  const runs = new Map<object, Promise<Backup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of rows) runs.set(row, stoppedAt(how, row, backup));
  });

  test.each(rows)('at $step ($n) undoes $undone, closes the run as failed and fails with its code', async (row) => {
    const run = await runs.get(row);
    if (!run) throw new Error('not started');
    expect(undone(run)).toEqual(row.undone);
    expect(run.end).toMatchObject({ status: 'FAILED', code: 'engine.refused', details: { told: true, warnings: [], leftovers: [] } });
    const closings = run.script.of('closeRun');
    expect(closings).toHaveLength(1);
    expect(closings[0]?.input).toMatchObject({ outcome: 'failed', failure: { code: 'engine.refused', message: `${row.step} was told to fail` }, leftovers: [] });
    expect(run.script.calls.at(-1)).toBe(closings[0]);
    expect(run.end.details?.['runId']).toBe(closings[0]?.input['runId']);
  });

  test('to open the run fails with its code, and closes what may have been opened', async () => {
    const run = await backup((script) => script.fail('openRun', 'config.invalid'));
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'config.invalid', message: 'openRun was told to fail' });
    expect(run.script.names()).toEqual(['openRun', 'closeRun']);
    expect((await run.handle.describe()).typedSearchAttributes.getAll().find(({ key }) => key.name === 'HoldfastOutcome')?.value).toBe('failed');
  });
});

describe('a cancel', () => {
  const how = 'a cancel';
  const rows = stops[how];
  const runs = new Map<object, Promise<Backup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of rows) runs.set(row, stoppedAt(how, row, backup));
  });

  test.each(rows)('while $step ($n) is under way undoes $undone and ends as cancelled', async (row) => {
    const run = await runs.get(row);
    if (!run) throw new Error('not started');
    expect(undone(run)).toEqual(row.undone);
    expect(run.end.status).toBe('CANCELLED');
    const closings = run.script.of('closeRun');
    expect(closings).toHaveLength(1);
    expect(closings[0]?.input).toMatchObject({ outcome: 'cancelled', warnings: [], leftovers: [] });
    const held = run.script.of(row.step).at(-1);
    expect(held?.outcome).toBe('cancelled');
    // The step is over before its undo begins.
    for (const undo of run.script.of(...undos)) expect(undo.begunAt).toBeGreaterThan(held?.endedAt ?? Infinity);
  });

  test('while the run is being opened waits for that, and closes what was opened', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'openRun'));
    await hold.begun();
    await run.handle.cancel();
    hold.release();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(run.script.names()).toEqual(['openRun', 'closeRun']);
    expect(run.script.of('closeRun')[0]?.input).toMatchObject({ outcome: 'cancelled' });
  });

  test('while the last copy slot is given back, which hears no cancel, is obeyed before the seal', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'giveBackCopySlot', nth(2, () => script)));
    await hold.begun();
    await run.handle.cancel();
    hold.release();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(run.script.of('sealBackup')).toEqual([]);
    expect(undone(run)).toEqual(['detach b', 'detach a', 'drop', 'snapshot']);
  });

  test.each(some<ActivityName>(['sealBackup', 'indexBackup', 'detachDisk', 'ensureSnapshotGone'], 2))('that arrives during or after the seal (at %s) loses nothing: the backup completes', async (step) => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, step, nth(1, () => script)));
    await hold.begun();
    await run.handle.cancel();
    hold.release();
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(undone(run)).toEqual(['detach b', 'detach a', 'snapshot']);
    expect(run.script.of('closeRun').map((call) => call.input['outcome'])).toEqual(['completed']);
  });

  test('that meets a step which fails instead of stopping is still a cancel', async () => {
    const run = await backup((script) => script.on('backupDisk', failWhenCancelled));
    await untilCalled(run.script, 'backupDisk');
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(run.script.of('closeRun').map((call) => call.input['outcome'])).toEqual(['cancelled']);
    expect(undone(run)).toEqual(['detach b', 'detach a', 'drop', 'snapshot']);
  });
});
