// restoreVm by the method `transfer` as a runbook: its order, what it undoes after a failure or cancel at every step, the proof before the upload
// is finalized, and the method that is chosen when the caller leaves it open.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { workflowIds } from '../../domain/ids';
import type { RestoreVmOutput } from '../../domain/flows/restore-vm';
import { reason } from '../../domain/plan/reasons';
import { applianceId, disk, domainId, engine, goodAnswers, repository, summary } from './answers';
import { Holding, Script, until, type ActivityName } from './script';
import { ending, useStage, world, type Ended } from './stage';
import { nth, stoppedAt, stopsOf } from './stopped-run';

const stageOf = useStage();

const source = [disk('a'), disk('b')];
const root = 'd'.repeat(64);

interface Restore {
  readonly script: Script;
  readonly handle: WorkflowHandle;
}

interface Options {
  readonly request?: Readonly<Record<string, unknown>>;
  readonly configured?: Parameters<typeof world>[0];
}

async function restore(prepare: (script: Script) => void = () => undefined, { request = {}, configured = { settings: { applianceIds: [] } } }: Options = {}): Promise<Restore> {
  const of = world({ disks: source, ...configured });
  const script = new Script(goodAnswers(of));
  prepare(script);
  const requestId = randomUUID();
  const place = request['as'] === undefined ? workflowIds.restore(requestId) : workflowIds.vm(engine, of.vmId);
  const handle = await stageOf().start('restoreVm', place, { engine, repository, backupId: randomUUID(), requestId, name: 'demo-restored', method: 'transfer', ...(request['as'] === undefined ? {} : { vmId: of.vmId }), ...request }, script);
  return { script, handle };
}

const madeBy = (script: Script): readonly { readonly id: unknown; readonly alias: string }[] => script.of('createDisk').map(({ input }) => ({ id: input['diskId'], alias: (input['settings'] as { alias: string }).alias }));

/** In order. The end of an upload that is proven is a step, not an undo. */
function undone({ script }: Restore): readonly string[] {
  const aliasOf = (id: unknown): string => madeBy(script).find((each) => each.id === id)?.alias ?? 'unknown';
  return script.of('ensureTransferEnded', 'removeDisk', 'removeRestoredVm').flatMap(({ activity, input }) => {
    if (activity === 'ensureTransferEnded') return input['outcome'] === 'cancel' ? [`cancel ${aliasOf(input['diskId'])}`] : [];
    return activity === 'removeRestoredVm' ? ['vm'] : [`remove ${aliasOf(input['diskId'])}`];
  });
}

const made = ['remove b', 'remove a'];
const steps: readonly { readonly step: ActivityName; readonly n: number; readonly undone: readonly string[] }[] = [
  { step: 'readBackup', n: 1, undone: [] },
  { step: 'planRestore', n: 1, undone: [] },
  { step: 'createDisk', n: 1, undone: ['remove a'] },
  { step: 'createDisk', n: 2, undone: made },
  { step: 'listHeldDisks', n: 1, undone: made },
  { step: 'ensureTransfer', n: 1, undone: ['cancel a', ...made] },
  { step: 'restoreDiskByTransfer', n: 1, undone: ['cancel a', ...made] },
  { step: 'witnessTransfer', n: 1, undone: ['cancel a', ...made] },
  { step: 'ensureTransfer', n: 2, undone: ['cancel b', ...made] },
  { step: 'restoreDiskByTransfer', n: 2, undone: ['cancel b', ...made] },
  { step: 'witnessTransfer', n: 2, undone: ['cancel b', ...made] },
  { step: 'holdVm', n: 1, undone: ['vm', ...made] },
  { step: 'createVmFromBackup', n: 1, undone: ['vm', ...made] },
  { step: 'attachRestoredDisk', n: 2, undone: ['vm', ...made] },
];

const stops = stopsOf(steps);

test('the runbook, read aloud: no appliance is asked, planned with or attached to', async () => {
  const run = await restore(undefined, { request: { start: true }, configured: {} });
  const end = await ending(run.handle);
  expect(end.status).toBe('COMPLETED');
  expect(run.script.names()).toEqual([
    'openRun', 'readBackup', 'planRestore', 'createDisk', 'createDisk', 'listHeldDisks',
    ...['a', 'b'].flatMap(() => ['takeCopySlot', 'ensureTransfer', 'restoreDiskByTransfer', 'witnessTransfer', 'giveBackCopySlot', 'ensureTransferEnded']),
    'holdVm', 'createVmFromBackup', 'attachRestoredDisk', 'attachRestoredDisk', 'startVm', 'keepProducts', 'closeRun',
  ]);
  const { script } = run;
  const output = end.output as RestoreVmOutput;
  const diskIds = madeBy(script).map(({ id }) => id);
  expect(script.of('planRestore')[0]?.input).toMatchObject({ method: 'transfer' });
  expect(script.of('planRestore')[0]?.input).not.toHaveProperty('applianceId');
  const asked = script.of('ensureTransfer').map(({ input }) => input);
  expect(asked).toEqual(diskIds.map((diskId) => ({ engine, runId: output.runId, diskId, transferKey: expect.any(String) as string, direction: 'upload' })));
  expect(script.of('ensureTransferEnded').map(({ input }) => input)).toEqual(asked.map((input) => ({ ...input, outcome: 'finalize' })));
  expect(script.of('restoreDiskByTransfer').map(({ input }) => [input['diskId'], input['targetDiskId'], input['transferId']])).toEqual(source.map(({ diskId }, index) => [diskId, diskIds[index], asked[index]?.['transferKey']]));
  for (const { input } of script.of('takeCopySlot')) expect(input).toMatchObject({ storageDomainId: domainId });
  expect(output.disks).toEqual(source.map(({ diskId, alias, virtualBytes }, index) => ({ sourceDiskId: diskId, diskId: diskIds[index], alias, virtualBytes, dataBytes: 1000, root })));
  expect(undone(run)).toEqual([]);
});

describe.each([
  { how: 'a final failure', status: 'FAILED', outcome: 'failed' },
  { how: 'a cancel', status: 'CANCELLED', outcome: 'cancelled' },
] as const)('$how', ({ how, status, outcome }) => {
  const runs = new Map<object, Promise<Restore & { readonly end: Ended }>>();
  beforeAll(() => {
    for (const row of stops[how]) runs.set(row, stoppedAt(how, row, restore));
  });

  test.each(stops[how])('at $step ($n) undoes $undone and closes the run once', async (row) => {
    const run = await runs.get(row);
    if (!run) throw new Error('not started');
    expect(undone(run)).toEqual(row.undone);
    expect(run.end.status).toBe(status);
    expect(run.script.of('closeRun').map(({ input }) => input)).toEqual([expect.objectContaining({ outcome, leftovers: [], warnings: [] })]);
  });
});

describe('the proof', () => {
  const notFinalized = (run: Restore): void => expect(run.script.of('ensureTransferEnded').filter(({ input }) => input['outcome'] === 'finalize')).toEqual([]);

  test('that fails ends the restore before the upload is finalized', async () => {
    const run = await restore((script) => script.fail('witnessTransfer', 'digest.mismatch'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'digest.mismatch' });
    notFinalized(run);
    expect(undone(run)).toEqual(['cancel a', ...made]);
  });

  test('counts only with the root of the backup', async () => {
    const run = await restore((script) => script.on('witnessTransfer', () => Promise.resolve({ root: 'e'.repeat(64) })));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'digest.mismatch' });
    notFinalized(run);
  });

  test('that cannot be made is no restore, either', async () => {
    const run = await restore((script) => script.fail('witnessTransfer', 'imageio.refused'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'imageio.refused' });
    notFinalized(run);
  });
});

describe('an upload whose ticket is gone', () => {
  test('is begun anew with the same disk: the engine gives it no other ticket, and takes the disk of one that is cancelled', async () => {
    const run = await restore((script) => script.fail('restoreDiskByTransfer', 'imageio.ticket-gone', (call) => script.of('restoreDiskByTransfer').indexOf(call) === 0));
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'COMPLETED', output: { warnings: [expect.stringMatching(/lost the ticket of the upload of disk a: the disk is written once more/)] } });
    const turn = ['takeCopySlot', 'ensureTransfer', 'restoreDiskByTransfer', 'giveBackCopySlot', 'ensureTransferEnded', 'removeDisk', 'createDisk', 'takeCopySlot', 'ensureTransfer', 'restoreDiskByTransfer', 'witnessTransfer'];
    expect(run.script.names().slice(run.script.names().indexOf('takeCopySlot')).slice(0, turn.length)).toEqual(turn);
    const [first, second] = run.script.of('ensureTransfer').map(({ input }) => input);
    expect(second?.['diskId']).toBe(first?.['diskId']);
    expect(second?.['transferKey']).not.toBe(first?.['transferKey']);
    expect(run.script.of('restoreDiskByTransfer').map(({ input }) => input['from'])[1]).toEqual({ positionBytes: 0, dataBytes: 0 });
    expect(undone(run)).toEqual(['cancel a', 'remove a']);
  });

  test('is begun thrice', async () => {
    const run = await restore((script) => script.fail('restoreDiskByTransfer', 'imageio.ticket-gone'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'imageio.ticket-gone', details: { leftovers: [] } });
    expect(run.script.of('restoreDiskByTransfer').length).toBe(3);
    expect(undone(run)).toEqual(['cancel a', 'remove a', 'cancel a', 'remove a', 'cancel a', ...made]);
  });

  test('is not begun anew when it cannot be ended', async () => {
    const run = await restore((script) => {
      script.fail('restoreDiskByTransfer', 'imageio.ticket-gone');
      script.fail('ensureTransferEnded', 'engine.refused', (call) => script.of('ensureTransferEnded').indexOf(call) === 0);
    });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'engine.refused', details: { leftovers: [] } });
    expect(undone(run)).toEqual(['cancel a', 'cancel a', ...made]);
  });
});

test('an upload that does not finalize well is undone, disk and all', async () => {
  const run = await restore((script) => script.fail('ensureTransferEnded', 'transfer.failed', ({ input }) => input['outcome'] === 'finalize'));
  expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'transfer.failed', details: { leftovers: [] } });
  expect(undone(run)).toEqual(['cancel a', ...made]);
});

test('a pause goes on at the position that was reported, with what is written kept', async () => {
  const hold = new Holding();
  const run = await restore((script) => hold.place(script, 'restoreDiskByTransfer', nth(1, () => script)));
  await hold.begun();
  const [{ diskId } = disk('none')] = source;
  await run.handle.signal('copyReport', { diskId, positionBytes: 4096, dataBytes: 1024, bytesPerSecond: 1 });
  await run.handle.signal('pause');
  await until(() => run.script.of('giveBackCopySlot').length === 1, () => 'the slot to be given back');
  hold.release();
  await run.handle.signal('resume');
  expect((await ending(run.handle)).status).toBe('COMPLETED');
  expect(run.script.of('restoreDiskByTransfer').map(({ input }) => input['from'])).toEqual([{ positionBytes: 0, dataBytes: 0 }, { positionBytes: 4096, dataBytes: 1024 }, { positionBytes: 0, dataBytes: 0 }]);
  const keys = run.script.of('ensureTransfer').map(({ input }) => input['transferKey']);
  expect(keys[1]).toBe(keys[0]);
});

describe('a backup that lies on others', () => {
  const incremental = (script: Script) => script.on('readBackup', async (_input, answer) => ((contents) => ({ ...contents, backup: { ...contents.backup, kind: 'incremental' as const, baseBackupId: randomUUID() } }))(await answer()));

  test.each(['transfer', 'appliance'])('has its chain looked at before anything is made (%s)', async (method) => {
    const run = await restore((script) => incremental(script).on('checkChain', ({ backupId }) => Promise.resolve([reason('backup.chain', backupId, 'an image is missing')])), { request: { method, applianceId } });
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'plan.refused' });
    expect(end.details?.['reasons']).toMatchObject([{ code: 'backup.chain' }]);
    expect(run.script.of('createDisk')).toEqual([]);
  });

  test('that is whole is restored; one that stands alone has none to look at', async () => {
    const run = await restore(incremental);
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.of('checkChain')).toHaveLength(1);
    const alone = await restore();
    await ending(alone.handle);
    expect(alone.script.of('checkChain')).toEqual([]);
  });
});

test.each(['original', 'replace'])('as %s it works the same, under the VM\'s lock', async (as) => {
  const run = await restore((script) => script.on('readBackup', async ({ backupId }, answer) => ({ ...(await answer()), backup: summary({ backupId }) })), { request: { as } });
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  const { vmId } = output as RestoreVmOutput;
  for (const { input } of run.script.of('ensureTransfer')) expect(input).toMatchObject({ vmId, direction: 'upload' });
  const names = run.script.names();
  expect(names.includes('removeReplacedVm')).toBe(as === 'replace');
  // The old VM is not touched before every upload is proven and over.
  if (as === 'replace') expect(names.indexOf('holdReplacedVm')).toBeGreaterThan(names.lastIndexOf('ensureTransferEnded'));
});

describe('the method auto', () => {
  test.each<readonly [string, Options, 'attachToAppliance' | 'ensureTransfer']>([
    ['the appliance when a worker in it answers', { configured: {} }, 'attachToAppliance'],
    ['uploads when there is none', {}, 'ensureTransfer'],
    ['uploads when nobody answers in it', { request: { applianceId: randomUUID() }, configured: { deadlines: { workerSeconds: 2 } } }, 'ensureTransfer'],
  ])('is %s', async (_, options, step) => {
    const run = await restore(undefined, { ...options, request: { ...options.request, method: 'auto' } });
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.of('attachToAppliance', 'ensureTransfer')[0]?.activity).toBe(step);
    const method = step === 'ensureTransfer' ? 'transfer' : 'appliance';
    expect(run.script.of('planRestore')[0]?.input).toMatchObject({ method });
    expect((await run.handle.describe()).typedSearchAttributes.getAll().find(({ key }) => key.name === 'HoldfastMethod')?.value).toBe(method);
  });
});
