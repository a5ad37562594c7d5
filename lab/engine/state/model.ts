// What the engine remembers. Plain records, written as they are to the journal; times are epoch milliseconds, sizes bytes.
// Facts that live in files or in QEMU (sizes on disk, damage, a VM's real state) are asked of the host, not stored as truth.
import type { HostVmStatus, VolumeFormat } from '../../host/port';
import type { Permit } from '../permissions/permits';
import type { Scope } from '../permissions/scopes';

export type VmStatus = HostVmStatus | 'image_locked';

export interface VmRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly comment: string;
  readonly clusterId: string;
  readonly status: VmStatus;
  readonly stopReason?: string;
  readonly memoryBytes: number;
  readonly guaranteedBytes: number;
  readonly maxMemoryBytes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly osType: string;
  readonly biosType: number;
  readonly vmType: number;
  readonly deleteProtected: boolean;
  readonly createdMs: number;
  readonly startedMs?: number;
  readonly stoppedMs?: number;
  readonly generation: number;
  /** Absent: Blank. */
  readonly templateId?: string;
  /** General OVF elements that the lab keeps but does not act on, by element name. */
  readonly general: Readonly<Record<string, string>>;
  /** Hardware items (USB, video, graphics, CD, controllers) kept as OVF text. */
  readonly devices: readonly string[];
}

export interface NicRecord {
  readonly id: string;
  readonly vmId: string;
  readonly name: string;
  readonly mac: string;
  readonly interface: NicModel;
  readonly profileId?: string;
  readonly linked: boolean;
  readonly plugged: boolean;
}

export type NicModel = 'rtl8139' | 'e1000' | 'virtio' | 'pci_passthrough' | 'e1000e';

export interface DiskRecord {
  readonly id: string;
  readonly kind: 'image' | 'lun';
  readonly alias: string;
  readonly description: string;
  readonly domainId?: string;
  readonly virtualBytes: number;
  readonly sparse: boolean;
  readonly shareable: boolean;
  readonly wipeAfterDelete: boolean;
  readonly propagateErrors: boolean;
  readonly incrementalBackup: boolean;
  readonly locked: boolean;
  readonly createdMs: number;
  /** Absent: data. */
  readonly contentType?: 'backup_scratch';
  /** As the disk's last backup set it (base_disks.backup_mode); live and cold ones clear it at their end, hybrid ones never do. */
  readonly backupMode?: 'full' | 'incremental';
  readonly lun?: LunRecord;
}

export interface LunRecord {
  readonly storageType: string;
  readonly units: readonly {
    readonly id: string;
    readonly address?: string;
    readonly port?: number;
    readonly target?: string;
    readonly sizeBytes?: number;
  }[];
}

/** One volume of a disk's chain. A floating disk's only volume belongs to no snapshot. */
export interface ImageRecord {
  /** The volume id. */
  readonly id: string;
  readonly diskId: string;
  readonly domainId: string;
  readonly format: VolumeFormat;
  readonly parentId?: string;
  readonly snapshotId?: string;
  readonly active: boolean;
  readonly createdMs: number;
}

export type DiskInterface = 'virtio' | 'virtio_scsi' | 'ide' | 'sata' | 'spapr_vscsi';

export interface AttachmentRecord {
  /** `<vmId>/<diskId>`: one attachment of a disk per VM, a snapshot's included. */
  readonly id: string;
  readonly vmId: string;
  readonly diskId: string;
  readonly snapshotId?: string;
  readonly interface: DiskInterface;
  readonly bootable: boolean;
  readonly active: boolean;
  readonly readOnly: boolean;
  readonly passDiscard: boolean;
}

export interface SnapshotRecord {
  readonly id: string;
  readonly vmId: string;
  readonly description: string;
  readonly type: 'active' | 'regular' | 'preview';
  readonly status: 'ok' | 'locked' | 'in_preview';
  readonly createdMs: number;
  readonly configuration?: string;
}

export type JobStatus = 'started' | 'finished' | 'failed';

export interface StepRecord {
  readonly id: string;
  readonly description: string;
  readonly type: 'validating' | 'executing' | 'finalizing';
  readonly status: JobStatus;
  readonly number: number;
  readonly progress?: number;
  readonly startedMs: number;
  readonly endedMs?: number;
}

export interface JobRecord {
  readonly id: string;
  readonly description: string;
  readonly status: JobStatus;
  readonly correlationId: string;
  readonly startedMs: number;
  readonly updatedMs: number;
  readonly endedMs?: number;
  readonly steps: readonly StepRecord[];
}

export type Severity = 'normal' | 'warning' | 'error' | 'alert';

export interface EventRecord {
  readonly id: string;
  readonly index: number;
  readonly code: number;
  readonly severity: Severity;
  readonly description: string;
  readonly timeMs: number;
  readonly correlationId: string;
  readonly origin: string;
  readonly customId: number;
  readonly user?: string;
  readonly vmId?: string;
  readonly domainId?: string;
  /** Its row in the engine's database, where others may write and delete it. */
  readonly auditLogId?: string;
  readonly deleted: boolean;
}

export interface TagRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly parentId?: string;
}

export interface TaggedVmRecord {
  /** `<tagId>/<vmId>` */
  readonly id: string;
  readonly tagId: string;
  readonly vmId: string;
}

export interface DomainRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly comment: string;
  readonly status: 'active' | 'locked' | 'preparing_for_maintenance' | 'maintenance';
  readonly master: boolean;
  readonly backup: boolean;
  readonly criticalGib: number;
}

/** Data center, cluster, host, network and vNIC profile: fixed by the demo data center, read-only through the API. */
export interface PlaceRecord {
  readonly id: string;
  readonly kind: 'data_center' | 'cluster' | 'host' | 'network' | 'vnic_profile';
  readonly name: string;
  /** The cluster's data center, the host's cluster, the network's data center, the profile's network. */
  readonly parentId?: string;
  /** A cluster's. */
  readonly macPoolId?: string;
}

/** Where new NICs of a cluster's VMs get their addresses; the ends of a range belong to it. */
export interface MacPoolRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly isDefault: boolean;
  readonly ranges: readonly { readonly from: string; readonly to: string }[];
}

/** Made by the demo data center, read-only through the API. Its disks are rows like any other, attached to no VM. */
export interface TemplateRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly clusterId: string;
  readonly memoryBytes: number;
  readonly osType: string;
  readonly createdMs: number;
  readonly disks: readonly { readonly diskId: string; readonly interface: DiskInterface; readonly bootable: boolean }[];
}

/** A user whom the engine has heard of: by being added, or by being given a permission. Who can log in is the directory's business. */
export interface UserRecord {
  readonly id: string;
  /** `admin@internal` */
  readonly userName: string;
}

/** Administrative ones only: who has none of those reads through filters, which the lab does not do. */
export interface RoleRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly mutable: boolean;
  readonly permits: readonly Permit[];
}

export interface PermissionRecord {
  readonly id: string;
  readonly userId: string;
  readonly roleId: string;
  readonly on: 'system' | Scope;
  /** Empty: System. */
  readonly objectId: string;
}

export interface InstallationRecord {
  readonly id: 'installation';
  readonly instanceId: string;
  readonly password: string;
  readonly limitedPasswords: Readonly<Record<string, string>>;
  readonly nextEventIndex: number;
}
