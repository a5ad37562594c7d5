// backupVm as a runbook: its order, what it undoes after a failure or cancel at every step, and that it closes its run exactly once.
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import { holdingId } from '../../domain/holdings';
import { freezeMark } from '../../domain/ids';
import { applianceId, chainBackup, disk, engine } from './answers';
import { startBackup, type Backup } from './backup-run';
import { failWhenCancelled, Holding, untilCalled, type ActivityName } from './script';
import { ending, type Ended, useStage } from './stage';
import { nth, stoppedAt } from './stopped-run';

const stageOf = useStage();

const backup = (prepare?: Parameters<typeof startBackup>[1]): Promise<Backup> => startBackup(stageOf(), prepare, { configured: { disks: [disk('a'), disk('b')] } });

const undos: readonly ActivityName[] = ['ensureThawed', 'ensureSnapshotGone', 'ensureVmBackupEnded', 'dropPartialBackup', 'detachDisk'];
/** What was undone, in order, in the words of the tables below. */
function undone({ script, world: { disks } }: Backup): readonly string[] {
  return script.of(...undos).map(({ activity, input }) => {
    if (activity === 'detachDisk') return `detach ${disks.find((each) => each.diskId === input['diskId'])?.alias ?? 'unknown'}`;
    return { dropPartialBackup: 'drop', ensureThawed: 'thaw', ensureVmBackupEnded: 'VM backup' }[activity as string] ?? 'snapshot';
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
  const runs = new Map<object, Promise<Backup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of steps) {
      runs.set(row, stoppedAt('a final failure', row, backup));
    }
  });

  test.each(steps)('at $step ($n) undoes $undone, closes the run as failed and fails with its code', async (row) => {
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
  const rows = steps.filter(({ step }) => step !== 'sealBackup');
  const runs = new Map<object, Promise<Backup & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of rows) runs.set(row, stoppedAt('a cancel', row, backup));
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

  test.each<ActivityName>(['sealBackup', 'indexBackup', 'detachDisk', 'ensureSnapshotGone'])('that arrives during or after the seal (at %s) loses nothing: the backup completes', async (step) => {
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

describe('a guest that Holdfast freezes by itself', () => {
  const explicit = (method: 'appliance' | 'transfer', prepare?: Parameters<typeof startBackup>[1], deadlines = {}): Promise<Backup> =>
    startBackup(stageOf(), prepare, { request: { method, quiesce: 'required', explicitFreeze: true, guestHook: true }, configured: { deadlines } });
  const makes = { appliance: 'ensureSnapshot', transfer: 'ensureVmBackup' } as const;
  const source = { appliance: 'snapshot', transfer: 'VM backup' } as const;

  describe.each(['appliance', 'transfer'] as const)('by the method %s', (method) => {
    test('is thawed by the step itself, whose worker is missed within seconds', async () => {
      let heartbeatTimeoutMs: number | undefined;
      const run = await explicit(method, (script) => script.on(makes[method], (_input, answer) => {
        ({ heartbeatTimeoutMs } = Context.current().info);
        return answer();
      }));
      expect((await ending(run.handle)).status).toBe('COMPLETED');
      expect(run.script.of(makes[method]).map(({ input }) => input)).toEqual([expect.objectContaining({ quiesce: 'required', explicitFreeze: true, guestHook: true })]);
      expect(run.script.of('planBackup', 'planTransferBackup').map(({ input }) => input['explicitFreeze'])).toEqual([true]);
      expect(heartbeatTimeoutMs).toBe(4_000);
      expect(run.script.of('ensureThawed')).toEqual([]);
    });

    test.each(['a final failure', 'a cancel'] as const)('%s: thawed before anything else is undone', async (how) => {
      const run = await stoppedAt(how, { step: makes[method], n: 1 }, (prepare) => explicit(method, prepare));
      expect(run.end.status).toBe(how === 'a cancel' ? 'CANCELLED' : 'FAILED');
      expect(undone(run)).toEqual(['thaw', source[method]]);
      expect(run.script.of('ensureThawed')[0]?.input).toMatchObject({ engine, vmId: run.world.vmId, runId: run.script.of('openRun')[0]?.input['runId'] });
    });

    test('one whose agent is mute stays an undo, then a leftover; the backup is good', async () => {
      const run = await explicit(method, (script) => script.on(makes[method], async (_input, answer) => ({ ...(await answer()), mayStillFreeze: true as const })).fail('ensureThawed', 'guest.frozen'));
      const { status, output } = await ending(run.handle);
      expect(status).toBe('COMPLETED');
      const { warnings, leftovers } = output as BackupVmOutput;
      expect(leftovers).toEqual([{ kind: 'freeze', objectId: run.world.vmId, mark: freezeMark(run.world.vmId), reason: expect.stringContaining('guest.frozen') as string }]);
      expect(warnings[0]).toMatch(/VM demo's guest answers neither the freeze nor the thaw/);
      expect(run.script.of('ensureThawed')).toHaveLength(1);
    });
  });

  test('of a VM that is down nothing is frozen', async () => {
    const run = await explicit('appliance', (script) => script.on('planBackup', async (input, answer) => {
      const plan = await answer();
      return { ...plan, ...(plan.vm ? { vm: { ...plan.vm, status: 'down' } } : {}) };
    }));
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.of('ensureSnapshot')[0]?.input).toMatchObject({ explicitFreeze: false });
  });

  test('a VM backup that is done again as a full one is frozen again', async () => {
    const run = await explicit('transfer', (script, { disks }) => {
      script.on('readVmChain', () => Promise.resolve([chainBackup(disks)]));
      script.fail('ensureVmBackup', 'backup.incremental-refused', ({ input }) => input['fromCheckpointId'] !== null);
    });
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.names().filter((name) => ['ensureVmBackup', 'ensureThawed', 'ensureVmBackupEnded'].includes(name))).toEqual(['ensureVmBackup', 'ensureThawed', 'ensureVmBackupEnded', 'ensureVmBackup', 'ensureVmBackupEnded']);
  });

  test('and that an earlier run left frozen is thawed by the next one first of all', async () => {
    const earlier = randomUUID();
    const run = await backup((script, { vmId }) => {
      const one = (kind: 'snapshot' | 'freeze', mark: string) => ({ holdingId: holdingId(earlier, kind, randomUUID()), runId: earlier, engine, kind, vmId, mark, state: 'held' as const, committed: false });
      script.on('listEarlierHoldings', () => Promise.resolve([one('snapshot', `Holdfast backup ${earlier}`), one('freeze', freezeMark(vmId))]));
    });
    const { output } = await ending(run.handle);
    expect(run.script.names().slice(1, 6)).toEqual(['listEarlierHoldings', 'ensureThawed', 'forgetLeftover', 'ensureSnapshotGone', 'forgetLeftover']);
    expect(run.script.of('ensureThawed')[0]?.input).toEqual({ engine, runId: earlier, vmId: run.world.vmId });
    expect((output as BackupVmOutput).warnings[0]).toContain(`released what an earlier run (${earlier}) had left: freeze`);
  });
});
