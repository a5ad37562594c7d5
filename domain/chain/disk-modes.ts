// Which disks an incremental backup on a given base reads in full, and why. The engine decides per disk when the backup is `ready`; this
// is the prediction, and it is binding where our own image has no parent to lie on.
import type { ChainBackup, ChainDisk, DiskMode, EngineCheckpoint, VmPast } from './facts';
import { because, type ChainReason } from './reasons';

export interface DiskModeFacts {
  readonly disks: readonly ChainDisk[];
  readonly base: ChainBackup;
  readonly checkpoint: EngineCheckpoint | undefined;
  readonly past: VmPast;
}

export function diskModes({ disks, ...facts }: DiskModeFacts): DiskMode[] {
  return disks.map((disk) => {
    const reason = whyFull(disk, facts);
    return reason === undefined ? { diskId: disk.diskId, mode: 'incremental' } : { diskId: disk.diskId, mode: 'full', reason };
  });
}

function whyFull(disk: ChainDisk, { base, checkpoint, past }: Omit<DiskModeFacts, 'disks'>): ChainReason | undefined {
  const name = `Disk ${disk.alias} (${disk.diskId})`;
  if (!disk.tracked) return because('disk.no-tracking', `${name} has no change tracking: enable incremental backup on it in the engine (its format must be cow).`);
  const before = base.disks.find((each) => each.diskId === disk.diskId);
  if (before === undefined) return because('disk.added', `${name} is not in backup ${base.backupId}: it was added since, or left out then.`);
  if (before.virtualBytes !== disk.virtualBytes) return because('disk.resized', `${name} was resized from ${before.virtualBytes} to ${disk.virtualBytes} bytes since backup ${base.backupId}.`);
  if (checkpoint?.diskIds === undefined || checkpoint.diskIds.includes(disk.diskId)) return undefined;
  if (past.detachedAgeMs !== undefined && past.detachedAgeMs <= base.ageMs) return because('disk.wiped', `${name} is no longer in checkpoint ${checkpoint.id}: the engine wiped its change tracking when it, or a snapshot of it, was detached.`);
  return because('disk.not-in-checkpoint', `${name} is not in checkpoint ${checkpoint.id}: it was not tracked yet when backup ${base.backupId} was made, or its tracking was wiped since.`);
}

export function removedDisks(disks: readonly ChainDisk[], base: ChainBackup): ChainReason[] {
  const there = new Set(disks.map((disk) => disk.diskId));
  return base.disks.filter((disk) => !there.has(disk.diskId)).map(({ diskId }) => because('disk.removed', `Disk ${diskId} of backup ${base.backupId} is not in this one: it was removed from the VM, or is left out now.`));
}
