// Planning a backup by the method `transfer`, and the choice of the method when the caller leaves it open: what is asked, what is refused with
// every reason, and that nothing is acquired before.
import { randomUUID } from 'node:crypto';
import type { VmChainBackup } from '../../activities/chains';
import type { EarlierHolding } from '../../domain/holdings';
import { holdingId } from '../../domain/holdings';
import { transferMark } from '../../domain/ids';
import type { Progress } from '../../domain/flows/progress';
import { reason } from '../../domain/plan/reasons';
import { applianceId, chainBackup, checkpointId, disk, engine, repository } from './answers';
import type { Options } from './backup-run';
import { Holding, until, type Script } from './script';
import { ending, useStage } from './stage';
import { nth } from './stopped-run';
import { startTransferBackup, undone, type TransferBackup } from './transfer-run';

const stageOf = useStage();

const backup = (prepare?: Parameters<typeof startTransferBackup>[1], options?: Options): Promise<TransferBackup> => startTransferBackup(stageOf(), prepare, options);

const refusing = (...reasons: ReturnType<typeof reason>[]) => (script: Script) => script.on('planTransferBackup', async (_input, answer) => ({ ...(await answer()), reasons }));

test('asks with the kind, the policy and the backups that there are; no appliance has a say', async () => {
  const run = await backup(undefined, { request: { kind: 'differential' }, configured: { settings: { chain: { maxChainLength: 5 } } } });
  await ending(run.handle);
  const [plan] = run.script.of('planTransferBackup');
  expect(plan?.input).toMatchObject({ engine, repository, vmId: run.world.vmId, wanted: 'differential', strict: false, policy: { maxChainLength: 5 }, backups: [run.base], quiesce: 'best-effort', leaveOutDiskIds: [] });
  expect(run.script.of('checkAppliance', 'planBackup')).toEqual([]);
});

test('a refusal has every reason of engine and repository, before anything is acquired', async () => {
  const run = await backup((script) => {
    refusing(reason('disk.locked', 'd', 'disk a is locked'))(script);
    script.on('checkRepository', () => Promise.resolve([reason('repository.full', 'main', 'too full')]));
  });
  const end = await ending(run.handle);
  expect(end).toMatchObject({ status: 'FAILED', code: 'plan.refused' });
  expect((end.details?.['reasons'] as { code: string }[]).map(({ code }) => code)).toEqual(['disk.locked', 'repository.full']);
  expect(run.script.of('ensureVmBackup', 'saveConfiguration')).toEqual([]);
});

test('a repository that nobody serves is one reason among others', async () => {
  const run = await backup(refusing(reason('vm.preview', 'v', 'previewing')), { request: { repository: 'nowhere' }, configured: { deadlines: { workerSeconds: 2 } } });
  const end = await ending(run.handle);
  expect((end.details?.['reasons'] as { code: string }[]).map(({ code }) => code)).toEqual(['vm.preview', 'repository.no-worker']);
});

test('a kind that is insisted on and cannot be is refused with the reason', async () => {
  const refused = { refused: { code: 'checkpoint.missing', text: 'The engine no longer has it.' }, removableCheckpointIds: [], removableAfterFullIds: [] } as const;
  const run = await backup((script) => script.on('planTransferBackup', async (_input, answer) => ({ ...(await answer()), choice: refused })), { request: { kind: 'incremental', strict: true } });
  const end = await ending(run.handle);
  expect(end).toMatchObject({ code: 'plan.refused', message: expect.stringContaining('The engine no longer has it. [checkpoint.missing]') as string });
  expect(end.details?.['reasons']).toMatchObject([{ code: 'kind.impossible' }]);
});

test('a base that turns out damaged is planned around, once for each', async () => {
  const older = chainBackup([disk('x')]);
  const run = await backup((script, _of, base) => {
    script.on('readVmChain', () => Promise.resolve([base, older]));
    script.on('checkBase', ({ backupId }) => Promise.resolve(backupId === base.backupId ? 'an image is missing' : null));
  });
  expect((await ending(run.handle)).status).toBe('COMPLETED');
  expect(run.script.of('checkBase').map(({ input }) => input['backupId'])).toEqual([run.base.backupId, older.backupId]);
  expect(run.script.of('planTransferBackup').map(({ input }) => (input['backups'] as VmChainBackup[]).map(({ damage }) => damage))).toEqual([[undefined, undefined], ['an image is missing', undefined]]);
  expect(run.script.of('sealBackup')[0]?.input).toMatchObject({ manifest: { base: { backupId: older.backupId } } });
});

describe('the method auto', () => {
  const tracked = [{ ...disk('a'), backup: 'incremental' as const }, disk('b')];
  const auto = { request: { method: 'auto' } };
  const noAppliance = { settings: { applianceIds: [] } };
  const rows: readonly { readonly what: string; readonly options: Options; readonly prepare?: (script: Script) => void; readonly method: 'appliance' | 'transfer'; readonly reason: string }[] = [
    { what: 'a disk is tracked', options: { ...auto, configured: { disks: tracked } }, method: 'transfer', reason: 'method.tracked' },
    { what: 'no disk is tracked', options: auto, method: 'appliance', reason: 'method.untracked' },
    { what: 'there is no appliance', options: { ...auto, configured: noAppliance }, method: 'transfer', reason: 'method.no-appliance' },
    { what: 'the appliance has no worker', options: { request: { ...auto.request, applianceId: randomUUID() }, configured: { deadlines: { workerSeconds: 2 } } }, method: 'transfer', reason: 'method.no-worker' },
    { what: 'the engine refuses a VM backup now', options: { ...auto, configured: { disks: tracked } }, prepare: refusing(reason('vm.status', 'v', 'The VM is paused.')), method: 'appliance', reason: 'method.refused' },
  ];

  test.each(rows)('is $method when $what, and says so everywhere', async ({ options, prepare, method, reason: code }) => {
    const run = await backup(prepare, options);
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    const { script } = run;
    const first = script.names().findIndex((name) => name === 'ensureSnapshot' || name === 'ensureVmBackup');
    expect(script.names()[first]).toBe(method === 'appliance' ? 'ensureSnapshot' : 'ensureVmBackup');
    const [seal] = script.of('sealBackup');
    expect(seal?.input).toMatchObject({ manifest: { method, notes: [{ code, text: expect.stringContaining(`The method is "${method}"`) as string }] } });
    expect(output).toMatchObject({ notes: [{ code }] });
    expect((await run.handle.query<Progress>('progress')).notes[0]).toMatchObject({ code });
    const attributes = Object.fromEntries((await run.handle.describe()).typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(attributes).toMatchObject({ HoldfastMethod: method, HoldfastKind: method === 'appliance' ? 'full' : 'incremental' });
  });

  test('is transfer for whoever insists on a chain, though an appliance is there', async () => {
    const run = await backup(undefined, { request: { method: 'auto', kind: 'incremental', strict: true } });
    expect((await ending(run.handle)).output).toMatchObject({ notes: [{ code: 'method.insists' }], backup: expect.anything() as unknown });
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
  });

  test('refuses with the reasons of the only method that there is', async () => {
    const run = await backup(refusing(reason('vm.status', 'v', 'paused')), { ...auto, configured: noAppliance });
    const end = await ending(run.handle);
    expect((end.details?.['reasons'] as { code: string }[]).map(({ code }) => code)).toEqual(['vm.status']);
  });
});

test('by appliance the method is the same as ever: nothing more is asked, whatever kind is', async () => {
  const run = await backup(undefined, { request: { method: 'appliance', kind: 'incremental' } });
  expect((await ending(run.handle)).status).toBe('COMPLETED');
  expect(run.script.of('readVmChain', 'planTransferBackup', 'ensureVmBackup')).toEqual([]);
  expect(run.script.of('sealBackup')[0]?.input).toMatchObject({ manifest: { kind: 'full', reason: { code: 'method.full-only' }, notes: [] } });
});

test.each([
  ['strict', { kind: 'incremental', strict: true }],
  ['witness', { witness: 'always' }],
])('%s is refused by appliance, which cannot do it', async (field, request) => {
  const run = await backup(undefined, { request: { method: 'appliance', ...request } });
  expect(await ending(run.handle)).toMatchObject({ code: 'input.invalid', message: expect.stringContaining(`${field}: `) as string });
});

test('a new bandwidth reaches the copy, which goes on with the same transfer', async () => {
  const hold = new Holding();
  const run = await backup((script) => hold.place(script, 'backupDiskByTransfer', nth(1, () => script)));
  await hold.begun();
  await run.handle.executeUpdate('setBandwidth', { args: [{ bytesPerSecond: 1_000_000 }] });
  await until(() => run.script.of('backupDiskByTransfer').length > 1, () => 'the copy to begin again');
  hold.release();
  await ending(run.handle);
  const [one, two] = run.script.of('backupDiskByTransfer');
  expect([one?.outcome, one?.input['bandwidthBytesPerSecond'], two?.input['bandwidthBytesPerSecond']]).toEqual(['cancelled', undefined, 1_000_000]);
  expect(two?.input['transferId']).toBe(one?.input['transferId']);
  expect(undone(run)).toEqual(['end']);
});

describe('what an earlier run by this method left', () => {
  const vmBackupKey = randomUUID();
  /** As a terminated backup leaves it: everything held, in the order in which it was. */
  const left = (vmId: string, diskId: string, run: { readonly runId: string; readonly backupId: string }): readonly EarlierHolding[] => {
    const common = { runId: run.runId, engine, vmId, state: 'held', committed: false, repository } as const;
    const [vmBackupId, transferKey] = [randomUUID(), randomUUID()];
    return [
      { ...common, holdingId: holdingId(run.runId, 'vm-backup', vmBackupKey), kind: 'vm-backup', objectId: vmBackupId, parentId: vmId, mark: `Holdfast backup ${run.backupId}` },
      { ...common, holdingId: holdingId(run.runId, 'checkpoint', checkpointId('last')), kind: 'checkpoint', objectId: checkpointId('last'), mark: `checkpoint of VM backup ${vmBackupId}` },
      { ...common, holdingId: holdingId(run.runId, 'transfer', transferKey), kind: 'transfer', objectId: randomUUID(), parentId: diskId, mark: transferMark(diskId, transferKey) },
    ];
  };

  const afterTerminated = (fate: 'dropped' | 'sealed', change: (holdings: readonly EarlierHolding[]) => readonly EarlierHolding[] = (all) => all) => {
    const dead = { runId: randomUUID(), backupId: randomUUID() };
    return backup((script, of) => {
      const holdings = change(left(of.vmId, of.disks[0]?.diskId ?? '', dead));
      script.on('listEarlierHoldings', () => Promise.resolve(holdings));
      script.on('dropPartialBackup', () => Promise.resolve(fate));
    });
  };

  test('is released first: transfers before the VM backup, whose checkpoint goes with it', async () => {
    const run = await afterTerminated('dropped');
    const { output } = await ending(run.handle);
    expect(run.script.names().slice(0, 8)).toEqual(['openRun', 'listEarlierHoldings', 'ensureTransferEnded', 'forgetLeftover', 'dropPartialBackup', 'ensureVmBackupEnded', 'forgetLeftover', 'listEarlierRuns']);
    const [transfer] = run.script.of('ensureTransferEnded');
    const [vmBackup] = run.script.of('ensureVmBackupEnded');
    const [{ diskId } = disk('none')] = run.world.disks;
    expect(transfer?.input).toMatchObject({ diskId, direction: 'download', outcome: 'cancel', vmId: run.world.vmId });
    expect(`transfer of disk ${diskId} ${String(transfer?.input['transferKey'])}`).toBe(run.script.of('forgetLeftover')[0]?.input['mark']);
    expect(vmBackup?.input).toMatchObject({ runId: transfer?.input['runId'], description: expect.stringMatching(/^Holdfast backup /) as string, vmBackupKey, keepCheckpoint: false, diskIds: [] });
    expect(output).toMatchObject({ warnings: [expect.stringMatching(/^released .* transfer/), expect.stringMatching(/^released .* vm-backup/)] });
  });

  test('of a backup that was sealed keeps the checkpoint: the next one goes on from it', async () => {
    const run = await afterTerminated('sealed');
    await ending(run.handle);
    expect(run.script.of('ensureVmBackupEnded')[0]?.input).toMatchObject({ keepCheckpoint: true });
    expect(run.script.of('removeCheckpoint').map(({ input }) => input['checkpointId'])).toEqual([checkpointId('old')]);
  });

  test('a checkpoint alone, whose VM backup is over, is removed', async () => {
    const run = await afterTerminated('dropped', (all) => all.filter(({ kind }) => kind === 'checkpoint'));
    await ending(run.handle);
    expect(run.script.names().slice(1, 4)).toEqual(['listEarlierHoldings', 'removeCheckpoint', 'forgetLeftover']);
  });

  test('an upload of a restore is cancelled as one', async () => {
    const run = await afterTerminated('dropped', (all) => all.filter(({ kind }) => kind === 'transfer'));
    await ending(run.handle);
    expect(run.script.of('ensureTransferEnded')[0]?.input).toMatchObject({ direction: 'upload', outcome: 'cancel' });
  });
});

test('the appliance that auto considers is the one that is named', async () => {
  const run = await backup(undefined, { request: { method: 'auto', applianceId } });
  await ending(run.handle);
  expect(run.script.of('checkAppliance')).toHaveLength(2);
  expect(run.script.of('planBackup')[0]?.input).toMatchObject({ applianceId });
});
