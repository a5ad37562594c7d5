// Open alerts, and how old the newest full backup of each engine is, as gauges.
import type { Catalog } from '../adapters/catalog/port';
import { lookRegularly, setCounts, type Gauge, type KnownTags, type Meter } from './gauges';

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

/** The age grows between checks, too. */
export async function setAlertGauges(catalog: Pick<Catalog, 'countOpenAlerts' | 'listEngineBackupFindings'>, gauges: AlertGauges, known: KnownTags, nowMs: number): Promise<void> {
  setCounts(gauges.alertActive, (await catalog.countOpenAlerts()).map(({ engine, code, count }) => ({ tags: { engine, code }, count })), known);
  for (const { engine, state, backedUpAt } of await catalog.listEngineBackupFindings()) {
    if (state !== 'disabled') gauges.backupAgeSeconds.set(backedUpAt === undefined ? -1 : (nowMs - Date.parse(backedUpAt)) / 1000, { engine });
  }
}

export function watchAlerts(catalog: Pick<Catalog, 'countOpenAlerts' | 'listEngineBackupFindings'>, gauges: AlertGauges, everyMs: number, onTrouble: (error: unknown) => void): { stop(): Promise<void> } {
  const known: KnownTags = new Map();
  return lookRegularly(() => setAlertGauges(catalog, gauges, known, Date.now()), everyMs, onTrouble, { atOnce: true });
}
