// backupVm of a guest that Holdfast freezes by itself: the step thaws, the thaw is the first undo of all, and a guest whose agent is mute is told.
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import { holdingId } from '../../domain/holdings';
import { freezeMark } from '../../domain/ids';
import { chainBackup, engine } from './answers';
import { startBackup, type Backup } from './backup-run';
import { ending, useStage } from './stage';
import { stoppedAt } from './stopped-run';

const stageOf = useStage();

const explicit = (method: 'appliance' | 'transfer', prepare?: Parameters<typeof startBackup>[1]): Promise<Backup> =>
  startBackup(stageOf(), prepare, { request: { method, quiesce: 'required', explicitFreeze: true, guestHook: true } });
const makes = { appliance: 'ensureSnapshot', transfer: 'ensureVmBackup' } as const;
const unmakes = { appliance: 'ensureSnapshotGone', transfer: 'ensureVmBackupEnded' } as const;

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
    expect(run.script.of('ensureThawed', unmakes[method], 'dropPartialBackup').map(({ activity }) => activity)).toEqual(['ensureThawed', unmakes[method]]);
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
  const run = await startBackup(stageOf(), (script, { vmId }) => {
    const one = (kind: 'snapshot' | 'freeze', mark: string) => ({ holdingId: holdingId(earlier, kind, randomUUID()), runId: earlier, engine, kind, vmId, mark, state: 'held' as const, committed: false });
    script.on('listEarlierHoldings', () => Promise.resolve([one('snapshot', `Holdfast backup ${earlier}`), one('freeze', freezeMark(vmId))]));
  });
  const { output } = await ending(run.handle);
  expect(run.script.names().slice(1, 6)).toEqual(['listEarlierHoldings', 'ensureThawed', 'forgetLeftover', 'ensureSnapshotGone', 'forgetLeftover']);
  expect(run.script.of('ensureThawed')[0]?.input).toEqual({ engine, runId: earlier, vmId: run.world.vmId });
  expect((output as BackupVmOutput).warnings[0]).toContain(`released what an earlier run (${earlier}) had left: freeze`);
});
