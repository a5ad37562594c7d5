// External snapshots: a new empty layer per disk. Live, all disks change over in one QMP transaction while the guest is frozen
// (best effort, as oVirt's host does it by itself); of a VM that is down, only the files are made. All disks or none.
import { continueInFile } from './bitmaps/file-bitmaps';
import { continueActions, liveBitmaps } from './bitmaps/live-bitmaps';
import { closeNodeIfOpen, openDetachedLayer, volumeNode } from './block-graph';
import { aroundFrozen } from './freeze';
import { HostError, type SnapshotDisk, type SnapshotOutcome } from './port';
import { waitUntilGone } from './processes';
import type { RunningVm } from './running-vm';
import { describeVolume, type Storage } from './storage';
import { toHostError } from './tools';

const dyingMs = 2_000;

export async function snapshotCold(storage: Storage, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome> {
  await createNextVolumes(storage, disks, disks);
  return { frozen: false };
}

export async function snapshotLive(vm: RunningVm, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome> {
  const { storage } = vm.host;
  const plugged = disks.filter((disk) => isActiveHere(vm, disk));
  await createNextVolumes(
    storage,
    disks,
    disks.filter((disk) => !plugged.includes(disk)),
  );
  let frozen = false;
  try {
    for (const { next } of plugged) await openDetachedLayer(vm, { volume: next, path: storage.volumePath(next), format: 'cow' });
    const tracked = await liveBitmaps(vm);
    const actions = plugged.flatMap(({ current, next, toCheckpointId }) => [
      { type: 'blockdev-snapshot', data: { node: volumeNode(current), overlay: volumeNode(next) } },
      ...continueActions(tracked(volumeNode(current)), volumeNode(next), toCheckpointId),
    ]);
    if (actions.length > 0) frozen = await aroundFrozen(vm, { required: false }, () => vm.qmp.execute('transaction', { actions }));
  } catch (error) {
    await withdraw(vm, disks);
    throw toHostError(error, `snapshot of ${vm.label}`);
  }
  for (const { diskId, next } of plugged) {
    const disk = vm.disks.get(diskId);
    if (disk) vm.disks.set(diskId, { ...disk, top: next, format: 'cow' });
  }
  await vm.saveSpec();
  return { frozen };
}

/** QEMU and the image locks have the last word: had the guest changed over after all, its volume would be in use and stay. */
async function withdraw(vm: RunningVm, disks: readonly SnapshotDisk[]): Promise<void> {
  for (const { next } of disks) {
    try {
      // A QEMU that has died can close nothing any more: its locks go with it.
      await closeNodeIfOpen(vm, volumeNode(next)).catch(async (error: unknown) => {
        if (!(await waitUntilGone(vm.process, dyingMs))) throw error;
      });
      await vm.host.storage.removeVolume(next);
    } catch (error) {
      vm.host.log.warn({ vmId: vm.vmId, volumeId: next.volumeId, error: String(error) }, `${vm.label}: volume ${next.volumeId} of a failed snapshot stays`);
    }
  }
}

/** oVirt also snapshots disks that are attached but not plugged: for these the file is all there is to do. */
function isActiveHere(vm: RunningVm, disk: SnapshotDisk): boolean {
  const plugged = vm.disks.get(disk.diskId);
  if (!plugged || plugged.transient) return false;
  if (plugged.top.volumeId === disk.current.volumeId) return true;
  throw new HostError('qemu-failed', `${vm.label}: disk ${disk.diskId} writes to volume ${plugged.top.volumeId}, not to ${disk.current.volumeId}`);
}

/** `cold`: those that no QEMU writes to, whose bitmaps go on by the files alone. */
async function createNextVolumes(storage: Storage, disks: readonly SnapshotDisk[], cold: readonly SnapshotDisk[]): Promise<void> {
  const created: SnapshotDisk[] = [];
  try {
    for (const disk of disks) {
      const { virtualBytes } = await storage.volumeInfo(disk.current);
      const backing = { volumeId: disk.current.volumeId, format: disk.currentFormat };
      await storage.createVolume({ ...disk.next, format: 'cow', virtualBytes, sparse: true, backing });
      created.push(disk);
      if (cold.includes(disk)) await continueInFile(storage, disk.current, disk.next, disk.toCheckpointId);
    }
  } catch (error) {
    for (const { next } of created) await storage.unlinkVolume(next);
    throw toHostError(error, disks.map(({ current }) => describeVolume(current)).join(', '));
  }
}
