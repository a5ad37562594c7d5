// Kills in the middle of a long, throttled copy, on a lane with an appliance of its own: what is read again after a cut is measured at the
// source itself, the QEMU that serves the disk, by the kernel's account of its reads (/proc/<pid>/io, rchar: what QEMU's threads read with
// preadv; network traffic is not in it).
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { makeVm, mib, until, type TestVm } from '../e2e/support/vms';
import { imageServersOf, isHelperAlive, openFilesOf } from './processes';
import type { CellPlan } from './cell';
import type { Lane } from './lane';
import { plainShapes, type Shape, type Started } from './shapes';

const diskMib = 96;
/** 32 s for the whole disk, so that the 2 s between two durable positions are 6 % of it. */
const bandwidthBytesPerSecond = 3 * mib;
const reachLimitMs = 90_000;
const rereadLimit = 0.1;
const quietMs = 3_000;
/** A position is made durable every 2 s: a cut just before the next one loses most. */
const worstMs = 1_700;

/** Nothing but random bytes, so that every byte must be read. */
export const bigVm = (stack: Stack, name: string): Promise<TestVm> => makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'raw', sizeMib: diskMib, dataMib: diskMib - 1 }]);
const dataBytes = (diskMib - 1) * mib;

async function pidOfVm({ labState }: Stack, vmId: string): Promise<number> {
  return z.object({ pid: z.number() }).parse(JSON.parse(await readFile(path.join(labState, 'vms', vmId, 'pid.json'), 'utf8'))).pid;
}

async function ioOf(pid: number): Promise<{ readonly rchar: number; readonly wchar: number }> {
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

function durableAt(lane: Lane, share: number): Promise<ImageAtWork> {
  return until(`${share * 100} % of the image are durable`, async () => {
    const image = await imageAtWork(lane);
    return image && image.positionBytes >= share * diskMib * mib ? image : undefined;
  }, reachLimitMs);
}

function copyCell(flow: Shape['flow'], name: string, disturb: (lane: Lane, run: Started) => Promise<string>): CellPlan {
  const shape = plainShapes.find((each) => each.flow === flow);
  if (!shape) throw new Error(`no shape runs ${flow}`);
  return { name: `${shape.name}: ${name}`, shape, bandwidthBytesPerSecond, disturb };
}

/** There is no other worker whom this could be. */
async function takenOver(lane: Lane): Promise<string> {
  const [first, second] = lane.appliances;
  if (second.isRunning) throw new Error('two appliance workers run');
  first.signal('SIGKILL');
  await first.ended();
  await second.start();
  return `appliance worker: ${first.endedBy ?? 'lives'}, another process takes over`;
}

/** `counter`: of the QEMU that is the source of a backup (it reads the disk) or the target of a restore (it writes it). */
function measured(cell: CellPlan, counter: 'rchar' | 'wchar'): CellPlan {
  let from = 0;
  let again = 0;
  const now = async ({ stack, applianceId }: Lane): Promise<number> => (await ioOf(await pidOfVm(stack, applianceId)))[counter];
  return {
    ...cell,
    disturb: async (lane, run, underWay) => {
      from = await now(lane);
      return cell.disturb?.(lane, run, underWay) ?? 'none';
    },
    alsoJudge: async (lane) => {
      const total = (await now(lane)) - from;
      again = total - dataBytes;
      if (total < 0.99 * dataBytes) return [`only ${total} bytes were counted at the disk's QEMU, of ${dataBytes}: the measurement does not see the copy`];
      return again <= rereadLimit * diskMib * mib ? [] : [`${again} bytes were moved again, more than ${rereadLimit * 100} % of the disk`];
    },
    bytesMovedAgain: () => Math.max(0, again),
  };
}

const resumedBackup = measured(copyCell('backupVm', 'appliance worker killed at 60 % of the copy', async (lane) => {
  await durableAt(lane, 0.6);
  await sleep(worstMs);
  return takenOver(lane);
}), 'rchar');

/** Of a restore, measured at the QEMU that has the new disk: waits until it has written so much since now. */
async function writtenFromNow(lane: Lane): Promise<(share: number) => Promise<unknown>> {
  const target = await pidOfVm(lane.stack, lane.applianceId);
  const { wchar } = await ioOf(target);
  return (share) => until(`${share * 100} % are written`, async () => (await ioOf(target)).wchar - wchar >= share * dataBytes, reachLimitMs);
}

const resumedRestore = measured(copyCell('restoreVm', 'appliance worker killed at 60 % of the restore\'s copy', async (lane) => {
  await (await writtenFromNow(lane))(0.6);
  return takenOver(lane);
}), 'wchar');

const imageServerKilled = copyCell('backupVm', 'the image server (qemu-nbd) killed at 30 % of the copy', async (lane) => {
  const { imageServerPid } = await durableAt(lane, 0.3);
  process.kill(imageServerPid, 'SIGKILL');
  await until('it is gone', () => Promise.resolve(!isHelperAlive(imageServerPid)));
  return 'image server: SIGKILL';
});

/** The lease lapses, another worker takes over, and the one that was stopped wakes up while that one writes. */
const stoppedAndWoken = copyCell('backupVm', 'appliance worker stopped (SIGSTOP) at 20 %, woken (SIGCONT) after another took over', async (lane) => {
  const [stale, second] = lane.appliances;
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
  return `appliance worker: SIGSTOP, takeover (number ${after.fencing}), SIGCONT`;
});

const restoreImageServerKilled = copyCell('restoreVm', 'an image server (qemu-nbd) killed at 30 % of the restore\'s copy', async (lane) => {
  await (await writtenFromNow(lane))(0.3);
  const [imageServer] = imageServersOf(lane.appliances[0].pid);
  if (imageServer === undefined) throw new Error('the worker has no image server');
  process.kill(imageServer, 'SIGKILL');
  await until('it is gone', () => Promise.resolve(!isHelperAlive(imageServer)));
  return 'image server: SIGKILL';
});

/** Its attempt is no longer the one that counts: it must let go of the disk, whatever it had in hand. */
const restoreStoppedAndWoken = copyCell('restoreVm', 'appliance worker stopped (SIGSTOP) at 20 % of the restore\'s copy, woken (SIGCONT) after another took over', async (lane) => {
  const [stale, second] = lane.appliances;
  const written = await writtenFromNow(lane);
  await written(0.2);
  stale.signal('SIGSTOP');
  await second.start();
  await written(0.5);
  if (imageServersOf(second.pid).length === 0) throw new Error('the other worker did not take over');
  stale.signal('SIGCONT');
  await until('the stale worker has let go of the disk', () => Promise.resolve(imageServersOf(stale.pid).length === 0));
  if (!stale.isRunning) throw new Error(`the stale worker did not live on (${stale.endedBy ?? ''}), so it proved nothing`);
  return 'appliance worker: SIGSTOP, takeover, SIGCONT';
});

/** The appliance goes down with its disks; an administrator starts it again, and the copy goes on. */
async function applianceRevived(lane: Lane): Promise<string> {
  const { stack: { lab }, applianceId } = lane;
  process.kill(await pidOfVm(lane.stack, applianceId), 'SIGKILL');
  await lab.waitForStatus(applianceId, 'down');
  await lab.bring(applianceId, 'up');
  return 'QEMU of the appliance: SIGKILL, started again';
}

const applianceQemuKilled = copyCell('backupVm', 'QEMU of the appliance killed at 30 % of the copy, the appliance started again', async (lane) => {
  await durableAt(lane, 0.3);
  return applianceRevived(lane);
});

const restoreApplianceKilled = copyCell('restoreVm', 'QEMU of the appliance killed at 30 % of the restore\'s copy, the appliance started again', async (lane) => {
  await (await writtenFromNow(lane))(0.3);
  return applianceRevived(lane);
});

const sourceQemuKilled: CellPlan = (() => {
  const cell = copyCell('backupVm', 'QEMU of the running source killed at 30 % of the copy', async (lane) => {
    await durableAt(lane, 0.3);
    process.kill(await pidOfVm(lane.stack, lane.vm.id), 'SIGKILL');
    await lane.stack.lab.waitForStatus(lane.vm.id, 'down');
    return 'QEMU of the source: SIGKILL';
  });
  return { ...cell, bring: 'up' };
})();

/** The first one is what `npm test` runs. */
export const copyCells: readonly CellPlan[] = [resumedBackup, resumedRestore, imageServerKilled, restoreImageServerKilled, stoppedAndWoken, restoreStoppedAndWoken, applianceQemuKilled, restoreApplianceKilled, sourceQemuKilled];
