// Extents: which ranges of a disk hold data, and how a walk over them is cut into block-aligned ranges that are read, hashed and
// written as one. Pure arithmetic on bytes; who reports extents and who reads them is not decided here.
import { HoldfastError } from './failures';

/** A range that holds data, or that is known to read as zeroes. Extents of one walk are in order, without gaps. */
export interface Extent {
  readonly start: number;
  readonly length: number;
  readonly zero: boolean;
}

/** In a walk of changes: a range that changed since the parent, or that did not. What did not change may be reported as changed, never the other way round. */
export interface Change extends Extent {
  readonly changed: boolean;
}

export interface DataPart {
  readonly start: number;
  readonly length: number;
}

/** Starts and ends on a block boundary (or at the disk's end). Outside its parts it reads as zeroes; no parts: all zeroes. */
export interface BlockRange {
  readonly start: number;
  readonly length: number;
  readonly parts: readonly DataPart[];
}

export interface RangePlan {
  readonly fromBytes: number;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Longest range that holds data: what one buffer must take. */
  readonly maxDataBytes: number;
  /** Longest range of zeroes. */
  readonly maxZeroBytes: number;
}

export function blockCount(sizeBytes: number, blockBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes);
}

/** The last block may be short. */
export function blockLength(block: number, sizeBytes: number, blockBytes: number): number {
  return Math.min(blockBytes, sizeBytes - block * blockBytes);
}

/** Joins neighbours of the same kind, so that a walk does not depend on how the server happened to cut its answer. */
export async function* joinExtents(extents: AsyncIterable<Extent>): AsyncGenerator<Extent> {
  let current: Extent | undefined;
  for await (const extent of extents) {
    if (extent.length === 0) continue;
    if (current?.zero === extent.zero && current.start + current.length === extent.start) {
      current = { ...current, length: current.length + extent.length };
      continue;
    }
    if (current !== undefined) yield current;
    current = extent;
  }
  if (current !== undefined) yield current;
}

/** Cuts [from, size) into ranges, in order and without gaps. A walk that leaves out or repeats a byte is refused: it would lose data silently. */
export async function* planRanges(extents: AsyncIterable<Extent>, plan: RangePlan): AsyncGenerator<BlockRange> {
  const { blockBytes, sizeBytes } = plan;
  let walked = plan.fromBytes;
  let planned = plan.fromBytes;
  let open: { start: number; parts: DataPart[] } | undefined;
  const endOf = (): number => {
    const last = open?.parts.at(-1);
    return last === undefined ? planned : Math.min(sizeBytes, Math.ceil((last.start + last.length) / blockBytes) * blockBytes);
  };
  const take = (): BlockRange[] => {
    if (open === undefined) return [];
    const range = { start: open.start, length: endOf() - open.start, parts: open.parts };
    planned = range.start + range.length;
    open = undefined;
    return [range];
  };
  for await (const extent of extents) {
    if (extent.start !== walked || extent.length < 0) throw brokenWalk(walked, extent, sizeBytes);
    walked += extent.length;
    if (walked > sizeBytes) throw brokenWalk(walked, extent, sizeBytes);
    for (let start = extent.start; !extent.zero && start < walked; ) {
      if (open !== undefined && (start > endOf() || start >= open.start + plan.maxDataBytes)) yield* take();
      if (open === undefined) {
        const aligned = Math.max(planned, Math.floor(start / blockBytes) * blockBytes);
        yield* zeroRanges(planned, aligned, plan.maxZeroBytes);
        planned = aligned;
        open = { start: aligned, parts: [] };
      }
      const length = Math.min(walked, open.start + plan.maxDataBytes) - start;
      open.parts.push({ start, length });
      start += length;
    }
  }
  if (walked !== sizeBytes) throw brokenWalk(walked, { start: sizeBytes, length: 0, zero: true }, sizeBytes);
  yield* take();
  yield* zeroRanges(planned, sizeBytes, plan.maxZeroBytes);
}

function* zeroRanges(from: number, to: number, maxBytes: number): Generator<BlockRange> {
  for (let start = from; start < to; start += maxBytes) yield { start, length: Math.min(maxBytes, to - start), parts: [] };
}

export function brokenWalk(expected: number, extent: Extent, sizeBytes: number): HoldfastError {
  return new HoldfastError(
    'blocks.io',
    `The list of extents is broken: byte ${expected} was expected next, but the extent starts at ${extent.start} with ${extent.length} bytes (disk: ${sizeBytes} bytes). Nothing of it can be trusted.`,
    { expected, start: extent.start, length: extent.length, sizeBytes },
  );
}
