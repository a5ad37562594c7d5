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

/** Files that the process and its children have open. */
export function openFilesOf(pid: number | undefined): readonly string[] {
  if (pid === undefined) return [];
  const own = read(() => readdirSync(`/proc/${pid}/fd`), []).map((descriptor) => read(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`), ''));
  const children = read(() => readdirSync(`/proc/${pid}/task`), []).flatMap((task) => read(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1'), '').split(' ').filter(Boolean));
  return [...own, ...children.flatMap((child) => openFilesOf(Number(child)))];
}
