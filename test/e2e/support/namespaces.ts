// Worker processes in Linux namespaces of their own: with file systems that are read-only or full, or without a network. As root, or as an
// ordinary user where user namespaces are allowed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Stack, WorkerConfigFile } from './stack';

export type Namespace = 'mount' | 'net';

const checkout = path.resolve(__dirname, '../../..');
export const workerProgram = path.join(checkout, 'dist', 'worker', 'main.js');
const readyLimitMs = 60_000;

const isRoot = process.getuid?.() === 0;
const unshareArguments = (namespaces: readonly Namespace[]): string[] => [...(isRoot ? [] : ['--user', '--map-root-user']), ...namespaces.map((name) => `--${name}`)];

/** Why this machine cannot do it; undefined when it can. Asked before tests are defined, so that a skipped test says why. */
export function whyNoNamespace(...namespaces: readonly Namespace[]): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', [...unshareArguments(namespaces), 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `no ${namespaces.join(' and ')} namespace for this user: ${(error?.message ?? stderr).trim()}`;
}

export interface SpawnedWorker {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Runs `script` (sh) in new namespaces; it must end with `exec "$@"`, which is the worker. */
export async function startWorkerInside(stack: Stack, namespaces: readonly Namespace[], script: string, name: string, config: WorkerConfigFile): Promise<SpawnedWorker> {
  const configFile = path.join(stack.parts.state, `worker-${name}.json`);
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
  const command = ['sh', '-ec', script, 'sh', process.execPath, workerProgram, '--config', configFile];
  // Ends with the test's process however that ends.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'unshare', ...unshareArguments(namespaces), ...command], { env: stack.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const words: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => words.push(text));
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
  };
  try {
    return { pid: await readyPid(child, exited, words), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function readyPid(child: ChildProcess, exited: Promise<unknown>, words: readonly string[]): Promise<number> {
  if (!child.stdout || child.pid === undefined) throw new Error('the worker could not be started: is unshare (util-linux) installed?');
  const ready = once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(readyLimitMs) });
  await Promise.race([ready, exited.then(() => Promise.reject(new Error(`the worker ended before it was ready:\n${words.join('')}`)))]);
  // setpriv, unshare and sh replace themselves by what they run.
  return child.pid;
}
