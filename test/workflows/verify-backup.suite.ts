// verifyBackup: what it reads, what it remembers, how it fails, and that it can be steered like any copy.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { workflowIds } from '../../domain/ids';
import type { Progress } from '../../domain/flows/progress';
import type { VerifyBackupOutput } from '../../domain/flows/verify-backup';
import { HoldfastError } from '../../domain/failures';
import { reason } from '../../domain/plan/reasons';
import { disk, engine, goodAnswers, repository } from './answers';
import { Holding, Script, until } from './script';
import { ending, useStage, world } from './stage';
import { nth } from './stopped-run';

const stageOf = useStage();

const disks = [disk('a'), disk('b')];
const root = 'd'.repeat(64);

interface Verification {
  readonly script: Script;
  readonly handle: WorkflowHandle;
  /** The incremental one that is named, and the full one that it lies on. */
  readonly chain: readonly [string, string];
  readonly vmId: string;
}

async function verify(prepare: (script: Script, chain: readonly [string, string]) => void = () => undefined, request: Readonly<Record<string, unknown>> = {}, deadlines: Parameters<typeof world>[0] = {}): Promise<Verification> {
  const of = world({ disks, ...deadlines });
  const script = new Script(goodAnswers(of));
  const chain = [randomUUID(), randomUUID()] as const;
  prepare(script, chain);
  script.on('readBackup', async ({ backupId }, answer) => ((contents) => ({ ...contents, backup: { ...contents.backup, ...(backupId === chain[0] ? { kind: 'incremental' as const, baseBackupId: chain[1] } : {}) } }))(await answer()));
  const handle = await stageOf().start('verifyBackup', workflowIds.verify(chain[0]), { engine, repository, backupId: chain[0], ...request }, script);
  return { script, handle, chain, vmId: of.vmId };
}

const records = ({ script }: Verification): readonly unknown[] => script.of('recordVerification').map(({ input }) => [input['backupId'], (input['failure'] as { code: string } | null)?.code ?? 'passed']);

test('the runbook, read aloud', async () => {
  const run = await verify();
  const end = await ending(run.handle);
  expect(end.status).toBe('COMPLETED');
  expect(run.script.names()).toEqual(['openRun', 'readBackup', 'nameRun', 'checkChain', ...['a', 'b'].flatMap(() => ['takeCopySlot', 'verifyDisk', 'giveBackCopySlot']), 'recordVerification', 'closeRun']);
  const output = end.output as VerifyBackupOutput;
  const [backupId] = run.chain;
  expect(output).toMatchObject({ backupId, vmName: 'demo', warnings: [], leftovers: [] });
  expect(output.backups).toEqual([{ backupId, kind: 'incremental', outcome: 'passed', failure: null, disks: disks.map(({ diskId, alias, virtualBytes }) => ({ diskId, alias, virtualBytes, dataBytes: 1000, root, failure: null })) }]);
  // It has no VM in the catalog: the next run on the VM would take it for one that was terminated.
  expect(run.script.of('openRun')[0]?.input).toEqual({ runId: output.runId, workflowId: `verify/${backupId}`, workflowType: 'verifyBackup', engine, vmName: '', repository, backupId });
  expect(run.script.of('nameRun')[0]?.input).toMatchObject({ runId: output.runId, vmName: 'demo' });
  expect(run.script.of('recordVerification')[0]?.input).toEqual({ engine, runId: output.runId, repository, backupId, vmId: run.vmId, vmName: 'demo', dataBytes: 2000, failure: null });
  for (const { input, queue } of run.script.of('verifyDisk')) {
    expect(input).toMatchObject({ backupId, vmId: run.vmId, from: { positionBytes: 0, dataBytes: 0 } });
    expect(queue).toBe('mover.main');
  }
});

test('with the chain every backup below is read too, and each is recorded', async () => {
  const run = await verify(undefined, { chain: true });
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect((output as VerifyBackupOutput).backups.map(({ backupId, kind, disks: read }) => [backupId, kind, read.length])).toEqual([[run.chain[0], 'incremental', 2], [run.chain[1], 'full', 2]]);
  expect(run.script.of('verifyDisk').map(({ input }) => input['backupId'])).toEqual([run.chain[0], run.chain[0], run.chain[1], run.chain[1]]);
  expect(records(run)).toEqual([[run.chain[0], 'passed'], [run.chain[1], 'passed']]);
});

describe('what is not as it was sealed', () => {
  const decayed = (script: Script, chain: readonly [string, string]) =>
    script.on('verifyDisk', () => Promise.reject(new HoldfastError('digest.mismatch', 'block 7 does not have its digest')), ({ input }) => input['backupId'] === chain[0] && input['diskId'] === disks[0]?.diskId);

  test('fails the run with its code when everything else has been read, and is recorded', async () => {
    const run = await verify(decayed, { chain: true });
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'digest.mismatch', message: expect.stringMatching(/A backup of VM demo is not what was sealed.*disk a: block 7/) as string });
    expect(run.script.of('verifyDisk')).toHaveLength(4);
    expect(records(run)).toEqual([[run.chain[0], 'digest.mismatch'], [run.chain[1], 'passed']]);
    expect(end.details?.['backups']).toMatchObject([{ backupId: run.chain[0], outcome: 'failed', disks: [{ alias: 'a', failure: { code: 'digest.mismatch' } }, { alias: 'b', failure: null, root }] }, { outcome: 'passed' }]);
    expect(run.script.of('closeRun').map(({ input }) => input)).toEqual([expect.objectContaining({ outcome: 'failed', failure: expect.objectContaining({ code: 'digest.mismatch' }) as unknown })]);
  });

  test('may be the chain: nothing is read through one that is broken', async () => {
    const run = await verify((script) => script.on('checkChain', ({ backupId }) => Promise.resolve([reason('backup.chain', backupId, 'an image is missing')])));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'chain.broken', message: expect.stringContaining('an image is missing') as string });
    expect(run.script.of('verifyDisk')).toEqual([]);
    expect(records(run)).toEqual([[run.chain[0], 'chain.broken']]);
  });

  test('may be a backup below that is gone', async () => {
    const run = await verify((script, chain) => script.fail('readBackup', 'backup.not-found', ({ input }) => input['backupId'] === chain[1]), { chain: true });
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'chain.broken' });
    expect(records(run)).toEqual([[run.chain[0], 'passed'], [run.chain[1], 'chain.broken']]);
  });

  test('may be the manifest or the configuration', async () => {
    const run = await verify((script) => script.fail('readBackup', 'repository.corrupt'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'repository.corrupt' });
    expect(records(run)).toEqual([[run.chain[0], 'repository.corrupt']]);
  });
});

test.each(['backup.not-found', 'backup.not-sealed'] as const)('a wrong id (%s) is no verification', async (code) => {
  const run = await verify((script) => script.fail('readBackup', code));
  expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code });
  expect(records(run)).toEqual([]);
});

test('a repository that nobody serves is a refusal', async () => {
  const run = await verify(undefined, { repository: 'nowhere' }, { deadlines: { workerSeconds: 2 } });
  const end = await ending(run.handle);
  expect(end).toMatchObject({ status: 'FAILED', code: 'plan.refused' });
  expect(end.details?.['reasons']).toMatchObject([{ code: 'repository.no-worker' }]);
});

test('a storage that does not answer says nothing about the backup', async () => {
  const run = await verify((script) => script.fail('verifyDisk', 'config.invalid'));
  expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'config.invalid' });
  expect(records(run)).toEqual([]);
});

test('a catalog that does not take the outcome costs a warning', async () => {
  const run = await verify((script) => script.fail('recordVerification', 'catalog.conflict'));
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect(output).toMatchObject({ warnings: [expect.stringContaining('missing in the catalog')] });
});

test('a pause gives the slot back and goes on where it was; a cancel ends it with nothing recorded', async () => {
  const hold = new Holding();
  const run = await verify((script) => hold.place(script, 'verifyDisk', nth(1, () => script)), { bandwidthBytesPerSecond: 1_000_000 });
  await hold.begun();
  const [{ diskId } = disk('none')] = disks;
  await run.handle.signal('copyReport', { diskId, positionBytes: 4096, dataBytes: 1024, bytesPerSecond: 1 });
  expect(await run.handle.query<Progress>('progress')).toMatchObject({ phase: 'verify', bandwidthBytesPerSecond: 1_000_000, disks: [{ state: 'proving', positionBytes: 4096 }, { state: 'waiting' }] });
  await run.handle.signal('pause');
  await until(() => run.script.of('giveBackCopySlot').length === 1, () => 'the slot to be given back');
  await run.handle.signal('resume');
  await until(() => run.script.of('verifyDisk').length === 2, () => 'the reading to go on');
  expect(run.script.of('verifyDisk')[1]?.input).toMatchObject({ from: { positionBytes: 4096, dataBytes: 1024 }, bandwidthBytesPerSecond: 1_000_000 });
  await run.handle.cancel();
  expect((await ending(run.handle)).status).toBe('CANCELLED');
  expect(records(run)).toEqual([]);
  expect(run.script.of('closeRun').map(({ input }) => input['outcome'])).toEqual(['cancelled']);
});

test('an id that is not its own is refused', async () => {
  const script = new Script(goodAnswers(world()));
  const handle = await stageOf().start('verifyBackup', `verify/${randomUUID()}`, { engine, repository, backupId: randomUUID() }, script);
  expect(await ending(handle)).toMatchObject({ status: 'FAILED', code: 'input.invalid' });
});
