// The engine as Holdfast sees it: one call per REST request, no waiting and no retries (Temporal owns both). Every call throws
// HoldfastError with an `engine.*` code; "not there" is `undefined` where the type says so. Sizes are bytes.
import type { DiskSettings } from '../../domain/disks';
import type { CertificateFacts, PermissionFacts } from '../../domain/doctor/judge-engine';
import type { EngineAwareness } from './port-awareness';
import type { EngineBackups } from './port-backups';

export type { Checkpoint, ImageTransfer, NewTransfer, NewVmBackup, TransferPhase, VmBackup, VmBackupDisk, VmBackupPhase } from './port-backups';
export { eventOrigin } from './port-awareness';
export type { NewEvent, PostedEvent } from './port-awareness';

export type VmStatus = 'up' | 'down' | 'paused' | 'powering_up' | 'powering_down' | 'image_locked' | 'other';
export type ObjectStatus = 'ok' | 'locked' | 'illegal' | 'other';

export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly status: VmStatus;
  /** The engine's own word, for messages. */
  readonly statusText: string;
  readonly comment: string;
  readonly clusterId: string;
  readonly clusterName?: string;
  readonly deleteProtected: boolean;
  readonly poolId?: string;
  /** The template it was made from; absent: Blank. */
  readonly templateId?: string;
  /** The engine runs in it, and refuses to back it up. */
  readonly isHostedEngine?: true;
}

/** A NIC of any VM. */
export interface Nic {
  readonly vmId: string;
  readonly vmName: string;
  readonly clusterId: string;
  /** As the engine spells it; empty: none. */
  readonly mac: string;
}

/** A disk attachment with its disk. */
export interface VmDisk {
  readonly settings: DiskSettings;
  readonly status: ObjectStatus;
  readonly storageType: 'image' | 'lun' | 'cinder' | 'managed_block_storage';
  readonly shareable: boolean;
  readonly contentType: string;
  /** Allocated, all layers of the disk together. */
  readonly actualBytes: number;
}

export interface Snapshot {
  readonly id: string;
  readonly description: string;
  readonly status: 'ok' | 'locked' | 'in_preview' | 'other';
  readonly type: 'regular' | 'active' | 'preview' | 'stateless' | 'other';
  /** ISO 8601. */
  readonly createdAt: string;
}

export interface SnapshotDisk {
  readonly diskId: string;
  /** Volume id of that snapshot. */
  readonly imageId: string;
  readonly status: ObjectStatus;
}

export interface Attachment {
  readonly diskId: string;
  readonly active: boolean;
  readonly interface: DiskSettings['interface'];
  readonly readOnly: boolean;
  readonly bootable: boolean;
  /** The snapshot whose disk is attached, where the engine tells; many do not. Absent is "not known", so ask your holding. */
  readonly snapshotId?: string;
}

export interface Disk {
  readonly id: string;
  readonly alias: string;
  readonly status: ObjectStatus;
  readonly virtualBytes: number;
}

export interface StorageDomain {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** In its data center: 'active', 'maintenance', …; undefined when unattached. */
  readonly status?: string;
  readonly availableBytes: number;
  readonly backup: boolean;
  readonly dataCenterId?: string;
}

export interface Cluster {
  readonly id: string;
  readonly name: string;
  readonly dataCenterId: string;
  readonly macPoolId?: string;
}

/** A way onto a network. */
export interface VnicProfile {
  readonly id: string;
  readonly name: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly dataCenterId: string;
}

export interface EngineEvent {
  readonly id: string;
  readonly code: number;
  readonly severity: 'normal' | 'warning' | 'error' | 'alert';
  readonly description: string;
  readonly correlationId?: string;
  /** ISO 8601, by the engine's clock. */
  readonly time?: string;
  readonly vmId?: string;
}

export interface NewDisk {
  /** Chosen by us: the mark by which a lost reply is found again. */
  readonly id: string;
  readonly settings: DiskSettings;
  readonly storageDomainId: string;
}

export interface Engine extends EngineBackups, EngineAwareness {
  readonly name: string;
  about(): Promise<{ readonly product: string; readonly version: string }>;

  /** `search` is an oVirt search expression; results come in the engine's order, paged by us (1-based pages of `max`). */
  listVms(query: { readonly search?: string; readonly max: number; readonly page: number }): Promise<readonly Vm[]>;
  getVm(vmId: string): Promise<Vm | undefined>;
  findVmByName(name: string): Promise<Vm | undefined>;
  listVmDisks(vmId: string): Promise<readonly VmDisk[]>;

  listSnapshots(vmId: string): Promise<readonly Snapshot[]>;
  getSnapshot(vmId: string, snapshotId: string): Promise<Snapshot | undefined>;
  listSnapshotDisks(vmId: string, snapshotId: string): Promise<readonly SnapshotDisk[]>;
  /** OVF of the snapshot (All-Content), exactly as the engine gave it. */
  getSnapshotConfiguration(vmId: string, snapshotId: string): Promise<string>;
  /** Without memory. Returns at once, usually `locked`, with the correlation id the engine really used (36 characters at most). */
  createSnapshot(request: { readonly vmId: string; readonly description: string; readonly diskIds: readonly string[] }): Promise<{ readonly snapshot: Snapshot; readonly correlationId: string }>;
  removeSnapshot(vmId: string, snapshotId: string): Promise<{ readonly correlationId: string }>;

  listAttachments(vmId: string): Promise<readonly Attachment[]>;
  getAttachment(vmId: string, diskId: string): Promise<Attachment | undefined>;
  /** Attaches a snapshot's disk, active, over virtio-scsi, to the appliance. */
  attachSnapshotDisk(request: { readonly vmId: string; readonly diskId: string; readonly snapshotId: string }): Promise<void>;
  attachDisk(request: { readonly vmId: string; readonly diskId: string; readonly interface: DiskSettings['interface']; readonly bootable: boolean; readonly active: boolean; readonly readOnly: boolean; readonly passDiscard: boolean }): Promise<void>;
  activateAttachment(vmId: string, diskId: string): Promise<void>;
  /** detach_only: never deletes the disk. Absent is fine. */
  detachDisk(vmId: string, diskId: string): Promise<void>;

  getDisk(diskId: string): Promise<Disk | undefined>;
  createDisk(disk: NewDisk): Promise<void>;
  /** Absent is fine. */
  removeDisk(diskId: string): Promise<void>;

  /** OVF of the VM as it is now (All-Content). */
  getVmConfiguration(vmId: string): Promise<string>;
  createVmFromConfiguration(request: { readonly name: string; readonly clusterId: string; readonly comment: string; readonly ovf: string }): Promise<Vm>;
  changeVm(request: { readonly vmId: string; readonly comment?: string; readonly deleteProtected?: boolean }): Promise<void>;
  /** Keeps disks (detach_only), which the engine refuses for a VM that was made from a template. Absent is fine. */
  removeVm(vmId: string): Promise<void>;
  /** Would delete disks: only for a VM whose disks are all detached, and only where `removeVm` is refused for its template. Absent is fine. */
  removeVmWithoutDisks(vmId: string): Promise<void>;
  startVm(vmId: string): Promise<void>;
  stopVm(vmId: string): Promise<void>;
  shutdownVm(vmId: string): Promise<void>;

  listClusters(): Promise<readonly Cluster[]>;
  listVnicProfiles(): Promise<readonly VnicProfile[]>;
  /** Of all VMs. */
  listNics(): Promise<readonly Nic[]>;
  macPoolAllowsDuplicates(macPoolId: string): Promise<boolean>;
  listStorageDomains(): Promise<readonly StorageDomain[]>;
  /** Newest first. */
  listEvents(query: { readonly correlationId: string } | { readonly search: string }): Promise<readonly EngineEvent[]>;
}

export interface Host {
  readonly name: string;
  /** Name or IP address by which the engine reaches it, and tells others to. */
  readonly address: string;
  /** The engine's own word: `up`, `maintenance`, … */
  readonly status: string;
  readonly clusterId: string;
}

/** What only the doctor asks. */
export interface EngineExamination {
  /** Fails with `engine.unreachable` when there is no TLS handshake; one that is not trusted is an answer. */
  certificate(): Promise<CertificateFacts>;
  /** The engine's clock, epoch milliseconds. */
  clockMs(): Promise<number>;
  /** Of the logged-in user and its groups, on System and on objects. */
  ownPermissions(): Promise<readonly PermissionFacts[]>;
  /** undefined: the engine does not tell. */
  hasVirtioScsi(vmId: string): Promise<boolean | undefined>;
  listHosts(): Promise<readonly Host[]>;
}
