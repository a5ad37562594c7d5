// What the lab's engine side asks of its host side for VM backups, checkpoints and image transfers. A checkpoint is, on each cow disk that
// was in its backup, a persistent dirty bitmap named by the checkpoint's id: it goes on recording until it is removed (as libvirt and vdsm
// have it), so it alone tells what changed since. It is good when the disk's active volume has it. Data is served as NBD exports, a running VM's by its QEMU's one server, any
// other volume's by a process of its own. Sizes are bytes.
import type { VmDisk, VolumeRef } from './port';

/** Where an export is served, in imageio's own words (`url` of a ticket). */
export interface DataExport {
  /** `nbd:unix:<socket>:exportname=<name>`, or `file://<path>` for the bytes of the image file itself. */
  readonly url: string;
  /** Of what is served: the virtual size, or the file's size. */
  readonly sizeBytes: number;
  /** A dirty bitmap can be read (imageio finds it by itself). */
  readonly dirty: boolean;
}

export interface BackupDisk {
  readonly disk: VmDisk;
  /** The checkpoint that begins with this backup; undefined for a raw disk. */
  readonly toCheckpointId?: string;
  /** What the incremental is made of: the bitmaps of these checkpoints together (the from-checkpoint's alone has everything). undefined: the whole disk. */
  readonly changedSince?: readonly string[];
  /** Live only: where the host keeps what the guest overwrites meanwhile; made before by `createVolume`, shown by the engine as a disk. */
  readonly scratch?: VolumeRef;
}

export interface StartedBackup {
  /** The guest was frozen and thawed around the moment; false: no agent, or it refused. */
  readonly frozen: boolean;
  readonly exports: readonly (DataExport & { readonly diskId: string })[];
}

export interface BitmapInfo {
  /** The checkpoint's id. */
  readonly name: string;
  /** QEMU lost track of it (its process was killed): it can only be removed. */
  readonly inconsistent: boolean;
  readonly recording: boolean;
  readonly granularityBytes: number;
}

export interface BackupHost {
  /** Live: freeze (when asked), one transaction over all disks (bitmaps, backup jobs into the scratch volumes), thaw, exports. `requireConsistency`: a
   *  freeze that fails is `freeze-failed` and nothing is left. A bitmap that is missing or inconsistent is `bitmap-lost` (a HostError), before anything is touched. */
  startLiveBackup(vmId: string, backupId: string, disks: readonly BackupDisk[], options: { readonly freeze: boolean; readonly requireConsistency: boolean }): Promise<StartedBackup>;
  /** VM down: bitmaps are added to the volumes, nobody serves them yet (`exportVolume` does, per transfer). */
  addBitmaps(disks: readonly BackupDisk[]): Promise<void>;
  /** Ends exports and jobs; the bitmaps of the checkpoint stay unless `dropCheckpoint` (a backup that failed). Nothing there is fine. */
  stopLiveBackup(vmId: string, backupId: string, options: { readonly dropCheckpoint: boolean }): Promise<void>;
  /** Of a backup that is still under way, also after the lab's engine died and came back while QEMU lived; undefined: gone. */
  findLiveBackup(vmId: string, backupId: string): Promise<StartedBackup | undefined>;

  /** Bitmaps of the volume, asked of QEMU while it runs, of the file otherwise. */
  bitmaps(vmId: string, volume: VolumeRef): Promise<readonly BitmapInfo[]>;
  /** Of the active `volume` and those below it. No other checkpoint's bitmap needs its content, since each records all since its own beginning. Absent is fine. */
  removeBitmap(vmId: string, volume: VolumeRef, checkpointId: string): Promise<void>;

  /** Up only; live when the VM runs (the guest sees it), in the file otherwise. Bitmaps grow with the volume. That size already is fine. */
  resizeVolume(vmId: string | undefined, volume: VolumeRef, virtualBytes: number): Promise<void>;

  /** Serves one volume with its chain below (`shallow`: it alone) by a process of its own. `changedSince`: the named bitmaps of the volume's chain
   *  together. Refuses (`volume-in-use`) a writable export of what a QEMU has open. `bitmap-lost` as above. Asked again with the same id: the same export. */
  exportVolume(request: {
    /** The image transfer's id: names the socket, and finds the process again. */
    readonly transferId: string;
    readonly volume: VolumeRef;
    readonly writable: boolean;
    readonly shallow: boolean;
    readonly changedSince?: readonly string[];
    /** The bytes of the image file itself instead of what a guest sees. */
    readonly asFile: boolean;
  }): Promise<DataExport>;
  /** Absent is fine. */
  endExport(transferId: string): Promise<void>;

  /** For the lab's faults: the next export of this disk leaves out `bytes` of what its bitmap says, from the first dirty extent on. */
  lieAboutNextBitmap(diskId: string, bytes: number): void;
  /** For the lab's faults: the next live backup of this disk finds a scratch volume that takes no more than `bytes`, as on a full domain: the guest's next
   *  write that needs more fails with ENOSPC. */
  limitNextScratch(diskId: string, bytes: number): void;
  /** The host forgets the bitmaps of the active `volume` and those below it: a lost libvirt definition, or a detached disk. Best effort, as the real one. */
  forgetBitmaps(vmId: string, volume: VolumeRef): Promise<void>;
}

/** What a ticket allows; the daemon's own words (`facts/ovirt-api.md` 3.2). */
export interface Ticket {
  readonly uuid: string;
  readonly transferId: string;
  readonly sizeBytes: number;
  readonly ops: readonly ('read' | 'write')[];
  readonly timeoutSeconds: number;
  readonly inactivityTimeoutSeconds: number;
  readonly url: string;
  readonly sparse: boolean;
  readonly dirty: boolean;
  readonly filename?: string;
}

export interface TicketState {
  readonly active: boolean;
  readonly canceled: boolean;
  readonly idleSeconds: number;
  /** undefined: the daemon does not tell. */
  readonly transferredBytes?: number;
}

/** The real ovirt-imageio daemon: TLS on loopback with the lab's CA, its local unix socket, tickets over the control socket. `imageio-unavailable`
 *  (a HostError) while it is away; it is started again by itself, on the same port, without its tickets. */
export interface ImageioDaemon {
  /** One that outlived a killed lab is taken over, tickets and all: a host knows nothing of its engine's restart. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** `https://localhost:<port>` and the abstract or file path of the local socket. */
  address(): { readonly url: string; readonly unixSocket: string };
  addTicket(ticket: Ticket): Promise<void>;
  /** undefined: no such ticket (404). */
  ticketState(uuid: string): Promise<TicketState | undefined>;
  extendTicket(uuid: string, timeoutSeconds: number): Promise<void>;
  /** Refused with `ticket-busy` while a request runs (409 of the daemon). Absent is fine. */
  removeTicket(uuid: string): Promise<void>;
}
