// restoreVm under the lock of the VM: as the original, and in its place. What is asked in which order, what a failure or cancel puts back at
// every step of a replacement, and what the next run makes of one that was terminated.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { RestoreVmOutput } from '../../domain/flows/restore-vm';
import { holdingId, type EarlierHolding, type HoldingKind } from '../../domain/holdings';
import { replacedMark, vmMark, workflowIds } from '../../domain/ids';
import { applianceId, disk, engine, goodAnswers, repository } from './answers';
import { Script, type ActivityName } from './script';
import { ending, useStage, world, type Ended } from './stage';
import { stoppedAt, stopsOf } from './stopped-run';

const stageOf = useStage();

const source = [disk('a'), disk('b')];
/** What is refused is tried again until its deadline: two tries here. */
const impatient = { deadlines: { undoSeconds: 6 } };

interface Restore {
  readonly script: Script;
  readonly handle: WorkflowHandle;
  readonly vmId: string;
}

async function restore(as: 'original' | 'replace', prepare: (script: Script, vmId: string) => void = () => undefined, request: Readonly<Record<string, unknown>> = {}, configured: Parameters<typeof world>[0] = {}): Promise<Restore> {
  const of = world({ disks: source, ...configured });
  const { vmId } = of;
  const script = new Script(goodAnswers(of));
  prepare(script, vmId);
  const handle = await stageOf().start('restoreVm', workflowIds.vm(engine, vmId), { engine, repository, backupId: randomUUID(), as, vmId, ...request }, script);
  return { script, handle, vmId };
}

const common = ['openRun', 'listEarlierHoldings', 'listEarlierRuns', 'checkAppliance', 'checkAppliance', 'planRestore', 'createDisk', 'createDisk', 'attachToAppliance', 'findDevice', 'attachToAppliance', 'findDevice', 'listHeldDisks', ...['restoreDisk', 'restoreDisk', 'proveDisk', 'proveDisk'].flatMap((copy) => ['takeCopySlot', copy, 'giveBackCopySlot']), 'detachDisk', 'detachDisk'];
const namesOf = ({ script }: Restore): readonly string[] => script.names().map((name) => (name === 'readBackup' ? 'checkAppliance' : name));

test('as the original: under its lock, with its id, NICs and disk ids, and without our mark in the end', async () => {
  const run = await restore('original');
  const { status, output } = await ending(run.handle);
  expect({ status, names: namesOf(run) }).toEqual({ status: 'COMPLETED', names: [...common, 'holdVm', 'createVmFromBackup', 'attachRestoredDisk', 'attachRestoredDisk', 'keepProducts', 'unmarkVm', 'closeRun'] });
  const { runId } = output as RestoreVmOutput;
  expect(output).toMatchObject({ vmId: run.vmId, vmName: 'demo', disks: source.map(({ diskId }) => ({ diskId, sourceDiskId: diskId })), removedDiskIds: [], keptDisks: [] });
  expect(run.script.of('createVmFromBackup')[0]?.input).toMatchObject({ newVmId: run.vmId, vmId: run.vmId, name: 'demo', nicIds: 'same', mark: vmMark(runId) });
  // So that the next run on the VM finds them, whatever becomes of this one.
  for (const { input } of run.script.of('createDisk', 'attachToAppliance', 'holdVm')) expect(input).toMatchObject({ lockedVmId: run.vmId });
  expect(run.script.of('openRun')[0]?.input).toMatchObject({ vmId: run.vmId });
});

test('only the chosen disks are made, written and attached', async () => {
  const [, chosen] = source;
  const run = await restore('original', undefined, { diskIds: [chosen?.diskId] });
  expect((await ending(run.handle)).output).toMatchObject({ disks: [{ alias: 'b' }] });
  for (const activity of ['createDisk', 'restoreDisk', 'proveDisk', 'attachRestoredDisk'] as const) expect(run.script.of(activity)).toHaveLength(1);
});

test('another id than the lock, or a request that does not fit, is refused before anything', async () => {
  const script = new Script(goodAnswers(world()));
  const request = { engine, repository, backupId: randomUUID(), as: 'replace' };
  const [vmId, requestId] = [randomUUID(), randomUUID()];
  const asNew = await stageOf().start('restoreVm', workflowIds.restore(requestId), { ...request, vmId, requestId }, script);
  expect(await ending(asNew)).toMatchObject({ status: 'FAILED', code: 'input.invalid', message: expect.stringContaining(`must be "vm/lab/${vmId}"`) as string });
  const bare = await stageOf().start('restoreVm', workflowIds.vm(engine, vmId), request, script);
  expect(await ending(bare)).toMatchObject({ status: 'FAILED', code: 'input.invalid', message: expect.stringMatching(/vmId: is needed/) as string });
  expect(script.calls).toEqual([]);
});

describe('to replace', () => {
  test('the runbook, read aloud: the new disks are proven before the old VM is touched, its disks go when the new VM stands', async () => {
    const run = await restore('replace', undefined, { start: true });
    const { status, output } = await ending(run.handle);
    expect({ status, names: namesOf(run) }).toEqual({
      status: 'COMPLETED',
      names: [...common, 'holdReplacedVm', 'saveReplacedVm', 'removeReplacedVm', 'holdVm', 'createVmFromBackup', 'attachRestoredDisk', 'attachRestoredDisk', 'startVm', 'keepProducts', 'unmarkVm',
        'removeReplacedDisk', 'removeReplacedDisk', 'dropReplacedVm', 'releaseReplacedVm', 'closeRun'],
    });
    const ids = source.map(({ diskId }) => diskId);
    expect(output).toMatchObject({ vmId: run.vmId, removedDiskIds: ids, warnings: [], leftovers: [] });
    for (const { diskId } of (output as RestoreVmOutput).disks) expect(ids).not.toContain(diskId);
    expect(run.script.of('removeReplacedVm')[0]?.input).toMatchObject({ vmId: run.vmId, diskIds: ids });
    expect(run.script.of('holdReplacedVm')[0]?.input).toMatchObject({ removedDiskIds: ids });
  });

  test('old disks that cannot be removed are leftovers with a warning, never the end of the restored VM', async () => {
    const run = await restore('replace', (script) => script.fail('removeReplacedDisk', 'disk.illegal', (call) => call.input['diskId'] === source[0]?.diskId), {}, impatient);
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect(output).toMatchObject({ removedDiskIds: [source[1]?.diskId], leftovers: [{ kind: 'replaced-disk', objectId: source[0]?.diskId }], warnings: [expect.stringContaining('left behind: replaced-disk')] });
    expect(run.script.of('putBackReplacedVm', 'removeDisk', 'removeRestoredVm')).toEqual([]);
  });
  const newDisks = ['removeDisk', 'removeDisk'];
  const oldBack = ['putBackReplacedVm', 'releaseReplacedVm', ...newDisks];
  const newGone = ['removeRestoredVm', ...oldBack];
  const steps: readonly { readonly step: ActivityName; readonly n: number; readonly undone: readonly string[] }[] = [
    { step: 'planRestore', n: 1, undone: [] },
    { step: 'createDisk', n: 2, undone: newDisks },
    { step: 'holdReplacedVm', n: 1, undone: oldBack },
    { step: 'saveReplacedVm', n: 1, undone: oldBack },
    { step: 'removeReplacedVm', n: 1, undone: oldBack },
    { step: 'holdVm', n: 1, undone: newGone },
    { step: 'createVmFromBackup', n: 1, undone: newGone },
    { step: 'attachRestoredDisk', n: 2, undone: newGone },
  ];
  const stops = stopsOf(steps);
  const undos = ['removeRestoredVm', 'putBackReplacedVm', 'releaseReplacedVm', 'dropReplacedVm', 'removeDisk', 'removeReplacedDisk'] as const;

  describe.each([
    { how: 'a final failure', status: 'FAILED' },
    { how: 'a cancel', status: 'CANCELLED' },
  ] as const)('$how', ({ how, status }) => {
    const runs = new Map<object, Promise<Restore & { readonly end: Ended }>>();
    beforeAll(() => {
      for (const row of stops[how]) runs.set(row, stoppedAt(how, row, (prepare) => restore('replace', prepare)));
    });

    test.each(stops[how])('at $step ($n) undoes $undone', async (row) => {
      const run = await runs.get(row);
      if (!run) throw new Error('not started');
      expect(run.script.of(...undos).map(({ activity }) => activity)).toEqual(row.undone);
      expect(run.end.status).toBe(status);
      expect(run.script.of('closeRun').map(({ input }) => input)).toEqual([expect.objectContaining({ leftovers: [] })]);
      for (const { input } of run.script.of('putBackReplacedVm')) expect(input).toMatchObject({ vmId: run.vmId, repository, mark: vmMark(String(input['runId'])) });
    });
  });

  test('an old VM that cannot be put back is a leftover that says where its configuration lies, and none of its disks is touched', async () => {
    const run = await restore('replace', (script) => script.fail('createVmFromBackup', 'engine.conflict').fail('putBackReplacedVm', 'repository.corrupt'));
    const { details } = await ending(run.handle);
    const { runId } = details as { runId: string };
    expect(details?.['leftovers']).toEqual([expect.objectContaining({ kind: 'replaced-vm', objectId: run.vmId, mark: replacedMark(repository, runId) })]);
    expect(run.script.of('removeReplacedDisk', 'dropReplacedVm')).toEqual([]);
  });
});

describe('what a replacement that was terminated left', () => {
  const earlierRun = randomUUID();
  const [newDisk, oldDisk] = [randomUUID(), randomUUID()];
  const held = (vmId: string, committed: boolean) => (kind: HoldingKind, objectId: string, mark: string): EarlierHolding => ({
    holdingId: holdingId(earlierRun, kind, objectId), runId: earlierRun, engine, kind, vmId, objectId, mark, state: 'held', committed, repository,
    ...(kind === 'attachment' ? { parentId: applianceId } : {}),
  });
  /** In the order of acquisition. */
  const left = (vmId: string, committed: boolean): readonly EarlierHolding[] => {
    const one = held(vmId, committed);
    return [one('disk', newDisk, newDisk), one('attachment', newDisk, 'at the appliance'), one('replaced-vm', vmId, replacedMark(repository, earlierRun)), one('replaced-disk', oldDisk, oldDisk), one('vm', vmId, vmMark(earlierRun))];
  };
  const releases = ['detachDisk', 'removeRestoredVm', 'putBackReplacedVm', 'releaseReplacedVm', 'removeDisk', 'keepProducts', 'dropReplacedVm', 'removeReplacedDisk', 'closeRun'] as const;
  const released = async (committed: boolean): Promise<{ readonly calls: readonly unknown[]; readonly warnings: readonly string[] }> => {
    const run = await restore('original', (script, vmId) => {
      script.on('listEarlierHoldings', () => Promise.resolve(left(vmId, committed)));
      script.on('listEarlierRuns', () => Promise.resolve([{ runId: earlierRun, workflowType: 'restoreVm', backupId: randomUUID(), repository }]));
    });
    const { output } = await ending(run.handle);
    expect(run.script.of('dropPartialBackup')).toEqual([]);
    const calls = run.script.of(...releases).filter(({ input }) => input['runId'] === earlierRun).map(({ activity, input }) => [activity, input['fate'] ?? input['diskId'] ?? input['mark'] ?? input['outcome'] ?? null]);
    return { calls, warnings: (output as RestoreVmOutput).warnings };
  };

  test('before the new VM stood: it goes, the old one comes back, the old disks stay', async () => {
    const { calls, warnings } = await released(false);
    expect(calls).toEqual([['detachDisk', newDisk], ['removeRestoredVm', vmMark(earlierRun)], ['putBackReplacedVm', vmMark(earlierRun)], ['releaseReplacedVm', 'back'], ['removeDisk', newDisk], ['closeRun', 'failed']]);
    expect(warnings).toEqual(expect.arrayContaining([expect.stringMatching(/^put back what an earlier run/), expect.stringMatching(/of restoreVm was terminated$/)]));
  });

  test('after the new VM stood: it is kept, and what it replaced is finished off', async () => {
    const { calls } = await released(true);
    expect(calls).toEqual([['keepProducts', null], ['detachDisk', newDisk], ['dropReplacedVm', null], ['releaseReplacedVm', 'replaced'], ['removeReplacedDisk', oldDisk], ['closeRun', 'failed']]);
  });
});
