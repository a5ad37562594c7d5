// Open alerts, and how old the newest full backup of each engine is, as gauges.
import type { Catalog } from '../adapters/catalog/port';
import type { Gauge, Meter } from './holdings-metrics';

export interface AlertGauges {
  readonly alertActive: Gauge;
  readonly backupAgeSeconds: Gauge;
}

export function createAlertGauges(meter: Meter): AlertGauges {
  return {
    alertActive: meter.createGauge('holdfast_alert_active', 'int', undefined, 'Open alerts of an engine, by code'),
    backupAgeSeconds: meter.createGauge('holdfast_backup_age_seconds', 'float', undefined, 'Age of the newest full backup of an engine itself that the last check found; -1: there was none'),
  };
}

/** What was open the last time and is no more becomes zero: `known` remembers the tags between looks. The age grows between checks, too. */
export async function setAlertGauges(catalog: Pick<Catalog, 'countOpenAlerts' | 'listEngineBackupFindings'>, gauges: AlertGauges, known: Map<string, Record<string, string>>, nowMs: number): Promise<void> {
  const counts = new Map<string, number>();
  for (const { engine, code, count } of await catalog.countOpenAlerts()) {
    known.set(JSON.stringify({ engine, code }), { engine, code });
    counts.set(JSON.stringify({ engine, code }), count);
  }
  for (const [key, tags] of known) gauges.alertActive.set(counts.get(key) ?? 0, tags);
  for (const { engine, state, backedUpAt } of await catalog.listEngineBackupFindings()) {
    if (state !== 'disabled') gauges.backupAgeSeconds.set(backedUpAt === undefined ? -1 : (nowMs - Date.parse(backedUpAt)) / 1000, { engine });
  }
}
