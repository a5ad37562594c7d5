// Looking at a copy while it runs: its phase as the client sees it, its durable position as it lies in the repository, and the bytes that
// processes have read, as the kernel counts them.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { HoldfastClientError, type BackupHandle, type Phase, type Progress, type RestoreHandle } from '../../../client';
import type { Stack } from './stack';
import { until } from './vms';

/** Waits until the run's progress is as wanted; a run that ends before is an error. */
export async function untilProgress(handle: BackupHandle | RestoreHandle, what: string, wanted: (progress: Progress) => boolean, limitMs = 60_000, pauseMs = 20): Promise<Progress> {
  return until(what, async () => {
    // A busy machine's worker, or one that was just started again, may miss a question: it is asked once more.
    const progress = await handle.progress().catch((error: unknown) => {
      if (error instanceof HoldfastClientError && error.code === 'client.no-answer') return undefined;
      throw error;
    });
    if (progress && wanted(progress)) return progress;
    const { status } = await handle.status();
    if (status !== 'RUNNING') throw new Error(`the run ended (${status}) before ${what}`);
    return undefined;
  }, limitMs, pauseMs);
}

export const untilPhase = (handle: BackupHandle | RestoreHandle, phase: Phase): Promise<Progress> => untilProgress(handle, `the run is in phase ${phase}`, (progress) => progress.phase === phase);

const positionSchema = z.object({ positionBytes: z.number(), dataBytes: z.number() });
export type Position = z.infer<typeof positionSchema>;

/** What the repository holds of this VM that is not sealed. */
export async function partialFiles(stack: Stack, vmId: string): Promise<readonly string[]> {
  const directory = path.join(stack.parts.repository.path, 'vms', vmId);
  const found: string[] = [];
  for (const backupId of await readdir(directory).catch(() => [])) {
    const names = await readdir(path.join(directory, backupId));
    if (!names.includes('manifest.json')) found.push(...names.map((name) => path.join(directory, backupId, name)));
  }
  return found;
}

/** The durable position of a disk in the VM's partial backup: that of the highest writer. */
export async function durablePosition(stack: Stack, vmId: string, diskId: string): Promise<Position | undefined> {
  const numberOf = (file: string): number => Number(/\.(\d+)\.progress$/.exec(file)?.[1]);
  const [latest] = (await partialFiles(stack, vmId)).filter((file) => path.basename(file).startsWith(diskId) && file.endsWith('.progress')).sort((one, other) => numberOf(other) - numberOf(one));
  const text = latest === undefined ? undefined : await readFile(latest, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : positionSchema.parse(JSON.parse(text));
}

/** Everything the process has read through read(2) and its relatives, files and sockets alike (proc(5), io: rchar). */
export async function bytesReadBy(pid: number): Promise<number> {
  return Number(/^rchar: (\d+)$/m.exec(await readFile(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** The QEMU of a running VM. */
export async function qemuPid({ labState }: Stack, vmId: string): Promise<number> {
  return z.object({ pid: z.number() }).parse(JSON.parse(await readFile(path.join(labState, 'vms', vmId, 'pid.json'), 'utf8'))).pid;
}
