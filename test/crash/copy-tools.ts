// What cells in the middle of a long, throttled copy share: a big VM, where its image is by the repository's files, what is moved by the
// kernel's account of the process that has the disk (/proc/<pid>/io: what QEMU's threads read and write with preadv and pwritev; network
// traffic is not in it), and a data worker that another process takes over from.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { makeVm, mib, until, type TestVm } from '../e2e/support/vms';
import { isWhole } from '../support/share';
import type { CellPlan } from './cell';
import { macOfNobody, type Lane } from './lane';
import { isHelperAlive, openFilesOf } from './processes';
import type { Started } from './runs';
import type { Shape } from './shapes';

export const diskMib = 96;
/** 32 s for the whole disk, so that the 2 s between two durable positions are 6 % of it. */
export const copySeconds = 32;
export const reachLimitMs = 90_000;
/**
 * Of the disk: two seconds of the copy and the requests in flight, which grow with neither disk nor change. Beside other suites, on cores that are
 * all taken, a durable position comes a second and a half late (measured: 3.4 s, 10.6 %): the matrix runs alone and holds the promise.
 */
const rereadLimit = isWhole ? 0.1 : 0.15;
const quietMs = 3_000;
/** A position is made durable every 2 s: a cut just before the next one loses most. */
export const worstMs = 1_700;

/** Nothing but random bytes, so that every byte must be read. */
export const bigVm = (stack: Stack, name: string): Promise<TestVm> => makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'cow', sizeMib: diskMib, dataMib: diskMib - 1, backup: 'incremental' }], { mac: macOfNobody() });
export const dataBytes = (diskMib - 1) * mib;

export interface Io {
  readonly rchar: number;
  readonly wchar: number;
}

export async function ioOf(pid: number): Promise<Io> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8');
  const figure = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
  return { rchar: figure('rchar'), wchar: figure('wchar') };
}

interface ImageAtWork {
  readonly directory: string;
  readonly fencing: number;
  readonly workerPid: number;
  readonly imageServerPid: number;
  readonly positionBytes: number;
}

const lockSchema = z.object({ worker: z.object({ pid: z.number() }), imageServer: z.object({ pid: z.number() }) });
const progressSchema = z.object({ positionBytes: z.number() });

/** The one image that is being written in the lane's repository: read from its files, as anybody may. */
async function imageAtWork(lane: Lane): Promise<ImageAtWork | undefined> {
  const vmDirectory = path.join(lane.repositoryPath, 'vms', lane.vm.id);
  for (const backupId of await readdir(vmDirectory).catch(() => [])) {
    const directory = path.join(vmDirectory, backupId);
    const numbers = (await readdir(directory)).flatMap((name) => /\.(\d+)\.lock$/.exec(name)?.[1] ?? []).map(Number);
    const fencing = Math.max(0, ...numbers);
    const file = (kind: string): string => path.join(directory, `${lane.vm.disks[0]?.id ?? ''}.${fencing}.${kind}`);
    try {
      const { worker, imageServer } = lockSchema.parse(JSON.parse(await readFile(file('lock'), 'utf8')));
      const { positionBytes } = progressSchema.parse(JSON.parse(await readFile(file('progress'), 'utf8')));
      return { directory, fencing, workerPid: worker.pid, imageServerPid: imageServer.pid, positionBytes };
    } catch {
      // Not there, or just being written: the next look tells.
    }
  }
  return undefined;
}

export function durableAt(lane: Lane, share: number): Promise<ImageAtWork> {
  return until(`${share * 100} % of the image are durable`, async () => {
    const image = await imageAtWork(lane);
    return image && image.positionBytes >= share * diskMib * mib ? image : undefined;
  }, reachLimitMs);
}

/** `bytes`: how much there is to move. */
export function copyCell(shape: Shape, name: string, disturb: NonNullable<CellPlan['disturb']>, bytes = dataBytes): CellPlan {
  return { name: `${shape.name}: ${name}`, shape, bandwidthBytesPerSecond: Math.round(bytes / copySeconds), disturb };
}

/** There is no other worker whom this could be. */
export async function takenOver({ dataWorkers: [first, second] }: Lane, meanwhile: () => Promise<unknown> = () => Promise.resolve()): Promise<string> {
  if (second.isRunning) throw new Error('two data workers run');
  first.signal('SIGKILL');
  await first.ended();
  await meanwhile();
  await second.start();
  return `data worker: ${first.endedBy ?? 'lives'}, another process takes over`;
}

/** What moved a disk's data, over the whole run. */
export interface Counter {
  moved(lane: Lane, run: Started): Promise<number>;
  end?(): void;
}

export function measured(cell: CellPlan, begin: (lane: Lane) => Promise<Counter>, bytes = dataBytes): CellPlan {
  let counter: Counter | undefined;
  let again = 0;
  return {
    ...cell,
    disturb: async (lane, run, underWay) => {
      counter = await begin(lane);
      return cell.disturb?.(lane, run, underWay) ?? 'none';
    },
    alsoJudge: async (lane, run, end) => {
      const total = (await counter?.moved(lane, run)) ?? 0;
      counter?.end?.();
      again = total - bytes;
      const others = (await cell.alsoJudge?.(lane, run, end)) ?? [];
      if (total < 0.99 * bytes) return [...others, `only ${total} bytes were counted at the disk's QEMU, of ${bytes}: the measurement does not see the copy`];
      return again <= rereadLimit * dataBytes ? others : [...others, `${again} bytes were moved again, more than ${rereadLimit * 100} % of the disk's ${dataBytes}`];
    },
    bytesMovedAgain: () => Math.max(0, again),
  };
}

/** Of a backup: the lease lapses, another worker takes over, and the one that was stopped wakes up while that one writes. */
export async function stoppedAndWoken(lane: Lane): Promise<string> {
  const [stale, second] = lane.dataWorkers;
  const before = await durableAt(lane, 0.2);
  if (before.workerPid !== stale.pid) throw new Error(`worker ${before.workerPid} copies, not the one that is to be stopped`);
  stale.signal('SIGSTOP');
  await second.start();
  const after = await until('another worker has the image', async () => {
    const image = await imageAtWork(lane);
    return image && image.fencing > before.fencing && image.positionBytes > before.positionBytes ? image : undefined;
  }, reachLimitMs);
  if (isHelperAlive(before.imageServerPid)) throw new Error('the image server of the stopped worker still lives');
  stale.signal('SIGCONT');
  const image = lane.vm.disks[0]?.id ?? '';
  for (const endMs = Date.now() + quietMs; Date.now() < endMs; ) {
    for (const kind of ['lock', 'progress']) {
      if (existsSync(path.join(after.directory, `${image}.${before.fencing}.${kind}`))) throw new Error(`the stale worker wrote ${kind} number ${before.fencing} again`);
    }
    const open = openFilesOf(stale.pid).filter((file) => file.endsWith(`${image}.qcow2`));
    if (open.length > 0) throw new Error('the stale worker, or a child of it, has the image open again');
    await sleep(100);
  }
  if (!stale.isRunning) throw new Error(`the stale worker did not live on (${stale.endedBy ?? ''}), so it proved nothing`);
  return `data worker: SIGSTOP, takeover (number ${after.fencing}), SIGCONT`;
}
