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
  /** Checkpoints of runs under way. */
  readonly inUse: readonly string[];
  /** The backup that will be sealed, with a checkpoint of its own, in the first repository before anything is removed. */
  readonly next?: Pick<ChainBackup, 'kind'> | undefined;
}

/** Ids, oldest first: the order in which they are to be removed. */
export function removableCheckpoints({ checkpoints, repositories, past, inUse, next }: CheckpointFacts): string[] {
  const needed = new Set([...inUse, ...repositories.flatMap((backups, index) => neededBy(backups, checkpoints, past, index === 0 ? next : undefined))]);
  return oldestFirst(checkpoints).filter((each) => each.ours && !needed.has(each.id)).map((each) => each.id);
}

/** The next incremental backup needs the newest backup's, the next differential one that of the last full one. */
function neededBy(backups: readonly ChainBackup[], checkpoints: readonly EngineCheckpoint[], past: VmPast, next: CheckpointFacts['next']): string[] {
  const ordered = newestFirst(backups);
  const usable = (backup: ChainBackup): boolean => defectOf(backup, { backups, checkpoints, past }) === undefined;
  const lastFull = next?.kind === 'full' ? undefined : ordered.find((backup) => backup.sealed && backup.kind === 'full');
  const needed = [next ? undefined : ordered.find(usable), lastFull !== undefined && usable(lastFull) ? lastFull : undefined];
  return needed.map((backup) => backup?.checkpointId ?? '').filter((id) => id !== '');
}
