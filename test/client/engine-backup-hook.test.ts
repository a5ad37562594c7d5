// The hook as an engine's host would run it: real pg_dump, psql and tar, a real engine's schema, and the real catalog as its login engine_backup.
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { createCatalog } from '../../adapters/catalog/catalog';
import { defaultExcludedTables } from '../../client/cli/engine-backup';
import { schema } from '../../lab/engine-database/schema';
import { startPostgres, type TestPostgres } from '../support/postgres';
import { postgresClientDirectory, withoutPassword } from '../support/postgres-client';
import { runCli, startCli, until } from './harness';
import type { CliRun } from './harness';

const programs = postgresClientDirectory();
const machine = { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '' };
let postgres: TestPostgres;
let catalogUrl: string;
let catalog: Client;
let engineUrl: string;
let engine: Client;
let directory: string;
let passwordFile: string;

beforeAll(async () => {
  postgres = await startPostgres();
  catalogUrl = await postgres.createDatabase();
  const migrating = createCatalog({ url: catalogUrl });
  await migrating.migrate();
  await migrating.close();
  catalog = await open(catalogUrl);
  await catalog.query("CREATE ROLE engine_backup LOGIN PASSWORD 'secret' IN ROLE holdfast_engine_backup; ALTER ROLE engine_backup SET search_path = holdfast");
}, 60_000);
afterAll(async () => {
  await catalog.end();
  await postgres.stop();
});
beforeEach(async () => {
  engineUrl = await postgres.createDatabase();
  engine = await open(engineUrl);
  await engine.query(schema);
  await engine.query(['vm_static', ...defaultExcludedTables].map((table) => `CREATE TABLE ${table} (id integer); INSERT INTO ${table} VALUES (1)`).join(';'));
  await catalog.query('TRUNCATE holdfast.engine_backup_log, holdfast.engine_backup_events');
  directory = await mkdtemp(path.join(tmpdir(), 'hf-hook-'));
  await mkdir(path.join(directory, 'etc'));
  await writeFile(path.join(directory, 'etc', 'engine.conf'), 'ENGINE_FQDN=engine.example\n');
  passwordFile = path.join(directory, 'pgpass');
  await writeFile(passwordFile, withoutPassword(engineUrl).line + withoutPassword(catalogAs('secret')).line, { mode: 0o600 });
});
afterEach(async () => {
  await engine.end();
  await rm(directory, { recursive: true, force: true });
});

async function open(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

const catalogAs = (password: string): string => catalogUrl.replace(/\/\/[^@]+@/, `//engine_backup:${password}@`);
const hook = (extra: readonly string[] = [], { where = ['--directory', directory], bin = programs } = {}): Promise<CliRun> => runCli(
  ['engine-backup-hook', '--database', withoutPassword(engineUrl).connection, '--log-to', withoutPassword(catalogAs('')).connection, '--fqdn', 'engine.example', '--path', path.join(directory, 'etc'), '--programs', bin, ...where, ...extra],
  { environment: { ...machine, PGPASSFILE: passwordFile } },
);
const logged = async (): Promise<string[]> => (await catalog.query<{ told: string }>("SELECT event || ' ' || scope || ' ' || fqdn AS told FROM holdfast.engine_backup_events ORDER BY sequence")).rows.map(({ told }) => told);
const rows = async () => (await catalog.query<{ scope: string; is_passed: boolean; output_message: string; log_path: string }>('SELECT scope, is_passed, output_message, log_path FROM holdfast.engine_backup_log ORDER BY sequence')).rows;
const written = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name.includes('engine-') && !name.endsWith('.log')).sort();
/** A pg_dump of our own beside the real psql. */
async function withPgDump(script: string): Promise<string> {
  const bin = path.join(directory, 'bin');
  await mkdir(bin);
  await writeFile(path.join(bin, 'pg_dump'), `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${script}\n`);
  await writeFile(path.join(bin, 'psql'), `#!/bin/sh\nexec ${programs}/psql "$@"\n`);
  for (const name of ['pg_dump', 'psql']) await chmod(path.join(bin, name), 0o755);
  return bin;
}

test('both scopes are saved, for nobody else to read, and each start and completion is in the catalog', async () => {
  const run = await hook(['--json']);
  expect(run).toMatchObject({ code: 0, err: '' });
  const [dump = '', pack = ''] = await written();
  expect([dump, pack]).toEqual([expect.stringMatching(/^engine-db-\d{8}T\d{6}Z\.dump$/), expect.stringMatching(/^engine-files-\d{8}T\d{6}Z\.tar\.gz$/)]);
  for (const name of [dump, pack]) expect((await stat(path.join(directory, name))).mode & 0o777).toBe(0o600);
  expect(JSON.parse(run.out)).toEqual({ scopes: [
    { scope: 'files', status: 'completed', file: path.join(directory, pack), bytes: (await stat(path.join(directory, pack))).size },
    { scope: 'db', status: 'completed', file: path.join(directory, dump), bytes: (await stat(path.join(directory, dump))).size },
  ] });
  expect(await logged()).toEqual(['ENGINE_BACKUP_STARTED files', 'ENGINE_BACKUP_COMPLETED files', 'ENGINE_BACKUP_STARTED db', 'ENGINE_BACKUP_COMPLETED db'].map((told) => `${told} engine.example`));
  expect((await rows()).map(({ scope, is_passed: isPassed, log_path: log }) => [scope, isPassed, log])).toEqual(['files', 'db'].map((scope) => [scope, true, path.join(directory, 'engine-backup-hook.log')]));
});

test('the dump restores, without the tables of work under way; the archive holds the files', async () => {
  await hook();
  const [dump = '', pack = ''] = (await written()).map((name) => path.join(directory, name));
  const restoredUrl = await postgres.createDatabase();
  await promisify(execFile)(path.join(programs, 'pg_restore'), ['--no-owner', `--dbname=${restoredUrl}`, dump]);
  const restored = await open(restoredUrl);
  const tables = (await restored.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")).rows.map(({ name }) => name);
  await restored.end();
  expect(tables).toEqual(['audit_log', 'engine_backup_log', 'vm_static']);
  expect((await promisify(execFile)('tar', ['-tzf', pack])).stdout).toContain('etc/engine.conf');
});

test('other tables are left out where they are named instead', async () => {
  await hook(['--scope', 'db', '--exclude-table', 'vm_static', '--exclude-table', 'job']);
  const { stdout } = await promisify(execFile)(path.join(programs, 'pg_restore'), ['--list', path.join(directory, (await written())[0] ?? '')]);
  expect(stdout).not.toMatch(/TABLE public (vm_static|job) /);
  expect(stdout).toContain('TABLE public async_tasks ');
});

test('without --log-to it is the engine\'s own procedure that is told', async () => {
  const run = await runCli(['engine-backup-hook', '--database', withoutPassword(engineUrl).connection, '--fqdn', 'engine.example', '--scope', 'db', '--file', path.join(directory, 'engine-db.dump'), '--programs', programs], { environment: { ...machine, PGPASSFILE: passwordFile } });
  expect(run.code).toBe(0);
  expect((await engine.query('SELECT log_type FROM audit_log ORDER BY audit_log_id')).rows).toEqual([{ log_type: 9024 }, { log_type: 9025 }]);
  expect((await engine.query('SELECT scope, is_passed, fqdn FROM engine_backup_log')).rows).toEqual([{ scope: 'db', is_passed: true, fqdn: 'engine.example' }]);
  expect(await logged()).toEqual([]);
});

test.each([
  ['fails', 'for word in "$@"; do case "$word" in --file=*) echo half > "${word#--file=}";; esac; done; echo "pg_dump: error: could not write \'x\': No space left" >&2; exit 1', /pg_dump ended with 1: pg_dump: error: could not write 'x': No space left/],
  ['only has something to say', 'echo "pg_dump: warning: there are circular foreign-key constraints" >&2; exit 0', /pg_dump ended with 0: pg_dump: warning: there are circular/],
  ['is killed', 'kill -9 $$', /pg_dump was ended by SIGKILL/],
])('a pg_dump that %s: failed, in its own words; nothing half-written stays, and the other scope is saved', async (_what, script, words) => {
  const run = await hook(['--json'], { bin: await withPgDump(script) });
  expect(run.code).toBe(1);
  expect(JSON.parse(run.out)).toMatchObject({ error: { code: 'client.engine-backup', exitCode: 1, message: expect.stringMatching(words) as string, details: { scopes: [{ scope: 'files', status: 'completed' }, { scope: 'db', status: 'failed' }] } } });
  expect((await rows()).map(({ scope, is_passed: isPassed }) => [scope, isPassed])).toEqual([['files', true], ['db', false]]);
  expect((await rows())[1]?.output_message).toMatch(words);
  expect(await written()).toEqual([expect.stringMatching(/^engine-files-/)]);
});

test('a failed run leaves the earlier dump of the same name as it was', async () => {
  const file = path.join(directory, 'engine-db.dump');
  const where = ['--file', file];
  expect((await hook(['--scope', 'db'], { where })).code).toBe(0);
  const before = await readFile(file);
  expect((await hook(['--scope', 'db'], { where, bin: await withPgDump('exit 3') })).code).toBe(1);
  expect(await readFile(file)).toEqual(before);
});

test('a path that is not there fails the files, in tar\'s words', async () => {
  const run = await hook(['--scope', 'files', '--path', '/no/such/path']);
  expect(run).toMatchObject({ code: 1, out: '' });
  expect((await rows())[0]).toMatchObject({ scope: 'files', is_passed: false, output_message: expect.stringContaining('no/such/path') as string });
  expect(await written()).toEqual([]);
});

test('a log that cannot be told is fatal: nothing is dumped', async () => {
  await writeFile(passwordFile, withoutPassword(engineUrl).line + withoutPassword(catalogAs('wrong')).line, { mode: 0o600 });
  const run = await hook();
  expect(run.code).toBe(1);
  expect(run.err).toMatch(/The log of engine backups was not told that the backup of scope files has started: psql ended with 2: .*password authentication failed.*Nothing of this scope was saved/s);
  expect(await written()).toEqual([]);
});

test('a password never stands on a command line, nor in what the hook says or logs', async () => {
  const seen = path.join(directory, 'seen');
  const run = await hook(['--scope', 'db'], { bin: await withPgDump(`tr '\\0' ' ' < /proc/$$/cmdline > ${seen}; exec ${programs}/pg_dump "$@"`) });
  expect(run.code).toBe(0);
  const password = new URL(engineUrl).password;
  for (const text of [await readFile(seen, 'utf8'), await readFile(path.join(directory, 'engine-backup-hook.log'), 'utf8'), run.out, run.err]) expect(text).not.toContain(password);
  const refused = await runCli(['engine-backup-hook', '--database', engineUrl, '--fqdn', 'e', '--directory', directory], {});
  expect(refused.code).toBe(2);
  expect(refused.err).toMatch(/--database holds a password.*PGPASSFILE/s);
  expect(refused.err).not.toContain(password);
});

test.each([
  ['an unknown scope', ['--scope', 'dwhdb'], /no scope "dwhdb"/],
  ['a password in key=value words', ['--log-to', 'host=db password=secret'], /--log-to holds a password/],
  ['programs that are not there', ['--programs', '/nowhere'], /psql does not run.*--programs/s],
  ['a relative path', ['--path', 'etc'], /etc is not absolute/],
  ['both scopes in one file', ['--file', '/tmp/x'], /cannot be used with/],
])('%s: exit code 2, and nothing is started', async (_what, extra, words) => {
  const run = await hook(extra);
  expect(run.code).toBe(2);
  expect(run.err).toMatch(words);
  expect([await logged(), await written()]).toEqual([[], []]);
});

test('a hook that is stopped ends its pg_dump and logs a failure', async () => {
  const began = path.join(directory, 'began');
  const bin = await withPgDump(`: > ${began}; exec sleep 600`);
  const running = startCli(['engine-backup-hook', '--database', withoutPassword(engineUrl).connection, '--log-to', withoutPassword(catalogAs('')).connection, '--fqdn', 'engine.example', '--scope', 'db', '--directory', directory, '--programs', bin], { environment: { ...machine, PGPASSFILE: passwordFile } });
  await until('pg_dump runs', () => existsSync(began));
  running.interrupt();
  expect((await running.ended).code).toBe(1);
  expect((await rows())[0]).toMatchObject({ scope: 'db', is_passed: false, output_message: 'pg_dump was ended by SIGTERM' });
  expect(await written()).toEqual([]);
}, 60_000);

test('quotes and line breaks in a message reach the log as they are', async () => {
  const run = await hook(['--scope', 'db'], { bin: await withPgDump(`printf "it's \\"quoted\\"; DROP TABLE x; --\\n:'scope' and %%s" >&2; exit 1`) });
  expect(run.code).toBe(1);
  expect((await rows())[0]?.output_message).toBe('pg_dump ended with 1: it\'s "quoted"; DROP TABLE x; --\n:\'scope\' and %s');
});
