// What /proc tells about processes that are not ours to ask.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

function read<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise; // It ended meanwhile.
  }
}

/** Not gone, and no zombie. */
export function isHelperAlive(pid: number): boolean {
  const state = read(() => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1], undefined);
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function childrenOf(pid: number): readonly number[] {
  const threads = read(() => readdirSync(`/proc/${pid}/task`), []);
  return threads.flatMap((thread) => read(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1'), '').split(' ').filter(Boolean).map(Number));
}

/** Image servers that the worker has started: through qemu-nbd it opens images and devices alike. */
export function imageServersOf(workerPid: number | undefined): readonly number[] {
  if (workerPid === undefined) return [];
  return childrenOf(workerPid).filter((pid) => isHelperAlive(pid) && read(() => readFileSync(`/proc/${pid}/comm`, 'latin1').trim(), '') === 'qemu-nbd');
}

/** Files that the process and its children have open. */
export function openFilesOf(pid: number | undefined): readonly string[] {
  if (pid === undefined) return [];
  const own = read(() => readdirSync(`/proc/${pid}/fd`), []).map((descriptor) => read(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`), ''));
  return [...own, ...childrenOf(pid).flatMap((child) => openFilesOf(child))];
}
