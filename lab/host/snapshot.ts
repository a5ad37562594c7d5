// External snapshots: a new empty layer per disk. Live, all disks change over in one QMP transaction while the guest is frozen
// (best effort, as oVirt's host does it by itself); of a VM that is down, only the files are made. All disks or none.
import { z } from 'zod';
import { AgentRefusal, type AgentTurn } from './agent-client';
import { closeNodeIfOpen, openDetachedLayer, volumeNode } from './block-graph';
import type { HostLog } from './host-options';
import { HostError, type SnapshotDisk, type SnapshotOutcome } from './port';
import { waitUntilGone } from './processes';
import type { RunningVm } from './running-vm';
import { describeVolume, type Storage } from './storage';
import { removeFile, writeJsonFile } from './state-file';
import { toHostError } from './tools';

const pingLimitMs = 5_000;
const freezeLimitMs = 8_000;
const thawLimitMs = 10_000;
const thawAttempts = 3;
const dyingMs = 2_000;

export async function snapshotCold(storage: Storage, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome> {
  await createNextVolumes(storage, disks);
  return { frozen: false };
}

export async function snapshotLive(vm: RunningVm, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome> {
  const { storage } = vm.host;
  const plugged = disks.filter((disk) => isActiveHere(vm, disk));
  await createNextVolumes(storage, disks);
  let frozen = false;
  try {
    for (const { next } of plugged) await openDetachedLayer(vm, { volume: next, path: storage.volumePath(next), format: 'cow' });
    const actions = plugged.map(({ current, next }) => ({ type: 'blockdev-snapshot', data: { node: volumeNode(current), overlay: volumeNode(next) } }));
    if (actions.length > 0) frozen = await aroundFrozen(vm, () => vm.qmp.execute('transaction', { actions }));
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

async function createNextVolumes(storage: Storage, disks: readonly SnapshotDisk[]): Promise<void> {
  const created: SnapshotDisk[] = [];
  try {
    for (const disk of disks) {
      const { virtualBytes } = await storage.volumeInfo(disk.current);
      const backing = { volumeId: disk.current.volumeId, format: disk.currentFormat };
      await storage.createVolume({ ...disk.next, format: 'cow', virtualBytes, sparse: true, backing });
      created.push(disk);
    }
  } catch (error) {
    for (const { next } of created) await storage.unlinkVolume(next);
    throw toHostError(error, disks.map(({ current }) => describeVolume(current)).join(', '));
  }
}

/** Thaws in every case, as long as the host itself froze; a guest that its owner had frozen before stays so. */
async function aroundFrozen(vm: RunningVm, work: () => Promise<unknown>): Promise<boolean> {
  return vm.agent.turn(async (turn) => {
    const before = await fsfreezeStatus(turn);
    if (before === 'frozen') {
      await work();
      return true;
    }
    await writeJsonFile(vm.paths.frozenByHost, {});
    try {
      const frozen = before === 'thawed' && (await tryFreeze(turn, vm.host.log, vm));
      await work();
      return frozen;
    } finally {
      if (before === 'thawed') await thawAnyway(turn, vm);
      await removeFile(vm.paths.frozenByHost).catch(() => undefined); // the snapshot is taken whatever happens here
    }
  });
}

async function fsfreezeStatus(turn: AgentTurn): Promise<'thawed' | 'frozen' | 'unknown'> {
  try {
    return z.enum(['thawed', 'frozen']).parse(await turn.execute('guest-fsfreeze-status', {}, pingLimitMs));
  } catch {
    return 'unknown'; // no agent: a snapshot without a freeze is still a snapshot
  }
}

async function tryFreeze(turn: AgentTurn, log: HostLog, vm: RunningVm): Promise<boolean> {
  try {
    await turn.execute('guest-fsfreeze-freeze', {}, freezeLimitMs);
    return true;
  } catch (error) {
    log.warn({ vmId: vm.vmId, error: String(error) }, `${vm.label} could not be frozen; the snapshot is taken all the same`);
    return false;
  }
}

async function thawAnyway(turn: AgentTurn, vm: RunningVm): Promise<void> {
  for (let attempt = 1; attempt <= thawAttempts; attempt += 1) {
    try {
      await turn.execute('guest-fsfreeze-thaw', {}, thawLimitMs);
      return;
    } catch (error) {
      vm.host.log.warn({ vmId: vm.vmId, attempt, error: String(error) }, `${vm.label} could not be thawed`);
    }
  }
}

/** The engine's own freeze and thaw: asked for, so a failure is an error. */
export async function freezeGuest(vm: RunningVm): Promise<{ readonly filesystems: number }> {
  if (!(await vm.agent.answers(pingLimitMs))) throw new HostError('agent-unavailable', `${vm.label}: the guest agent does not answer; nothing was frozen`);
  try {
    return { filesystems: z.number().parse(await vm.agent.execute('guest-fsfreeze-freeze', {}, freezeLimitMs)) };
  } catch (error) {
    await vm.agent.execute('guest-fsfreeze-thaw', {}, thawLimitMs).catch(() => undefined); // a freeze that came too late must not stay
    throw asFreezeFailure(error, vm);
  }
}

export async function thawGuest(vm: RunningVm): Promise<{ readonly filesystems: number }> {
  try {
    return { filesystems: z.number().parse(await vm.agent.execute('guest-fsfreeze-thaw', {}, thawLimitMs)) };
  } catch (error) {
    throw asFreezeFailure(error, vm);
  }
}

function asFreezeFailure(error: unknown, vm: RunningVm): Error {
  return error instanceof AgentRefusal ? new HostError('freeze-failed', `${vm.label}: ${error.message}`) : toHostError(error, vm.label, 'agent-unavailable');
}
