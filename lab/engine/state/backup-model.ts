// What the engine remembers of VM backups, checkpoints and image transfers. Same rules as model.ts; bitmaps, tickets and exports are the
// host's and are asked of it.

export interface CheckpointRecord {
  readonly id: string;
  readonly vmId: string;
  /** The chain of a VM is linear: the next older one. */
  readonly parentId?: string;
  readonly createdMs: number;
  readonly state: 'created' | 'invalid';
  readonly description: string;
  readonly diskIds: readonly string[];
}

/** The engine's own phases; what the API tells of them is resources/backups.ts. */
export type BackupPhase =
  | 'initializing'
  | 'creating_scratch_disks'
  | 'adding_bitmaps'
  | 'waiting_for_bitmaps'
  | 'starting'
  | 'ready'
  | 'finalizing'
  | 'finalizing_failure'
  | 'removing_snapshot'
  | 'succeeded'
  | 'failed';

export interface BackedUpDisk {
  readonly diskId: string;
  readonly mode: 'full' | 'incremental';
  /** In the to-checkpoint: cow. */
  readonly tracked: boolean;
  /** The volume that transfers read: the active one (cold), or the snapshot's (hybrid). A live backup is read where its export says. */
  readonly imageId: string;
  readonly scratchDiskId?: string;
  readonly export?: { readonly url: string; readonly sizeBytes: number; readonly dirty: boolean };
}

export type BackupKind = 'live' | 'cold' | 'hybrid';

export interface BackupRecord {
  readonly id: string;
  readonly vmId: string;
  readonly kind: BackupKind;
  readonly phase: BackupPhase;
  readonly fromCheckpointId?: string;
  /** The checkpoint that begins with this backup. */
  readonly toCheckpointId?: string;
  /** The API shows it: since the host was asked for it (live, cold), or since the backup is ready (hybrid). */
  readonly checkpointVisible: boolean;
  readonly description: string;
  readonly requireConsistency: boolean;
  readonly createdMs: number;
  readonly modifiedMs: number;
  readonly hostId?: string;
  readonly snapshotId?: string;
  readonly disks: readonly BackedUpDisk[];
  /** Hybrid: finalize was asked for, perhaps before `ready`. */
  readonly stopAsked: boolean;
  /** The client chose the id: it is not the id of the engine's command then. */
  readonly isNamed?: boolean;
}

export type TransferPhase =
  | 'initializing'
  | 'transferring'
  | 'resuming'
  | 'paused_system'
  | 'paused_user'
  | 'cancelled_system'
  | 'cancelled_user'
  | 'finalizing_success'
  | 'finalizing_failure'
  | 'finalizing_cleanup'
  | 'finished_success'
  | 'finished_failure'
  | 'finished_cleanup';

export interface TransferRecord {
  readonly id: string;
  readonly phase: TransferPhase;
  readonly direction: 'upload' | 'download';
  /** What was asked for, else the volume's own. */
  readonly format: 'raw' | 'cow';
  /** The volume's bytes as they are, and not its content over NBD. */
  readonly asFile: boolean;
  readonly diskId: string;
  /** The volume. */
  readonly imageId: string;
  readonly hostId?: string;
  readonly backupId?: string;
  /** A disk snapshot was named, not a disk. */
  readonly ofSnapshot: boolean;
  readonly shallow: boolean;
  readonly inactivitySeconds: number;
  readonly policy: 'legacy' | 'pause' | 'cancel';
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly active: boolean;
  readonly transferredBytes: number;
  /** There while the host has a ticket. */
  readonly ticket?: { readonly id: string; readonly sizeBytes: number; readonly expiresMs: number; readonly renewalFailed: boolean };
  /** Data went through the host: an export may have to be ended. */
  readonly prepared: boolean;
}

export function isUnfinished(backup: BackupRecord): boolean {
  return backup.phase !== 'succeeded' && backup.phase !== 'failed';
}

export function isFinal(phase: TransferPhase): boolean {
  return phase === 'finished_success' || phase === 'finished_failure';
}
