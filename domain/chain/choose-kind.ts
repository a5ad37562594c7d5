// Which kind is this backup, on which base, and why? Pure: a chain that cannot be continued is answered with a full backup and its reason,
// or refused with the same reason when the caller insists on the kind.
import { chainOf, defectOf, newestFirst } from './base';
import { newerThan } from './checkpoint-line';
import { diskModes, removedDisks } from './disk-modes';
import type { ChainBackup, ChainDisk, ChainPolicy, DiskMode, EngineCheckpoint, VmPast } from './facts';
import { ageText, because, type ChainReason } from './reasons';
import { removableCheckpoints } from './removable-checkpoints';

export interface ChainFacts {
  readonly wanted: 'full' | 'incremental' | 'differential' | 'auto';
  /** The wanted kind or nothing. `auto` wants nothing in particular. */
  readonly strict: boolean;
  readonly policy: ChainPolicy;
  readonly disks: readonly ChainDisk[];
  /** Of this VM in the repository that the backup goes to. */
  readonly backups: readonly ChainBackup[];
  /** Of this VM in other repositories, one list for each: their checkpoints stay. */
  readonly elsewhere?: readonly (readonly ChainBackup[])[];
  /** All of the VM's, other products' too. */
  readonly checkpoints: readonly EngineCheckpoint[];
  readonly past: VmPast;
}

export interface Chosen {
  readonly kind: 'full' | 'incremental' | 'differential';
  readonly baseBackupId: string | null;
  readonly fromCheckpointId: string | null;
  readonly disks: readonly DiskMode[];
  readonly reason: ChainReason;
  /** What else is worth knowing, the most telling first. */
  readonly notes: readonly ChainReason[];
}

/** Checkpoints that no chain needs once the backup is sealed and has one of its own, the first one first. */
export interface Removable {
  readonly removableCheckpointIds: readonly string[];
  /** The same when it turns out on the way that only a full backup can be made. */
  readonly removableAfterFullIds: readonly string[];
}

/** `refused`: nothing is done, for this reason. */
export type KindChoice = ({ readonly refused: ChainReason } | Chosen) & Removable;

export function chooseKind(facts: ChainFacts): KindChoice {
  const choice = choose(facts);
  const { checkpoints, past } = facts;
  const removable = (sealing: Chosen['kind'] | undefined): string[] => removableCheckpoints({ checkpoints, repositories: [facts.backups, ...(facts.elsewhere ?? [])], past, sealing });
  return { ...choice, removableCheckpointIds: removable('refused' in choice ? undefined : choice.kind), removableAfterFullIds: removable('full') };
}

function choose(facts: ChainFacts): { readonly refused: ChainReason } | Chosen {
  if (facts.wanted === 'full') return full(facts, because('kind.asked', 'A full backup was asked for.'), []);
  if (!facts.disks.some((disk) => disk.tracked)) {
    return instead(facts, because('chain.no-tracking', 'No disk of the VM has change tracking: enable incremental backup on its disks in the engine (their format must be cow).'), []);
  }
  const candidates = candidatesFor(facts);
  if (candidates.length === 0) return instead(facts, because('chain.first', 'There is no backup of this VM by the method "transfer" in this repository yet.'), []);
  const defects: ChainReason[] = [];
  for (const base of candidates) {
    const defect = defectOf(base, facts);
    if (defect !== undefined) {
      defects.push(defect);
      continue;
    }
    const over = policyReason(base, facts);
    if (over !== undefined) return instead(facts, over, defects);
    const continued = onBase(base, facts, defects);
    if ('kind' in continued) return continued;
    defects.push(continued);
  }
  const [first = because('chain.first', 'There is no base.'), ...others] = defects;
  return instead(facts, first, others);
}

/** An incremental backup lies on the newest backup that can bear it; a differential one always on the last full one, or on none. */
function candidatesFor({ wanted, backups }: ChainFacts): ChainBackup[] {
  const ordered = newestFirst(backups);
  return wanted === 'differential' ? ordered.filter((backup) => backup.sealed && backup.kind === 'full').slice(0, 1) : ordered;
}

function policyReason(base: ChainBackup, { backups, policy }: ChainFacts): ChainReason | undefined {
  const chain = chainOf(base, backups) ?? [];
  const root = chain.at(-1);
  if (chain.length >= policy.maxChainLength) return because('chain.too-long', `The chain of backup ${base.backupId} has ${chain.length} backups, ${policy.maxChainLength} are allowed.`);
  if (root === undefined || policy.fullEveryMs === undefined || root.ageMs < policy.fullEveryMs) return undefined;
  return because('chain.full-due', `The last full backup ${root.backupId} is ${ageText(root.ageMs)} old; one is due every ${ageText(policy.fullEveryMs)}.`);
}

function onBase(base: ChainBackup, facts: ChainFacts, defects: readonly ChainReason[]): Chosen | ChainReason {
  const checkpoint = facts.checkpoints.find((each) => each.id === base.checkpointId);
  const disks = diskModes({ disks: facts.disks, base, checkpoint, past: facts.past });
  const reasons = disks.flatMap((disk) => (disk.reason === undefined ? [] : [disk.reason]));
  if (disks.every((disk) => disk.mode === 'full')) return because('chain.nothing-tracked', `On backup ${base.backupId} every disk would be read in full: ${reasons.map((each) => each.text).join(' ')}`);
  const kind = facts.wanted === 'differential' ? 'differential' : 'incremental';
  const length = (chainOf(base, facts.backups)?.length ?? 0) + 1;
  return {
    kind,
    baseBackupId: base.backupId,
    fromCheckpointId: base.checkpointId,
    disks,
    reason: because('chain.continued', `It continues the chain of backup ${base.backupId} (${base.kind}, ${ageText(base.ageMs)} old), of which it is number ${length} of at most ${facts.policy.maxChainLength}.`),
    notes: [...defects, ...reasons, ...removedDisks(facts.disks, base), ...othersBetween(base, facts.checkpoints)],
  };
}

function othersBetween({ checkpointId }: ChainBackup, checkpoints: readonly EngineCheckpoint[]): ChainReason[] {
  const foreign = (checkpointId === null ? [] : (newerThan(checkpointId, checkpoints) ?? [])).filter((each) => !each.ours);
  if (foreign.length === 0) return [];
  return [because('checkpoint.others-between', `Another product made ${foreign.length === 1 ? 'a checkpoint' : `${foreign.length} checkpoints`} since (${foreign.map((each) => each.id).join(', ')}): what changed is added up over them, and they are left alone.`)];
}

/** What was wanted cannot be. */
function instead(facts: ChainFacts, reason: ChainReason, notes: readonly ChainReason[]): { readonly refused: ChainReason } | Chosen {
  const insists = facts.strict && facts.wanted !== 'auto';
  return insists ? { refused: reason } : full(facts, reason, notes);
}

function full(facts: ChainFacts, reason: ChainReason, notes: readonly ChainReason[]): Chosen {
  return { kind: 'full', baseBackupId: null, fromCheckpointId: null, disks: facts.disks.map(({ diskId }) => ({ diskId, mode: 'full' })), reason, notes };
}
