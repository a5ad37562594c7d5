// How much of a large table of tests, or of suites that share a stack, runs: all of it (HOLDFAST_TESTS=whole: `npm run test:crash`, `test:e2e`, `test:flows`, `test:lab`), or the share that `npm test` has
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

/**
 * Of suites that share a stack: those named in `always`, and `count` others, when `npm test` runs everything (dev/test.mjs sets HOLDFAST_TESTS=share). Whoever asks for a file by its
 * name gets all that it has.
 */
export function someSuites<Suite>(suites: Readonly<Record<string, Suite>>, count: number, always: readonly string[] = []): readonly (readonly [string, Suite])[] {
  const all = Object.entries(suites);
  if (process.env['HOLDFAST_TESTS'] !== 'share') return all;
  const chosen = new Set([...always, ...some(Object.keys(suites).filter((name) => !always.includes(name)), count)]);
  process.stderr.write(`Left out by the seed ${seed}: ${all.flatMap(([name]) => (chosen.has(name) ? [] : [name])).join(', ')}\n`);
  return all.filter(([name]) => chosen.has(name));
}

/** True half of the times, by the seed. */
export const perhaps = (): boolean => next() < 0.5;
