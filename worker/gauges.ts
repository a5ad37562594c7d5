// What all gauges and looks of a worker share: counts by tags, and looking again and again.

export interface Gauge {
  set(value: number, tags: Record<string, string>): void;
}

export interface Meter {
  createGauge(name: string, valueType?: 'int' | 'float', unit?: string, description?: string): Gauge;
}

/** The tags that were ever set: what was there the last time and is no more becomes zero. */
export type KnownTags = Map<string, Record<string, string>>;

/** Counts of the same tags are added up. */
export function setCounts(gauge: Gauge, found: readonly { readonly tags: Record<string, string>; readonly count: number }[], known: KnownTags): void {
  const counts = new Map<string, number>();
  for (const { tags, count } of found) {
    const key = JSON.stringify(tags);
    known.set(key, tags);
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
  for (const [key, tags] of known) gauge.set(counts.get(key) ?? 0, tags);
}

/** Looks every `everyMs` until it is stopped, one look at a time. A catalog that is away for a moment is the log's business, not the end of the worker. */
export function lookRegularly(lookOnce: () => Promise<unknown>, everyMs: number, onTrouble: (error: unknown) => void, { atOnce }: { readonly atOnce: boolean }): { stop(): Promise<void> } {
  let looking: Promise<unknown> | undefined;
  const look = (): void => {
    looking ??= lookOnce().catch(onTrouble).finally(() => (looking = undefined));
  };
  if (atOnce) look();
  const timer = setInterval(look, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}
