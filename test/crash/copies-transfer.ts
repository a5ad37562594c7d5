// Kills in the middle of a long, throttled copy through an image transfer, on a lane with data workers of its own. What is moved again after a cut
// is measured at the host's server of the transfer's data, over all transfers of the disk: a ticket that died has another one after it.
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, mib, until } from '../e2e/support/vms';
import { changedAt } from './by-hand';
import type { CellPlan, UnderWay } from './cell';
import { copyCell, dataBytes, diskMib, durableAt, measured, reachLimitMs, stoppedAndWoken, takenOver, worstMs } from './copy-tools';
import { ExportWatch } from './export-watch';
import type { Lane } from './lane';
import { imageServersOf } from './processes';
import type { Started } from './runs';
import type { Shape } from './shapes';
import { plainTransferShapes } from './shapes-transfer';

const [plainBackup, plainRestore] = plainTransferShapes;
/** The witness reads the disk, too. */
const backup: Shape = { ...plainBackup, asks: { kind: 'full', witness: 'never' } };
const restore: Shape = { ...plainRestore, source: 'full' };

/** Half of the disk, in pieces all over it. */
const piecesMib = 6;
const incrementalBytes = (diskMib / 2) * mib;
const incremental: Shape = {
  ...plainBackup, name: 'incremental backup', asks: { kind: 'incremental', witness: 'never' }, makes: { kind: 'incremental', on: 'full' },
  prepare: async (lane) => {
    await lane.sources.readyForTransfer();
    for (const disk of lane.vm.disks) for (let at = 0; at < diskMib; at += 2 * piecesMib) await changedAt(lane.stack, disk, at * mib, piecesMib * mib);
    await lane.reread();
  },
};

const reading = (lane: Lane): Promise<ExportWatch> => Promise.resolve(ExportWatch.begin(lane, 'rchar'));
const writing = (lane: Lane): Promise<ExportWatch> => Promise.resolve(ExportWatch.begin(lane, 'wchar'));

async function cutAt60(lane: Lane): Promise<string> {
  await durableAt(lane, 0.6);
  await sleep(worstMs);
  return takenOver(lane);
}

const resumedBackup = measured(copyCell(backup, 'data worker killed at 60 % of the copy', cutAt60), reading);
const resumedIncremental = measured(copyCell(incremental, 'data worker killed at 60 % of the copy', cutAt60, incrementalBytes), reading, incrementalBytes);

/** The host forgets the ticket while nobody is at it: the next worker finds it gone, and the copy goes on through another transfer. */
function throughNewTicket(shape: Shape, bytes?: number): CellPlan {
  let watch: ExportWatch | undefined;
  const cut = async (lane: Lane, _run: Started, { faults }: UnderWay): Promise<string> => {
    await durableAt(lane, 0.6);
    await sleep(worstMs);
    const [diskId = ''] = lane.vm.disks.map(({ id }) => id);
    return takenOver(lane, () => faults.add({ kind: 'ticket-lost', diskId }));
  };
  const cell = measured(copyCell(shape, 'data worker killed at 60 % of the copy, and its ticket is lost', cut, bytes), async (lane) => (watch = await reading(lane)), bytes);
  const transfers = ({ vm }: Lane): number => watch?.of(vm.disks.map(({ id }) => id)).length ?? 0;
  return { ...cell, alsoJudge: async (lane, run, end) => [...((await cell.alsoJudge?.(lane, run, end)) ?? []), ...(transfers(lane) === 2 ? [] : [`the disk was read through ${transfers(lane)} image transfers, not through a second one`])] };
}

/** The disk that the restore has made. */
async function madeBy({ stack, vm }: Lane): Promise<string> {
  const made = (await ask.disks(stack)).find(({ id, alias }) => alias === vm.disks[0]?.alias && id !== vm.disks[0].id);
  if (!made) throw new Error('the restore has made no disk');
  return made.id;
}

/** Waits until so much is written to the disk that the restore has made. */
function writtenTo(lane: Lane, watch: ExportWatch, share: number): Promise<unknown> {
  return until(`${share * 100} % are written`, async () => {
    const diskId = await madeBy(lane).catch(() => undefined);
    return diskId !== undefined && watch.of([diskId]).reduce((sum, { wchar }) => sum + wchar, 0) >= share * dataBytes;
  }, reachLimitMs);
}

async function watched(lane: Lane, work: (watch: ExportWatch) => Promise<string>): Promise<string> {
  const watch = await writing(lane);
  return work(watch).finally(() => watch.end());
}

const resumedRestore = measured(copyCell(restore, 'data worker killed at 60 % of the upload', (lane) => watched(lane, async (watch) => {
  await writtenTo(lane, watch, 0.6);
  return takenOver(lane);
})), writing);

/** The engine gives an upload no other ticket: it is cancelled, which takes its disk with it, and begun anew. */
const uploadLost: CellPlan = copyCell(restore, 'its ticket is lost at 40 % of the upload', (lane, _run, { faults }) => watched(lane, async (watch) => {
  await writtenTo(lane, watch, 0.4);
  await faults.add({ kind: 'ticket-lost', diskId: await madeBy(lane) });
  return '';
}));

/** Its attempt is no longer the one that counts: it must let go of image and ticket, whatever it had in hand. */
const restoreStoppedAndWoken = copyCell(restore, 'data worker stopped (SIGSTOP) at 20 % of the upload, woken (SIGCONT) after another took over', (lane) => watched(lane, async (watch) => {
  const [stale, second] = lane.dataWorkers;
  await writtenTo(lane, watch, 0.2);
  stale.signal('SIGSTOP');
  await second.start();
  await writtenTo(lane, watch, 0.5);
  if (imageServersOf(second.pid).length === 0) throw new Error('the other worker did not take over');
  stale.signal('SIGCONT');
  await until('the stale worker has let go of the image', () => Promise.resolve(imageServersOf(stale.pid).length === 0));
  if (!stale.isRunning) throw new Error(`the stale worker did not live on (${stale.endedBy ?? ''}), so it proved nothing`);
  return 'data worker: SIGSTOP, takeover, SIGCONT';
}));

const woken = copyCell(backup, 'data worker stopped (SIGSTOP) at 20 %, woken (SIGCONT) after another took over', stoppedAndWoken);

export const transferCopyCells: readonly CellPlan[] = [resumedBackup, throughNewTicket(backup), resumedIncremental, throughNewTicket(incremental, incrementalBytes), woken, resumedRestore, uploadLost, restoreStoppedAndWoken];
