// One image transfer at a host's ovirt-imageio daemon, as a block reader or writer. What begins, extends and ends a transfer is the engine's
// business (adapters/ovirt): here is only the ticket's data. Offsets and sizes are bytes.
import type { Change } from '../../domain/extents';
import type { BlockReader, BlockWriter } from '../blocks/port';

export interface ImageioOptions {
  /** `transfer_url` of the image transfer. The ticket in it is a secret: it never gets into a message. */
  readonly transferUrl: string;
  /** `proxy_url`: taken when the host itself cannot be reached. */
  readonly proxyUrl?: string;
  /** What messages call it. */
  readonly label: string;
  /** Virtual size of the disk. */
  readonly sizeBytes: number;
  /** PEM file of the CA that signed the hosts' certificates: the engine's. The system's CAs otherwise. */
  readonly caFile?: string;
  /** Accept any certificate, and plain HTTP. Only by an explicit setting. */
  readonly insecure?: boolean;
  /** Past TCP and TLS when the daemon is on this machine; by default when it is. */
  readonly unixSocket?: 'when-local' | 'never';
  /** Requests under way at once; the server's own limit for the ticket counts too. */
  readonly connections?: number;
  /** A ticket on which nothing happens dies after the transfer's inactivity timeout: this often it is touched. */
  readonly keepAliveMs?: number;
  /** Called with each touch, for what the engine wants to hear (`extend` of the transfer). It must not throw. */
  readonly onKeepAlive?: () => void;
  /** Until a request answers, and between two parts of its answer. Lists of extents have longer, checksums for ever. */
  readonly requestTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ImageioReader extends BlockReader {
  /** What changed since the checkpoint that the backup began from, over [from, size). `imageio.no-changes` when the ticket knows none. */
  changes(from: number, signal?: AbortSignal): AsyncIterable<Change>;
  /** Root of the SHA-256 of all 1 MiB blocks, computed at the host: what our digests' root must be. It may take hours. */
  checksum(signal?: AbortSignal): Promise<string>;
}

/** A ticket for writing may read as well: the witness of a restore is the checksum of an upload that is not finalized yet. */
export interface ImageioWriter extends BlockWriter, Pick<ImageioReader, 'transport' | 'extents' | 'read' | 'checksum'> {}
