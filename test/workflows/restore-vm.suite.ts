// restoreVm as a runbook: its order, what it undoes after a failure or cancel at every step, and what it never gives up again.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { workflowIds } from '../../domain/ids';
import type { RestoreVmOutput } from '../../domain/flows/restore-vm';
import { reason } from '../../domain/plan/reasons';
import { clusterId, disk, domainId, engine, goodAnswers, repository } from './answers';
import { Holding, Script, type ActivityName } from './script';
import { ending, useStage, world, type Ended } from './stage';
import { stoppedAt, stopsOf } from './stopped-run';

const stageOf = useStage();

const source = [disk('a'), disk('b')];
const nothingChosen = { domainOfDisk: {}, sameDiskIds: [], nics: [], leftOut: [] };

interface Restore {
  readonly script: Script;
  readonly handle: WorkflowHandle;
  readonly backupId: string;
}

async function restore(prepare: (script: Script) => void = () => undefined, request: Readonly<Record<string, unknown>> = {}, configured: Parameters<typeof world>[0] = {}): Promise<Restore> {
  const script = new Script(goodAnswers(world({ disks: source, ...configured })));
  prepare(script);
  const [requestId, backupId] = [randomUUID(), randomUUID()];
  const handle = await stageOf().start('restoreVm', workflowIds.restore(requestId), { engine, repository, backupId, requestId, name: 'demo-restored', ...request }, script);
  return { script, handle, backupId };
}

/** What was undone or let go, in order, in the words of the tables below. */
function undone({ script }: Restore): readonly string[] {
  const made = script.of('createDisk').map(({ input }) => ({ id: input['diskId'], alias: (input['settings'] as { alias: string }).alias }));
  const aliasOf = (id: unknown): string => made.find((each) => each.id === id)?.alias ?? 'unknown';
  return script.of('detachDisk', 'removeDisk', 'removeRestoredVm').map(({ activity, input }) => (activity === 'removeRestoredVm' ? 'vm' : `${activity === 'detachDisk' ? 'detach' : 'remove'} ${aliasOf(input['diskId'])}`));
}


const made = ['remove b', 'remove a'];
const attached = ['detach b', 'detach a', ...made];
const steps: readonly { readonly step: ActivityName; readonly n: number; readonly undone: readonly string[] }[] = [
  { step: 'readBackup', n: 1, undone: [] },
  { step: 'checkAppliance', n: 1, undone: [] },
  { step: 'planRestore', n: 1, undone: [] },
  { step: 'createDisk', n: 1, undone: ['remove a'] },
  { step: 'createDisk', n: 2, undone: made },
  { step: 'attachToAppliance', n: 1, undone: ['detach a', ...made] },
  { step: 'findDevice', n: 1, undone: ['detach a', ...made] },
  { step: 'attachToAppliance', n: 2, undone: attached },
  { step: 'findDevice', n: 2, undone: attached },
  { step: 'listHeldDisks', n: 1, undone: attached },
  { step: 'restoreDisk', n: 1, undone: attached },
  { step: 'restoreDisk', n: 2, undone: attached },
  { step: 'proveDisk', n: 1, undone: attached },
  { step: 'proveDisk', n: 2, undone: attached },
  // Letting go of the appliance is a step of its own here; what did not come off is tried again by the undo.
  { step: 'holdVm', n: 1, undone: ['detach b', 'detach a', 'vm', ...made] },
  { step: 'createVmFromBackup', n: 1, undone: ['detach b', 'detach a', 'vm', ...made] },
  { step: 'attachRestoredDisk', n: 1, undone: ['detach b', 'detach a', 'vm', ...made] },
  { step: 'attachRestoredDisk', n: 2, undone: ['detach b', 'detach a', 'vm', ...made] },
];

const stops = stopsOf(steps);

test('the runbook, read aloud', async () => {
  const run = await restore(undefined, { start: true });
  const end = await ending(run.handle);
  expect(end.status).toBe('COMPLETED');
  // Backup and appliance are asked at the same time.
  const names = run.script.names().map((name) => (name === 'readBackup' ? 'checkAppliance' : name));
  expect(names).toEqual([
    'openRun', 'checkAppliance', 'checkAppliance', 'planRestore', 'createDisk', 'createDisk',
    'attachToAppliance', 'findDevice', 'attachToAppliance', 'findDevice', 'listHeldDisks',
    ...['restoreDisk', 'restoreDisk', 'proveDisk', 'proveDisk'].flatMap((copy) => ['takeCopySlot', copy, 'giveBackCopySlot']),
    'detachDisk', 'detachDisk', 'holdVm', 'createVmFromBackup', 'attachRestoredDisk', 'attachRestoredDisk', 'startVm', 'keepProducts', 'closeRun',
  ]);
  const output = end.output as RestoreVmOutput;
  const diskIds = run.script.of('createDisk').map((call) => call.input['diskId']);
  expect(output).toMatchObject({ backupId: run.backupId, vmName: 'demo-restored', started: true, warnings: [], leftovers: [] });
  expect(output.disks).toEqual(source.map(({ diskId, alias, virtualBytes }, index) => ({ sourceDiskId: diskId, diskId: diskIds[index], alias, virtualBytes, dataBytes: 1000, root: 'd'.repeat(64) })));
  // Every new id is new: nothing of the backup's VM is touched.
  expect(new Set([...diskIds, ...source.map((each) => each.diskId), output.vmId]).size).toBe(5);
  for (const call of run.script.of('createDisk')) expect(call.input).toMatchObject({ storageDomainId: domainId, runId: output.runId });
  expect(run.script.of('createVmFromBackup')[0]?.input).toMatchObject({ newVmId: output.vmId, name: 'demo-restored', clusterId, nicIds: 'new', mark: `Holdfast restore ${output.runId}` });
  expect(run.script.of('attachRestoredDisk').map((call) => call.input)).toEqual(source.map((each, index) => ({ engine, vmId: output.vmId, diskId: diskIds[index], settings: { ...each, dataBytes: 1000, root: 'd'.repeat(64) } })));
  expect(run.script.of('closeRun').map((call) => call.input['outcome'])).toEqual(['completed']);
});

test('a writer is told the disks that the catalog says this run made, not those the flow believes in', async () => {
  const heldDiskIds = [randomUUID()];
  const run = await restore((script) => script.on('listHeldDisks', () => Promise.resolve(heldDiskIds)));
  await ending(run.handle);
  for (const call of run.script.of('restoreDisk')) expect(call.input).toMatchObject({ heldDiskIds });
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
    if (how === 'a final failure') expect(run.end).toMatchObject({ code: 'engine.refused', details: { leftovers: [] } });
    const closings = run.script.of('closeRun');
    expect(closings.map((call) => call.input)).toEqual([expect.objectContaining({ outcome, leftovers: [], warnings: [] })]);
    expect(run.script.calls.at(-1)).toBe(closings[0]);
    const stepEnd = run.script.of(row.step).at(-1)?.endedAt ?? Infinity;
    for (const undo of run.script.of('removeDisk', 'removeRestoredVm')) expect(undo.begunAt).toBeGreaterThan(stepEnd);
  });
});

test('letting go of the appliance that fails is tried once more by the undo, before the disks are removed', async () => {
  const run = await restore((script) => script.fail('detachDisk', 'engine.refused', (call) => script.of('detachDisk').indexOf(call) === 0));
  expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'engine.refused', details: { leftovers: [] } });
  expect(undone(run)).toEqual(['detach b', 'detach b', 'detach a', 'remove b', 'remove a']);
});

test('a VM that does not start is restored all the same, with a warning', async () => {
  const run = await restore((script) => script.fail('startVm', 'vm.failed'), { start: true });
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect(output).toMatchObject({ started: false, leftovers: [], warnings: [expect.stringMatching(/demo-restored .* did not start: .*\[vm\.failed\]/)] });
  expect(undone(run)).toEqual(['detach b', 'detach a']);
});

test('a cancel while the VM starts removes it', async () => {
  const hold = new Holding();
  const run = await restore((script) => hold.place(script, 'startVm'), { start: true });
  await hold.begun();
  await run.handle.cancel();
  expect((await ending(run.handle)).status).toBe('CANCELLED');
  expect(undone(run)).toEqual(['detach b', 'detach a', 'vm', ...made]);
});

test('a catalog that cannot note the products costs a warning, never the restored VM', async () => {
  const run = await restore((script) => script.fail('keepProducts', 'catalog.conflict'));
  const { status, output } = await ending(run.handle);
  expect(status).toBe('COMPLETED');
  expect(output).toMatchObject({ warnings: [expect.stringContaining('[catalog.conflict]')] });
  expect(undone(run)).toEqual(['detach b', 'detach a']);
});

describe('a refusal', () => {
  const refusal = async (run: Restore): Promise<readonly string[]> => {
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'plan.refused' });
    expect(run.script.of('createDisk', 'removeDisk')).toEqual([]);
    return (end.details?.['reasons'] as { code: string }[]).map(({ code }) => code);
  };

  test('has every reason of engine and appliance at once', async () => {
    const run = await restore((script) => {
      script.on('planRestore', () => Promise.resolve({ ...nothingChosen, reasons: [reason('name.taken', 'x', 'the name is taken'), reason('domain.full', 'y', 'no room')] }));
      script.on('checkAppliance', () => Promise.resolve([reason('appliance.devices', 'z', 'no devices')]));
    });
    expect(await refusal(run)).toEqual(['name.taken', 'domain.full', 'appliance.devices']);
  });

  test('counts queues that nobody serves among the reasons', async () => {
    const run = await restore(
      (script) => script.on('planRestore', ({ saved }) => Promise.resolve({ ...nothingChosen, reasons: [...(saved ? [reason('cluster.unknown', 'w', 'the backup would tell')] : []), reason('name.taken', 'x', 'the name is taken')] })),
      { repository: 'nowhere', applianceId: randomUUID() },
      { deadlines: { workerSeconds: 2 } },
    );
    expect(await refusal(run)).toEqual(['repository.no-worker', 'name.taken', 'appliance.no-worker']);
  });

  test('without an appliance comes from the plan alone', async () => {
    const run = await restore((script) => script.on('planRestore', () => Promise.resolve({ ...nothingChosen, reasons: [reason('appliance.unset', engine, 'no appliance')] })), {}, { settings: { applianceIds: [] } });
    expect(await refusal(run)).toEqual(['appliance.unset']);
    expect(run.script.of('planRestore')[0]?.input).not.toHaveProperty('applianceId');
    expect(run.script.of('checkAppliance')).toEqual([]);
  });
});
