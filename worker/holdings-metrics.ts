// What is held in the engines right now, as gauges: how many holdings and leftovers there are, how old the oldest snapshot is, and how many
// copies run and wait. A snapshot that grows old fills a storage domain, and nobody sees it in a workflow list.
import type { Catalog } from '../adapters/catalog/port';
import type { OpenHolding } from '../domain/flows/holdings';
import { lookRegularly, setCounts, type Gauge, type KnownTags, type Meter } from './gauges';

export interface HoldingGauges {
  readonly holdings: Gauge;
  readonly oldestSnapshotSeconds: Gauge;
  readonly copySlots: Gauge;
}

export function createHoldingGauges(meter: Meter): HoldingGauges {
  return {
    holdings: meter.createGauge('holdfast_holdings', 'int', undefined, 'Objects that runs hold, or left over, in an engine'),
    oldestSnapshotSeconds: meter.createGauge('holdfast_oldest_snapshot_seconds', 'float', undefined, 'Age of the oldest snapshot that Holdfast holds in an engine'),
    copySlots: meter.createGauge('holdfast_copy_slots', 'int', undefined, 'Copies that hold a slot of an engine, or wait for one'),
  };
}

const pageRows = 500;

export async function setHoldingGauges(catalog: Pick<Catalog, 'listOpenHoldings'>, gauges: HoldingGauges, known: KnownTags): Promise<void> {
  const found: { tags: Record<string, string>; count: number }[] = [];
  const oldest = new Map<string, number>();
  for await (const { engine, kind, state, ageSeconds } of allHoldings(catalog)) {
    found.push({ tags: { engine, kind, state }, count: 1 });
    if (kind === 'snapshot') oldest.set(engine, Math.max(oldest.get(engine) ?? 0, ageSeconds));
  }
  setCounts(gauges.holdings, found, known);
  for (const engine of new Set([...known.values()].map((tags) => tags['engine'] ?? ''))) gauges.oldestSnapshotSeconds.set(oldest.get(engine) ?? 0, { engine });
}

export async function setSlotGauges(catalog: Pick<Catalog, 'countCopySlots'>, { copySlots }: Pick<HoldingGauges, 'copySlots'>, known: KnownTags): Promise<void> {
  setCounts(copySlots, (await catalog.countCopySlots()).map(({ engine, state, count }) => ({ tags: { engine, state }, count })), known);
}

async function* allHoldings(catalog: Pick<Catalog, 'listOpenHoldings'>): AsyncGenerator<OpenHolding> {
  for (let offset = 0; ; offset += pageRows) {
    const rows = await catalog.listOpenHoldings({ page: { limit: pageRows, offset } });
    yield* rows.slice(0, pageRows);
    if (rows.length <= pageRows) return;
  }
}

export function watchHoldings(catalog: Pick<Catalog, 'listOpenHoldings' | 'countCopySlots'>, gauges: HoldingGauges, everyMs: number, onTrouble: (error: unknown) => void): { stop(): Promise<void> } {
  const known: KnownTags = new Map();
  const knownSlots: KnownTags = new Map();
  return lookRegularly(() => Promise.all([setHoldingGauges(catalog, gauges, known), setSlotGauges(catalog, gauges, knownSlots)]), everyMs, onTrouble, { atOnce: true });
}
