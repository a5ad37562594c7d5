// Blocks: how bytes of a disk are read and written, whatever serves them. Offsets and sizes are bytes.
import type { Change, Extent } from '../../domain/extents';
import type { transports } from '../../domain/manifest';

export type { Extent } from '../../domain/extents';
export type Transport = (typeof transports)[number];

export interface BlockReader {
  readonly sizeBytes: number;
  /** `san`: a device of this machine · `socket`: a unix socket · `tcp`. */
  readonly transport: Transport;
  /** Walks [from, size). */
  extents(from: number, signal?: AbortSignal): AsyncIterable<Extent>;
  /** Fills `buffer` from `offset`. Several reads may be under way at once. */
  read(offset: number, buffer: Uint8Array, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface BlockWriter {
  readonly sizeBytes: number;
  /** Everything from the copy's start on is known to read as zeroes before the first write: `zero` may be left out. */
  readonly blank?: boolean;
  write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Makes the range read as zeroes, as holes where the target can. */
  zero(offset: number, length: number, signal?: AbortSignal): Promise<void>;
  /** On return everything written before is durable. */
  flush(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Where block digests go (backup) … */
export interface DigestSink {
  /** 32 raw bytes per 1 MiB block, `digests` holds one or more consecutive ones. */
  put(firstBlock: number, digests: Uint8Array): Promise<void>;
  /** What an earlier attempt put: the root of a resumed copy covers it too. */
  get(firstBlock: number, count: number): Promise<Uint8Array>;
  flush(): Promise<void>;
}

/** … and come from (restore, verify). */
export interface DigestSource {
  readonly blocks: number;
  get(firstBlock: number, count: number): Promise<Uint8Array>;
}

export interface CopyFigures {
  /** Everything below is durable in the target (0 at the start of a first attempt). */
  readonly positionBytes: number;
  /** Bytes read that were not known to be zero, over all attempts. */
  readonly dataBytes: number;
  /** Bytes per second of this attempt, over the last seconds. */
  readonly bytesPerSecond: number;
}

export interface CopyResult extends CopyFigures {
  /** SHA-256 over the raw digests of all blocks in order, those of earlier attempts included; hexadecimal. */
  readonly root: string;
}

/** What an incremental copy lies on: only what changed since is read and written, the rest of a block that changed comes from the parent. */
export interface Since {
  /** Walks [from, size). */
  changes(from: number, signal?: AbortSignal): AsyncIterable<Change>;
  readonly parent: BlockReader;
  /** A block of the parent must have its digest before anything of it is taken over: `digest.mismatch` otherwise. */
  readonly digests: DigestSource;
}

export interface CopyOptions {
  readonly reader: BlockReader;
  readonly writer: BlockWriter;
  /** Durable position of an earlier attempt; a multiple of 1 MiB (or the size). */
  readonly fromBytes: number;
  readonly dataBytesBefore: number;
  /** Backup: every block's digest is put here. */
  readonly sink?: DigestSink;
  /** Restore: every block read must have this digest, else `digest.mismatch` before the block is written. */
  readonly expected?: DigestSource;
  /** Backup: the writer's target shows the parent where nothing is written. */
  readonly since?: Since;
  /** Called after writer and sink were flushed, at most twice a second, every 64 MiB or 2 s. It must make the position durable. */
  readonly onDurable: (figures: CopyFigures) => Promise<void>;
  /** Called often (about every 250 ms) with cheap figures: heartbeats hang here. */
  readonly onProgress?: (figures: CopyFigures) => void;
  readonly bytesPerSecond?: number;
  readonly signal: AbortSignal;
}
