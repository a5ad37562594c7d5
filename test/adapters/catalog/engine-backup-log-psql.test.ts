// The log of engine-backup by the programs that a real engine's host has: psql and a shell script, as the login that docs/operators.md makes.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { createCatalog } from '../../../adapters/catalog/catalog';
import { startPostgres, type TestPostgres } from '../../support/postgres';
import { postgresClientDirectory, withoutPassword } from '../../support/postgres-client';

const psql = path.join(postgresClientDirectory(), 'psql');
let postgres: TestPostgres;
let owner: Client;
let directory: string;
let connection: string;
let environment: NodeJS.ProcessEnv;
beforeAll(async () => {
  postgres = await startPostgres();
  const url = await postgres.createDatabase();
  const catalog = createCatalog({ url });
  await catalog.migrate();
  await catalog.close();
  owner = new Client({ connectionString: url });
  await owner.connect();
  await owner.query("CREATE ROLE engine_backup LOGIN PASSWORD 'secret' IN ROLE holdfast_engine_backup; ALTER ROLE engine_backup SET search_path = holdfast");
  directory = await mkdtemp(path.join(tmpdir(), 'hf-psql-'));
  const login = withoutPassword(url.replace(/\/\/[^@]+@/, '//engine_backup:secret@'));
  ({ connection } = login);
  await writeFile(path.join(directory, 'pgpass'), login.line, { mode: 0o600 });
  environment = { ...process.env, PGPASSFILE: path.join(directory, 'pgpass') };
}, 60_000);
beforeEach(() => owner.query('TRUNCATE holdfast.engine_backup_log, holdfast.engine_backup_events'));
afterAll(async () => {
  await owner.end();
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

const run = (file: string, words: readonly string[]): Promise<{ code: number; err: string }> => new Promise((resolve) => {
  execFile(file, [...words], { env: environment }, (error, _out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, err }));
});
const sql = (statement: string) => run(psql, ['--no-psqlrc', '--no-password', '--set=ON_ERROR_STOP=1', '--set=VERBOSITY=verbose', `--dbname=${connection}`, `--command=${statement}`]);
const rows = async () => (await owner.query('SELECT scope, is_passed, output_message, fqdn, log_path FROM holdfast.engine_backup_log ORDER BY sequence')).rows as unknown[];
const events = async () => (await owner.query<{ told: string }>("SELECT event || ' ' || scope AS told FROM holdfast.engine_backup_events ORDER BY sequence")).rows.map(({ told }) => told);

test('psql calls it as engine-backup does, with the values in the statement', async () => {
  expect(await sql("SELECT LogEngineBackupEvent('files', now(), 1, 'Backup Finished', 'engine.example', '/var/log/b.log');")).toEqual({ code: 0, err: '' });
  expect(await rows()).toEqual([{ scope: 'files', is_passed: true, output_message: 'Backup Finished', fqdn: 'engine.example', log_path: '/var/log/b.log' }]);
});

test('a shell script tells start and failure, with its own error text', async () => {
  const script = path.join(directory, 'backup.sh');
  await writeFile(script, `set -e
log() { "$1" --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --set=status="$2" --set=message="$3" --dbname="$CONNECTION" <<'SQL'
SELECT LogEngineBackupEvent('db', now(), :'status'::integer, :'message', 'engine.example', '/var/log/b.log');
SQL
}
log "$1" 0 'Backup Started'
log "$1" -1 "can't write: 'No space left'"
`);
  environment = { ...environment, CONNECTION: connection };
  expect(await run('sh', [script, psql])).toEqual({ code: 0, err: '' });
  expect(await rows()).toEqual([{ scope: 'db', is_passed: false, output_message: "can't write: 'No space left'", fqdn: 'engine.example', log_path: '/var/log/b.log' }]);
  expect(await events()).toEqual(['ENGINE_BACKUP_STARTED db', 'ENGINE_BACKUP_FAILED db']);
});

test.each([
  ["SELECT LogEngineBackupEvent('all', now(), 1, '', 'e', '/l')", /22023.*unknown scope 'all'/],
  ["SELECT LogEngineBackupEvent('db', now(), 2, '', 'e', '/l')", /22023.*unknown status '2'/],
  ["SELECT LogEngineBackupEvent('db', NULL, 1, '', 'e', '/l')", /22023.*done_at is NULL/],
  ["SELECT LogEngineBackupEvent('db', 'yesterday noon', 1, '', 'e', '/l')", /22007/],
  ["SELECT LogEngineBackupEvent('db', now(), 'done', '', 'e', '/l')", /22P02/],
  ["SELECT LogEngineBackupEvent('db', now(), 1, '')", /42883/],
])('psql ends with 1 and nothing is written: %s', async (statement, words) => {
  const { code, err } = await sql(statement);
  expect(code).toBe(1);
  expect(err).toMatch(words);
  expect([await rows(), await events()]).toEqual([[], []]);
});

test.each([
  'SELECT 1 FROM engine_backup_log', 'SELECT 1 FROM engine_backup_events', 'SELECT 1 FROM holdfast.backups', "INSERT INTO engine_backup_log (scope, done_at, is_passed) VALUES ('db', now(), true)",
  'UPDATE engine_backup_events SET forwarded_at = now()', 'DELETE FROM engine_backup_log', 'TRUNCATE engine_backup_log', 'ALTER TABLE engine_backup_log ADD x integer', 'DROP TABLE engine_backup_log',
  'CREATE OR REPLACE FUNCTION LogEngineBackupEvent() RETURNS void LANGUAGE sql AS $$ $$', "SELECT nextval('engine_backup_log_sequence_seq')", 'CREATE TABLE public.mine (x integer)', 'CREATE SCHEMA mine', 'CREATE ROLE mine',
  'GRANT holdfast_engine_backup TO holdfast', 'SET ROLE holdfast', "COPY engine_backup_log TO STDOUT", "COPY engine_backup_log FROM PROGRAM 'true'", "SELECT pg_read_file('postgresql.conf')",
])('the login may not, by psql either: %s', async (statement) => {
  const { code, err } = await sql(statement);
  expect(code).toBe(1);
  expect(err).toMatch(/42501|0LP01/);
});
