// The log of engine-backup as a stranger writes it: a login that may call the procedure and nothing else, on a real PostgreSQL.
import { Client } from 'pg';
import { createCatalog } from '../../../adapters/catalog/catalog';
import { openDatabase } from '../../../adapters/catalog/database';
import { readEngineBackupLog } from '../../../adapters/catalog/engine-backup-log';
import { engineBackupScopes } from '../../../domain/awareness/engine-backup';
import { startPostgres, type TestPostgres } from '../../support/postgres';

let postgres: TestPostgres;
beforeAll(async () => { postgres = await startPostgres(); }, 60_000);
afterAll(() => postgres.stop());

/** Of the database: its owner, and a login made as docs/operators.md says. */
let url: string;
let owner: Client;
let engineBackup: Client;
beforeEach(async () => {
  url = await postgres.createDatabase();
  const catalog = createCatalog({ url });
  await catalog.migrate();
  await catalog.close();
  owner = new Client({ connectionString: url });
  await owner.connect();
  await owner.query("DROP ROLE IF EXISTS engine_backup; CREATE ROLE engine_backup LOGIN PASSWORD 'secret' IN ROLE holdfast_engine_backup; ALTER ROLE engine_backup SET search_path = holdfast");
  engineBackup = new Client({ connectionString: url.replace(/\/\/[^@]+@/, '//engine_backup:secret@') });
  await engineBackup.connect();
});
afterEach(async () => {
  await engineBackup.end();
  await owner.query('DROP ROLE engine_backup');
  await owner.end();
});

type Call = readonly [scope: string | null, doneAt: string | null, status: number | null, message: string | null, fqdn: string | null, logPath: string | null];
const at = '2026-11-27T10:00:00.000Z';
const log = (...[scope, doneAt, status, message, fqdn, logPath]: Call) => engineBackup.query('SELECT LogEngineBackupEvent($1, $2, $3, $4, $5, $6)', [scope, doneAt, status, message, fqdn, logPath]);
const rows = async () => (await owner.query<Record<string, unknown>>('SELECT scope, done_at, is_passed, output_message, fqdn, log_path FROM holdfast.engine_backup_log ORDER BY sequence')).rows;
const events = async () => (await owner.query<{ told: string }>("SELECT event || ' ' || scope AS told FROM holdfast.engine_backup_events ORDER BY sequence")).rows.map(({ told }) => told);

test('a start is an event, a failure and a completion are rows, too', async () => {
  await log('db', at, 0, '', 'engine.example', '/var/log/b.log');
  await log('db', at, -1, 'pg_dump: no space left', 'engine.example', '/var/log/b.log');
  await log('db', at, 1, '', 'engine.example', '/var/log/b.log');
  const row = { scope: 'db', done_at: new Date(at), fqdn: 'engine.example', log_path: '/var/log/b.log' };
  expect(await rows()).toEqual([{ ...row, is_passed: false, output_message: 'pg_dump: no space left' }, { ...row, is_passed: true, output_message: '' }]);
  expect(await events()).toEqual(['ENGINE_BACKUP_STARTED db', 'ENGINE_BACKUP_FAILED db', 'ENGINE_BACKUP_COMPLETED db']);
});

test('every scope of engine-backup is known, by the SQL that engine-backup sends', async () => {
  for (const scope of engineBackupScopes) await engineBackup.query(`SELECT LogEngineBackupEvent('${scope}', now(), 1, 'Finished', 'engine.example', '/var/log/b.log');`);
  expect((await rows()).length).toBe(engineBackupScopes.length);
});

test('two finishing calls of a scope in one transaction both count, and nothing of a transaction that is rolled back', async () => {
  await engineBackup.query("BEGIN; SELECT LogEngineBackupEvent('db', now(), -1, 'first', 'e', '/l'); SELECT LogEngineBackupEvent('db', now(), 1, 'second', 'e', '/l'); COMMIT");
  expect((await rows()).map((row) => [row['is_passed'], row['output_message']])).toEqual([[false, 'first'], [true, 'second']]);
  await engineBackup.query("BEGIN; SELECT LogEngineBackupEvent('files', now(), 1, '', 'e', '/l'); ROLLBACK");
  expect([(await rows()).length, (await events()).length]).toEqual([2, 2]);
});

test.each<readonly [string, Call, RegExp]>([
  ['an unknown scope', ['all', at, 1, '', 'e', '/l'], /unknown scope 'all'/],
  ['no scope', [null, at, 1, '', 'e', '/l'], /unknown scope NULL/],
  ['an unknown status', ['db', at, 2, '', 'e', '/l'], /unknown status '2'/],
  ['no status', ['db', at, null, '', 'e', '/l'], /unknown status NULL/],
  ['no time', ['db', null, 1, '', 'e', '/l'], /done_at is NULL/],
  ['no time at all', ['db', 'infinity', 1, '', 'e', '/l'], /done_at is 'infinity'/],
  ['a name that is too long', ['db', at, 1, '', 'e'.repeat(256), '/l'], /fqdn has 256 characters/],
])('%s is refused, and nothing is written', async (_, call, text) => {
  const error: unknown = await log(...call).then(() => undefined, (reason: unknown) => reason);
  expect(error).toMatchObject({ code: '22023', message: expect.stringMatching(text) as string, hint: expect.stringMatching(/\S/) as string });
  expect([await rows(), await events()]).toEqual([[], []]);
});

test.each([
  'SELECT * FROM holdfast.engine_backup_log',
  'SELECT * FROM holdfast.engine_backup_events',
  'SELECT * FROM holdfast.runs',
  "INSERT INTO holdfast.engine_backup_log (scope, done_at, is_passed) VALUES ('db', now(), true)",
  'UPDATE holdfast.engine_backup_log SET is_passed = true',
  'DELETE FROM holdfast.engine_backup_events',
  'TRUNCATE holdfast.engine_backup_log',
  'DROP FUNCTION holdfast.LogEngineBackupEvent',
  'CREATE TABLE holdfast.mine (x integer)',
  'CREATE SCHEMA mine',
  'CREATE ROLE mine',
  'SET ROLE holdfast',
])('the login may not: %s', async (statement) => {
  await expect(engineBackup.query(statement)).rejects.toMatchObject({ code: '42501' });
});

test('no table of the caller is taken for ours, and nobody else may call it', async () => {
  await engineBackup.query('CREATE TEMP TABLE engine_backup_log (scope text)').catch(() => undefined);
  await log('db', at, 1, '', 'e', '/l');
  expect((await rows()).length).toBe(1);
  await owner.query("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger; GRANT USAGE ON SCHEMA holdfast TO stranger; SET ROLE stranger");
  await expect(owner.query("SELECT holdfast.LogEngineBackupEvent('db', now(), 1, '', 'e', '/l')")).rejects.toMatchObject({ code: '42501' });
  await owner.query('RESET ROLE; REVOKE USAGE ON SCHEMA holdfast FROM stranger; DROP ROLE stranger');
});

describe('read back', () => {
  const nowMs = Date.parse('2026-11-27T12:00:00Z');
  const agoMs = (hours: number): number => nowMs - hours * 3_600_000;
  const logged = (scope: string, doneAtMs: number, status: number, fqdn: string | null) => log(scope, new Date(doneAtMs).toISOString(), status, '', fqdn, '/l');
  const read = async (place: 'catalog' | 'engine-database') => {
    const database = openDatabase({ url, max: 1, log: { warn: () => undefined } });
    try {
      return await readEngineBackupLog(database, place, { fqdn: 'engine.example', nowMs });
    } finally {
      await database.close();
    }
  };

  test('of each scope the newest completed one of this engine, and what claims to be of the future apart', async () => {
    for (const hours of [30, 5, 9]) await logged('db', agoMs(hours), 1, 'engine.example');
    await logged('db', agoMs(1), -1, 'engine.example');
    await logged('db', agoMs(-2), 1, 'engine.example');
    await logged('files', agoMs(4), 1, 'engine.example');
    await logged('files', agoMs(0), 0, 'engine.example');
    expect(await read('catalog')).toEqual({ completed: [{ scope: 'db', doneAtMs: agoMs(5) }, { scope: 'db', doneAtMs: agoMs(-2) }, { scope: 'files', doneAtMs: agoMs(4) }], elsewhere: [] });
  });

  test('rows of another name, or of none, count for nobody and are listed', async () => {
    await logged('db', agoMs(3), 1, 'other.example');
    await logged('files', agoMs(2), 1, null);
    expect(await read('catalog')).toEqual({ completed: [], elsewhere: [{ fqdn: 'other.example', scope: 'db', doneAtMs: agoMs(3) }, { fqdn: null, scope: 'files', doneAtMs: agoMs(2) }] });
  });

  test('a real engine\'s own log, in whose table any scope may stand', async () => {
    await owner.query('CREATE TABLE public.engine_backup_log (scope varchar(64) NOT NULL, done_at timestamptz NOT NULL, is_passed boolean, output_message text, fqdn varchar(255), log_path text, PRIMARY KEY (scope, done_at))');
    await owner.query("INSERT INTO public.engine_backup_log VALUES ('db', $1, true, '', 'engine.example', '/l'), ('anything', $1, true, '', 'engine.example', '/l'), ('files', $1, NULL, '', 'engine.example', '/l')", [new Date(agoMs(7)).toISOString()]);
    expect(await read('engine-database')).toEqual({ completed: [{ scope: 'db', doneAtMs: agoMs(7) }], elsewhere: [] });
  });
});

test('a second database of the same server, and an owner who may make no roles, are migrated as well', async () => {
  const another = await postgres.createDatabase();
  await owner.query("DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN PASSWORD 'secret'");
  const database = new URL(another).pathname.slice(1);
  await owner.query(`ALTER DATABASE ${database} OWNER TO modest`);
  const catalog = createCatalog({ url: another.replace(/\/\/[^@]+@/, '//modest:secret@') });
  await catalog.migrate();
  await catalog.close();
});
