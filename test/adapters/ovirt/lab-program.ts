// Starts the lab as its users do: the built program with its command line, in a state directory of its own.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** The first start boots the guest once to save its state. */
const readyDeadlineMs = 300_000;

/** Short, so that an expired token is part of the contract. */
export const tokenIdleSeconds = 2;

export interface LabProgram {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly caFile: string;
  readonly limitedUsers: readonly { readonly username: string; readonly password: string }[];
  readonly stop: () => Promise<void>;
}

/** The cache is shared by all tests of a user: same place as dev/setup.mjs uses. */
const cacheDir = process.env['HOLDFAST_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast');

/** `npm test` has built the guest and says where; a bare `npx jest` builds it here. */
async function guestDirectory(): Promise<string> {
  const ready = process.env['HOLDFAST_GUEST'];
  if (ready !== undefined) return ready;
  // dev/ is plain ESM and jest runs CommonJS: a short-lived node bridges them.
  const module = pathToFileURL(resolve(__dirname, '../../../dev/guest.mjs')).href;
  const script = `import(${JSON.stringify(module)}).then((m) => m.ensureGuest({ cacheDir: process.argv[1] })).then((d) => console.log(d))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script, cacheDir], { timeout: readyDeadlineMs });
  return stdout.trim();
}

export async function startLab(program: string): Promise<LabProgram> {
  const guestDir = await guestDirectory();
  const state = await mkdtemp(join(tmpdir(), 'hf-lab-'));
  const lab = spawn(process.execPath, [program, '--state', state, '--guest', guestDir, '--cache', cacheDir, '--demo', '--port', '0', '--stop-vms-on-exit', '--token-idle-seconds', String(tokenIdleSeconds)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(lab, 'exit');
  const words: string[] = [];
  lab.stderr.setEncoding('utf8').on('data', (text: string) => words.push(text));
  const stop = async (): Promise<void> => {
    lab.kill('SIGTERM');
    await exited;
    await rm(state, { recursive: true, force: true });
  };
  try {
    await readyLine(lab.stdout, exited, words);
    const connection = JSON.parse(await readFile(join(state, 'connection.json'), 'utf8')) as Omit<LabProgram, 'stop'>;
    return { ...connection, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function readyLine(stdout: NodeJS.ReadableStream, exited: Promise<unknown>, words: readonly string[]): Promise<void> {
  const lines = createInterface({ input: stdout });
  const timer = AbortSignal.timeout(readyDeadlineMs);
  const ready = once(lines, 'line', { signal: timer });
  await Promise.race([ready, exited.then(() => Promise.reject(new Error(`the lab ended before it was ready:\n${words.join('')}`)))]);
}
