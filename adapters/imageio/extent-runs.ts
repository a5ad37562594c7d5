// The daemon's list of extents in little memory: it comes as one JSON array over the whole disk and cannot be asked for in parts, nor left
// waiting while a copy takes hours. A list that is longer than the limit becomes coarser in the safe direction: more is read than needed.
import type { Change } from '../../domain/extents';

const zeroFlag = 1;
const unchangedFlag = 2;
/** Read it: nothing may be left out. */
const read = 0;
const longestList = 1_000_000;
const smallestGranuleBytes = 128 * 1024;

export class ExtentRuns {
  private ends: number[] = [];
  private kinds: number[] = [];
  private granuleBytes = smallestGranuleBytes;

  constructor(private readonly limit = longestList) {}

  get sizeBytes(): number {
    return this.ends.at(-1) ?? 0;
  }

  get count(): number {
    return this.ends.length;
  }

  /** In order and without gaps, or it throws. */
  add({ start, length, zero, changed }: Change): void {
    if (start !== this.sizeBytes || !Number.isSafeInteger(start + length) || length < 0) throw new Error(`the list of extents is broken: ${length} bytes at ${start} follow byte ${this.sizeBytes}`);
    this.put(start + length, (zero ? zeroFlag : 0) | (changed ? 0 : unchangedFlag));
    while (this.count > this.limit) this.coarsen();
  }

  *walk(from: number): Generator<Change> {
    for (let index = this.indexOf(from); index < this.count; index += 1) {
      const start = Math.max(from, this.ends[index - 1] ?? 0);
      const kind = this.kinds[index] ?? read;
      const length = (this.ends[index] ?? start) - start;
      if (length > 0) yield { start, length, zero: (kind & zeroFlag) !== 0, changed: (kind & unchangedFlag) === 0 };
    }
  }

  private put(end: number, kind: number): void {
    if (this.kinds.at(-1) === kind) this.ends[this.ends.length - 1] = end;
    else {
      this.ends.push(end);
      this.kinds.push(kind);
    }
  }

  private coarsen(): void {
    const { ends, kinds } = this;
    this.ends = [];
    this.kinds = [];
    let start = 0;
    ends.forEach((end, index) => {
      this.put(end, end - start < this.granuleBytes ? read : (kinds[index] ?? read));
      start = end;
    });
    this.granuleBytes *= 2;
  }

  /** The first run that ends behind `from`. */
  private indexOf(from: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.ends[middle] ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Reads the JSON array as it arrives. Its objects are flat and hold no strings, so an object ends at the next brace. */
export class ExtentParser {
  private text = '';

  constructor(private readonly found: (extent: Change) => void) {}

  feed(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString('latin1');
    let at = 0;
    for (let end = this.text.indexOf('}'); end >= 0; end = this.text.indexOf('}', at)) {
      const begin = this.text.indexOf('{', at);
      if (begin < 0 || begin > end || !/^[[\s,]*$/.test(this.text.slice(at, begin))) throw new Error('the list of extents is not JSON');
      this.found(readExtent(this.text.slice(begin, end + 1)));
      at = end + 1;
    }
    this.text = this.text.slice(at);
  }

  end(): void {
    if (!/^[[\s]*\]\s*$/.test(this.text)) throw new Error('the list of extents was cut off');
  }
}

function readExtent(text: string): Change {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('start' in json && 'length' in json)) throw new Error(`the list of extents holds ${text}`);
  const { start, length } = json;
  if (typeof start !== 'number' || typeof length !== 'number') throw new Error(`the list of extents holds ${text}`);
  // Older daemons leave words out: what is not said to be zero or unchanged is read.
  return { start, length, zero: 'zero' in json && json.zero === true, changed: !('dirty' in json) || json.dirty !== false };
}
