// What status, holdings and doctor read of the catalog, on a real PostgreSQL: open holdings over all runs, pages of alerts, each VM's newest backup,
// known repositories, and the examination.
import { randomUUID } from 'node:crypto';
import { createCatalog } from '../../../adapters/catalog/catalog';
import type { Catalog } from '../../../adapters/catalog/port';
import { migrations } from '../../../adapters/catalog/migrations/list';
import { alertSchema } from '../../../domain/flows/alerts';
import { openHoldingSchema } from '../../../domain/flows/holdings';
import { newBackup, newRun } from '../../contracts/catalog-backups.contract';
import { newHolding } from '../../contracts/catalog.contract';
import { startPostgres, type TestPostgres } from '../../support/postgres';

const page = { limit: 100, offset: 0 };
let postgres: TestPostgres;
let catalog: Catalog;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  catalog = createCatalog({ url: await postgres.createDatabase() });
  await catalog.migrate();
});
afterEach(() => catalog.close());

describe('open holdings', () => {
  async function heldBy(engine: string): Promise<{ readonly runId: string; readonly vmId: string; readonly holdingIds: readonly string[] }> {
    const vmId = randomUUID();
    const run = newRun({ engine, vmId, vmName: `of ${engine}`, workflowId: `vm/${engine}/${vmId}` });
    await catalog.openRun(run);
    const holdings = ['held', 'leftover', 'released', 'product'].map(() => newHolding(run, { vmId }));
    for (const holding of holdings) await catalog.hold(holding);
    await catalog.releaseHolding(holdings[1]?.holdingId ?? '', 'leftover');
    await catalog.releaseHolding(holdings[2]?.holdingId ?? '', 'released');
    await catalog.releaseHolding(holdings[3]?.holdingId ?? '', 'product');
    return { runId: run.runId, vmId, holdingIds: holdings.map(({ holdingId }) => holdingId) };
  }

  test('come with their run and their age, oldest first; what was released or kept on purpose is not among them', async () => {
    const one = await heldBy('lab');
    const rows = await catalog.listOpenHoldings({ page });
    expect(rows.map(({ holdingId, state }) => [holdingId, state])).toEqual([[one.holdingIds[0], 'held'], [one.holdingIds[1], 'leftover']]);
    expect(rows[0]).toMatchObject({ run: { workflowId: `vm/lab/${one.vmId}`, workflowType: 'backupVm', outcome: 'running', vmName: 'of lab' }, heldAt: expect.stringMatching(/Z$/) as string });
    for (const row of rows) expect([openHoldingSchema.parse(row), row.ageSeconds < 60]).toEqual([row, true]);
  });

  test('are chosen by engine, VM, run, state and kind, page by page, with one row too many', async () => {
    const [one, other] = [await heldBy('lab'), await heldBy('east')];
    const find = async (query: Partial<Parameters<Catalog['listOpenHoldings']>[0]>): Promise<readonly string[]> => (await catalog.listOpenHoldings({ page, ...query })).map(({ holdingId }) => holdingId);
    expect(await find({ engine: 'east' })).toEqual(other.holdingIds.slice(0, 2));
    expect(await find({ vmId: one.vmId })).toEqual(one.holdingIds.slice(0, 2));
    expect(await find({ runId: other.runId, state: 'leftover' })).toEqual([other.holdingIds[1]]);
    expect([await find({ engine: 'east', kind: 'snapshot' }), await find({ engine: 'east', kind: 'freeze' })]).toEqual([other.holdingIds.slice(0, 2), []]);
    expect(await find({ page: { limit: 2, offset: 0 } })).toHaveLength(3);
    expect(await find({ page: { limit: 2, offset: 3 } })).toEqual([other.holdingIds[1]]);
  });
});

test('alerts are chosen by engine, page by page', async () => {
  for (const engine of ['lab', 'lab', 'east']) await catalog.raiseAlert({ key: randomUUID(), code: 'leftover', severity: 'alert', message: 'left', engine });
  const lab = await catalog.listAlerts({ engine: 'lab', page: { limit: 1, offset: 0 } });
  expect(lab.map(({ engine }) => engine)).toEqual(['lab', 'lab']);
  for (const alert of lab) expect(alertSchema.parse(alert)).toEqual(alert);
  expect(await catalog.listAlerts({ page: { limit: 5, offset: 2 } })).toHaveLength(1);
});

test('the newest backup of each VM, in all repositories or in one', async () => {
  const [vmId, otherVmId] = [randomUUID(), randomUUID()];
  const at = (day: number) => `2026-11-${day}T00:00:00.000Z`;
  const old = newBackup({ vmId, createdAt: at(10), repository: 'main' });
  const newest = newBackup({ vmId, createdAt: at(12), repository: 'vault' });
  const other = newBackup({ vmId: otherVmId, createdAt: at(11), repository: 'main' });
  await catalog.indexBackups([old, newest, other]);
  const find = async (query: object): Promise<readonly string[]> => (await catalog.listBackups({ page, newestPerVm: true, ...query })).map(({ backupId }) => backupId);
  expect(await find({})).toEqual([newest.backupId, other.backupId]);
  expect(await find({ repository: 'main' })).toEqual([other.backupId, old.backupId]);
  expect(await catalog.listBackups({ page })).toHaveLength(3);
  expect(await catalog.listRepositories()).toEqual(['main', 'vault']);
});

test('the examination tells the server\'s version and both schema versions', async () => {
  const known = migrations.at(-1)?.version;
  expect(await catalog.examine()).toEqual({ versionNumber: expect.any(Number) as number, schemaVersion: known, knownVersion: known });
  const bare = createCatalog({ url: await postgres.createDatabase() });
  expect(await bare.examine()).toMatchObject({ schemaVersion: 0, knownVersion: known });
  await bare.close();
});
