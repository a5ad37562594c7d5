// Finds the processes of a state directory's parts by a mark in their environment, which their own children inherit:
// so nothing is missed because it changed its session, and nothing of somebody else's is ever touched.
import { readFileSync, readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

export const markVariable = 'HOLDFAST_PART';
export const markOf = (part, state) => `${part}@${state}`;

const readProc = (pid, name) => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // It ended meanwhile, or is not ours to read.
  }
};

/** @returns {{ pid: number, part: string, command: string }[]} living processes (no zombies) that carry the mark of this state directory */
export function markedProcesses(state) {
  const found = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const value = readProc(entry, 'environ').split('\0').find((line) => line.startsWith(`${markVariable}=`))?.slice(markVariable.length + 1);
    if (!value?.endsWith(`@${state}`) || /^State:\s+Z/m.test(readProc(entry, 'status'))) continue;
    found.push({ pid: Number(entry), part: value.slice(0, -state.length - 1), command: readProc(entry, 'cmdline').split('\0').filter(Boolean).join(' ') });
  }
  return found;
}

export function signalQuietly(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // Already gone.
  }
}

/** Waits until no marked process (that `concerns`) is left; kills what is still there at the end and returns it. */
export async function clearMarked(state, { graceSeconds, concerns = () => true }) {
  const deadline = performance.now() + graceSeconds * 1000;
  for (;;) {
    const left = markedProcesses(state).filter(concerns);
    if (left.length === 0) return [];
    if (performance.now() > deadline) {
      left.forEach(({ pid }) => signalQuietly(pid, 'SIGKILL'));
      await sleep(100);
      return left;
    }
    await sleep(50);
  }
}
