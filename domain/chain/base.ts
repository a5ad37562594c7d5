// May a backup be the base of another one? What speaks against it, or what its chain is. Nobody's policy is asked here.
import { newerThan } from './checkpoint-line';
import type { ChainBackup, EngineCheckpoint, VmPast } from './facts';
import { ageText, because, type ChainReason } from './reasons';

export interface BaseFacts {
  /** Of one repository, in any order. */
  readonly backups: readonly ChainBackup[];
  readonly checkpoints: readonly EngineCheckpoint[];
  readonly past: VmPast;
}

export function newestFirst(backups: readonly ChainBackup[]): ChainBackup[] {
  return [...backups].sort((one, other) => one.ageMs - other.ageMs || (one.backupId < other.backupId ? -1 : 1));
}

/** From the backup down to its full one; undefined when a link is missing, goes in circles, or a disk's image has no image below it. */
export function chainOf(backup: ChainBackup, backups: readonly ChainBackup[]): ChainBackup[] | undefined {
  const chain: ChainBackup[] = [backup];
  for (let at = backup; at.baseBackupId !== null; ) {
    const base = backups.find((each) => each.backupId === at.baseBackupId);
    if (base === undefined || chain.includes(base)) return undefined;
    const disks = new Set(base.disks.map((disk) => disk.diskId));
    if (at.disks.some((disk) => disk.baseBackupId !== null && (disk.baseBackupId !== base.backupId || !disks.has(disk.diskId)))) return undefined;
    chain.push(base);
    at = base;
  }
  return chain.at(-1)?.kind === 'full' ? chain : undefined;
}

/** The first thing that forbids it. */
export function defectOf(backup: ChainBackup, facts: BaseFacts): ChainReason | undefined {
  return imageDefect(backup, facts.backups) ?? checkpointDefect(backup, facts);
}

function imageDefect(backup: ChainBackup, backups: readonly ChainBackup[]): ChainReason | undefined {
  const name = `backup ${backup.backupId}`;
  if (!backup.sealed) return because('base.not-sealed', `The last ${name} was never sealed, so nothing can lie on it.`);
  const chain = chainOf(backup, backups);
  if (chain === undefined || chain.some((each) => !each.sealed)) return because('base.incomplete', `A backup that ${name} depends on is missing in the repository, so nothing can lie on it.`);
  const damaged = chain.find((each) => each.damage !== undefined);
  if (damaged) return because('base.damaged', `Nothing more is built on ${name}: ${damaged.damage ?? ''}`);
  const failing = chain.find((each) => each.verification === 'failed');
  if (failing) return because('base.failing', `The last verification of backup ${failing.backupId} failed, so nothing more is built on it.`);
  if (backup.expired) return because('base.expired', `Retention no longer keeps ${name}, so nothing more is built on it.`);
  return undefined;
}

function checkpointDefect({ backupId, checkpointId, ageMs }: ChainBackup, { checkpoints, past }: BaseFacts): ChainReason | undefined {
  if (past.contradictedBy !== undefined) {
    return because('base.contradicted', `The host's checksum was not that of the backup that run ${past.contradictedBy} was about to seal: the engine's record of what changed, or a backup below, is wrong, so nothing more is built on them.`);
  }
  if (checkpointId === null) return because('base.no-checkpoint', `Backup ${backupId} has no checkpoint (none of its disks was tracked), so the engine cannot say what changed since.`);
  if (past.snapshotRestoredAgeMs !== undefined && past.snapshotRestoredAgeMs <= ageMs) {
    return because('snapshot.restored', `A snapshot of the VM was restored ${ageText(past.snapshotRestoredAgeMs)} ago, after backup ${backupId}: what the engine recorded as changed is not the difference to that backup.`);
  }
  const checkpoint = checkpoints.find((each) => each.id === checkpointId);
  if (checkpoint === undefined) return goneCheckpoint(backupId, checkpointId, ageMs, past);
  if (!checkpoint.ours) return because('checkpoint.foreign', `Checkpoint ${checkpointId}, which backup ${backupId} names, was not made by Holdfast on this engine: it is neither used nor touched.`);
  if (checkpoint.state === 'invalid') return because('checkpoint.invalid', `The engine declares checkpoint ${checkpointId} of backup ${backupId} invalid.`);
  const newer = newerThan(checkpointId, checkpoints);
  if (newer === undefined) return because('checkpoint.broken-line', `Checkpoint ${checkpointId} of backup ${backupId} is not on one line with the VM's newest checkpoint, so what changed since cannot be added up.`);
  const invalid = newer.find((each) => each.state === 'invalid');
  if (invalid === undefined) return undefined;
  const whose = invalid.ours ? 'It is removed.' : 'It belongs to another product: remove it there, or with the engine\'s API.';
  return because('checkpoint.invalid', `Checkpoint ${invalid.id}, which is newer than that of backup ${backupId}, is invalid, so what changed since cannot be added up. ${whose}`);
}

function goneCheckpoint(backupId: string, checkpointId: string, ageMs: number, { detachedAgeMs }: VmPast): ChainReason {
  if (detachedAgeMs !== undefined && detachedAgeMs <= ageMs) {
    return because('checkpoint.wiped', `Checkpoint ${checkpointId} of backup ${backupId} is gone: a disk of the VM was detached ${ageText(detachedAgeMs)} ago (a backup by the method "appliance" does that too), and newer engines wipe its change tracking then.`);
  }
  return because('checkpoint.missing', `The engine no longer has checkpoint ${checkpointId} of backup ${backupId}: another product removed it, or the engine removed all of the VM's checkpoints (event 10791).`);
}
