// The list of extents in little memory: the same list whatever cuts the answer, and coarser only in the safe direction.
import fc from 'fast-check';
import { ExtentParser, ExtentRuns } from '../../../adapters/imageio/extent-runs';
import type { Change } from '../../../domain/extents';

const lay = (parts: readonly (readonly [number, boolean, boolean])[]): Change[] => {
  let start = 0;
  return parts.map(([length, zero, changed]) => {
    start += length;
    return { start: start - length, length, zero, changed };
  });
};
const someParts = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }).map((each) => each * 512), fc.boolean(), fc.boolean()), { maxLength: 60 });
const kindAt = (runs: readonly Change[], at: number): string => {
  const run = runs.find((each) => each.start <= at && at < each.start + each.length);
  return `${run?.zero ?? '?'} ${run?.changed ?? '?'}`;
};

it('reads the same list whatever cuts it', () => {
  fc.assert(
    fc.property(someParts, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), fc.constantFrom(0, 1), (parts, cuts, spaces) => {
      const list = lay(parts);
      const text = Buffer.from(`${JSON.stringify(list.map(({ changed, ...rest }) => ({ ...rest, dirty: changed })), undefined, spaces)}\n`);
      const found: Change[] = [];
      const parser = new ExtentParser((extent) => found.push(extent));
      for (let at = 0, turn = 0; at < text.length; turn += 1) {
        const length = cuts[turn % cuts.length] ?? 1;
        parser.feed(text.subarray(at, at + length));
        at += length;
      }
      parser.end();
      expect(found).toEqual(list);
    }),
  );
});

it('gives back what was added, joined, from any byte on', () => {
  fc.assert(
    fc.property(someParts, fc.nat(60), (parts, fromGranule) => {
      const list = lay(parts);
      const runs = new ExtentRuns();
      for (const each of list) runs.add(each);
      const from = Math.min(runs.sizeBytes, fromGranule * 512);
      const walked = [...runs.walk(from)];
      expect(walked.reduce((end, { start, length }) => (start === end ? start + length : NaN), from)).toBe(runs.sizeBytes);
      for (const { start, length } of walked) for (const at of [start, start + length - 1]) expect(kindAt(walked, at)).toBe(kindAt(list, at));
    }),
  );
});

it('over its limit it is shorter, of the same size, and reads more: nothing that must be read is left out', () => {
  fc.assert(
    fc.property(someParts, fc.integer({ min: 1, max: 12 }), (parts, limit) => {
      const list = lay(parts);
      const runs = new ExtentRuns(limit);
      for (const each of list) runs.add(each);
      expect(runs.count).toBeLessThanOrEqual(limit);
      const walked = [...runs.walk(0)];
      expect(walked.reduce((sum, { length }) => sum + length, 0)).toBe(list.reduce((sum, { length }) => sum + length, 0));
      for (const { start, length, zero, changed } of list) {
        for (const at of [start, start + length - 1]) {
          const now = walked.find((each) => each.start <= at && at < each.start + each.length);
          if (!zero) expect(now?.zero).toBe(false);
          if (changed) expect(now?.changed).toBe(true);
        }
      }
    }),
  );
});
