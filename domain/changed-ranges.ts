// How a walk over what changed since a parent is cut into block-aligned ranges. Pure arithmetic on bytes, as in extents.ts. A block that changed
// anywhere is hashed whole, so ranges start and end on blocks; what did not change in them comes from the parent.
import { brokenWalk, type Change, type DataPart, type RangePlan } from './extents';

/** Outside of its parts (to be read) and zeroes it is as in the parent; without either, all of it is. */
export interface ChangedRange {
  readonly start: number;
  readonly length: number;
  readonly parts: readonly DataPart[];
  readonly zeroes: readonly DataPart[];
}

interface OpenRange {
  readonly start: number;
  end: number;
  readonly parts: DataPart[];
  readonly zeroes: DataPart[];
}

/** Cuts [from, size) into ranges, in order and without gaps. A walk that leaves out or repeats a byte is refused. */
export async function* planChangedRanges(changes: AsyncIterable<Change>, plan: RangePlan): AsyncGenerator<ChangedRange> {
  const { sizeBytes } = plan;
  const cutter = new Cutter(plan);
  let walked = plan.fromBytes;
  for await (const change of changes) {
    if (change.start !== walked || change.length < 0 || walked + change.length > sizeBytes) throw brokenWalk(walked, change, sizeBytes);
    walked += change.length;
    if (change.changed) yield* cutter.take(change);
  }
  if (walked !== sizeBytes) throw brokenWalk(walked, { start: sizeBytes, length: 0, zero: true }, sizeBytes);
  yield* cutter.end();
}

class Cutter {
  private planned: number;
  private open: OpenRange | undefined;

  constructor(private readonly plan: RangePlan) {
    this.planned = plan.fromBytes;
  }

  *take({ start, length, zero }: Change): Generator<ChangedRange> {
    const { blockBytes } = this.plan;
    const end = start + length;
    for (let at = start; at < end; ) {
      const whole = zero ? this.wholeBlocks(at, end) : 0;
      if (whole > 0) {
        yield* this.keptUntil(at);
        yield* this.emptied(at + whole);
        at += whole;
        continue;
      }
      const block = Math.floor(at / blockBytes) * blockBytes;
      const pieceEnd = Math.min(end, block + blockBytes);
      yield* this.openAt(block);
      this.add({ start: at, length: pieceEnd - at }, zero);
      at = pieceEnd;
    }
  }

  *end(): Generator<ChangedRange> {
    yield* this.keptUntil(this.plan.sizeBytes);
  }

  /** Bytes of whole blocks that begin here, when no range is open on the first of them: they need neither buffer nor hash. */
  private wholeBlocks(at: number, end: number): number {
    const { blockBytes, sizeBytes } = this.plan;
    if (at % blockBytes !== 0 || (this.open?.end ?? at) > at) return 0;
    return (end === sizeBytes ? end : Math.floor(end / blockBytes) * blockBytes) - at;
  }

  private *openAt(block: number): Generator<ChangedRange> {
    const { blockBytes, maxDataBytes, sizeBytes } = this.plan;
    const end = Math.min(sizeBytes, block + blockBytes);
    if (this.open !== undefined && (block > this.open.end || end > this.open.start + maxDataBytes)) yield* this.close();
    if (this.open === undefined) {
      yield* this.keptUntil(block);
      this.open = { start: block, end, parts: [], zeroes: [] };
    }
    this.open.end = end;
  }

  private add(piece: DataPart, zero: boolean): void {
    const list = zero ? this.open?.zeroes : this.open?.parts;
    const last = list?.at(-1);
    if (last !== undefined && last.start + last.length === piece.start) list?.splice(-1, 1, { start: last.start, length: last.length + piece.length });
    else list?.push(piece);
  }

  private *close(): Generator<ChangedRange> {
    if (this.open === undefined) return;
    const { start, end, parts, zeroes } = this.open;
    this.open = undefined;
    this.planned = end;
    yield { start, length: end - start, parts, zeroes };
  }

  private *keptUntil(end: number): Generator<ChangedRange> {
    yield* this.close();
    yield* this.spans(end, () => []);
  }

  private *emptied(end: number): Generator<ChangedRange> {
    yield* this.spans(end, (span) => [span]);
  }

  private *spans(end: number, zeroes: (span: DataPart) => DataPart[]): Generator<ChangedRange> {
    while (this.planned < end) {
      const span = { start: this.planned, length: Math.min(this.plan.maxZeroBytes, end - this.planned) };
      this.planned += span.length;
      yield { ...span, parts: [], zeroes: zeroes(span) };
    }
  }
}
