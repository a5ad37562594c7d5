// A directory for one benchmark, and everything that must be undone at its end: also on Ctrl-C, newest first. Whoever is killed with
// SIGKILL leaves files, never processes or loop devices.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Workplace {
  readonly directory: string;
  /** Fires on Ctrl-C: what runs ends, and the cleaning up begins. */
  readonly signal: AbortSignal;
  atEnd(work: () => Promise<unknown>): void;
}

const tell = (error: unknown): void => console.error(String(error));
const interruptedExitCode = 130;

/** `parent`: where the disks lie; by default the system's directory for temporary files. */
export async function withWorkplace<T>(parent: string | undefined, work: (place: Workplace) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(path.join(parent ?? tmpdir(), 'holdfast-bench-'));
  const ends: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true, maxRetries: 5 })];
  const interrupted = new AbortController();
  const interrupt = (): void => {
    process.exitCode = interruptedExitCode;
    interrupted.abort(new Error('interrupted: everything is being removed'));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  try {
    return await work({ directory, signal: interrupted.signal, atEnd: (end) => void ends.push(end) });
  } finally {
    for (let end = ends.pop(); end; end = ends.pop()) await end().catch(tell);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
  }
}
