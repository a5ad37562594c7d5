// How much of a large table of tests runs: all of it (HOLDFAST_TESTS=whole: `npm run test:crash`, `test:e2e`, `test:flows`, `test:lab`), or the share that `npm test` has
// minutes for, chosen by a seed. Who takes a share prints the seed; HOLDFAST_TEST_SEED repeats its choice.
import { randomInt } from 'node:crypto';

export const isWhole = process.env['HOLDFAST_TESTS'] === 'whole';
export const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(1_000_000));
export const tellSeed = (): void => void process.stderr.write(`HOLDFAST_TEST_SEED=${seed}${isWhole ? ' (all of it)' : ''}\n`);

/** mulberry32: the same seed gives the same choices on every machine. */
function choices(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const next = choices(seed);

/** `count` of them, or all when everything runs. */
export const some = <T>(all: readonly T[], count: number): readonly T[] =>
  isWhole ? all : all.map((each) => ({ each, at: next() })).sort((one, other) => one.at - other.at).slice(0, count).map(({ each }) => each);

/** True half of the times, by the seed. */
export const perhaps = (): boolean => next() < 0.5;
