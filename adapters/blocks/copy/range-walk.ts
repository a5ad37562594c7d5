// Walks a disk with a window of reads and hashes: several ranges are worked on at a time, and handed over in order. Copy and proof are
// built on it. Memory is bounded by the window, whatever the size of the disk.
import { setMaxListeners } from 'node:events';
import { planChangedRanges, type ChangedRange } from '../../../domain/changed-ranges';
import { blockCount, planRanges, type BlockRange, type DataPart } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { BlockReader, DigestSource, Since } from '../port';
import { DigestPool, digestBytes } from './digest-pool';
import { fillFromParent } from './parent-blocks';
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

type PlannedRange = BlockRange | ChangedRange;

export interface FinishedRange extends BlockRange {
  readonly digests: Uint8Array;
}

export interface RangeWalk {
  readonly reader: BlockReader;
  readonly fromBytes: number;
  /** Every block must have this digest, else `digest.mismatch` before `use` sees the range. */
  readonly expected?: DigestSource | undefined;
  /** Walks what changed since a parent instead: blocks that did not change have the parent's digests, and `use` does not see them. */
  readonly since?: Since | undefined;
  /** Does what is to be done with a range, for several ranges at once; `bytes` is undefined when the range is all zeroes. */
  readonly use?: (range: PlannedRange, bytes: Uint8Array | undefined, signal: AbortSignal) => Promise<void>;
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
      const work = needsBuffer(range) ? window.data(range, await window.buffers.take(signal)) : window.whole(range);
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

function planned({ reader, since, fromBytes }: RangeWalk, signal: AbortSignal): AsyncGenerator<PlannedRange> {
  const plan = { fromBytes, sizeBytes: reader.sizeBytes, blockBytes: digestBlockBytes, maxDataBytes: bufferBytes, maxZeroBytes: longestZeroRangeBytes };
  return since === undefined ? planRanges(reader.extents(fromBytes, signal), plan) : planChangedRanges(since.changes(fromBytes, signal), plan);
}

/** Ranges that are zeroes all through, or as in the parent all through, need none. */
function needsBuffer(range: PlannedRange): boolean {
  return range.parts.length > 0 || ('zeroes' in range && range.zeroes.length > 0 && range.zeroes[0]?.length !== range.length);
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

  async whole(range: PlannedRange): Promise<FinishedRange> {
    const { since } = this.walk;
    if (since === undefined || !('zeroes' in range) || range.zeroes.length > 0) return this.zeroes(range);
    return { ...range, digests: await since.digests.get(range.start / digestBlockBytes, blockCount(range.length, digestBlockBytes)) };
  }

  private async zeroes(range: PlannedRange): Promise<FinishedRange> {
    const digests = zeroDigests(range.length);
    await this.compare(range, digests);
    await this.walk.use?.(range, undefined, this.signal);
    return { ...range, digests };
  }

  /** After a failure the buffer is not given back: what is still being sent from it must not change. */
  async data(range: PlannedRange, buffer: number): Promise<FinishedRange> {
    const offset = buffer * bufferBytes;
    const bytes = new Uint8Array(this.memory, offset, range.length);
    await this.fill(range, bytes, offset);
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

  private async fill(range: PlannedRange, bytes: Uint8Array, offset: number): Promise<void> {
    const { reader, since } = this.walk;
    if (since === undefined || !('zeroes' in range)) fillGaps(range, bytes);
    else {
      const digest = (at: number, length: number): Promise<Uint8Array> => this.pool.digest(offset + at, length);
      await fillFromParent({ since, range, bytes, digest, signal: this.signal });
      for (const { start, length } of range.zeroes) bytes.fill(0, start - range.start, start - range.start + length);
    }
    await Promise.all(range.parts.map(({ start, length }) => reader.read(start, bytes.subarray(start - range.start, start - range.start + length), this.signal)));
  }

  private async compare(range: DataPart, digests: Uint8Array): Promise<void> {
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

/** Outside of its parts a range of a whole disk reads as zeroes. */
function fillGaps(range: BlockRange, bytes: Uint8Array): void {
  let filled = 0;
  for (const part of range.parts) {
    bytes.fill(0, filled, part.start - range.start);
    filled = part.start - range.start + part.length;
  }
  bytes.fill(0, filled);
}
