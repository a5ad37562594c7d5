// A launcher of its own in the background (dev/up.mjs), for parts that outlive the command that started them.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem, checkout } from '../setup/shell.mjs';
import { signalQuietly } from './marked.mjs';
import { readParts } from './state.mjs';

function isLauncher(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('dev/up.mjs') && signalQuietly(pid, 0);
  } catch {
    return false;
  }
}

/** The parts that a launcher keeps running on this state directory, in the shape of startParts(); undefined when there is none. */
export function attachParts(state) {
  const description = readParts(state);
  if (!description || !isLauncher(description.launcherPid)) return undefined;
  const postgresUrl = description.catalogUrlFile && readFileSync(description.catalogUrlFile, 'utf8').trim();
  return { ...description, postgresUrl, stop: () => stopBackground(state) };
}

/** Ends the launcher of this state directory and waits for it; false when there was none. */
export async function stopBackground(state, graceSeconds = 120) {
  const pid = readParts(state)?.launcherPid;
  if (!pid || !isLauncher(pid)) return false;
  signalQuietly(pid, 'SIGTERM');
  const deadline = performance.now() + graceSeconds * 1000;
  while (isLauncher(pid)) {
    if (performance.now() > deadline) throw new Problem(`the launcher (pid ${pid}) of ${state} did not end within ${graceSeconds} s`, `read ${join(state, 'logs')}, then kill it: its parts end with it`);
    await sleep(100);
  }
  return true;
}

/** Starts everything with a launcher that stays; resolves when all of it serves. */
export async function startInBackground({ state, ports = 'auto', env }) {
  const logFile = join(state, 'logs', 'up.log');
  mkdirSync(join(state, 'logs'), { recursive: true });
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(process.execPath, [join(checkout, 'dev', 'up.mjs'), '--state', state, '--ports', ports], { cwd: checkout, env, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  for (;;) {
    if (child.exitCode !== null) throw new Error(readFileSync(logFile, 'utf8').trim());
    const parts = readParts(state)?.launcherPid === child.pid ? attachParts(state) : undefined;
    if (parts) return parts;
    await sleep(100);
  }
}
