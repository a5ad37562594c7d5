// What every catalog must do, whatever holds its rows: the specification of adapters/catalog/port.ts. `open` gives an empty,
// migrated catalog.
import { randomUUID } from 'node:crypto';
import type { Catalog, NewAlert, NewRun } from '../../adapters/catalog/port';
import { holdingId, holdingKinds, type Holding } from '../../domain/holdings';
import { backupsContract, newRun } from './catalog-backups.contract';
import { inventoryContract } from './catalog-inventory.contract';

const page = { limit: 100, offset: 0 };
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

export function newHolding(run: NewRun, changes: Partial<Omit<Holding, 'state'>> = {}): Omit<Holding, 'state'> {
  const key = randomUUID();
  return { holdingId: holdingId(run.runId, 'snapshot', key), runId: run.runId, engine: run.engine, kind: 'snapshot', mark: `Holdfast backup ${key}`, ...changes };
}

export function catalogContract(name: string, open: () => Promise<Catalog>): void {
  describe(name, () => {
    let catalog: Catalog;
    beforeEach(async () => {
      catalog = await open();
    });
    afterEach(() => catalog.close());

    describe('runs', () => runsContract(() => catalog));
    describe('holdings', () => holdingsContract(() => catalog));
    describe('backups', () => backupsContract(() => catalog));
    describe('alerts', () => alertsContract(() => catalog));
    describe('inventory of VMs', () => inventoryContract(() => catalog));
  });
}

function runsContract(catalog: () => Catalog): void {
  const list = (): ReturnType<Catalog['listRuns']> => catalog().listRuns({ page });

  test('a run gets its VM\'s name once planning knows it', async () => {
    const run = newRun({ vmName: '' });
    await catalog().openRun(run);
    await catalog().nameRun(run.runId, 'demo');
    await catalog().nameRun(run.runId, 'demo');
    expect((await catalog().listRuns({ page, runId: run.runId })).map(({ vmName }) => vmName)).toEqual(['demo']);
  });

  test('an opened run is running; opening it again changes nothing', async () => {
    const run = newRun({ repository: 'main' });
    await catalog().openRun(run);
    const first = await list();
    expect(first).toEqual([{
      runId: run.runId, workflowId: run.workflowId, workflowType: 'backupVm', engine: 'lab', vmId: run.vmId, vmName: 'demo', backupId: run.backupId, repository: 'main',
      outcome: 'running', startedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string, endedAt: null, failure: null, warnings: [], leftovers: [],
    }]);
    await catalog().openRun(run);
    expect(await list()).toEqual(first);
  });

  test('a closed run tells its end; closing it again changes nothing, not even the time', async () => {
    const run = newRun();
    await catalog().openRun(run);
    const end = {
      runId: run.runId, outcome: 'failed', failure: { code: 'disk.illegal', message: 'disk data is illegal' },
      warnings: ['first', 'second, with "quotes"'], leftovers: [{ kind: 'snapshot', objectId: randomUUID(), mark: 'Holdfast backup x', reason: 'locked' }],
    } as const;
    await catalog().closeRun(end);
    const first = await list();
    expect(first).toEqual([expect.objectContaining({ ...end, endedAt: expect.any(String) as string })]);
    await pause();
    await catalog().closeRun(end);
    await catalog().openRun(run);
    expect(await list()).toEqual(first);
  });

  test('a run that a Temporal reset takes up again ends with its second end', async () => {
    const run = newRun();
    await catalog().openRun(run);
    await catalog().closeRun({ runId: run.runId, outcome: 'cancelled', warnings: [], leftovers: [] });
    await catalog().closeRun({ runId: run.runId, outcome: 'completed', warnings: [], leftovers: [] });
    expect(await list()).toEqual([expect.objectContaining({ outcome: 'completed', failure: null })]);
  });

  test('closing a run that was never opened is fine and opens nothing', async () => {
    await catalog().closeRun({ runId: randomUUID(), outcome: 'failed', warnings: [], leftovers: [] });
    expect(await list()).toEqual([]);
  });

  test('a text with NUL or half a surrogate pair does not keep a run from closing', async () => {
    const run = newRun();
    await catalog().openRun(run);
    const text = 'guest said \0 and \ud800';
    await catalog().closeRun({ runId: run.runId, outcome: 'failed', failure: { code: 'vm.failed', message: text }, warnings: [text], leftovers: [{ kind: 'vm', mark: text, reason: text }] });
    const clean = 'guest said \uFFFD and \uFFFD';
    expect(await list()).toEqual([expect.objectContaining({ failure: { code: 'vm.failed', message: clean }, warnings: [clean], leftovers: [{ kind: 'vm', mark: clean, reason: clean }] })]);
  });

  test('a request id is used once for ever: the second run hears of the first', async () => {
    const requestId = randomUUID();
    const first = newRun({ workflowId: `restore/${requestId}`, requestId });
    await catalog().openRun(first);
    await catalog().openRun(first);
    await catalog().closeRun({ runId: first.runId, outcome: 'failed', warnings: [], leftovers: [] });
    const second = newRun({ workflowId: first.workflowId, requestId });
    await expect(catalog().openRun(second)).rejects.toMatchObject({ code: 'catalog.conflict', message: expect.stringContaining(first.runId) as string, details: { requestId, runId: first.runId } });
    expect((await list()).map(({ runId }) => runId)).toEqual([first.runId]);
  });

  test('twenty openings of one request at once: one run wins, the others hear of it', async () => {
    const requestId = randomUUID();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => catalog().openRun(newRun({ requestId }))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'catalog.conflict' });
  });

  test('one run opened twenty times at once is one row and no conflict', async () => {
    const run = newRun({ requestId: randomUUID() });
    await Promise.all(Array.from({ length: 20 }, () => catalog().openRun(run)));
    expect(await list()).toHaveLength(1);
  });

  test('a run id cannot be taken over by another workflow', async () => {
    const run = newRun();
    await catalog().openRun(run);
    await expect(catalog().openRun({ ...run, workflowId: 'vm/lab/other' })).rejects.toMatchObject({ code: 'catalog.conflict' });
  });

  test('lists newest first, filtered, in pages with one row too many', async () => {
    const runs = [newRun(), newRun({ engine: 'other' }), newRun(), newRun()];
    for (const run of runs) {
      await catalog().openRun(run);
      await pause();
    }
    const newestFirst = runs.map(({ runId }) => runId).reverse();
    const ids = async (query: Partial<Parameters<Catalog['listRuns']>[0]>): Promise<string[]> => (await catalog().listRuns({ page, ...query })).map(({ runId }) => runId);
    expect(await ids({})).toEqual(newestFirst);
    expect(await ids({ page: { limit: 2, offset: 0 } })).toEqual(newestFirst.slice(0, 3));
    expect(await ids({ page: { limit: 2, offset: 2 } })).toEqual(newestFirst.slice(2, 4));
    const [first, second, third, fourth] = runs.map((run) => run.runId);
    await catalog().closeRun({ runId: third ?? '', outcome: 'completed', warnings: [], leftovers: [] });
    expect(await ids({ engine: 'other' })).toEqual([second]);
    expect(await ids({ outcome: 'running' })).toEqual([fourth, second, first]);
    expect(await ids({ outcome: 'completed' })).toEqual([third]);
    expect(await ids({ runId: first ?? '' })).toEqual([first]);
    expect(await ids({ vmId: runs[3]?.vmId ?? '' })).toEqual([fourth]);
  });
}

function holdingsContract(catalog: () => Catalog): void {
  const opened = async (changes: Partial<NewRun> = {}): Promise<NewRun> => {
    const run = newRun(changes);
    await catalog().openRun(run);
    return run;
  };
  const of = (run: NewRun): ReturnType<Catalog['listHoldings']> => catalog().listHoldings({ runId: run.runId });

  test('what is held is listed in the order of acquisition, with just the fields that are known', async () => {
    const run = await opened();
    const full = newHolding(run, { vmId: randomUUID(), objectId: randomUUID(), parentId: randomUUID(), snapshotId: randomUUID(), kind: 'attachment' });
    const bare = newHolding(run);
    await catalog().hold(full);
    await catalog().hold(bare);
    expect(await of(run)).toStrictEqual([{ ...full, state: 'held' }, { ...bare, state: 'held' }]);
  });

  test.each(holdingKinds)('a holding of kind %s is taken', async (kind) => {
    const run = await opened();
    const holding = newHolding(run, { kind, objectId: randomUUID() });
    await catalog().hold(holding);
    expect(await of(run)).toStrictEqual([{ ...holding, state: 'held' }]);
  });

  test('holding again keeps the object that is known by now', async () => {
    const run = await opened();
    const holding = newHolding(run);
    const objectId = randomUUID();
    await catalog().hold(holding);
    await catalog().setHoldingObject(holding.holdingId, objectId);
    await catalog().setHoldingObject(holding.holdingId, objectId);
    await catalog().hold(holding);
    expect(await of(run)).toStrictEqual([{ ...holding, objectId, state: 'held' }]);
  });

  test('a late repeat with the object of the beginning does not undo what was noted since', async () => {
    const run = await opened();
    const holding = newHolding(run, { objectId: randomUUID() });
    const objectId = randomUUID();
    await catalog().hold(holding);
    await catalog().setHoldingObject(holding.holdingId, objectId);
    await catalog().hold(holding);
    expect(await of(run)).toStrictEqual([{ ...holding, objectId, state: 'held' }]);
  });

  test('holding again what was released is a new acquisition: held, and its object not known yet', async () => {
    const run = await opened();
    const holding = newHolding(run);
    await catalog().hold(holding);
    await catalog().setHoldingObject(holding.holdingId, randomUUID());
    await catalog().releaseHolding(holding.holdingId, 'released');
    await catalog().hold(holding);
    expect(await of(run)).toStrictEqual([{ ...holding, state: 'held' }]);
  });

  test('an object cannot be noted for a holding that was never written', async () => {
    await expect(catalog().setHoldingObject('nowhere', randomUUID())).rejects.toMatchObject({ code: 'catalog.conflict' });
  });

  test('a holding needs its run', async () => {
    await expect(catalog().hold(newHolding(newRun()))).rejects.toMatchObject({ code: 'catalog.conflict' });
  });

  test.each(['released', 'product', 'leftover'] as const)('releasing as %s is final until told otherwise; again, and of the unknown, is fine', async (state) => {
    const run = await opened();
    const holding = newHolding(run);
    await catalog().hold(holding);
    for (let turn = 0; turn < 2; turn += 1) {
      await catalog().releaseHolding(holding.holdingId, state);
      expect(await of(run)).toStrictEqual([{ ...holding, state }]);
    }
    await catalog().releaseHolding('nowhere', state);
  });

  test('a later run finds what an earlier one on the same VM still holds', async () => {
    const vmId = randomUUID();
    const run = await opened({ vmId });
    const [held, left, gone] = [newHolding(run, { vmId }), newHolding(run, { vmId }), newHolding(run, { vmId })];
    const stranger = newHolding(run, { vmId: randomUUID() });
    for (const holding of [held, left, gone, stranger]) await catalog().hold(holding);
    await catalog().releaseHolding(left.holdingId, 'leftover');
    await catalog().releaseHolding(gone.holdingId, 'released');
    const find = async (engine: string, state: 'held' | 'leftover'): Promise<string[]> => (await catalog().listHoldings({ engine, vmId, state })).map((row) => row.holdingId);
    expect(await find('lab', 'held')).toEqual([held.holdingId]);
    expect(await find('lab', 'leftover')).toEqual([left.holdingId]);
    expect(await find('other', 'held')).toEqual([]);
  });
}

function alertsContract(catalog: () => Catalog): void {
  const alert: NewAlert = { key: 'lab/vm/leftover', code: 'leftover', severity: 'warning', message: 'a snapshot is left', engine: 'lab' };

  test('one open alert per key: raising it again refreshes it and keeps its first time', async () => {
    await catalog().raiseAlert(alert);
    const [first] = await catalog().listAlerts();
    expect(first).toStrictEqual({ ...alert, raisedAt: expect.stringMatching(/Z$/) as string });
    await pause();
    const worse: NewAlert = { ...alert, severity: 'alert', message: 'two snapshots are left', vmId: randomUUID(), runId: randomUUID() };
    await catalog().raiseAlert(worse);
    expect(await catalog().listAlerts()).toStrictEqual([{ ...worse, raisedAt: first?.raisedAt }]);
  });

  test('lists newest first; clearing removes, and is fine again', async () => {
    await catalog().raiseAlert(alert);
    await pause();
    await catalog().raiseAlert({ ...alert, key: 'second' });
    expect((await catalog().listAlerts()).map(({ key }) => key)).toEqual(['second', alert.key]);
    await catalog().clearAlert('second');
    await catalog().clearAlert('second');
    expect((await catalog().listAlerts()).map(({ key }) => key)).toEqual([alert.key]);
  });
}
