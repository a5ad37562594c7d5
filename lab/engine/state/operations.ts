// Records of operations that outlive a request. One is written before the host is touched and deleted in the same
// write as the result, so that a killed engine knows at its next start what to resume or to take back.
import type { VolumeFormat, VolumeRef } from '../../host/port';
import type { ImageRecord } from './model';

interface Common {
  readonly id: string;
  readonly correlationId: string;
  readonly user: string;
  readonly jobId: string;
  readonly stepId: string;
}

export interface SnapshotVolume {
  readonly diskId: string;
  readonly current: VolumeRef;
  readonly currentFormat: VolumeFormat;
  readonly next: VolumeRef;
  readonly virtualBytes: number;
  /** The checkpoint that begins with this snapshot. */
  readonly toCheckpointId?: string;
}

export interface CreateSnapshotOperation extends Common {
  readonly kind: 'create-snapshot';
  readonly vmId: string;
  readonly snapshotId: string;
  readonly newActiveId: string;
  readonly disks: readonly SnapshotVolume[];
  /** Of a hybrid backup, which resumes it. */
  readonly backupId?: string;
}

export interface RemoveSnapshotOperation extends Common {
  readonly kind: 'remove-snapshot';
  readonly vmId: string;
  readonly snapshotId: string;
  /** Of a hybrid backup, which resumes it. */
  readonly backupId?: string;
}

export interface AddDiskOperation extends Common {
  readonly kind: 'add-disk';
  readonly diskId: string;
  readonly vmId?: string;
}

export interface RemoveDiskOperation extends Common {
  readonly kind: 'remove-disk';
  readonly diskId: string;
}

/** A plug in progress: taken back at restart, because the client never got an answer. */
export interface PlugDiskOperation extends Common {
  readonly kind: 'plug-disk';
  readonly vmId: string;
  readonly diskId: string;
  readonly onFailure: 'detach' | 'deactivate';
}

/** An unplug in progress: carried through at restart. */
export interface UnplugDiskOperation extends Common {
  readonly kind: 'unplug-disk';
  readonly vmId: string;
  readonly diskId: string;
  readonly then: 'detach' | 'deactivate';
}

/** Thin disks of a VM that comes from a template. */
export interface CopyTemplateOperation extends Common {
  readonly kind: 'copy-template';
  readonly vmId: string;
}

export interface RemoveVmOperation extends Common {
  readonly kind: 'remove-vm';
  readonly vmId: string;
  readonly vmName: string;
  readonly diskIds: readonly string[];
}

export interface PreviewSnapshotOperation extends Common {
  readonly kind: 'preview-snapshot';
  readonly vmId: string;
  readonly snapshotId: string;
  readonly newActiveId: string;
  readonly volumes: readonly ImageRecord[];
}

/** Volumes that no record names any more and whose files still have to go. */
export interface DropVolumesOperation extends Common {
  readonly kind: 'drop-volumes';
  readonly vmId: string;
  readonly volumes: readonly VolumeRef[];
}

/** From the answer to its last phase: what carries a backup on after a restart. A backup without one is nobody's any more. */
export interface VmBackupOperation extends Common {
  readonly kind: 'vm-backup';
  readonly backupId: string;
}

export interface RemoveCheckpointOperation extends Common {
  readonly kind: 'remove-checkpoint';
  readonly vmId: string;
  readonly checkpointId: string;
}

export interface ImageTransferOperation extends Common {
  readonly kind: 'image-transfer';
  readonly transferId: string;
}

export interface ResizeDiskOperation extends Common {
  readonly kind: 'resize-disk';
  readonly diskId: string;
  readonly virtualBytes: number;
}

export type OperationRecord =
  | CreateSnapshotOperation
  | RemoveSnapshotOperation
  | AddDiskOperation
  | RemoveDiskOperation
  | PlugDiskOperation
  | UnplugDiskOperation
  | CopyTemplateOperation
  | RemoveVmOperation
  | PreviewSnapshotOperation
  | DropVolumesOperation
  | VmBackupOperation
  | RemoveCheckpointOperation
  | ImageTransferOperation
  | ResizeDiskOperation;
