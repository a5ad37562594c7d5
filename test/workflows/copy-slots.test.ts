// Copy slots as runs use them: with the real slot activities on a real catalog runs take turns, and scripted ones show what a pause, a new
// bandwidth, a cancel and a deadline do to a slot.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { createCopySlotActivities } from '../../activities/copy-slots';
import { createCatalog } from '../../adapters/catalog/catalog';
import { openDatabase } from '../../adapters/catalog/database';
import type { Catalog } from '../../adapters/catalog/port';
import type { Bandwidth, Progress } from '../../domain/flows/progress';
import { workflowIds } from '../../domain/ids';
import { isExecutionRunning } from '../../worker/executions';
import { startPostgres, type TestPostgres } from '../support/postgres';
import { disk, domainId, engine, goodAnswers, repository, type World } from './answers';
import { Holding, Script, until, untilCalled } from './script';
import { ending, openStage, world, type Stage } from './stage';

let stage: Stage;
let postgres: TestPostgres;
let url: string;
let catalog: Catalog;
beforeAll(async () => {
  [stage, postgres] = await Promise.all([openStage(), startPostgres()]);
  url = await postgres.createDatabase();
  catalog = createCatalog({ url });
  await catalog.migrate();
}, 120_000);
afterAll(async () => {
  await catalog.close();
  await Promise.all([stage.stop(), postgres.stop()]);
});

interface Run {
  readonly script: Script;
  readonly handle: WorkflowHandle;
  readonly world: World;
}

async function backup(prepare: (script: Script, of: World) => void = () => undefined, configured: Parameters<typeof world>[0] = {}): Promise<Run> {
  const of = world({ disks: [disk('a')], ...configured });
  const script = new Script(goodAnswers(of));
  prepare(script, of);
  const handle = await stage.start('backupVm', workflowIds.vm(engine, of.vmId), { engine, vmId: of.vmId, repository }, script);
  return { script, handle, world: of };
}

const progressOf = ({ handle }: Run): Promise<Progress> => handle.query<Progress>('progress');
const detailsOf = async ({ handle }: Run): Promise<string> => (await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata')).currentDetails ?? '';

describe('on a real catalog', () => {
  /** Real slots, and the run in the catalog that they belong to. */
  function inLine(script: Script, { copiesAtOnce, engineName = engine, storageDomains = {} }: { copiesAtOnce: number; engineName?: string; storageDomains?: Record<string, { copiesAtOnce: number }> }): void {
    const activities = createCopySlotActivities({
      catalog,
      engineOf: () => ({ listStorageDomains: () => Promise.resolve([{ id: domainId, name: 'data1' }]) }) as never,
      settingsOf: () => { throw new Error('no settings asked for'); },
      imageioOf: () => { throw new Error('no image transfer asked for'); },
      vmObjectivesOf: () => { throw new Error('no objectives asked for'); },
      copyLimitsOf: () => ({ copiesAtOnce, copiesAtOncePerStorageDomain: 100, storageDomains }),
      isExecutionRunning: (execution) => isExecutionRunning(stage.connection, stage.namespace, execution),
    });
    // Each test has a line of its own in the catalog, under a name that the flow need not know.
    script.on('openRun', async (run, answer) => (await catalog.openRun(run), answer()));
    script.on('closeRun', (end) => catalog.closeRun(end));
    script.on('takeCopySlot', (input) => activities.takeCopySlot({ ...input, engine: engineName }));
    script.on('giveBackCopySlot', (input) => activities.giveBackCopySlot({ ...input, engine: engineName }));
  }

  test('runs at a limit of one never copy at the same moment, and all complete', async () => {
    const [engineName, intervals, copying] = [randomUUID(), [] as { vmId: string; from: number; to: number }[], new Set<string>()];
    let most = 0;
    const runs = await Promise.all([1, 2, 3].map(() =>
      backup((script, { vmId }) => {
        inLine(script, { copiesAtOnce: 1, engineName });
        script.on('backupDisk', async ({ diskId }, answer) => {
          const from = performance.now();
          copying.add(diskId);
          most = Math.max(most, copying.size);
          await new Promise((resolve) => setTimeout(resolve, 150));
          copying.delete(diskId);
          intervals.push({ vmId, from, to: performance.now() });
          return answer();
        });
      }, { disks: [disk('a'), disk('b')], settings: { disksAtOnce: 2 } }),
    ));
    for (const run of runs) expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect([most, intervals.length, new Set(intervals.map(({ vmId }) => vmId)).size]).toEqual([1, 6, 3]);
    const inOrder = intervals.sort((one, other) => one.from - other.from);
    inOrder.slice(1).forEach(({ from }, index) => expect(from).toBeGreaterThanOrEqual(inOrder[index]?.to ?? Infinity));
  }, 90_000);

  test('who waits says for which limit, by the storage domain\'s name; a limit may be given by it', async () => {
    const [engineName, hold] = [randomUUID(), new Holding()];
    const storageDomains = { data1: { copiesAtOnce: 1 } };
    const first = await backup((script) => {
      inLine(script, { copiesAtOnce: 9, engineName, storageDomains });
      hold.place(script, 'backupDisk');
    });
    await hold.begun();
    const second = await backup((script) => inLine(script, { copiesAtOnce: 9, engineName, storageDomains }));
    const waitingFor = 'storage domain data1 has as many copies as it may have at once (1)';
    await until(async () => (await progressOf(second)).disks[0]?.waitingFor === waitingFor, () => 'the second to say what it waits for');
    expect(await detailsOf(second)).toContain(`**Waiting for a copy slot**\n\n- a: ${waitingFor}`);
    expect(second.script.of('backupDisk')).toEqual([]);
    hold.release();
    for (const run of [first, second]) expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect((await progressOf(second)).disks[0]).toMatchObject({ state: 'done', waitingFor: null });
    expect(await catalog.countCopySlots()).toEqual([]);
  }, 60_000);

  test('neither a run that was terminated while it copied nor one that waited before another holds anybody up', async () => {
    const [engineName, hold] = [randomUUID(), new Holding()];
    const holder = await backup((script) => {
      inLine(script, { copiesAtOnce: 1, engineName });
      hold.place(script, 'backupDisk');
    });
    await hold.begun();
    const waiter = await backup((script) => inLine(script, { copiesAtOnce: 1, engineName }));
    await untilCalled(waiter.script, 'takeCopySlot', 2);
    for (const { handle } of [holder, waiter]) await handle.terminate();
    const next = await backup((script) => inLine(script, { copiesAtOnce: 1, engineName }));
    await untilCalled(next.script, 'takeCopySlot', 2);
    expect(next.script.of('backupDisk')).toEqual([]);
    // Owners are asked for every half minute; here that half minute is over at once.
    const database = openDatabase({ url, max: 1, log: { warn: () => undefined } });
    await database.change("UPDATE holdfast.copy_slots SET checked_at = now() - interval '1 hour'");
    await database.close();
    expect((await ending(next.handle)).status).toBe('COMPLETED');
    hold.release();
  }, 60_000);
});

describe('a slot', () => {
  const slots = ({ script }: Run): readonly string[] => script.of('takeCopySlot', 'backupDisk', 'giveBackCopySlot').map(({ activity }) => activity);

  test('is given back by a pause and taken anew by resume, in a new place of the line', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk', (call) => script.of('backupDisk')[0] === call));
    await hold.begun();
    await run.handle.signal('pause');
    await untilCalled(run.script, 'giveBackCopySlot');
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(slots(run)).toEqual(['takeCopySlot', 'backupDisk', 'giveBackCopySlot', 'takeCopySlot', 'backupDisk', 'giveBackCopySlot']);
    const ids = run.script.of('takeCopySlot', 'giveBackCopySlot').map(({ input }) => input['slotId']);
    expect([ids[0] === ids[1], ids[2] === ids[3], ids[0] === ids[2]]).toEqual([true, true, false]);
    expect(run.script.of('takeCopySlot')[0]?.input).toMatchObject({ engine, diskId: run.world.disks[0]?.diskId, storageDomainId: domainId });
  });

  test('is kept while a new bandwidth starts the copy again', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk', (call) => script.of('backupDisk')[0] === call));
    await hold.begun();
    await run.handle.executeUpdate<Bandwidth, [Bandwidth]>('setBandwidth', { args: [{ bytesPerSecond: 1_000_000 }] });
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(slots(run)).toEqual(['takeCopySlot', 'backupDisk', 'backupDisk', 'giveBackCopySlot']);
  });

  const forever = (script: Script): Script => script.on('takeCopySlot', () => Promise.resolve({ granted: false, limit: 'engine', waitingFor: 'engine lab is full' }), ({ input }) => input['toldLimit'] === undefined).fail('takeCopySlot', 'wait.pending');

  test.each([
    ['a pause', (run: Run) => run.handle.signal('pause')],
    ['a cancel', (run: Run) => run.handle.cancel()],
  ])('that is waited for is not asked for any more after %s', async (_what, act) => {
    const run = await backup(forever);
    await untilCalled(run.script, 'takeCopySlot', 2);
    expect((await progressOf(run)).disks[0]).toMatchObject({ state: 'waiting', waitingFor: 'engine lab is full' });
    await act(run);
    await untilCalled(run.script, 'giveBackCopySlot');
    const asked = run.script.of('takeCopySlot').length;
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect([run.script.of('takeCopySlot').length, run.script.of('backupDisk')]).toEqual([asked, []]);
    expect((await progressOf(run)).disks[0]?.waitingFor).toBeNull();
    expect(run.script.of('detachDisk', 'dropPartialBackup', 'ensureSnapshotGone')).toHaveLength(3);
  });

  test('that does not come before the deadline fails the run, which says so', async () => {
    const run = await backup(forever, { deadlines: { queueSeconds: 3 } });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'wait.deadline' });
    expect(slots(run)).not.toContain('backupDisk');
    expect(slots(run).at(-1)).toBe('giveBackCopySlot');
  });

  test('is given back before anything is undone when the copy fails', async () => {
    const run = await backup((script) => script.fail('backupDisk', 'device.changed'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'device.changed' });
    const [back] = run.script.of('giveBackCopySlot');
    const undos = run.script.of('detachDisk', 'dropPartialBackup', 'ensureSnapshotGone');
    for (const undo of undos) expect(undo.begunAt).toBeGreaterThan(back?.endedAt ?? Infinity);
    expect(undos).toHaveLength(3);
  });

  test('that cannot be given back is a warning: closing the run gives it back too', async () => {
    const run = await backup((script) => script.fail('giveBackCopySlot', 'catalog.conflict'));
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'COMPLETED', output: { warnings: [expect.stringContaining('is given back only when the run is closed: giveBackCopySlot was told to fail [catalog.conflict]')] } });
  });
});

describe('a device that is gone from the appliance', () => {
  const looks = ({ script }: Run): readonly string[] => script.of('findDevice', 'backupDisk').map(({ activity, outcome }) => `${activity} ${outcome ?? ''}`);
  const once = (script: Script): Script => script.fail('backupDisk', 'device.not-found', (call) => script.of('backupDisk')[0] === call);

  test('is waited for, and the copy goes on when it is back; the slot is kept', async () => {
    const run = await backup((script) => once(script).fail('findDevice', 'device.not-found', (call) => [1, 2].includes(script.of('findDevice').indexOf(call))));
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(looks(run)).toEqual(['findDevice completed', 'backupDisk failed', 'findDevice failed', 'findDevice failed', 'findDevice completed', 'backupDisk completed']);
    expect(run.script.of('takeCopySlot')).toHaveLength(1);
  });

  test('fails the run at the deadline, however few times it was looked for', async () => {
    const run = await backup((script) => once(script).fail('findDevice', 'device.not-found', (call) => script.of('findDevice')[0] !== call), { deadlines: { attachSeconds: 5 } });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'device.not-found' });
    expect(run.script.of('backupDisk')).toHaveLength(1);
    expect(run.script.of('findDevice').length).toBeGreaterThan(2);
  });
});
