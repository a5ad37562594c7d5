// Processes named so that they cannot be mixed up: a pid is used again, a pid with its start time is not. Linux only (/proc).
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks after boot: field 22 of /proc/<pid>/stat. */
  readonly startTicks: number;
}

/** Where pids mean something: containers on one host share the boot id, but not the pids. */
export interface HostIdentity {
  readonly hostName: string;
  readonly bootId: string;
  readonly pidNamespace: string;
}

const killDeadlineMs = 5_000;
const killPollMs = 10;

/** undefined when there is no such process, or only its zombie. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command name in field 2 may hold blanks and parentheses: count from its last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  return fields[0] === 'Z' || fields[0] === 'X' || !Number.isSafeInteger(startTicks) ? undefined : { pid, startTicks };
}

export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await identityOf(process.pid))?.startTicks === process.startTicks;
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  const own = await identityOf(process.pid);
  if (own === undefined) throw new Error('This process does not find itself in /proc: Holdfast needs Linux with /proc mounted.');
  return own;
}

export async function hostIdentity(): Promise<HostIdentity> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { hostName: hostname(), bootId, pidNamespace: await readlink('/proc/self/ns/pid') };
}

export function sameHost(one: HostIdentity, other: HostIdentity): boolean {
  return one.bootId === other.bootId && one.pidNamespace === other.pidNamespace;
}

/** SIGKILL, and waits until the process is gone. false: it is still there (uninterruptible I/O, or not ours to kill). */
export async function killAndWait(target: ProcessIdentity): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= killDeadlineMs; waitedMs += killPollMs) {
    if (!(await isAlive(target))) return true;
    try {
      process.kill(target.pid, 'SIGKILL');
    } catch {
      // Gone between the look and the kill, or not ours: the next look tells.
    }
    await sleep(killPollMs);
  }
  return !(await isAlive(target));
}
