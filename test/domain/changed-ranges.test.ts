// Ranges of a walk of changes: every byte in one range, every changed byte in one part or zero, nothing else in any.
import fc from 'fast-check';
import { planChangedRanges, type ChangedRange } from '../../domain/changed-ranges';
import type { Change } from '../../domain/extents';

const block = 16;

async function* walk(changes: readonly Change[]): AsyncGenerator<Change> {
  for (const change of changes) yield await Promise.resolve(change);
}

const lay = (from: number, lengths: readonly (readonly [number, boolean, boolean])[]): Change[] => {
  let start = from;
  return lengths.map(([length, zero, changed]) => {
    start += length;
    return { start: start - length, length, zero, changed };
  });
};

async function plan(changes: readonly Change[], fromBytes: number, sizeBytes: number): Promise<ChangedRange[]> {
  const ranges: ChangedRange[] = [];
  for await (const range of planChangedRanges(walk(changes), { fromBytes, sizeBytes, blockBytes: block, maxDataBytes: 4 * block, maxZeroBytes: 10 * block })) ranges.push(range);
  return ranges;
}

const bytesOf = (parts: readonly { start: number; length: number }[]): number[] => parts.flatMap(({ start, length }) => Array.from({ length }, (_, at) => start + at));

it('covers a disk once, in block-aligned ranges of bounded length', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(5), fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.boolean(), fc.boolean()), { maxLength: 30 }), async (fromBlock, lengths) => {
      const changes = lay(fromBlock * block, lengths);
      const size = changes.reduce((end, { start, length }) => Math.max(end, start + length), fromBlock * block);
      const ranges = await plan(changes, fromBlock * block, size);
      let end = fromBlock * block;
      for (const range of ranges) {
        expect(range.start).toBe(end);
        end += range.length;
        expect(range.start % block).toBe(0);
        expect(end % block === 0 || end === size).toBe(true);
        const oneKind = range.parts.length === 0 && (range.zeroes.length === 0 || range.zeroes[0]?.length === range.length);
        expect(range.length).toBeLessThanOrEqual((oneKind ? 10 : 4) * block);
        for (const part of [...range.parts, ...range.zeroes]) expect(part.start >= range.start && part.start + part.length <= end).toBe(true);
      }
      expect(end).toBe(size);
      expect(bytesOf(ranges.flatMap((range) => range.parts))).toEqual(bytesOf(changes.filter((each) => each.changed && !each.zero)));
      expect(bytesOf(ranges.flatMap((range) => range.zeroes))).toEqual(bytesOf(changes.filter((each) => each.changed && each.zero)));
    }),
  );
});

it('a block that did not change is in no range that is read', async () => {
  const ranges = await plan(lay(0, [[20, false, false], [4, false, true], [200, false, false]]), 0, 224);
  expect(ranges).toEqual([
    { start: 0, length: 16, parts: [], zeroes: [] },
    { start: 16, length: 16, parts: [{ start: 20, length: 4 }], zeroes: [] },
    { start: 32, length: 160, parts: [], zeroes: [] },
    { start: 192, length: 32, parts: [], zeroes: [] },
  ]);
});

it('whole blocks that became zero need no buffer, the rest of a block does', async () => {
  expect(await plan(lay(0, [[8, true, true], [8, false, false], [40, true, true], [8, false, false]]), 0, 64)).toEqual([
    { start: 0, length: 16, parts: [], zeroes: [{ start: 0, length: 8 }] },
    { start: 16, length: 32, parts: [], zeroes: [{ start: 16, length: 32 }] },
    { start: 48, length: 16, parts: [], zeroes: [{ start: 48, length: 8 }] },
  ]);
});

it.each([
  ['a gap', [{ start: 0, length: 16, zero: false, changed: true }, { start: 32, length: 32, zero: false, changed: true }]],
  ['an overlap', [{ start: 0, length: 48, zero: false, changed: true }, { start: 32, length: 32, zero: false, changed: true }]],
  ['an end that is missing', [{ start: 0, length: 48, zero: false, changed: false }]],
  ['bytes beyond the end', [{ start: 0, length: 65, zero: false, changed: false }]],
])('refuses %s', async (_what, changes) => {
  await expect(plan(changes, 0, 64)).rejects.toMatchObject({ code: 'blocks.io' });
});
