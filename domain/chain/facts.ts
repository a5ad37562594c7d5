// What the choice of a kind looks at: disks of the VM, backups in repositories, checkpoints of the engine. Ages come from outside: nothing
// here has a clock. Sizes are bytes.
import type { Manifest } from '../manifest';
import type { ChainReason } from './reasons';

export interface ChainDisk {
  readonly diskId: string;
  readonly alias: string;
  readonly virtualBytes: number;
  /** Change tracking is enabled (oVirt's `backup` is `incremental`). */
  readonly tracked: boolean;
}

/** A backup of the VM by the method `transfer`. */
export interface ChainBackup {
  readonly backupId: string;
  readonly kind: Manifest['kind'];
  readonly baseBackupId: string | null;
  readonly sealed: boolean;
  /** The checkpoint that began with it; null when no disk of it was tracked. */
  readonly checkpointId: string | null;
  readonly disks: readonly { readonly diskId: string; readonly virtualBytes: number; /** The backup on whose image of this disk this one lies. */ readonly baseBackupId: string | null }[];
  readonly verification: 'none' | 'passed' | 'failed';
  /** What looking at its manifests, images and digests has found wrong; undefined: nothing, or nobody has looked. */
  readonly damage?: string | undefined;
  /** Retention no longer keeps it for its own sake. */
  readonly expired: boolean;
  readonly ageMs: number;
}

export interface EngineCheckpoint {
  readonly id: string;
  readonly parentId: string | null;
  readonly state: 'created' | 'invalid';
  /** A manifest or a holding of ours names it. */
  readonly ours: boolean;
  /** undefined: not asked. */
  readonly diskIds?: readonly string[] | undefined;
}

export interface ChainPolicy {
  /** Images that a restore reads one through the other: 1 makes every backup a full one. */
  readonly maxChainLength: number;
  /** A chain whose full backup is as old as this gets no further backup. */
  readonly fullEveryMs?: number | undefined;
}

/** What happened to the VM that breaks chains; undefined: nothing is known of it. */
export interface VmPast {
  /** The last time that a snapshot of the VM was restored or committed. */
  readonly snapshotRestoredAgeMs?: number | undefined;
  /** The last time that one of its disks, a snapshot's included, was detached from a VM: newer engines wipe its change tracking then. */
  readonly detachedAgeMs?: number | undefined;
  /** The run to this repository whose backup the host's checksum contradicted; no backup was made since. */
  readonly contradictedBy?: string | undefined;
}

export interface DiskMode {
  readonly diskId: string;
  /** oVirt's `backup_mode`. The engine decides; `incremental` here is what it may still make `full`, `full` here is read in full whatever it says. */
  readonly mode: 'full' | 'incremental';
  readonly reason?: ChainReason;
}
