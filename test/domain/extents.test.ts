// Extents: every byte of a disk is in exactly one range, every data byte in exactly one part, whatever the server reports.
import fc from 'fast-check';
import { blockCount, blockLength, joinExtents, planRanges, type BlockRange, type Extent } from '../../domain/extents';

const block = 16;

async function* walk(extents: readonly Extent[]): AsyncGenerator<Extent> {
  for (const extent of extents) yield await Promise.resolve(extent);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const lay = (from: number, lengths: readonly (readonly [number, boolean])[]): Extent[] => {
  let start = from;
  return lengths.map(([length, zero]) => {
    const extent = { start, length, zero };
    start += length;
    return extent;
  });
};

const plan = (extents: readonly Extent[], fromBytes: number, sizeBytes: number): Promise<BlockRange[]> =>
  all(planRanges(walk(extents), { fromBytes, sizeBytes, blockBytes: block, maxDataBytes: 4 * block, maxZeroBytes: 10 * block }));

const dataBytes = (extents: readonly Extent[]): number[] => extents.filter((extent) => !extent.zero).flatMap(({ start, length }) => Array.from({ length }, (_, at) => start + at));

describe('planRanges', () => {
  it('covers a disk once, in block-aligned ranges of bounded length, with every data byte in one part', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.boolean()), { maxLength: 30 }), async (fromBlock, lengths) => {
        const extents = lay(fromBlock * block, lengths);
        const size = extents.reduce((end, { start, length }) => Math.max(end, start + length), fromBlock * block);
        const ranges = await plan(extents, fromBlock * block, size);
        let end = fromBlock * block;
        for (const range of ranges) {
          expect(range.start).toBe(end);
          end += range.length;
          expect(range.start % block).toBe(0);
          expect(end % block === 0 || end === size).toBe(true);
          expect(range.length).toBeLessThanOrEqual(range.parts.length > 0 ? 4 * block : 10 * block);
          for (const part of range.parts) expect(part.start >= range.start && part.start + part.length <= end && part.length > 0).toBe(true);
        }
        expect(end).toBe(size);
        const parts = ranges.flatMap(({ parts }) => parts).map((part) => ({ ...part, zero: false }));
        expect(dataBytes(parts)).toEqual(dataBytes(extents));
      }),
      { numRuns: 300 },
    );
  });

  it('keeps small data and the zeroes around it in one block, and leaves zero blocks out of data ranges', async () => {
    expect(await plan(lay(0, [[40, true], [3, false], [57, true]]), 0, 100)).toEqual([
      { start: 0, length: 32, parts: [] },
      { start: 32, length: 16, parts: [{ start: 40, length: 3 }] },
      { start: 48, length: 52, parts: [] },
    ]);
  });

  it.each([
    ['a gap', [{ start: 0, length: 10, zero: true }, { start: 20, length: 80, zero: false }]],
    ['an overlap', [{ start: 0, length: 30, zero: true }, { start: 20, length: 80, zero: false }]],
    ['a walk that ends early', [{ start: 0, length: 99, zero: false }]],
    ['a walk beyond the end', [{ start: 0, length: 101, zero: false }]],
    ['a walk from elsewhere', [{ start: 16, length: 84, zero: false }]],
  ])('refuses %s: it would lose data silently', async (_what, extents) => {
    await expect(plan(extents, 0, 100)).rejects.toMatchObject({ code: 'blocks.io' });
  });
});

it('joinExtents makes one of neighbours of one kind', async () => {
  expect(await all(joinExtents(walk(lay(0, [[5, true], [0, false], [5, true], [1, false], [2, false], [3, true]]))))).toEqual(lay(0, [[10, true], [3, false], [3, true]]));
});

it('the last block may be short', () => {
  expect(blockCount(33, block)).toBe(3);
  expect(blockLength(2, 33, block)).toBe(1);
  expect(blockLength(1, 33, block)).toBe(16);
  expect(blockCount(0, block)).toBe(0);
});
