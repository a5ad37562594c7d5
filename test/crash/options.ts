// How much of the matrix runs: every cell (`npm run test:crash`, HOLDFAST_CRASH=matrix), or each step once, chosen by a
// seed (`npm test`; HOLDFAST_CRASH_SEED repeats a choice that was printed). HOLDFAST_CRASH_CELLS, a regular expression, leaves out all other
// cells, for whoever looks into a red one.
import { randomInt } from 'node:crypto';

export const isWhole = process.env['HOLDFAST_CRASH'] === 'matrix';
export const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? randomInt(1_000_000));

const only = process.env['HOLDFAST_CRASH_CELLS'];
export const isFiltered = only !== undefined;
export const isWanted = ({ name }: { readonly name: string }): boolean => only === undefined || new RegExp(only).test(name);

/** mulberry32: the same seed gives the same choices on every machine. */
export function choices(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
