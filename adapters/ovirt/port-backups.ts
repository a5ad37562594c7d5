// The part of the engine port that moves data without an appliance: VM backups, their checkpoints, image transfers. Like all of the port:
// one call per REST request, no waiting, sizes in bytes, times in ISO 8601.

export type VmBackupPhase = 'initializing' | 'starting' | 'ready' | 'finalizing' | 'succeeded' | 'failed' | 'other';

/** A backup as the engine makes it: the disks of one moment stay readable until it is finalized. */
export interface VmBackup {
  readonly id: string;
  /** Engines since 4.4.8 tell it. */
  readonly description?: string;
  /** `other`: some engines leave a phase out that is on the way to `ready`. */
  readonly phase: VmBackupPhase;
  /** The engine's own word, for messages. */
  readonly phaseText: string;
  readonly fromCheckpointId?: string;
  /** Not before the host has made it; never of a live or cold one without a disk that can be tracked. */
  readonly toCheckpointId?: string;
  readonly createdAt: string;
  /** Only of a hybrid one. */
  readonly snapshotId?: string;
}

export interface VmBackupDisk {
  readonly diskId: string;
  /** undefined: the engine does not tell, or no longer. */
  readonly mode?: 'full' | 'incremental';
}

export interface Checkpoint {
  readonly id: string;
  readonly parentId: string | null;
  readonly state: 'created' | 'invalid';
  readonly createdAt: string;
}

export const transferPhases = [
  ...(['initializing', 'transferring', 'resuming', 'paused_system', 'paused_user', 'cancelled_system', 'cancelled_user'] as const),
  ...(['finalizing_success', 'finalizing_failure', 'finalizing_cleanup', 'finished_success', 'finished_failure', 'finished_cleanup'] as const),
] as const;
export type TransferPhase = (typeof transferPhases)[number] | 'other';

/** Its URLs hold the ticket, which is a secret: never in a log, an error or a history. */
export interface ImageTransfer {
  readonly id: string;
  readonly phase: TransferPhase;
  /** The engine's own word, for messages. */
  readonly phaseText: string;
  readonly direction: 'download' | 'upload';
  /** The only object that the engine names: neither backup nor snapshot. */
  readonly diskId?: string;
  /** As the request had it. */
  readonly inactivityTimeoutSeconds?: number;
  /** At the host. Both URLs only while there is a ticket. */
  readonly transferUrl?: string;
  /** At the engine's proxy. */
  readonly proxyUrl?: string;
}

export interface NewVmBackup {
  readonly vmId: string;
  readonly diskIds: readonly string[];
  /** Incremental since then, disk by disk where the engine can. */
  readonly fromCheckpointId?: string;
  /** A failed freeze fails the backup. Only a live one knows. */
  readonly requireConsistency: boolean;
  /** Live or cold, never hybrid. */
  readonly legacy: boolean;
  /** The mark by which a lost reply is found again. */
  readonly description: string;
  /** Up to 36 of `a-zA-Z0-9_-`: by it the events of this request are found again. */
  readonly correlationId: string;
}

export interface NewTransfer {
  readonly diskId: string;
  readonly direction: 'download' | 'upload';
  readonly vmBackupId?: string;
  readonly inactivityTimeoutSeconds: number;
  readonly timeoutPolicy: 'legacy' | 'pause' | 'cancel';
  /** Up to 36 of `a-zA-Z0-9_-`: the mark by which the transfer's events are found again. */
  readonly correlationId: string;
}

export interface EngineBackups {
  /**
   * Returns at once, usually `initializing`. Its id is the engine's: that of the command that makes it. A backup with an id of the client's has no
   * command that a restarted engine could go on with, which fails it (event 10814, since 4.5.3: DbEntityCleanupManager.failUnmonitoredBackups).
   */
  startVmBackup(request: NewVmBackup): Promise<VmBackup>;
  /** The engine forgets one some 15 minutes (failed: 30) after its end. */
  getVmBackup(vmId: string, backupId: string): Promise<VmBackup | undefined>;
  listVmBackups(vmId: string): Promise<readonly VmBackup[]>;
  listVmBackupDisks(vmId: string, backupId: string): Promise<readonly VmBackupDisk[]>;
  /** Asks for its end; one that is not ready yet ends as `failed`. Absent or on its way to the end is fine; with a transfer that is not finished it is `engine.locked`. */
  finalizeVmBackup(vmId: string, backupId: string): Promise<void>;

  /** Where the host keeps what the guest overwrites during a live backup. The engine removes them at its end, but not those of a backup that it has lost track of. */
  listScratchDiskIds(backupId: string): Promise<readonly string[]>;

  /** Of all products. */
  listCheckpoints(vmId: string): Promise<readonly Checkpoint[]>;
  /** undefined: no such checkpoint. */
  listCheckpointDiskIds(vmId: string, checkpointId: string): Promise<readonly string[] | undefined>;
  /** Absent is fine. */
  removeCheckpoint(vmId: string, checkpointId: string): Promise<void>;

  /** Always of the raw content. Returns at once, usually `initializing`. */
  createTransfer(request: NewTransfer): Promise<ImageTransfer>;
  getTransfer(transferId: string): Promise<ImageTransfer | undefined>;
  listTransfers(): Promise<readonly ImageTransfer[]>;
  /** Keeps an idle one alive. Like the three below it is answered with success for an absent or finished one too: only its phase tells. */
  extendTransfer(transferId: string): Promise<void>;
  /** Not paused is fine. */
  resumeTransfer(transferId: string): Promise<void>;
  finalizeTransfer(transferId: string): Promise<void>;
  /** Of an upload: the engine removes the disk. */
  cancelTransfer(transferId: string): Promise<void>;

  /** Both ask the guest's agent. */
  freezeVm(vmId: string): Promise<void>;
  thawVm(vmId: string): Promise<void>;
}
