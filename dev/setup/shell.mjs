// Small tools of the set-up: run a command, find one, hold a lock, name a problem. Plain Node, no npm packages:
// this runs before `npm ci`.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

/** The checkout this file belongs to. */
export const checkout = resolve(import.meta.dirname, '..', '..');

/** A problem the user can solve: what is wrong, on what, and what to do about it. */
export class Problem extends Error {
  constructor(what, remedy) {
    super(`${what}\n  What to do: ${remedy}`);
    this.name = 'Problem';
  }
}

export function cacheDirectory(env = process.env) {
  const directory = env.HOLDFAST_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast');
  return resolve(directory);
}

export function shortHash(...texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex').slice(0, 16);
}

export function onPath(command, env = process.env) {
  for (const directory of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    const candidate = join(directory, command);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this directory: look in the next.
    }
  }
  return undefined;
}

/** Some tools say what is wrong first (npm), others last (compilers). */
function digestOf(text) {
  const lines = text.trimEnd().split('\n');
  return (lines.length <= 20 ? lines : [...lines.slice(0, 8), '[...]', ...lines.slice(-12)]).join('\n');
}

/** Runs to the end and returns its output; a failure carries what the command said. `name` replaces a long command line in messages. */
export function run(command, args, { cwd = checkout, env = process.env, name = [command, ...args].join(' ') } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let all = '';
    child.stdout.on('data', (data) => { stdout += data; all += data; });
    child.stderr.on('data', (data) => { all += data; });
    child.on('error', (error) => { fail(new Error(`${command} could not be started: ${error.message}`)); });
    child.on('close', (code, signal) => {
      if (code === 0) done(stdout);
      else fail(new Error(`${name} ended with ${signal ?? `exit code ${code}`}:\n${digestOf(all)}`));
    });
  });
}

/**
 * A lock on a file is the kernel's own flock, held by a child that lives no longer than we do: so there is no stale lock
 * to detect after a crash, and no pid to mistake. Resolves to undefined when `flags` say not to wait and it is held.
 */
async function lockFile(file, flags) {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', [...flags, file, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  const ended = new Promise((done) => { holder.once('close', done); });
  const held = await new Promise((done, fail) => {
    holder.once('error', () => fail(new Problem('the command flock is missing', 'install util-linux')));
    holder.once('close', () => done(false));
    holder.stdout.once('data', () => done(true));
  });
  if (!held) return undefined;
  const release = async () => {
    holder.stdin.end();
    await ended;
  };
  return { release };
}

/** The lock, or undefined when somebody keeps it: a holder that was just killed needs a moment until the kernel lets go. */
export const tryLock = (file) => lockFile(file, ['--wait', '3']);

/** Holds the lock file while `work` runs, waiting for it first. */
export async function withLock(file, say, work) {
  const waiting = setTimeout(() => say(`waiting for another set-up that holds ${file}`), 1000);
  const lock = await lockFile(file, []).finally(() => clearTimeout(waiting));
  if (!lock) throw new Problem(`cannot lock ${file}`, 'make the directory writable');
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
