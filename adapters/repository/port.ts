// The repository: a directory that holds backups (docs/design.md, "Repository format"). Everything on disk is decided here.
import type { Manifest } from '../../domain/manifest';
import type { DiskSettings } from '../../domain/disks';
import type { BlockReader, BlockWriter, DigestSink, DigestSource } from '../blocks/port';

export interface BackupRef {
  readonly vmId: string;
  readonly backupId: string;
}

/** Who writes an image: enough to kill its image server when its lease has lapsed. */
export interface WriterIdentity {
  /** Unique per activity attempt. */
  readonly owner: string;
  /**
   * The point in time that the bytes come from, such as a VM backup's id in the engine: an attempt that reads from another one begins anew,
   * for one image must not hold two points in time.
   */
  readonly source?: string;
  /** The image lies on this backup's image of the same disk. It goes on only where the source is known to be the same. */
  readonly baseBackupId?: string;
}

/** An image that is being written: the one writer of it holds the lock while this object is open. */
export interface PartialImage {
  readonly writer: BlockWriter;
  readonly sink: DigestSink;
  /** Where an earlier attempt got to: image and digests are durable below it. */
  readonly positionBytes: number;
  readonly dataBytes: number;
  /** What the image lies on, for the copy's `since`; closed with the image. */
  readonly base: { readonly parent: BlockReader; readonly digests: DigestSource } | undefined;
  /** Writes `<diskId>.<fencing>.progress` (temp, fsync, rename). Throws `repository.fenced` when another attempt took over. */
  recordDurable(positionBytes: number, dataBytes: number): Promise<void>;
  /** Renews the lease; cheap, called about every second. Throws `repository.fenced`. */
  renewLease(): Promise<void>;
  /** Ends the image server and gives the lock back. Safe after any failure. */
  close(): Promise<void>;
}

export interface SealedDiskFacts {
  readonly settings: DiskSettings;
  readonly dataBytes: number;
  readonly transport: BlockReader['transport'];
  readonly seconds: number;
  /** The host's own checksum of the source was the root of the digests. */
  readonly witnessed?: boolean;
}

/** Sealing finds out the rest. */
export type UnsealedManifest = Omit<Manifest, 'disks' | 'configuration' | 'sealedAt' | 'base'> & { readonly base: { readonly backupId: string } | null };

export interface ChainLink {
  readonly backupId: string;
  readonly kind: Manifest['kind'];
  readonly sealedAt: string;
}

/** A VM that a restore replaces, with all that is needed to make it again and give it its disks. */
export interface ReplacedVm {
  readonly vmId: string;
  readonly name: string;
  readonly comment: string;
  readonly clusterId: string;
  readonly ovf: string;
  readonly attachments: readonly Pick<DiskSettings, 'diskId' | 'interface' | 'bootable' | 'active' | 'readOnly' | 'passDiscard'>[];
}

export interface Repository {
  readonly name: string;
  /** Creates `holdfast-repository.json` when the directory is empty; refuses a foreign or newer one. */
  open(): Promise<void>;
  /** Proves by writing, syncing and removing a probe that it is writable. `repository.not-writable` otherwise. `asker`: whose probe it is; what is left of one that was killed goes when it asks again. */
  check(asker?: string): Promise<{ readonly availableBytes: number }>;

  /** Creates the partial backup (idempotent) and saves the configuration and each disk's settings. */
  saveConfiguration(ref: BackupRef, ovf: string, disks: readonly DiskSettings[]): Promise<{ readonly bytes: number; readonly sha256: string }>;
  /** Takes the image's lock (`repository.held` when another attempt has it), takes over from a lapsed one, creates the qcow2 when missing. */
  openPartialImage(ref: BackupRef, diskId: string, virtualBytes: number, identity: WriterIdentity): Promise<PartialImage>;
  /** Checks every image (qemu-img check, size, complete digests), fills in files' facts, flushes, writes the manifest by rename, removes
   *  progress and lock files. Idempotent: sealing again what is sealed with the same ids returns the first manifest. */
  seal(ref: BackupRef, manifest: UnsealedManifest, disks: readonly SealedDiskFacts[], sealedAt: string): Promise<{ readonly manifest: Manifest; readonly manifestSha256: string }>;
  /** Removes a partial backup (kills a lapsed or same-host image server first). Refuses a sealed one with `repository.corrupt`; absent is fine. */
  dropPartial(ref: BackupRef): Promise<void>;

  /** Sealed backups in the order of their paths, after the path `after`; an unreadable one comes with its reason instead of a manifest. */
  list(after?: string): AsyncIterable<{ readonly path: string; readonly manifest: Manifest; readonly manifestSha256: string } | { readonly path: string; readonly reason: string }>;
  /** The same of one VM, in no order. */
  listVm(vmId: string): AsyncIterable<{ readonly path: string; readonly manifest: Manifest; readonly manifestSha256: string } | { readonly path: string; readonly reason: string }>;
  /** `backup.not-found`, `backup.not-sealed`, `repository.corrupt`. */
  readManifest(ref: BackupRef): Promise<{ readonly manifest: Manifest; readonly manifestSha256: string }>;
  findBackup(backupId: string): Promise<BackupRef | undefined>;
  /** The OVF, checked against the manifest's SHA-256. */
  readConfiguration(ref: BackupRef): Promise<string>;
  /**
   * From this backup down to its full one, with every image's place in it. `chain.broken` when one of them is missing or is not the one
   * that was built on; what their blocks hold, only reading them tells.
   */
  checkChain(ref: BackupRef): Promise<readonly ChainLink[]>;
  /** By the run that replaces it. The first one stays: a repeat changes nothing. */
  saveReplacedVm(runId: string, vm: ReplacedVm): Promise<void>;
  readReplacedVm(runId: string): Promise<ReplacedVm | undefined>;
  /** Absent is fine. */
  dropReplacedVm(runId: string): Promise<void>;
  /** The disk as it was, read through the chain, after that disk's chain was checked. */
  openImage(ref: BackupRef, diskId: string): Promise<BlockReader>;
  /** Block digests, checked against the manifest (file hash and root). */
  openDigests(ref: BackupRef, diskId: string): Promise<DigestSource>;
  /** Of a sealed disk, or of one that is copied to its end in a partial backup (`backup.not-sealed` before): what the host must find. */
  rootOf(ref: BackupRef, diskId: string): Promise<{ readonly root: string; readonly virtualBytes: number }>;
}
