// Numbers of several runs as one: medians, the ratio of runs that belong together, and who goes when. Pure.

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('no numbers, no median');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export interface Spread {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export function spreadOf(numbers: readonly number[]): Spread {
  return { low: Math.min(...numbers), median: median(numbers), high: Math.max(...numbers) };
}

/** Round by round, because the machine's speed drifts: what ran side by side is compared, and then the median taken. */
export function pairedRatio(numerators: readonly number[], denominators: readonly number[]): Spread {
  if (numerators.length !== denominators.length) throw new Error(`${numerators.length} runs cannot be paired with ${denominators.length}`);
  return spreadOf(numerators.map((numerator, round) => numerator / (denominators[round] ?? NaN)));
}

/** Everybody once in each round, and each round begins with somebody else: nobody always runs after the same. */
export function alternating<T>(contenders: readonly T[], rounds: number): T[][] {
  return Array.from({ length: rounds }, (_, round) => {
    const first = contenders.length === 0 ? 0 : round % contenders.length;
    return [...contenders.slice(first), ...contenders.slice(0, first)];
  });
}
