// The catalog on a real PostgreSQL: the contract, migrations, and what happens when the server goes away.
import { randomUUID } from 'node:crypto';
import { createCatalog } from '../../../adapters/catalog/catalog';
import { openDatabase, type Database } from '../../../adapters/catalog/database';
import { migrate } from '../../../adapters/catalog/migrate';
import { migrations } from '../../../adapters/catalog/migrations/list';
import { listedBackupSchema } from '../../../domain/manifest';
import { runSchema } from '../../../domain/flows/queries';
import { newBackup, newRun } from '../../contracts/catalog-backups.contract';
import { catalogContract } from '../../contracts/catalog.contract';
import { freePort } from '../../support/ports';
import { startPostgres, type TestPostgres } from '../../support/postgres';

const page = { limit: 100, offset: 0 };
const log = { warn: (): void => undefined };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

catalogContract('catalog on PostgreSQL', async () => {
  const catalog = createCatalog({ url: await postgres.createDatabase() });
  await catalog.migrate();
  return catalog;
});

async function withDatabase<T>(url: string, use: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({ url, max: 2, log });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

describe('migrations', () => {
  const applied = (database: Database): Promise<readonly unknown[]> => database.rows('SELECT version, name, applied_at FROM holdfast.migrations ORDER BY version');

  test('migrating thrice is harmless', () =>
    postgres.createDatabase().then((url) =>
      withDatabase(url, async (database) => {
        await migrate(database);
        const first = await applied(database);
        expect(first).toHaveLength(migrations.length);
        await migrate(database);
        await migrate(database);
        expect(await applied(database)).toEqual(first);
      }),
    ));

  test('twenty installers at once all succeed and apply each migration once', async () => {
    const url = await postgres.createDatabase();
    const catalogs = Array.from({ length: 20 }, () => createCatalog({ url, max: 1 }));
    await Promise.all(catalogs.map((catalog) => catalog.migrate()));
    await Promise.all(catalogs.map((catalog) => catalog.close()));
    await withDatabase(url, async (database) => expect(await applied(database)).toHaveLength(migrations.length));
  });

  test('only what is new is applied; a migration that fails leaves nothing of itself', () =>
    postgres.createDatabase().then((url) =>
      withDatabase(url, async (database) => {
        await migrate(database);
        const next = { version: migrations.length + 1, name: 'next', sql: 'CREATE TABLE holdfast.next (id integer); SELECT 1 / 0;' };
        await expect(migrate(database, [...migrations, next])).rejects.toThrow('division by zero');
        expect(await database.rows("SELECT to_regclass('holdfast.next') IS NOT NULL AS made")).toEqual([{ made: false }]);
        await migrate(database, [...migrations, { ...next, sql: 'CREATE TABLE holdfast.next (id integer)' }]);
        expect(await database.rows("SELECT to_regclass('holdfast.next') IS NOT NULL AS made")).toEqual([{ made: true }]);
      }),
    ));

  test('a schema newer than the code is refused', () =>
    postgres.createDatabase().then((url) =>
      withDatabase(url, async (database) => {
        await migrate(database);
        await database.change("INSERT INTO holdfast.migrations (version, name) VALUES (999, 'from the future')");
        await expect(migrate(database)).rejects.toMatchObject({ code: 'catalog.conflict', message: expect.stringContaining('999') as string });
      }),
    ));

  test('versions count up from 1 without a gap', () => {
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
  });
});

describe('what the columns know', () => {
  test('rows come back as the schemas of domain/ want them', async () => {
    const catalog = createCatalog({ url: await postgres.createDatabase() });
    await catalog.migrate();
    await catalog.openRun(newRun());
    await catalog.indexBackups([newBackup()]);
    for (const run of await catalog.listRuns({ page })) expect(runSchema.parse(run)).toStrictEqual(run);
    for (const backup of await catalog.listBackups({ page })) expect(listedBackupSchema.parse(backup)).toStrictEqual(backup);
    await catalog.close();
  });

  test('a value that no column takes is invalid input, not an outage', async () => {
    const catalog = createCatalog({ url: await postgres.createDatabase() });
    await catalog.migrate();
    await expect(catalog.openRun(newRun({ runId: 'not-a-uuid' }))).rejects.toMatchObject({ code: 'input.invalid' });
    await catalog.close();
  });
});

test('an evaluation in which nothing has changed writes no row of the list', async () => {
  const url = await postgres.createDatabase();
  const catalog = createCatalog({ url });
  await catalog.migrate();
  await catalog.recordVms('lab', ['a', 'b', 'c'].map((name) => ({ vmId: randomUUID(), name, tags: [], isInfrastructure: false })));
  const judge = (): Promise<unknown> => catalog.judgeVms({ engine: 'lab', objectives: [{ name: 'some', vms: { name: '[ab]' }, maxAgeHours: 1 }, { name: 'b', vms: { name: 'b' }, maxAgeHours: 1 }], nowMs: Date.now() });
  await withDatabase(url, async (database) => {
    const written = (): Promise<readonly unknown[]> => database.rows('SELECT ctid, xmin, xmax FROM holdfast.vm_awareness ORDER BY vm_id');
    await judge();
    const first = await written();
    expect(first).toHaveLength(3);
    await judge();
    expect(await written()).toEqual(first);
  });
  await catalog.close();
});

describe('an unavailable server', () => {
  const password = 'do-not-tell';

  test.each([
    ['nobody listens', () => freePort().then((port) => `postgres://holdfast:${password}@127.0.0.1:${port}/catalog`), /127\.0\.0\.1:\d+\/catalog .*server runs/],
    ['the password is wrong', () => postgres.createDatabase().then((url) => url.replace(/:[^:@]+@/, `:${password}@`)), /check user and password/],
    ['the database is missing', () => Promise.resolve(postgres.url.replace(/postgres$/, 'nowhere')), /\/nowhere .*create the database/],
    ['the schema is missing', () => postgres.createDatabase(), /start a control worker/],
  ] as const)('when %s, the error says where and what to do, and no password', async (_, makeUrl, message) => {
    const url = await makeUrl();
    const catalog = createCatalog({ url });
    const failure: unknown = await catalog.listAlerts().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'catalog.unavailable', message: expect.stringMatching(message) as string });
    const secret = new URL(url).password;
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain(secret);
    await catalog.close();
  });

  test.each(['', 'catalog', 'mysql://a:do-not-tell@b/c', 'postgres://a:do-not-tell@b:port/c'])('the URL %p is refused as configuration', (url) => {
    let failure: unknown;
    try {
      createCatalog({ url });
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'config.invalid' });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain(password);
  });

  test('too many connections are an outage that passes', async () => {
    const url = await postgres.createDatabase();
    await withDatabase(postgres.url, async (admin) => {
      await admin.change("CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 1");
      const crowded = url.replace(/\/\/[^@]+@/, '//crowded:crowded@');
      await withDatabase(crowded, async (first) => {
        await first.rows('SELECT 1');
        const second = createCatalog({ url: crowded });
        await expect(second.listAlerts()).rejects.toMatchObject({ code: 'catalog.unavailable', message: expect.stringContaining('max_connections') as string });
        await second.close();
      });
    });
  });

  test('after a crash of the server, in the middle of calls too, the same catalog works again and has lost nothing', async () => {
    const catalog = createCatalog({ url: await postgres.createDatabase(), log });
    await catalog.migrate();
    const run = newRun();
    await catalog.openRun(run);
    // Several borrowed and idle connections at the moment of the crash.
    const busy = Array.from({ length: 50 }, () => catalog.indexBackups([newBackup()]));
    const settled = Promise.allSettled(busy);
    await postgres.kill();
    for (const result of await settled) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'catalog.unavailable' });
    await expect(catalog.openRun(run)).rejects.toMatchObject({ code: 'catalog.unavailable' });
    await expect(catalog.indexBackups([newBackup()])).rejects.toMatchObject({ code: 'catalog.unavailable' });
    await postgres.restart();
    await catalog.openRun(run);
    expect(await catalog.listRuns({ page })).toHaveLength(1);
    await catalog.close();
    await catalog.close();
  });
});
