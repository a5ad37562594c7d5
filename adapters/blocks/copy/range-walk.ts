// Walks a disk with a window of reads and hashes: several ranges are worked on at a time, and handed over in order. Copy and proof are
// built on it. Memory is bounded by the window, whatever the size of the disk.
import { setMaxListeners } from 'node:events';
import { blockCount, planRanges, type BlockRange } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { BlockReader, DigestSource } from '../port';
import { DigestPool, digestBytes } from './digest-pool';
import { sharedPages } from './shared-pages';
import { Slots } from './slots';
import { isZero, zeroDigests } from './zeroes';

const bufferBytes = 2 * 1024 * 1024;
/** As many as QEMU works on per connection. */
const bufferCount = 16;
const longestZeroRangeBytes = 1024 ** 3;
/** Ranges of zeroes need no buffer; this bounds how many of them wait for their turn. */
const longestQueue = 64;
const digestThreads = 2;

export interface FinishedRange extends BlockRange {
  readonly digests: Uint8Array;
}

export interface RangeWalk {
  readonly reader: BlockReader;
  readonly fromBytes: number;
  /** Every block must have this digest, else `digest.mismatch` before `use` sees the range. */
  readonly expected?: DigestSource | undefined;
  /** Does what is to be done with a range, for several ranges at once; `bytes` is undefined when the range is all zeroes. */
  readonly use?: (range: BlockRange, bytes: Uint8Array | undefined, signal: AbortSignal) => Promise<void>;
  /** Called in order, without gaps, one at a time. */
  readonly finished: (range: FinishedRange) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Rejects with the first failure, after everything that was under way has ended. */
export async function walkRanges(walk: RangeWalk): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([walk.signal, failure.signal]);
  // One listener for each read that waits for the throttle; they go when it is read.
  setMaxListeners(0, signal);
  const fail = (reason: unknown): void => failure.abort(reason);
  const places = new Slots(longestQueue);
  const window = new Window(walk, signal);
  const underWay = new Set<Promise<unknown>>();
  let handedOver = Promise.resolve();
  try {
    for await (const range of planned(walk, signal)) {
      const place = await places.take(signal);
      const work = range.parts.length === 0 ? window.zeroes(range) : window.data(range, await window.buffers.take(signal));
      underWay.add(work);
      work.catch(fail).finally(() => underWay.delete(work));
      const before = handedOver;
      handedOver = (async () => {
        await before;
        const finished = await work;
        signal.throwIfAborted();
        await walk.finished(finished);
        places.give(place);
      })();
      handedOver.catch(fail);
    }
    await handedOver;
    signal.throwIfAborted();
    window.memoryIsQuiet = true;
  } catch (error) {
    fail(error);
    await Promise.allSettled([...underWay, handedOver]);
    throw signal.reason;
  } finally {
    await window.close();
  }
}

function planned(walk: RangeWalk, signal: AbortSignal): AsyncGenerator<BlockRange> {
  return planRanges(walk.reader.extents(walk.fromBytes, signal), {
    fromBytes: walk.fromBytes,
    sizeBytes: walk.reader.sizeBytes,
    blockBytes: digestBlockBytes,
    maxDataBytes: bufferBytes,
    maxZeroBytes: longestZeroRangeBytes,
  });
}

/** Of walks that are over: the garbage collector takes its time, and a worker that copies disk after disk held several windows. */
const idleMemories: SharedArrayBuffer[] = [];

class Window {
  readonly buffers = new Slots(bufferCount);
  /** Nothing reads from it or into it any more: after a failure a late read still might. */
  memoryIsQuiet = false;
  private readonly memory = idleMemories.pop() ?? sharedPages(bufferBytes * bufferCount);
  private readonly pool = new DigestPool(this.memory, digestBlockBytes, digestThreads);

  constructor(
    private readonly walk: RangeWalk,
    private readonly signal: AbortSignal,
  ) {}

  async zeroes(range: BlockRange): Promise<FinishedRange> {
    const digests = zeroDigests(range.length);
    await this.compare(range, digests);
    await this.walk.use?.(range, undefined, this.signal);
    return { ...range, digests };
  }

  /** After a failure the buffer is not given back: what is still being sent from it must not change. */
  async data(range: BlockRange, buffer: number): Promise<FinishedRange> {
    const offset = buffer * bufferBytes;
    const bytes = new Uint8Array(this.memory, offset, range.length);
    await this.fill(range, bytes);
    // A block device does not tell where its holes are: what turns out to be zeroes is neither hashed nor written.
    if (isZero(bytes)) {
      this.buffers.give(buffer);
      return this.zeroes(range);
    }
    const hashing = this.pool.digest(offset, range.length);
    if (this.walk.expected !== undefined) await this.compare(range, await hashing);
    const [digests] = await Promise.all([hashing, this.walk.use?.(range, bytes, this.signal)]);
    this.buffers.give(buffer);
    return { ...range, digests };
  }

  async close(): Promise<void> {
    await this.pool.close();
    if (this.memoryIsQuiet) idleMemories.push(this.memory);
  }

  private async fill(range: BlockRange, bytes: Uint8Array): Promise<void> {
    const reads: Promise<void>[] = [];
    let filled = 0;
    for (const part of range.parts) {
      const at = part.start - range.start;
      bytes.fill(0, filled, at);
      filled = at + part.length;
      reads.push(this.walk.reader.read(part.start, bytes.subarray(at, filled), this.signal));
    }
    bytes.fill(0, filled);
    await Promise.all(reads);
  }

  private async compare(range: BlockRange, digests: Uint8Array): Promise<void> {
    const { expected, reader } = this.walk;
    if (expected === undefined) return;
    const first = range.start / digestBlockBytes;
    const wanted = await expected.get(first, blockCount(range.length, digestBlockBytes));
    if (Buffer.compare(wanted, digests) === 0) return;
    const differs = digests.findIndex((byte, at) => byte !== wanted[at]);
    const block = first + Math.max(0, Math.floor(differs / digestBytes));
    const offset = block * digestBlockBytes;
    throw new HoldfastError(
      'digest.mismatch',
      `Block ${block} (at ${offset} of ${reader.sizeBytes} bytes) does not have the digest that was recorded for it: its content has changed or decayed. Do not use this copy; look at the storage below it.`,
      { block, offset },
    );
  }
}
