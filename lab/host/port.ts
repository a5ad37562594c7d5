// What the lab's engine side asks of its host side. The engine knows oVirt's objects, the host knows files and
// QEMU processes; everything between them is on this page. Sizes are bytes, ids are UUIDs.

/** One volume (one file of a disk's chain): `<domain>/images/<diskId>/<volumeId>`. */
export interface VolumeRef {
  readonly domainId: string;
  readonly diskId: string;
  readonly volumeId: string;
}

export type VolumeFormat = 'cow' | 'raw';

export interface NewVolume extends VolumeRef {
  readonly format: VolumeFormat;
  readonly virtualBytes: number;
  /** false: space is allocated at once (raw only). */
  readonly sparse: boolean;
  /** Volume below this one in the chain (same disk). Only for `cow`. */
  readonly backing?: { readonly volumeId: string; readonly format: VolumeFormat };
}

export interface VolumeInfo {
  readonly virtualBytes: number;
  /** Allocated bytes of this file alone. */
  readonly actualBytes: number;
  readonly format: VolumeFormat;
  readonly backingVolumeId?: string;
}

/** A disk as a VM sees it. */
export interface VmDisk {
  readonly diskId: string;
  /** The volume that is opened: the active one, or a snapshot's. */
  readonly top: VolumeRef;
  readonly format: VolumeFormat;
  readonly bus: 'virtio_scsi' | 'virtio';
  readonly readOnly: boolean;
  /** A snapshot disk: QEMU gets a throw-away overlay on top, guest writes land there and are lost (engine-rules.md 0.6). */
  readonly transient: boolean;
}

export interface VmSpec {
  readonly vmId: string;
  readonly name: string;
  readonly disks: readonly VmDisk[];
}

/** oVirt's own words for a VM's state. */
export type HostVmStatus = 'down' | 'wait_for_launch' | 'powering_up' | 'up' | 'paused' | 'powering_down' | 'not_responding';

export interface HostVmEvent {
  readonly vmId: string;
  readonly status: HostVmStatus;
  /** Set when the VM went down by itself: 'guest shutdown', 'lost: qemu was killed', an I/O error, … */
  readonly reason?: string;
}

export interface SnapshotDisk {
  readonly diskId: string;
  readonly current: VolumeRef;
  readonly currentFormat: VolumeFormat;
  /** Created by the host as a cow overlay on `current`. The bitmaps of `current` that record go on in it under their names (empty at first, as vdsm's
   *  `add_bitmaps` does it), and a merge unites them again: what changed since a checkpoint is what its bitmaps in the whole chain say. */
  readonly next: VolumeRef;
  /** The checkpoint that begins with this snapshot (a hybrid backup's): its bitmap is in `next` before the guest writes there. */
  readonly toCheckpointId?: string;
}

export interface SnapshotOutcome {
  /** The host freezes the guest by itself around a live snapshot and reports nothing to the engine; the lab's tests may look. */
  readonly frozen: boolean;
}

export interface MergeDisk {
  readonly diskId: string;
  /** Volume whose data stays; it receives what `top` holds. */
  readonly base: VolumeRef;
  /** Volume that disappears. */
  readonly top: VolumeRef;
  /** true when `top` is the active layer of the disk (its place is then taken by `base`). */
  readonly topIsActive: boolean;
}

/** A failed host call. `code` is stable, `message` says which object and why. */
export class HostError extends Error {
  constructor(
    readonly code: 'no-such-volume' | 'volume-in-use' | 'no-space' | 'vm-not-running' | 'already-running' | 'device-busy' | 'agent-unavailable' | 'freeze-failed' | 'job-failed' | 'qemu-failed' | 'device-not-found' | 'bitmap-lost' | 'ticket-busy' | 'imageio-unavailable',
    message: string,
  ) {
    super(message);
    this.name = 'HostError';
  }
}

export interface Host {
  /** Looks at what is on disk and which QEMUs live, adopts them (pid + start time + QMP), reports the rest as down. */
  start(): Promise<void>;
  /** Lets go of sockets; VMs keep running, and volumes served. `stopVms` ends them too. */
  close(options: { readonly stopVms: boolean }): Promise<void>;

  createDomain(domainId: string): Promise<void>;
  domainSpace(domainId: string): Promise<{ readonly availableBytes: number; readonly usedBytes: number }>;

  createVolume(volume: NewVolume): Promise<void>;
  /** Makes a template's volume the base of another disk as well: the same file under the same name in that disk's directory (a hard link, as
   *  vdsm does it). Nobody may write to it from then on. There already is fine. */
  shareVolume(volume: VolumeRef, diskId: string): Promise<void>;
  volumeInfo(volume: VolumeRef): Promise<VolumeInfo>;
  /** Removes one file; absent is fine. Refuses (`volume-in-use`) while a QEMU has it open. */
  removeVolume(volume: VolumeRef): Promise<void>;
  /** Removes the disk's whole directory. */
  removeDisk(domainId: string, diskId: string): Promise<void>;
  /** Which of these volumes are missing or unreadable (qemu-img cannot open the chain): the engine shows them as `illegal`. */
  damagedVolumes(volumes: readonly VolumeRef[]): Promise<readonly VolumeRef[]>;

  /** Resumes the saved guest, hot-plugs the disks, mounts their file systems. Resolves when QEMU runs; `up` comes as an event. */
  startVm(vm: VmSpec): Promise<void>;
  /** Asks the guest agent (falls back to ACPI) to power down. */
  shutdownVm(vmId: string): Promise<void>;
  /** Pulls the plug. Idempotent. */
  stopVm(vmId: string): Promise<void>;
  /** SIGKILL to its QEMU, which nobody expects: reported as `down` with a reason. For the lab's faults. */
  killVm(vmId: string): Promise<void>;
  vmStatus(vmId: string): HostVmStatus;
  onVmEvent(listener: (event: HostVmEvent) => void): void;

  freeze(vmId: string): Promise<{ readonly filesystems: number }>;
  thaw(vmId: string): Promise<{ readonly filesystems: number }>;
  /** Runs a shell script in the guest (for the lab's users, never part of the engine's API). */
  guestExec(vmId: string, script: string, timeoutMs?: number): Promise<{ readonly exitCode: number; readonly output: string }>;

  /** Live (VM runs: freeze, one transaction over all disks, thaw) or cold (overlay files only). All disks or none.
   *  A plugged disk that does not write to `current` is refused (`qemu-failed`) before anything is touched, a `next` that exists is `volume-in-use`. */
  snapshot(vmId: string, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome>;
  /** Merges one snapshot's volume of one disk; live through block-commit, cold through qemu-img commit. The disk's chain and QEMU's
   *  graph agree with each other on return; `top` is deleted. Reports percent while it runs. */
  merge(vmId: string, disk: MergeDisk, onProgress?: (percent: number) => void): Promise<void>;

  /** Hot-plugs into a running VM and, for every VM, serves the disk in its by-id directory (see `devicesDirectory`). */
  plugDisk(vmId: string, disk: VmDisk): Promise<void>;
  /** Ends the export, unplugs (waits for DEVICE_DELETED), drops a throw-away overlay. Absent is fine. */
  unplugDisk(vmId: string, diskId: string): Promise<void>;
  /** Directory with one entry per plugged disk, named as udev would: `scsi-0QEMU_QEMU_HARDDISK_<diskId>` for virtio_scsi,
   *  `virtio-<first 20 characters of diskId>` for virtio. A regular file served by a FUSE export, or
   *  the VM's NBD unix socket for writable disks and where FUSE is missing: all such entries lead to one socket, and a disk's export is
   *  named by its disk id. */
  devicesDirectory(vmId: string): string;
}
