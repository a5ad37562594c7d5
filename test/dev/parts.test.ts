// The launcher of the embedded parts: starts, data that survives crashes, and nothing left behind. Real Temporal, real
// PostgreSQL; the lab and the workers are played by small programs here (the real ones run in test/e2e).
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { MarkedProcess, PartsOptions, RunningParts } from '../../dev/parts.mjs' with { 'resolution-mode': 'import' };
import type { SetupResult } from '../../dev/setup.mjs' with { 'resolution-mode': 'import' };

const limitMs = 120_000;
const launcher = path.join(__dirname, 'launcher.mjs');
let setup: SetupResult;
let directory: string;
const open: RunningParts[] = [];

beforeAll(async () => {
  const { setup: run } = await import('../../dev/setup.mjs');
  setup = await run({ want: ['npm', 'debian', 'temporal'] });
}, limitMs);
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'holdfast-parts-')); });
afterEach(async () => {
  for (const parts of open.splice(0)) await parts.stop();
  rmSync(directory, { recursive: true, force: true });
}, limitMs);

async function start(options: Partial<PartsOptions> = {}): Promise<RunningParts> {
  const { startParts } = await import('../../dev/parts.mjs');
  const parts = await startParts({ setup, state: directory, only: ['temporal', 'postgres'], ports: 'free', ...options });
  open.push(parts);
  return parts;
}

async function marked(): Promise<readonly MarkedProcess[]> {
  const { markedProcesses } = await import('../../dev/parts/marked.mjs');
  return markedProcesses(directory);
}

async function query(parts: RunningParts, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: parts.postgresUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function withTemporal<T>(parts: RunningParts, work: (client: TemporalClient) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: parts.temporal.address });
  try {
    return await work(new TemporalClient({ connection, namespace: parts.temporal.namespace }));
  } finally {
    await connection.close();
  }
}

/** A run that no worker picks up: it is in the server's file or nowhere. */
const startRun = (parts: RunningParts, workflowId: string): Promise<void> => withTemporal(parts, async (client) => {
  await client.workflow.start('waits', { workflowId, taskQueue: 'nobody' });
});
const statusOf = (parts: RunningParts, workflowId: string): Promise<string> => withTemporal(parts, async (client) => (await client.workflow.getHandle(workflowId).describe()).status.name);

/** Another process with a launcher in it, so that the launcher itself can be killed. */
async function startLauncher(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [launcher, directory], { env: setup.env, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((done, fail) => {
    child.stdout.once('data', () => done());
    child.once('exit', () => fail(new Error('the launcher ended early')));
  });
  return child;
}

test('the database of the lab\'s engine is there, with a reader of its own who may make nothing, also after a crash', async () => {
  const parts = await start({ only: ['postgres'] });
  const ask = async (text: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: readFileSync(parts.engineReaderUrlFile, 'utf8').trim() });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };
  expect(await ask('SELECT current_user AS login, current_database() AS database')).toEqual([{ login: 'holdfast_reader', database: 'engine' }]);
  await expect(ask('CREATE TABLE mine (x integer)')).rejects.toMatchObject({ code: '42501' });
  await parts.part('postgres').crash('SIGKILL');
  await parts.part('postgres').start();
  expect(await ask('SELECT 1 AS one')).toEqual([{ one: 1 }]);
}, limitMs);

test('starts, keeps secrets to itself, listens on loopback only, and leaves nothing after stop()', async () => {
  const parts = await start();
  expect((await marked()).map(({ part }) => part)).toEqual(expect.arrayContaining(['temporal', 'postgres']));
  expect(await query(parts, 'SELECT current_database() AS name, current_setting(\'server_version_num\')::int / 10000 AS major')).toEqual([{ name: 'holdfast', major: 15 }]);
  expect((await fetch(parts.temporal.uiUrl)).status).toBe(200);
  expect(readFileSync(parts.catalogUrlFile, 'utf8').trim()).toBe(parts.postgresUrl);
  expect(statSync(parts.catalogUrlFile).mode & 0o777).toBe(0o600);
  expect(statSync(parts.engineReaderUrlFile).mode & 0o777).toBe(0o600);
  const { password } = new URL(parts.postgresUrl);
  for (const file of ['parts.json', 'logs/postgres.log', 'logs/temporal.log']) expect(readFileSync(path.join(directory, file), 'utf8')).not.toContain(password);
  expect(listeners(await marked()).filter((address) => !address.startsWith('127.0.0.1:'))).toEqual([]);
  expect(await parts.stop()).toEqual([]);
  expect(await marked()).toEqual([]);
}, limitMs);

/** Addresses on which these processes listen, from /proc: TCP sockets in state 0A. */
function listeners(processes: readonly MarkedProcess[]): string[] {
  return processes.flatMap(({ pid }) => ['tcp', 'tcp6'].flatMap((kind) => {
    const own = new Set(socketsOf(pid));
    return readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && own.has(fields[9] ?? ''))
      .map((fields) => (kind === 'tcp' ? readable(fields[1] ?? '') : `ipv6 ${fields[1] ?? ''}`));
  }));
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((descriptor) => targetOf(`/proc/${pid}/fd/${descriptor}`)).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}

/** A descriptor may be closed while they are read. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(descriptor);
  } catch {
    return '';
  }
}

function readable(hex: string): string {
  const [address = '', port = ''] = hex.split(':');
  return `${Buffer.from(address, 'hex').reverse().join('.')}:${Number.parseInt(port, 16)}`;
}

test('rows and runs survive a SIGKILL of PostgreSQL and Temporal, which are started again by themselves', async () => {
  const parts = await start();
  await query(parts, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await startRun(parts, 'kept');
  const before = await marked();
  before.forEach(({ pid }) => process.kill(pid, 'SIGKILL'));
  await expectEventually(() => query(parts, 'SELECT answer FROM kept'), [{ answer: 42 }]);
  await expectEventually(() => statusOf(parts, 'kept'), 'RUNNING');
  expect((await marked()).map(({ pid }) => pid)).not.toEqual(expect.arrayContaining(before.map(({ pid }) => pid)));
}, limitMs);

async function expectEventually(ask: () => Promise<unknown>, wanted: unknown): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await ask().catch((error: unknown) => error);
    if (JSON.stringify(answer) === JSON.stringify(wanted)) return;
    if (Date.now() > deadline) expect(answer).toEqual(wanted);
    await sleep(200);
  }
}

test('a killed launcher takes its parts with it, and the next start finds the data, even when everything was killed at once', async () => {
  const first = await startLauncher();
  first.kill('SIGKILL');
  const second = await start();
  await query(second, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await startRun(second, 'kept');
  await second.stop();
  const third = await startLauncher();
  for (const { pid } of await marked()) process.kill(pid, 'SIGKILL');
  third.kill('SIGKILL');
  const fourth = await start();
  expect(await query(fourth, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  expect(await statusOf(fourth, 'kept')).toBe('RUNNING');
}, limitMs);

test('a launcher that is asked to end stops its parts in order, and ends well', async () => {
  const child = await startLauncher();
  child.kill('SIGTERM');
  expect(await new Promise((done) => { child.once('exit', done); })).toBe(0);
  expect(await marked()).toEqual([]);
  // Killed from above, PostgreSQL would have to recover at the next start.
  expect(readFileSync(path.join(directory, 'logs/postgres.log'), 'utf8')).toContain('database system is shut down');
}, limitMs);

test('a second launcher on the same state is refused and harms nothing', async () => {
  const parts = await start({ only: ['postgres'] });
  await expect(start({ only: ['postgres'] })).rejects.toThrow(/running already \(launcher: pid \d+\)[^]*--stop/);
  expect(await query(parts, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
}, limitMs);

test('crash() and start() of one part keep its data, for crash tests', async () => {
  const parts = await start({ only: ['postgres'] });
  await query(parts, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const postgres = parts.part('postgres');
  await postgres.crash();
  expect(postgres.isRunning).toBe(false);
  await expect(query(parts, 'SELECT 1')).rejects.toThrow();
  await postgres.start();
  expect(await query(parts, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
}, limitMs);

describe('programs of ours', () => {
  const program = (name: string, text: string): string => {
    const file = path.join(directory, `${name}.cjs`);
    writeFileSync(file, text);
    return file;
  };
  const serving = 'console.log(JSON.stringify({ ready: true, url: "https://127.0.0.1:1/ovirt-engine/api" })); setInterval(() => {}, 1000);';
  const connecting = `const fs = require('fs'), args = process.argv; const dir = args[args.indexOf('--state') + 1]; fs.mkdirSync(dir, { recursive: true }); fs.writeFileSync(dir + '/connection.json', '{}');`;

  test('a part that dies early is reported with the end of its log and what to do, and the others are stopped', async () => {
    const lab = program('lab', 'console.error("no space for the demo"); process.exit(3);');
    await expect(start({ only: ['postgres', 'lab'], setup: { ...setup, guestDir: directory }, programs: { lab } })).rejects.toThrow(/lab ended before it was ready \(exit code 3\)[^]*no space for the demo[^]*What to do/);
    expect(await marked()).toEqual([]);
  }, limitMs);

  test('the data daemon of a lab whose launcher was killed is the next lab\'s to take over: the start neither waits for it nor kills it', async () => {
    const { markOf, markVariable } = await import('../../dev/parts/marked.mjs');
    const daemonFile = path.join(directory, 'ovirt-imageio');
    writeFileSync(daemonFile, 'setInterval(() => {}, 1000);');
    const daemon = spawn(process.execPath, [daemonFile, '-c', path.join(directory, 'lab/imageio')], { env: { ...process.env, [markVariable]: markOf('lab', directory) }, stdio: 'ignore' });
    try {
      const said: string[] = [];
      await start({ only: ['lab'], setup: { ...setup, guestDir: directory }, programs: { lab: program('lab', `${connecting} ${serving}`) }, say: (line) => said.push(line) });
      expect([said, daemon.exitCode, daemon.signalCode]).toEqual([[], null, null]);
    } finally {
      daemon.kill('SIGKILL');
    }
  }, limitMs);

  test('what a part leaves behind when it ends is killed and reported, wherever it hid', async () => {
    const lab = program('lab', `${connecting} require('child_process').spawn('sleep', ['300'], { detached: true, stdio: 'ignore' }).unref(); ${serving}`);
    const parts = await start({ only: ['lab'], setup: { ...setup, guestDir: directory }, programs: { lab } });
    expect(parts.lab.url).toBe('https://127.0.0.1:1/ovirt-engine/api');
    expect((await parts.stop()).map(({ part, command }) => ({ part, command }))).toEqual([{ part: 'lab', command: 'sleep 300' }]);
    expect(await marked()).toEqual([]);
  }, limitMs);
});
