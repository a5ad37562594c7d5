// VM backups: the engine keeps the disks of one moment readable until the backup is finalized. Every activity looks at what the engine has and
// does what is still missing. Idempotency key: the VM backup's id, which is ours. Role control.
import type { Consistency } from '../domain/consistency';
import { HoldfastError } from '../domain/failures';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';

export interface VmBackupOfRun extends OfRun {
  readonly vmId: string;
  /** Chosen by the flow: the mark by which a lost reply is found again. */
  readonly vmBackupId: string;
}

export interface EnsureVmBackupInput extends VmBackupOfRun {
  readonly diskIds: readonly string[];
  readonly fromCheckpointId: string | null;
  /** As planning saw it. */
  readonly vmStatus: string;
  readonly quiesce: 'required' | 'best-effort' | 'off';
  /** Also the holding's mark. */
  readonly description: string;
}

export interface ReadyVmBackup {
  /** Where the next incremental backup can begin; null when no disk is tracked. */
  readonly checkpointId: string | null;
  readonly createdAt: string;
  /** Only of a hybrid one. */
  readonly snapshotId: string | null;
  readonly style: 'live' | 'cold' | 'hybrid';
  /** The engine decides the mode, disk by disk. */
  readonly disks: readonly { readonly diskId: string; readonly mode: 'full' | 'incremental' }[];
  readonly consistency: Consistency;
}

export interface VmBackupActivities {
  /** Started and `ready`. `backup.incremental-refused` when the engine cannot go on from that checkpoint, `backup.failed` otherwise. */
  ensureVmBackup(input: EnsureVmBackupInput): Promise<ReadyVmBackup>;
  /**
   * Finalized and over, the disks `ok`, a hybrid one's snapshot merged. Transfers of its disks that runs of ours left are ended first. Without
   * disk ids those count that the engine names. `keepCheckpoint`: once the backup is sealed; before that its checkpoint goes too.
   */
  ensureVmBackupEnded(input: VmBackupOfRun & { readonly diskIds: readonly string[]; readonly keepCheckpoint: boolean }): Promise<void>;
  /** Only for what planning named as removable, or a holding as ours. Absent is done. */
  removeCheckpoint(input: OfRun & { readonly vmId: string; readonly checkpointId: string }): Promise<void>;
}

export function createVmBackupActivities(_: ControlDependencies): VmBackupActivities {
  const notYet = (): Promise<never> => Promise.reject(new HoldfastError('config.invalid', 'VM backups are not built yet.'));
  return { ensureVmBackup: notYet, ensureVmBackupEnded: notYet, removeCheckpoint: notYet };
}
