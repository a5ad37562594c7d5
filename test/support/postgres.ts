// A real PostgreSQL for tests: a fresh server on a loopback port, its data in a temporary directory. Needs nothing of jest, so
// that a globalSetup or a script can use it too.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { freePort } from './ports';

const user = 'holdfast';

export interface TestPostgres {
  /** Of a server-wide administrator, on the database `postgres`. */
  readonly url: string;
  /** An empty database of its own; gone with the server. */
  createDatabase(): Promise<string>;
  /** SIGKILL, as a crash would; the data stays. */
  kill(): Promise<void>;
  /** After `kill`: the same server again, on the same port. */
  restart(): Promise<void>;
  /** Stops the server and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const dataDirectory = await mkdtemp(path.join(tmpdir(), 'holdfast-postgres-'));
  const port = await freePort();
  const first = await startKeeper(dataDirectory, port);
  let { keeper } = first;
  const url = `postgres://${user}:${first.password}@127.0.0.1:${port}/postgres`;

  return {
    url,
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`;
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        await client.query(`CREATE DATABASE ${name}`);
      } finally {
        await client.end();
      }
      return url.replace(/postgres$/, name);
    },
    async kill() {
      const [pid] = (await readFile(path.join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
      const gone = once(keeper, 'exit');
      process.kill(Number(pid), 'SIGKILL');
      await gone;
    },
    async restart() {
      ({ keeper } = await startKeeper(dataDirectory, port));
    },
    async stop() {
      if (keeper.exitCode === null && keeper.signalCode === null) {
        const gone = once(keeper, 'exit');
        keeper.stdin?.end();
        await gone;
      }
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** Its own process group: a Ctrl-C at the terminal must not kill the server before its tests have ended. */
async function startKeeper(dataDirectory: string, port: number): Promise<{ readonly keeper: ChildProcess; readonly password: string }> {
  const keeper = spawn(process.execPath, [path.join(__dirname, 'postgres-server.mjs'), dataDirectory, String(port), user], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaint = '';
  keeper.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const ready = once(keeper.stdout, 'data').then(([line]) => String(line).trim());
  const ended = once(keeper, 'exit').then(() => undefined);
  const password = await Promise.race([ready, ended]);
  if (password === undefined) throw new Error(`the test's PostgreSQL did not start:\n${complaint}`);
  return { keeper, password };
}
