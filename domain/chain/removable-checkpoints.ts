// Which checkpoints of ours does no chain need any more? Every checkpoint costs the guest's disks a bitmap (with too many, merges of
// snapshots fail: vdsm #352), so few are kept. Checkpoints that are not ours are nobody's business here.
import { defectOf, newestFirst } from './base';
import { oldestFirst } from './checkpoint-line';
import type { ChainBackup, EngineCheckpoint, VmPast } from './facts';

export interface CheckpointFacts {
  readonly checkpoints: readonly EngineCheckpoint[];
  /** The VM's backups by the method `transfer`, one list for each repository: chains in all of them count. */
  readonly repositories: readonly (readonly ChainBackup[])[];
  readonly past: VmPast;
  /** What the first repository is about to have, with a checkpoint of its own: from then on the newest one of now is not needed, and after a full one none. */
  readonly sealing?: ChainBackup['kind'] | undefined;
}

/** Ids, oldest first: the order in which they are to be removed. */
export function removableCheckpoints({ checkpoints, repositories, past, sealing }: CheckpointFacts): string[] {
  const needed = new Set(repositories.flatMap((backups, at) => neededBy(backups, at === 0 ? { checkpoints, past, sealing } : { checkpoints, past: { ...past, contradictedBy: undefined } })));
  return oldestFirst(checkpoints).filter((each) => each.ours && !needed.has(each.id)).map((each) => each.id);
}

/** The next incremental backup needs the newest backup's, the next differential one that of the last full one. */
function neededBy(backups: readonly ChainBackup[], { checkpoints, past, sealing }: Omit<CheckpointFacts, 'repositories'>): string[] {
  if (sealing === 'full') return [];
  const ordered = newestFirst(backups);
  const usable = (backup: ChainBackup): boolean => defectOf(backup, { backups, checkpoints, past }) === undefined;
  const lastFull = ordered.find((backup) => backup.sealed && backup.kind === 'full');
  const needed = [sealing === undefined ? ordered.find(usable) : undefined, lastFull !== undefined && usable(lastFull) ? lastFull : undefined];
  return needed.map((backup) => backup?.checkpointId ?? '').filter((id) => id !== '');
}
