// `holdfast up`: starts the embedded parts (dev/up.mjs, a program of its own) and stays as long as they do. Signals go through to it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { partsFileOf, readParts, stateDirectories } from '../../config';
import { HoldfastClientError } from '../../errors';
import { exitCodes } from '../exit-codes';
import type { Io } from '../io';
import { printError } from '../print-error';
import type { Host } from '../session';

const partsPollMs = 200;

export function addUp(program: Command, { io, exitWith }: Host): void {
  program
    .command('up [arguments...]')
    .description('start the embedded Temporal, PostgreSQL, lab and workers, and stay until Ctrl-C; arguments go to dev/up.mjs')
    .option('--json', 'one JSON document on stdout when all is up: addresses and names')
    .option('--state <directory>', 'where they keep their data (HOLDFAST_STATE); default: .state beside the program')
    .allowUnknownOption()
    .addHelpText('after', '\nExample:\n  $ holdfast up --state /var/tmp/holdfast-trial')
    .action(async (rest: readonly string[], { json, state }: { readonly json?: boolean; readonly state?: string }) => {
      try {
        exitWith(await up(io, [...(state === undefined ? [] : ['--state', path.resolve(io.cwd, state)]), ...rest], json === true, state));
      } catch (error) {
        exitWith(printError(io, error, json === true));
      }
    });
}

async function up(io: Io, programArguments: readonly string[], json: boolean, state: string | undefined): Promise<number> {
  const file = path.join(io.programRoot, 'dev', 'up.mjs');
  if (!existsSync(file)) throw new HoldfastClientError('config.invalid', `The embedded parts are not here: ${file} is missing. They come with a checkout of Holdfast, not with the client alone.`, { file });
  const child = spawn(process.execPath, [file, ...programArguments], { stdio: stdioOf(io, json), env: { ...io.environment } });
  child.stdout?.on('data', (chunk: Buffer) => (json ? io.err : io.out)(chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => io.err(chunk.toString()));
  const stopForwarding = forwardSignals(io, child);
  const ended = new AbortController();
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? exitCodes.failed.code : exitCodes.detached.code)));
  }).finally(() => ended.abort());
  const directory = state === undefined ? undefined : path.resolve(io.cwd, state);
  const told = json ? tellWhenUp(io, directory, child.pid, ended.signal) : Promise.resolve();
  try {
    const code = await exit;
    await told;
    return code;
  } finally {
    stopForwarding();
  }
}

function stdioOf(io: Io, json: boolean): ('inherit' | 'pipe')[] {
  if (io.childOutput === 'pipe') return ['inherit', 'pipe', 'pipe'];
  return ['inherit', json ? 'pipe' : 'inherit', 'inherit'];
}

/** Ctrl-C in a terminal reaches the child by itself (one process group); forwarding it as well would be a second press. */
function forwardSignals(io: Io, child: ChildProcess): () => void {
  const stopInterrupt = io.onInterrupt(() => {
    if (!io.isTerminal) child.kill('SIGINT');
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', forward);
  process.on('SIGHUP', forward);
  return () => {
    stopInterrupt();
    process.off('SIGTERM', forward);
    process.off('SIGHUP', forward);
  };
}

/** The launcher writes its file when everything is up, with its own pid: an older file is not an answer. */
async function tellWhenUp(io: Io, directory: string | undefined, launcherPid: number | undefined, ended: AbortSignal): Promise<void> {
  const directories = directory === undefined ? stateDirectories(io.environment, io.cwd, io.programRoot) : [directory];
  while (!ended.aborted) {
    for (const file of directories.map(partsFileOf)) {
      const parts = readParts(file);
      if (parts && parts.launcherPid === launcherPid) {
        io.out(`${JSON.stringify(parts, undefined, 2)}\n`);
        return;
      }
    }
    await delay(partsPollMs, undefined, { signal: ended }).catch(() => undefined);
  }
}
