// What is held in the engines right now, as gauges: how many holdings and leftovers there are, how old the oldest snapshot is, and how many
// copies run and wait. A snapshot that grows old fills a storage domain, and nobody sees it in a workflow list.
import type { Catalog } from '../adapters/catalog/port';
import type { OpenHolding } from '../domain/flows/holdings';

export interface Gauge {
  set(value: number, tags: Record<string, string>): void;
}

export interface HoldingGauges {
  readonly holdings: Gauge;
  readonly oldestSnapshotSeconds: Gauge;
  readonly copySlots: Gauge;
}

export interface Meter {
  createGauge(name: string, valueType?: 'int' | 'float', unit?: string, description?: string): Gauge;
}

export function createHoldingGauges(meter: Meter): HoldingGauges {
  return {
    holdings: meter.createGauge('holdfast_holdings', 'int', undefined, 'Objects that runs hold, or left over, in an engine'),
    oldestSnapshotSeconds: meter.createGauge('holdfast_oldest_snapshot_seconds', 'float', undefined, 'Age of the oldest snapshot that Holdfast holds in an engine'),
    copySlots: meter.createGauge('holdfast_copy_slots', 'int', undefined, 'Copies that hold a slot of an engine, or wait for one'),
  };
}

const pageRows = 500;

/** Sets the gauges; what was there the last time and is no more becomes zero. `known` remembers the tags between looks. */
export async function setHoldingGauges(catalog: Pick<Catalog, 'listOpenHoldings'>, gauges: HoldingGauges, known: Map<string, Record<string, string>>): Promise<void> {
  const counts = new Map<string, number>();
  const oldest = new Map<string, number>();
  for await (const { engine, kind, state, ageSeconds } of allHoldings(catalog)) {
    const tags = { engine, kind, state };
    const key = JSON.stringify(tags);
    known.set(key, tags);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (kind === 'snapshot') oldest.set(engine, Math.max(oldest.get(engine) ?? 0, ageSeconds));
  }
  for (const [key, tags] of known) gauges.holdings.set(counts.get(key) ?? 0, tags);
  for (const engine of new Set([...known.values()].map((tags) => tags['engine'] ?? ''))) gauges.oldestSnapshotSeconds.set(oldest.get(engine) ?? 0, { engine });
}

export async function setSlotGauges(catalog: Pick<Catalog, 'countCopySlots'>, { copySlots }: Pick<HoldingGauges, 'copySlots'>, known: Map<string, Record<string, string>>): Promise<void> {
  const counts = new Map<string, number>();
  for (const { engine, state, count } of await catalog.countCopySlots()) {
    known.set(JSON.stringify({ engine, state }), { engine, state });
    counts.set(JSON.stringify({ engine, state }), count);
  }
  for (const [key, tags] of known) copySlots.set(counts.get(key) ?? 0, tags);
}

async function* allHoldings(catalog: Pick<Catalog, 'listOpenHoldings'>): AsyncGenerator<OpenHolding> {
  for (let offset = 0; ; offset += pageRows) {
    const rows = await catalog.listOpenHoldings({ page: { limit: pageRows, offset } });
    yield* rows.slice(0, pageRows);
    if (rows.length <= pageRows) return;
  }
}

export function watchHoldings(catalog: Pick<Catalog, 'listOpenHoldings' | 'countCopySlots'>, gauges: HoldingGauges, everyMs: number, onTrouble: (error: unknown) => void): { stop(): Promise<void> } {
  const known = new Map<string, Record<string, string>>();
  const knownSlots = new Map<string, Record<string, string>>();
  return lookRegularly(() => Promise.all([setHoldingGauges(catalog, gauges, known), setSlotGauges(catalog, gauges, knownSlots)]), everyMs, onTrouble);
}

/** Looks now and every `everyMs` until it is stopped. A catalog that is away for a moment is the log's business, not the end of the worker. */
export function lookRegularly(lookOnce: () => Promise<unknown>, everyMs: number, onTrouble: (error: unknown) => void): { stop(): Promise<void> } {
  let looking = Promise.resolve();
  const look = (): void => {
    looking = looking.then(lookOnce).then(() => undefined).catch(onTrouble);
  };
  look();
  const timer = setInterval(look, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}
