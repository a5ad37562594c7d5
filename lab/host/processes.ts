// The identity of a process: a pid alone is reused, a pid with its start time is not. Reads /proc, kills only what it names.
import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isErrno } from './state-file';

export const processSchema = z.object({ pid: z.number().int().positive(), startTicks: z.string() });
/** `startTicks`: field 22 of /proc/<pid>/stat, clock ticks since boot. */
export type ProcessIdentity = z.infer<typeof processSchema>;

/** undefined when there is no such process, or only its remains (a zombie). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' || startTicks === undefined ? undefined : { pid, startTicks };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await identify(process.pid))?.startTicks === process.startTicks;
}

/** True once it is gone. */
export async function waitUntilGone(process: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    if (!(await isAlive(process))) return true;
    if (Date.now() > deadline) return false;
    await sleep(pauseMs);
  }
}

export async function killAndWait(identity: ProcessIdentity): Promise<void> {
  if (!(await isAlive(identity))) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
  if (!(await waitUntilGone(identity, 10_000))) throw new Error(`process ${identity.pid} did not end after SIGKILL; it hangs in the kernel`);
}
