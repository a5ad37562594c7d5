// What the OVF writer is given: everything that has to be asked for (sizes on disk, names of networks) comes in ready.
import type { AttachmentRecord, DiskRecord, ImageRecord, NicRecord, SnapshotRecord, VmRecord } from '../state/model';

export interface OvfVolume {
  readonly image: ImageRecord;
  readonly actualBytes: number;
  /** The template's volume at the bottom of the chain. */
  readonly templateImageId?: string;
}

export interface OvfSourceDisk {
  readonly disk: DiskRecord;
  readonly attachment: AttachmentRecord;
  /** Base first; empty for a LUN. A snapshot's configuration has the frozen leaf alone. */
  readonly volumes: readonly OvfVolume[];
}

export interface OvfSource {
  readonly vm: VmRecord;
  readonly clusterName: string;
  readonly templateName: string;
  readonly dataCenterId: string;
  readonly nics: readonly (NicRecord & { readonly networkName: string; readonly profileName: string })[];
  readonly disks: readonly OvfSourceDisk[];
  /** Only in a VM's own configuration. */
  readonly snapshots: readonly SnapshotRecord[];
  /** A snapshot's configuration names no domains. */
  readonly withStorageIds: boolean;
  readonly exportedMs: number;
}
