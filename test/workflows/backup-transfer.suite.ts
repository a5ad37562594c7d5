// backupVm by the method `transfer` as a runbook: its order, and what it undoes after a failure or cancel at every step.
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import { some } from '../support/share';
import { checkpointId, engine, vmBackupIdOf } from './answers';
import { Holding, type ActivityName } from './script';
import { ending, type Ended, useStage } from './stage';
import { nth, stoppedAt, stopsOf } from './stopped-run';
import { startTransferBackup, undone, type TransferBackup } from './transfer-run';

const stageOf = useStage();

const witnessed = { request: { witness: 'always' } } as const;
const backup = (prepare?: Parameters<typeof startTransferBackup>[1]): Promise<TransferBackup> => startTransferBackup(stageOf(), prepare, witnessed);

const steps: readonly { readonly step: ActivityName; readonly n: number; readonly undone: readonly string[] }[] = [
  { step: 'readVmChain', n: 1, undone: [] },
  { step: 'planTransferBackup', n: 1, undone: [] },
  { step: 'checkBase', n: 1, undone: [] },
  { step: 'checkRepository', n: 1, undone: [] },
  { step: 'ensureVmBackup', n: 1, undone: ['end'] },
  { step: 'saveConfiguration', n: 1, undone: ['drop', 'end'] },
  { step: 'ensureTransfer', n: 1, undone: ['cancel a', 'drop', 'end'] },
  { step: 'backupDiskByTransfer', n: 1, undone: ['cancel a', 'drop', 'end'] },
  { step: 'witnessTransfer', n: 1, undone: ['cancel a', 'drop', 'end'] },
  { step: 'ensureTransfer', n: 2, undone: ['cancel b', 'drop', 'end'] },
  { step: 'backupDiskByTransfer', n: 2, undone: ['cancel b', 'drop', 'end'] },
  { step: 'witnessTransfer', n: 2, undone: ['cancel b', 'drop', 'end'] },
  { step: 'sealBackup', n: 1, undone: ['drop', 'end'] },
];

const stops = stopsOf(steps, ({ step }) => step === 'sealBackup');

test('the runbook, read aloud', async () => {
  const run = await backup();
  const end = await ending(run.handle);
  expect(end.status).toBe('COMPLETED');
  expect(run.script.names()).toEqual([
    'openRun', 'listEarlierHoldings', 'listEarlierRuns', 'readVmChain', 'planTransferBackup', 'checkBase', 'checkRepository', 'ensureVmBackup', 'saveConfiguration',
    ...['a', 'b'].flatMap(() => ['takeCopySlot', 'ensureTransfer', 'backupDiskByTransfer', 'witnessTransfer', 'giveBackCopySlot', 'ensureTransferEnded']),
    'sealBackup', 'indexBackup', 'ensureVmBackupEnded', 'removeCheckpoint', 'closeRun',
  ]);
  expect(undone(run)).toEqual(['end']);
  const { script, base, world: { vmId, disks } } = run;
  const diskIds = disks.map(({ diskId }) => diskId);
  const output = end.output as BackupVmOutput;
  const of = { engine, runId: output.runId, vmId };
  const [started] = script.of('ensureVmBackup');
  const description = `Holdfast backup ${output.backup.backupId}`;
  const vmBackupKey = started?.input['vmBackupKey'];
  const vmBackupId = vmBackupIdOf(vmBackupKey);
  expect(started?.input).toEqual({ ...of, vmBackupKey: expect.stringMatching(/^[0-9a-f-]{36}$/) as string, description, diskIds, fromCheckpointId: checkpointId('last'), vmStatus: 'up', quiesce: 'best-effort', guestHook: false, explicitFreeze: false });
  expect(script.of('ensureVmBackupEnded').map(({ input }) => input)).toEqual([{ ...of, vmBackupKey, description, diskIds, keepCheckpoint: true }]);
  // One key for each disk, and its transfer ends by the same.
  const asked = script.of('ensureTransfer').map(({ input }) => input);
  expect(asked).toEqual(diskIds.map((diskId) => ({ ...of, diskId, transferKey: expect.any(String) as string, vmBackupId, direction: 'download' })));
  expect(new Set(asked.map(({ transferKey }) => transferKey)).size).toBe(2);
  expect(script.of('ensureTransferEnded').map(({ input }) => input)).toEqual(asked.map((input) => ({ ...input, outcome: 'finalize' })));
  expect(script.of('backupDiskByTransfer').map(({ input }) => input)).toEqual(asked.map(({ diskId, transferKey }) => expect.objectContaining({ diskId, transferId: transferKey, source: vmBackupId, isLive: true, baseBackupId: base.backupId, backupId: output.backup.backupId }) as unknown));
  for (const { queue } of script.of('backupDiskByTransfer', 'witnessTransfer')) expect(queue).toBe('mover.main');
  const [seal] = script.of('sealBackup');
  expect(seal?.input).toMatchObject({
    manifest: { method: 'transfer', kind: 'incremental', base: { backupId: base.backupId }, reason: { code: 'chain.continued' }, notes: [], checkpoint: { id: checkpointId('new') }, snapshot: null, vmBackup: { id: vmBackupId, style: 'live' } },
    disks: disks.map((settings) => ({ settings, dataBytes: 1000, transport: 'tcp', witnessed: true })),
  });
  expect(script.of('removeCheckpoint').map(({ input }) => input)).toEqual([{ ...of, checkpointId: checkpointId('old'), insteadId: checkpointId('new') }]);
  expect(output).toMatchObject({ warnings: [], leftovers: [], notes: [], witnessedDiskIds: diskIds });
  // Operators read beside every step what it does.
  const scheduled = ((await run.handle.fetchHistory()).events ?? []).filter(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes);
  expect(scheduled.filter(({ userMetadata }) => (userMetadata?.summary?.data ?? []).length === 0).map(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes?.activityType?.name)).toEqual([]);
});

describe('a final failure', () => {
  const how = 'a final failure';
  const rows = stops[how];
  const runs = new Map<object, Promise<TransferBackup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of rows) runs.set(row, stoppedAt(how, row, backup));
  });

  test.each(rows)('at $step ($n) undoes $undone, and removes no checkpoint of an earlier backup', async (row) => {
    const run = await runs.get(row);
    if (!run) throw new Error('not started');
    expect(undone(run)).toEqual(row.undone);
    expect(run.end).toMatchObject({ status: 'FAILED', code: 'engine.refused', details: { warnings: [], leftovers: [] } });
    expect(run.script.of('removeCheckpoint')).toEqual([]);
    for (const { input } of run.script.of('ensureVmBackupEnded')) expect(input['keepCheckpoint']).toBe(false);
    expect(run.script.of('closeRun').map(({ input }) => input['outcome'])).toEqual(['failed']);
  });
});

describe('a cancel', () => {
  const how = 'a cancel';
  const rows = stops[how];
  const runs = new Map<object, Promise<TransferBackup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of rows) runs.set(row, stoppedAt(how, row, backup));
  });

  test.each(rows)('while $step ($n) is under way undoes $undone and ends as cancelled', async (row) => {
    const run = await runs.get(row);
    if (!run) throw new Error('not started');
    expect(undone(run)).toEqual(row.undone);
    expect(run.end.status).toBe('CANCELLED');
    expect(run.script.of('closeRun').map(({ input }) => input)).toEqual([expect.objectContaining({ outcome: 'cancelled', warnings: [], leftovers: [] })]);
    const held = run.script.of(row.step).at(-1);
    expect(held?.outcome).toBe('cancelled');
    for (const undo of run.script.of('dropPartialBackup', 'ensureVmBackupEnded')) expect(undo.begunAt).toBeGreaterThan(held?.endedAt ?? Infinity);
  });

  test('while a transfer is being finalized cancels that one', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'ensureTransferEnded', ({ input }) => input['outcome'] === 'finalize'));
    await hold.begun();
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(undone(run)).toEqual(['cancel a', 'drop', 'end']);
  });

  test.each(some<ActivityName>(['sealBackup', 'indexBackup', 'ensureVmBackupEnded', 'removeCheckpoint'], 2))('that arrives during or after the seal (at %s) loses nothing: the backup completes', async (step) => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, step, nth(1, () => script)));
    await hold.begun();
    await run.handle.cancel();
    hold.release();
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(undone(run)).toEqual(['end']);
    expect(run.script.of('removeCheckpoint')).toHaveLength(1);
  });
});
