// Puts awareness together for the control role: where engines log their backups, where alerts are told, the schedules.
import type { NativeConnection } from '@temporalio/worker';
import { createAwarenessActivities } from '../activities/awareness';
import { openEngineDatabase } from '../adapters/catalog/engine-backup-log';
import type { Catalog, Notice } from '../adapters/catalog/port';
import type { Engine } from '../adapters/ovirt/port';
import { postWebhook } from '../adapters/webhook/webhook';
import type { AwarenessDependencies, ConfiguredAwareness, EngineBackupSource, Schedules } from '../activities/dependencies';
import { HoldfastError } from '../domain/failures';
import type { SinkName } from '../domain/flows/alerts';
import { readSecret, type EngineConfig, type WorkerConfig } from './config';
import type { Log } from './logging';
import { startsDeliveries, watchOutbox } from './outbox-watch';
import { createSchedules } from './schedules';

export function sinksOf(config: WorkerConfig): (engine: string) => readonly SinkName[] {
  return (engine) => [
    ...(config.engines[engine]?.awareness.engineEvents === false ? [] : (['engine-events'] as const)),
    ...(config.alerts.webhook === undefined ? [] : (['webhook'] as const)),
    'log',
  ];
}

export function configuredAwareness({ url, awareness: { checkPeriodHours, alertPeriodDays, fqdn, source, vms } }: EngineConfig): ConfiguredAwareness {
  return { policy: { checkPeriodHours, alertPeriodDays }, fqdn: fqdn ?? new URL(url).hostname, source, judgesVms: vms.length > 0 };
}

export interface AwarenessParts {
  readonly config: WorkerConfig;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly engineOf: (name: string) => Engine;
  readonly schedules: Schedules;
  readonly closers: (() => Promise<void>)[];
}

export function awarenessDependencies({ config, log, catalog, engineOf, schedules, closers }: AwarenessParts): AwarenessDependencies {
  const engineConfig = (name: string): EngineConfig => {
    // Throws for a name that is not configured.
    engineOf(name);
    return config.engines[name] as EngineConfig;
  };
  const sources = new Map(Object.entries(config.engines).map(([name, engine]) => [name, sourceOf({ engine, log, catalog, api: () => engineOf(name), closers })]));
  return {
    catalog, engineOf, schedules,
    awarenessOf: (name) => configuredAwareness(engineConfig(name)),
    engineBackupsOf: (name) => {
      const source = sources.get(name);
      if (!source) throw new HoldfastError('config.invalid', `This worker's configuration has no engine "${name}" (engines).`);
      return source;
    },
    tellWebhook: async (notice) => {
      const { webhook } = config.alerts;
      if (!webhook) throw new HoldfastError('config.invalid', 'alerts.webhook: a notice waits for the webhook, and this worker has none');
      await postWebhook({ url: webhook.url, secret: () => readSecret(webhook.secret) }, { ...notice });
    },
    tellLog: (notice) => log[levelOf(notice)]({ engine: notice.engine, alert: notice.alert?.key, code: notice.code, kind: notice.kind, noticeId: notice.noticeId }, notice.message),
  };
}

/**
 * The schedules of all engines are there before the worker polls; when Temporal does not take one now, the worker starts all the same: backups do
 * not depend on it, and the next start makes it.
 */
export async function startAwareness(parts: Omit<AwarenessParts, 'schedules'> & { readonly connection: NativeConnection }): Promise<AwarenessDependencies> {
  const { config, log, catalog, connection, closers } = parts;
  const { namespace } = config.temporal;
  const dependencies = awarenessDependencies({ ...parts, schedules: createSchedules(connection, namespace) });
  const activities = createAwarenessActivities(dependencies);
  await Promise.all(Object.keys(config.engines).map((engine) => activities.ensureAwarenessSchedule({ engine, checkNow: false }).catch((error: unknown) => log.warn({ engine, reason: String(error) }, 'the schedule of backup awareness could not be made; the next start of a control worker tries again'))));
  const watch = watchOutbox({
    catalog,
    sinksOf: sinksOf(config),
    // Another source is the engine's own, which tells its log itself.
    loggedHere: Object.entries(config.engines).flatMap(([engine, of]) => (of.awareness.source === 'catalog' ? [{ engine, fqdn: configuredAwareness(of).fqdn }] : [])),
    deliver: startsDeliveries(connection, namespace),
  }, log);
  closers.push(() => watch.stop());
  return dependencies;
}

const levelOf = ({ severity }: Notice): 'info' | 'warn' | 'error' => (severity === 'normal' ? 'info' : severity === 'warning' ? 'warn' : 'error');

interface SourceParts extends Pick<AwarenessParts, 'log' | 'catalog' | 'closers'> {
  readonly engine: EngineConfig;
  readonly api: () => Engine;
}

function sourceOf({ engine: { awareness }, log, catalog, api, closers }: SourceParts): EngineBackupSource {
  switch (awareness.source) {
    case 'catalog':
      return { read: (of) => catalog.readEngineBackupLog(of) };
    case 'engine-database': {
      if (!awareness.database) throw new HoldfastError('config.invalid', 'engines.*.awareness.database: source "engine-database" needs its URL');
      const database = openEngineDatabase({ url: readSecret(awareness.database), log });
      closers.push(() => database.close());
      return database;
    }
    case 'engine-api':
      return {
        // The engine tells of itself, so there is no other name whose rows could be mistaken for its own.
        read: async () => {
          const dates = await api().engineBackupDates();
          const completed = (['db', 'files'] as const).flatMap((scope) => (dates[scope] === undefined ? [] : [{ scope, doneAtMs: Date.parse(dates[scope]) }]));
          return { completed, elsewhere: [] };
        },
      };
  }
}
