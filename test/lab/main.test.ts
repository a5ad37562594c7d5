// The lab as a program: one ready line, a connection file that only its user may read, the same place after a SIGKILL,
// VMs that outlive it, an orderly end.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { childText, parseXml } from '../../lab/engine/xml';
import { send, type Reply } from './engine/lab-client';
import { cacheDirectory, guestDirectory, realLabDeadlineMs, until } from './engine/real-lab';

const program = process.env['HOLDFAST_LAB_PROGRAM'] ?? path.resolve(__dirname, '../../dist/lab/main.js');

interface Connection {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly caFile: string;
  readonly controlSocket: string;
}

let directory: string;
let running: ChildProcess | undefined;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hf-main-'));
});
afterEach(async () => {
  if (running !== undefined) await end('SIGTERM');
  await rm(directory, { recursive: true, force: true });
});

async function start(state: string, ...more: readonly string[]): Promise<Connection> {
  const child = spawn(
    process.execPath,
    [program, '--state', state, '--guest', await guestDirectory(), '--cache', cacheDirectory(), ...more],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  running = child;
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  const line = once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(realLabDeadlineMs) });
  const [ready] = (await Promise.race([line, once(child, 'exit').then(() => Promise.reject(new Error(`the lab ended:\n${words}`)))])) as [
    string,
  ];
  const connection = JSON.parse(await readFile(path.join(state, 'connection.json'), 'utf8')) as Connection;
  expect(JSON.parse(ready)).toEqual({ ready: true, url: connection.url });
  return connection;
}

async function end(signal: NodeJS.Signals): Promise<void> {
  const child = running;
  running = undefined;
  if (child === undefined) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

function api({ url, username, password, caFile }: Connection, method: string, where: string, body?: string): Promise<Reply> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return send(method, `${url}${where}`, caFile, { ...(body === undefined ? {} : { body }), headers: { Authorization: authorization } });
}

if (!existsSync(program)) {
  test('the lab is built (npm run build)', () => {
    throw new Error(`${program} does not exist`);
  });
} else {
  test(
    'killed and started again it serves at the same place, with the VM still up; --stop-vms-on-exit takes it along',
    async () => {
      const first = await start(directory);
      expect((await stat(path.join(directory, 'connection.json'))).mode & 0o777).toBe(0o600);
      const created = parseXml(
        (
          await api(
            first,
            'POST',
            '/vms',
            '<vm><name>stays</name><cluster><name>Default</name></cluster><template><name>Blank</name></template></vm>',
          )
        ).text,
      );
      const vm = `/vms/${created.attributes['id'] ?? ''}`;
      const status = async (connection: Connection): Promise<string | undefined> =>
        childText(parseXml((await api(connection, 'GET', vm)).text), 'status');
      expect((await api(first, 'POST', `${vm}/start`, '<action/>')).status).toBe(200);
      await until('the VM', async () => (await status(first)) === 'up');
      await end('SIGKILL');
      const second = await start(directory, '--stop-vms-on-exit');
      expect(second).toEqual(first);
      expect(await status(second)).toBe('up');
      await end('SIGTERM');
      const third = await start(directory, '--stop-vms-on-exit');
      expect(await status(third)).toBe('down');
    },
    realLabDeadlineMs,
  );

  test(
    'a state directory with a long name gets its control socket elsewhere',
    async () => {
      const state = path.join(directory, 'a'.repeat(100));
      await mkdir(state);
      const { controlSocket } = await start(state, '--stop-vms-on-exit');
      expect(existsSync(controlSocket)).toBe(true);
      expect(controlSocket.length).toBeLessThan(100);
      await end('SIGTERM');
      expect(existsSync(controlSocket)).toBe(false);
    },
    realLabDeadlineMs,
  );

  test.each([[['--port', '0']], [['--state', 'x', '--colour', 'red']], [['--state', 'x', '--port', 'many']]])(
    'a bad command line %j is told and ends with 1',
    async (args) => {
      const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
      let words = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        words += text;
      });
      expect((await once(child, 'exit'))[0]).toBe(1);
      expect(words).toMatch(/--state|--colour|port/);
    },
  );
}
