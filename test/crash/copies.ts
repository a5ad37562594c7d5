// Kills in the middle of a long, throttled copy by the method `appliance`, on a lane with an appliance of its own: what is moved again after a
// cut is measured at the appliance's QEMU, which has the disk. Those of the method `transfer` are in copies-transfer.ts.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { until } from '../e2e/support/vms';
import type { CellPlan } from './cell';
import { copyCell, dataBytes, durableAt, ioOf, measured, reachLimitMs, stoppedAndWoken, takenOver, worstMs, type Counter, type Io } from './copy-tools';
import type { Lane } from './lane';
import { imageServersOf, isHelperAlive } from './processes';
import { plainShapes } from './shapes';

const [backup, restore] = plainShapes;

async function pidOfVm({ labState }: Stack, vmId: string): Promise<number> {
  return z.object({ pid: z.number() }).parse(JSON.parse(await readFile(path.join(labState, 'vms', vmId, 'pid.json'), 'utf8'))).pid;
}

/** The appliance's QEMU is the source of a backup (it reads the disk) or the target of a restore (it writes it). */
function atAppliance(figure: keyof Io): (lane: Lane) => Promise<Counter> {
  const now = async ({ stack, applianceId }: Lane): Promise<number> => (await ioOf(await pidOfVm(stack, applianceId)))[figure];
  return async (lane) => {
    const from = await now(lane);
    return { moved: async () => (await now(lane)) - from };
  };
}

const resumedBackup = measured(copyCell(backup, 'data worker killed at 60 % of the copy', async (lane) => {
  await durableAt(lane, 0.6);
  await sleep(worstMs);
  return takenOver(lane);
}), atAppliance('rchar'));

/** Of a restore, measured at the QEMU that has the new disk: waits until it has written so much since now. */
async function writtenFromNow(lane: Lane): Promise<(share: number) => Promise<unknown>> {
  const target = await pidOfVm(lane.stack, lane.applianceId);
  const { wchar } = await ioOf(target);
  return (share) => until(`${share * 100} % are written`, async () => (await ioOf(target)).wchar - wchar >= share * dataBytes, reachLimitMs);
}

const resumedRestore = measured(copyCell(restore, 'data worker killed at 60 % of the restore\'s copy', async (lane) => {
  await (await writtenFromNow(lane))(0.6);
  return takenOver(lane);
}), atAppliance('wchar'));

const imageServerKilled = copyCell(backup, 'the image server (qemu-nbd) killed at 30 % of the copy', async (lane) => {
  const { imageServerPid } = await durableAt(lane, 0.3);
  process.kill(imageServerPid, 'SIGKILL');
  await until('it is gone', () => Promise.resolve(!isHelperAlive(imageServerPid)));
  return 'image server: SIGKILL';
});

const woken = copyCell(backup, 'data worker stopped (SIGSTOP) at 20 %, woken (SIGCONT) after another took over', stoppedAndWoken);

const restoreImageServerKilled = copyCell(restore, 'an image server (qemu-nbd) killed at 30 % of the restore\'s copy', async (lane) => {
  await (await writtenFromNow(lane))(0.3);
  const [imageServer] = imageServersOf(lane.dataWorkers[0].pid);
  if (imageServer === undefined) throw new Error('the worker has no image server');
  process.kill(imageServer, 'SIGKILL');
  await until('it is gone', () => Promise.resolve(!isHelperAlive(imageServer)));
  return 'image server: SIGKILL';
});

/** Its attempt is no longer the one that counts: it must let go of the disk, whatever it had in hand. */
const restoreStoppedAndWoken = copyCell(restore, 'data worker stopped (SIGSTOP) at 20 % of the restore\'s copy, woken (SIGCONT) after another took over', async (lane) => {
  const [stale, second] = lane.dataWorkers;
  const written = await writtenFromNow(lane);
  await written(0.2);
  stale.signal('SIGSTOP');
  await second.start();
  await written(0.5);
  if (imageServersOf(second.pid).length === 0) throw new Error('the other worker did not take over');
  stale.signal('SIGCONT');
  await until('the stale worker has let go of the disk', () => Promise.resolve(imageServersOf(stale.pid).length === 0));
  if (!stale.isRunning) throw new Error(`the stale worker did not live on (${stale.endedBy ?? ''}), so it proved nothing`);
  return 'data worker: SIGSTOP, takeover, SIGCONT';
});

/** The appliance goes down with its disks; an administrator starts it again, and the copy goes on. */
async function applianceRevived(lane: Lane): Promise<string> {
  const { stack: { lab }, applianceId } = lane;
  process.kill(await pidOfVm(lane.stack, applianceId), 'SIGKILL');
  await lab.waitForStatus(applianceId, 'down');
  await lab.bring(applianceId, 'up');
  return 'QEMU of the appliance: SIGKILL, started again';
}

const applianceQemuKilled = copyCell(backup, 'QEMU of the appliance killed at 30 % of the copy, the appliance started again', async (lane) => {
  await durableAt(lane, 0.3);
  return applianceRevived(lane);
});

const restoreApplianceKilled = copyCell(restore, 'QEMU of the appliance killed at 30 % of the restore\'s copy, the appliance started again', async (lane) => {
  await (await writtenFromNow(lane))(0.3);
  return applianceRevived(lane);
});

const sourceQemuKilled: CellPlan = (() => {
  const cell = copyCell(backup, 'QEMU of the running source killed at 30 % of the copy', async (lane) => {
    await durableAt(lane, 0.3);
    process.kill(await pidOfVm(lane.stack, lane.vm.id), 'SIGKILL');
    await lane.stack.lab.waitForStatus(lane.vm.id, 'down');
    return 'QEMU of the source: SIGKILL';
  });
  return { ...cell, bring: 'up' };
})();

export const applianceCopyCells: readonly CellPlan[] = [resumedBackup, resumedRestore, imageServerKilled, restoreImageServerKilled, woken, restoreStoppedAndWoken, applianceQemuKilled, restoreApplianceKilled, sourceQemuKilled];
