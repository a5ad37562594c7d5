// Removing a snapshot: the data of `top` goes down into `base`, and `top` disappears. Live through QEMU's block-commit (it also
// swaps the active layer), cold through qemu-img. Both may be asked again after an interruption and then finish what was begun.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { carryDownInFiles } from './bitmaps/file-bitmaps';
import { carryDownLive, removeLiveBitmaps } from './bitmaps/live-bitmaps';
import { chainInQemu, closeNodeIfOpen, pluggedNodes, volumeNode } from './block-graph';
import { HostError, type MergeDisk, type VolumeRef } from './port';
import type { RunningVm } from './running-vm';
import { describeVolume, driverOf, exists, type Storage } from './storage';
import { runTool, toHostError } from './tools';

type Progress = (percent: number) => void;

const jobsSchema = z.array(
  z.object({ id: z.string(), status: z.string(), 'current-progress': z.number(), 'total-progress': z.number(), error: z.string().optional() }),
);
type Job = z.infer<typeof jobsSchema>[number];

const jobId = (merge: Pick<MergeDisk, 'top'>): string => `merge-${merge.top.volumeId}`;

export async function mergeCold(storage: Storage, merge: MergeDisk, onProgress: Progress): Promise<void> {
  const { base, top } = merge;
  const topPath = storage.volumePath(top);
  if (!(await exists(topPath)) && (await exists(storage.volumePath(base)))) return storage.unlinkVolume(top);
  await refuseStrangers(storage, merge);
  const child = await storage.childOf(top);
  try {
    await runTool('qemu-img', ['commit', '-p', '-d', '-f', 'qcow2', '-b', base.volumeId, topPath], {
      onOutput: (text) => {
        for (const [, percent] of text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)) onProgress(Number(percent));
      },
    });
    await carryDownInFiles(storage, merge);
    // -u: the data below the child is the same before and after, only the name of the file that holds it changes.
    if (child) await runTool('qemu-img', ['rebase', '-q', '-u', '-f', 'qcow2', '-b', base.volumeId, '-F', driverOf(await storage.formatOf(base)), storage.volumePath(child)]);
  } catch (error) {
    throw toHostError(error, `merging ${describeVolume(top)} into ${base.volumeId}`, 'job-failed');
  }
  await storage.removeVolume(top);
}

/** `top` must rest on `base`: committing into anything else destroys data. */
async function refuseStrangers(storage: Storage, { base, top }: MergeDisk): Promise<void> {
  const { backingVolumeId } = await storage.volumeInfo(top);
  if (backingVolumeId !== base.volumeId) throw new HostError('job-failed', `${describeVolume(top)} rests on ${backingVolumeId ?? 'nothing'}, not on ${base.volumeId}`);
}

export async function mergeLive(vm: RunningVm, merge: MergeDisk, onProgress: Progress): Promise<void> {
  const { storage } = vm.host;
  const chain = await chainInQemu(vm, merge.diskId);
  const has = (volume: VolumeRef): boolean => chain.some(({ volumeId }) => volumeId === volume.volumeId);
  const begun = await findJob(vm, merge);
  if (!begun && has(merge.base) && !has(merge.top) && !(await exists(storage.volumePath(merge.top)))) return storage.unlinkVolume(merge.top); // its .meta may be left
  const stillInUse = begun !== undefined || (await restsInUse(vm, merge));
  if (stillInUse && !begun) await startJob(vm, merge);
  const guest = new HeldGuest(vm);
  try {
    if (stillInUse) await followJob(vm, merge, onProgress, guest);
    await closeNodeIfOpen(vm, volumeNode(merge.top));
    const disk = vm.disks.get(merge.diskId);
    if (disk && disk.top.volumeId === merge.top.volumeId) vm.disks.set(merge.diskId, { ...disk, top: merge.base, format: await storage.formatOf(merge.base) });
    await vm.saveSpec();
    await storage.removeVolume(merge.top);
  } finally {
    await guest.release();
  }
}

/** One merge's share in holding the guest still. */
class HeldGuest {
  private held = false;

  constructor(private readonly vm: RunningVm) {}

  async hold(): Promise<void> {
    if (!this.held) await this.vm.hold();
    this.held = true;
  }

  async release(): Promise<void> {
    if (this.held && !this.vm.isOver) await this.vm.letGo();
  }
}

/** False when an earlier, interrupted merge got as far as taking `top` out of the disk's chain. */
async function restsInUse(vm: RunningVm, { diskId, base, top, topIsActive }: MergeDisk): Promise<boolean> {
  const active = (await pluggedNodes(vm)).get(diskId);
  if (active === undefined) throw new HostError('job-failed', `${vm.label}: disk ${diskId} is not plugged`);
  const layers = await vm.host.storage.chain(refAt(vm, active.file, diskId));
  const ids = layers.map(({ volume }) => volume.volumeId);
  const place = ids.indexOf(top.volumeId);
  if (place < 0 && ids.includes(base.volumeId)) return false;
  // A wrong idea of which layer is active would commit everything above `base`.
  if (place >= 0 && ids[place + 1] === base.volumeId && (place === 0) === topIsActive) return true;
  throw new HostError('job-failed', `${vm.label}: the chain of disk ${diskId} is ${ids.join(' > ')}; volume ${top.volumeId} does not rest on ${base.volumeId} there as its ${topIsActive ? 'active' : 'inner'} layer`);
}

function refAt(vm: RunningVm, file: string, diskId: string): VolumeRef {
  const volume = vm.host.storage.volumeAt(file);
  if (!volume) throw new HostError('job-failed', `${vm.label}: disk ${diskId} sits on ${path.basename(file)}, which cannot be merged`);
  return volume;
}

async function startJob(vm: RunningVm, merge: MergeDisk): Promise<void> {
  const active = (await pluggedNodes(vm)).get(merge.diskId);
  // The job stays listed after its end until it is dismissed, so that its outcome is not lost with the lab that started it. Before it changes
  // the chain it waits until the bitmaps have gone down as well.
  const common = { 'job-id': jobId(merge), device: active?.name, 'base-node': volumeNode(merge.base), 'auto-dismiss': false, 'auto-finalize': false };
  const middle = merge.topIsActive ? {} : { 'top-node': volumeNode(merge.top), 'backing-file': merge.base.volumeId };
  try {
    await vm.qmp.execute('block-commit', { ...common, ...middle });
  } catch (error) {
    throw toHostError(error, `merging ${describeVolume(merge.top)} of ${vm.label}`, 'job-failed');
  }
}

async function findJob(vm: RunningVm, merge: MergeDisk): Promise<Job | undefined> {
  return jobsSchema.parse(await vm.qmp.execute('query-jobs')).find(({ id }) => id === jobId(merge));
}

/** Data before change tracking: bitmaps that cannot be carried down hold up no merge, but none of the disk's may pass for whole then. */
async function finalizeJob(vm: RunningVm, merge: Pick<MergeDisk, 'base' | 'top'>): Promise<void> {
  await carryDownLive(vm, merge).catch(async (error: unknown) => {
    vm.host.log.warn({ vmId: vm.vmId, error: String(error) }, `${vm.label}: bitmaps of ${describeVolume(merge.top)} are lost in its merge`);
    const active = vm.disks.get(merge.base.diskId)?.top;
    for (const volume of active ? [active, merge.base] : [merge.base]) await removeLiveBitmaps(vm, volume, () => true);
  });
  await vm.qmp.execute('job-finalize', { id: jobId(merge) }).catch(() => undefined); // asked a moment before; the next look tells
}

/** After a lab that was killed in between: QEMU holds the guest's requests to that disk until its merge may end. */
export async function finalizePendingMerges(vm: RunningVm): Promise<void> {
  for (const { id, status } of jobsSchema.parse(await vm.qmp.execute('query-jobs'))) {
    const layers = status === 'pending' ? [...vm.disks.keys()].map((diskId) => chainInQemu(vm, diskId)) : [];
    const top = (await Promise.all(layers)).flat().find((volume) => jobId({ top: volume }) === id);
    if (!top) continue;
    const [, base] = await vm.host.storage.chain(top);
    if (base) {
      await finalizeJob(vm, { top, base: base.volume });
      while (jobsSchema.parse(await vm.qmp.execute('query-jobs')).some((job) => job.id === id && job.status !== 'concluded')) await sleep(10);
    }
  }
}

/**
 * The active layer is never "done" by itself, the guest keeps writing to it: QEMU waits for leave to change over. The guest is held
 * still from before the change until `top` is deleted: were it to write into `base` and everything to die in between, the next merge
 * could not know that `top` is the older of the two, and would commit old data over new.
 */
async function followJob(vm: RunningVm, merge: MergeDisk, onProgress: Progress, guest: HeldGuest): Promise<void> {
  const id = jobId(merge);
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    const job = await findJob(vm, merge);
    if (!job) throw new HostError('job-failed', `${vm.label}: the merge of ${describeVolume(merge.top)} ended without an outcome`);
    if (job['total-progress'] > 0) onProgress(Math.min(100, Math.floor((100 * job['current-progress']) / job['total-progress'])));
    if (job.status === 'ready') {
      await guest.hold();
      await vm.qmp.execute('job-complete', { id }).catch(() => undefined); // asked a moment before; the next look tells
      pauseMs = 5;
    }
    if (job.status === 'pending') {
      if (merge.topIsActive) await guest.hold();
      await finalizeJob(vm, merge);
      pauseMs = 5;
    }
    if (job.status === 'concluded') {
      await vm.qmp.execute('job-dismiss', { id });
      if (job.error !== undefined) throw new HostError('job-failed', `merging ${describeVolume(merge.top)} of ${vm.label} failed: ${job.error}`);
      onProgress(100);
      return;
    }
    await sleep(pauseMs);
  }
}
