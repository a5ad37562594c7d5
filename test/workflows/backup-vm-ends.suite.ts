// What backupVm tells at its end: refusals with every reason, warnings and leftovers, what earlier runs left, search attributes, and how
// much of it all lies in the history.
import { randomUUID } from 'node:crypto';
import type { EarlierRun } from '../../activities/runs';
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import type { Progress } from '../../domain/flows/progress';
import { holdingId, type EarlierHolding } from '../../domain/holdings';
import { reason } from '../../domain/plan/reasons';
import { applianceId, disk, engine, goodAnswers, repository, type World } from './answers';
import { startBackup, type Backup, type Options } from './backup-run';
import { payloadBytes } from './payloads';
import { Holding as Hold, Script, until } from './script';
import { ending, world, useStage } from './stage';

const stageOf = useStage();

const backup = (prepare?: Parameters<typeof startBackup>[1], options?: Options): Promise<Backup> => startBackup(stageOf(), prepare, options);

/** An undo that is refused is tried again until its deadline: two tries here, as many as the words below need. */
const impatient: Options = { configured: { deadlines: { undoSeconds: 6 } } };

const closing = ({ script }: Backup): unknown => {
  const closings = script.of('closeRun').map((call) => call.input);
  expect(closings).toHaveLength(1);
  return closings[0];
};

/** Ours, as the UI's list shows them. */
const attributesOf = async ({ handle }: Backup): Promise<Readonly<Record<string, unknown>>> =>
  Object.fromEntries((await handle.describe()).typedSearchAttributes.getAll().filter(({ key }) => key.name.startsWith('Holdfast')).map(({ key, value }) => [key.name, value]));

describe('a refusal', () => {
  test('has every reason of engine, appliance and repository at once, before anything is made', async () => {
    const run = await backup((script, { vmId, settings: { applianceIds } }) => {
      const reasons = [reason('disk.locked', vmId, 'disk a is locked'), reason('appliance.down', String(applianceIds[0]), 'the appliance is down')];
      script.on('planBackup', async (_input, answer) => ({ ...(await answer()), reasons }));
      script.on('checkAppliance', () => Promise.resolve([reason('appliance.devices', 'd', 'no devices')]));
      script.on('checkRepository', () => Promise.resolve([reason('repository.full', 'main', 'too full')]));
    });
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'plan.refused' });
    expect((end.details?.['reasons'] as { code: string }[]).map(({ code }) => code)).toEqual(['disk.locked', 'appliance.down', 'repository.full']);
    expect(end.message).toMatch(/^The backup of VM demo was refused before anything was created, for 3 reasons:\n- disk a is locked \[disk\.locked\]\n/);
    expect(run.script.names().at(-1)).toBe('closeRun');
    expect(run.script.of('ensureSnapshot', 'saveConfiguration', 'ensureSnapshotGone', 'dropPartialBackup')).toEqual([]);
    expect(closing(run)).toMatchObject({ outcome: 'failed', failure: { code: 'plan.refused' } });
  });

  test('counts queues that nobody serves among the reasons', async () => {
    const idle = randomUUID();
    const run = await backup((script) => script.on('planBackup', async (_input, answer) => ({ ...(await answer()), reasons: [reason('vm.preview', 'v', 'previewing')] })), {
      request: { repository: 'nowhere', applianceId: idle },
      configured: { deadlines: { workerSeconds: 2 } },
    });
    const end = await ending(run.handle);
    expect(end.details?.['reasons']).toEqual([
      { code: 'vm.preview', object: 'v', text: 'previewing' },
      { code: 'appliance.no-worker', object: idle, text: expect.stringContaining('role "appliance"') as string },
      { code: 'repository.no-worker', object: 'nowhere', text: expect.stringContaining('role "mover"') as string },
    ]);
  });

  test('of an unknown VM names it by its id and asks no appliance that is not configured', async () => {
    const run = await backup(
      (script) => script.on('planBackup', ({ vmId }) => Promise.resolve({ product: 'oVirt Engine', version: '4.5.8', disks: [], leftOut: [], neededBytes: 0, reasons: [reason('vm.unknown', vmId, 'unknown'), reason('appliance.unset', engine, 'no appliance')] })),
      { configured: { settings: { applianceIds: [] } } },
    );
    const end = await ending(run.handle);
    expect(end).toMatchObject({ code: 'plan.refused', message: expect.stringContaining(run.world.vmId) as string });
    expect(run.script.of('checkAppliance')).toEqual([]);
    expect(run.script.of('checkRepository')).toHaveLength(1);
  });
});

describe('what cannot be undone', () => {
  test('becomes a leftover of the failed run; the rest is still undone', async () => {
    const run = await backup((script) => script.fail('backupDisk', 'digest.mismatch').fail('detachDisk', 'engine.conflict'), impatient);
    const end = await ending(run.handle);
    const [{ diskId } = disk('none')] = run.world.disks;
    const leftover = { kind: 'attachment', objectId: diskId, mark: `disk ${diskId} at VM ${applianceId}`, reason: 'detach disk a from the appliance: detachDisk was told to fail [engine.conflict]' };
    expect(end).toMatchObject({ status: 'FAILED', code: 'digest.mismatch', details: { leftovers: [leftover] } });
    expect(run.script.of('dropPartialBackup', 'ensureSnapshotGone').map((call) => call.outcome)).toEqual(['completed', 'completed']);
    expect(closing(run)).toMatchObject({ outcome: 'failed', failure: { code: 'digest.mismatch' }, leftovers: [leftover] });
    expect(await run.handle.query<Progress>('progress')).toMatchObject({ phase: 'cleanup', leftovers: [leftover], undone: ['drop the partial backup', 'remove the snapshot'], warnings: [expect.stringContaining('left behind: attachment')] });
    expect(await attributesOf(run)).toMatchObject({ HoldfastOutcome: 'failed', HoldfastProgress: 'failed [digest.mismatch], 1 left behind', HoldfastLeftovers: 1 });
  });

  test('is tried until its own deadline, then says what it waited for', async () => {
    const run = await backup((script) => script.fail('backupDisk', 'digest.mismatch').fail('ensureSnapshotGone', 'wait.pending'), impatient);
    const end = await ending(run.handle);
    expect(run.script.of('ensureSnapshotGone').length).toBeGreaterThan(1);
    expect(end.details?.['leftovers']).toEqual([expect.objectContaining({ kind: 'snapshot', reason: 'remove the snapshot: gave up waiting: ensureSnapshotGone was told to fail [wait.deadline]' })]);
  });

  test('after the seal is a warning with a leftover, never a failed backup', async () => {
    const run = await backup((script) => script.fail('ensureSnapshotGone', 'engine.conflict'), impatient);
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    const { backup: sealed, leftovers, warnings } = output as BackupVmOutput;
    expect(leftovers).toEqual([{ kind: 'snapshot', mark: `Holdfast backup ${sealed.backupId}`, reason: expect.stringContaining('[engine.conflict]') as string }]);
    expect(warnings).toEqual([expect.stringContaining('left behind: snapshot')]);
    expect(closing(run)).toMatchObject({ outcome: 'completed', leftovers, warnings });
    expect(run.script.of('detachDisk').map((call) => call.outcome)).toEqual(['completed']);
  });
});

test('a catalog that does not take the sealed backup costs a warning that names the remedy', async () => {
  const run = await backup((script) => script.fail('indexBackup', 'catalog.conflict'));
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect(output).toMatchObject({ leftovers: [], warnings: [expect.stringContaining('holdfast catalog rebuild --repository main')] });
  expect(run.script.of('ensureSnapshotGone')).toHaveLength(1);
});

test('a run that the catalog will not close is done all the same, and its result says so', async () => {
  const run = await backup((script) => script.fail('closeRun', 'catalog.conflict'));
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect(output).toMatchObject({ warnings: [expect.stringContaining('still calls this run open')] });
});

describe('an undo that the engine refuses', () => {
  test('is tried again until it passes: somebody else may have to let go first; progress says what it waits for', async () => {
    let tries = 0;
    const run = await backup((script) => script.fail('ensureSnapshotGone', 'engine.conflict', () => (tries += 1) === 1));
    await until(async () => ((await run.handle.query<Progress>('progress')).trouble ?? '').includes('[engine.conflict]'), () => 'the trouble to be told');
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect(output).toMatchObject({ warnings: [], leftovers: [] });
    expect(run.script.of('ensureSnapshotGone')).toHaveLength(2);
    expect((await run.handle.query<Progress>('progress')).trouble).toBeNull();
  });

  test('because the object is not ours is a leftover at once', async () => {
    const run = await backup((script) => script.fail('ensureSnapshotGone', 'engine.foreign'));
    const { output } = await ending(run.handle);
    expect(output).toMatchObject({ leftovers: [{ kind: 'snapshot', reason: expect.stringContaining('[engine.foreign]') as string }] });
    expect(run.script.of('ensureSnapshotGone')).toHaveLength(1);
  });
});

describe('what an earlier run left on the VM', () => {
  const earlier = (of: World): readonly EarlierHolding[] => {
    const runId = randomUUID();
    const [backupId, snapshotId] = [randomUUID(), randomUUID()];
    const [{ diskId } = disk('none')] = of.disks;
    const common = { runId, engine, vmId: of.vmId, state: 'held', committed: false } as const;
    return [
      { ...common, holdingId: holdingId(runId, 'snapshot', backupId), kind: 'snapshot', objectId: snapshotId, parentId: of.vmId, mark: `Holdfast backup ${backupId}` },
      { ...common, holdingId: holdingId(runId, 'attachment', 'x'), kind: 'attachment', objectId: diskId, parentId: applianceId, snapshotId, mark: `disk ${diskId} at VM ${applianceId}` },
    ];
  };

  test('is released first, attachments before their snapshots, with a warning each and its alerts cleared', async () => {
    const run = await backup((script, of) => {
      const holdings = earlier(of);
      script.on('listEarlierHoldings', () => Promise.resolve(holdings));
    });
    const { output } = await ending(run.handle);
    expect(run.script.names().slice(0, 8)).toEqual(['openRun', 'listEarlierHoldings', 'detachDisk', 'forgetLeftover', 'ensureSnapshotGone', 'forgetLeftover', 'listEarlierRuns', 'planBackup']);
    const { runId, warnings } = output as BackupVmOutput;
    expect(warnings).toEqual([expect.stringMatching(/^released .* attachment/), expect.stringMatching(/^released .* snapshot/)]);
    const [detach, removal] = run.script.of('detachDisk', 'ensureSnapshotGone');
    expect(detach?.input).toMatchObject({ toVmId: applianceId, snapshotId: expect.any(String) as string });
    expect(detach?.input['runId']).not.toBe(runId);
    expect(`Holdfast backup ${String(removal?.input['backupId'])}`).toBe(removal?.input['mark']);
    expect(run.script.of('forgetLeftover').map((call) => call.input)).toEqual([detach, removal].map((call) => expect.objectContaining({ runId: call?.input['runId'] }) as unknown));
  });

  test('and cannot be released now is a warning, not the end of this run', async () => {
    const run = await backup((script, of) => {
      const holdings = earlier(of);
      script.on('listEarlierHoldings', () => Promise.resolve(holdings));
      script.fail('ensureSnapshotGone', 'engine.conflict', (call) => script.of('ensureSnapshotGone').indexOf(call) === 0);
    });
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect((output as BackupVmOutput).warnings).toEqual([expect.stringMatching(/^released .* attachment/), expect.stringMatching(/could not be released: .*\[engine\.conflict\]/)]);
    expect(run.script.of('forgetLeftover')).toHaveLength(1);
  });

  const terminated = (): EarlierRun & { readonly backupId: string } => ({ runId: randomUUID(), workflowType: 'backupVm', backupId: randomUUID(), repository });

  test('a run that was terminated is closed, and its partial backup dropped', async () => {
    const dead = terminated();
    const run = await backup((script) => script.on('listEarlierRuns', () => Promise.resolve([dead])));
    const { output } = await ending(run.handle);
    expect((output as BackupVmOutput).warnings).toEqual([expect.stringMatching(new RegExp(`${dead.runId}.*terminated: its partial backup is dropped`))]);
    expect(run.script.of('dropPartialBackup').map((call) => call.input)).toEqual([expect.objectContaining({ runId: dead.runId, backupId: dead.backupId, repository, vmId: run.world.vmId })]);
    expect(run.script.of('closeRun').map((call) => call.input)[0]).toMatchObject({ runId: dead.runId, outcome: 'failed', failure: { code: 'run.terminated' } });
  });

  test('a run that was terminated after its seal keeps its backup, which is put into the catalog', async () => {
    const dead = terminated();
    const run = await backup((script) => script.on('listEarlierRuns', () => Promise.resolve([dead])).on('dropPartialBackup', () => Promise.resolve('sealed')));
    const { output } = await ending(run.handle);
    expect((output as BackupVmOutput).warnings).toEqual([expect.stringMatching(/after its backup .* was sealed: the backup is kept/)]);
    expect(run.script.of('indexBackup').map((call) => call.input)[0]).toMatchObject({ backupId: dead.backupId });
  });

  test('does not keep a cancel waiting', async () => {
    const hold = new Hold();
    const run = await backup((script, of) => {
      const holdings = earlier(of);
      script.on('listEarlierHoldings', () => Promise.resolve(holdings));
      hold.place(script, 'detachDisk');
    });
    await hold.begun();
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(run.script.names()).toEqual(['openRun', 'listEarlierHoldings', 'detachDisk', 'closeRun']);
    expect(closing(run)).toMatchObject({ outcome: 'cancelled', warnings: [] });
  });
});

test('operators find the ended run by its search attributes', async () => {
  const run = await backup();
  await ending(run.handle);
  const expected = { HoldfastEngine: engine, HoldfastVm: run.world.vmId, HoldfastVmName: 'demo', HoldfastMethod: 'appliance', HoldfastKind: 'full', HoldfastPhase: 'done', HoldfastOutcome: 'completed', HoldfastProgress: 'completed, nothing left behind', HoldfastLeftovers: 0 };
  expect(await attributesOf(run)).toEqual(expected);
  const query = `HoldfastVm="${run.world.vmId}" AND HoldfastOutcome="completed" AND HoldfastPhase="done"`;
  await until(async () => {
    for await (const found of stageOf().client.workflow.list({ query })) return found.workflowId === run.handle.workflowId;
    return false;
  }, () => `${query} to find the run`);
});

test('every step of a run says in the history what it does', async () => {
  const run = await backup();
  await ending(run.handle);
  const { events } = await run.handle.fetchHistory();
  const scheduled = (events ?? []).filter(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes);
  const said = scheduled.map(({ activityTaskScheduledEventAttributes, userMetadata }) => [activityTaskScheduledEventAttributes?.activityType?.name, Buffer.from(userMetadata?.summary?.data ?? []).toString()]);
  expect(said.filter(([, summary]) => summary === '')).toEqual([]);
  expect(said).toEqual(expect.arrayContaining([['backupDisk', '"copy disk a into the repository"'], ['ensureSnapshotGone', '"remove the snapshot of VM demo and wait for the merge"']]));
});

test('payloads stay small: nothing of twenty disks is over 32 KiB, and the whole run under 512 KiB', async () => {
  const disks = Array.from({ length: 20 }, (_, index) => disk(`disk-${index}`));
  const run = await backup(undefined, { configured: { disks } });
  expect((await ending(run.handle)).status).toBe('COMPLETED');
  const sizes = payloadBytes(await run.handle.fetchHistory());
  expect(sizes.length).toBeGreaterThan(100);
  expect(Math.max(...sizes)).toBeLessThan(32 * 1024);
  expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(512 * 1024);
});

describe('a start that is not in order', () => {
  test('an id that is not the lock is refused, and nothing is done', async () => {
    const of = world({ disks: [disk('a')] });
    const script = new Script(goodAnswers(of));
    const handle = await stageOf().start('backupVm', `backup/${randomUUID()}`, { engine, vmId: of.vmId, repository }, script);
    expect(await ending(handle)).toMatchObject({ status: 'FAILED', code: 'input.invalid', message: expect.stringContaining(`must be "vm/lab/${of.vmId}"`) as string });
    expect(script.calls).toEqual([]);
  });

  test('an input that does not fit fails the run, naming each field, instead of blocking its tasks', async () => {
    const script = new Script(goodAnswers(world()));
    const handle = await stageOf().start('backupVm', `vm/lab/${randomUUID()}`, { engine: 'LAB', vmId: 'x', repository, surprise: 1 }, script);
    expect(await ending(handle)).toMatchObject({ status: 'FAILED', code: 'input.invalid', message: expect.stringMatching(/engine: must be .*; vmId: must be a UUID.*surprise/) as string });
    expect(script.calls).toEqual([]);
  });
});
