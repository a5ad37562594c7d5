// The catalog's alerts: one open alert per key, told to every sink of its engine in the same transaction (notices.ts), and kept when it is over.
import type { AcknowledgeAlertsInput, Alert, ListAlertsInput } from '../../domain/flows/alerts';
import type { Database } from './database';
import { writeNotices } from './notices';
import type { AlertCatalog, Raising } from './port-alerts';

type AlertRow = Pick<Alert, 'key' | 'code' | 'severity' | 'message' | 'engine'> & {
  readonly vmId: string | null;
  readonly runId: string | null;
  readonly evidence: Record<string, unknown>;
  readonly raisedAt: Date;
  readonly acknowledgedAt: Date | null;
  readonly clearedAt: Date | null;
  readonly clearedWhy: string | null;
};

/** Where alerts of an engine are told; the worker's configuration knows. */
export type SinksOf = (engine: string) => readonly string[];

/** A reminder a day at most, since it was raised or last reminded of. */
const reminderSeconds = 86_400;

const fields = 'key, code, severity, message, engine, vm_id, run_id, evidence, raised_at, acknowledged_at, cleared_at, cleared_why';

export function createAlerts(database: Database, sinksOf: SinksOf): Pick<AlertCatalog, 'raiseAlert' | 'clearAlert' | 'listAlerts' | 'acknowledgeAlerts' | 'countOpenAlerts'> {
  return {
    raiseAlert: (alert) =>
      database.transaction(`raising alert ${alert.key}`, async (statements): Promise<Raising> => {
        // raised_at stays: how long something has been wrong is what an operator wants to know.
        const [row] = await statements.rows<{ alertId: string; isNew: boolean; isDue: boolean }>(
          `INSERT INTO holdfast.alerts AS old (key, code, severity, message, engine, vm_id, run_id, evidence)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (key) WHERE cleared_at IS NULL DO UPDATE SET
             code = excluded.code, severity = excluded.severity, message = excluded.message, engine = excluded.engine, vm_id = excluded.vm_id, run_id = excluded.run_id, evidence = excluded.evidence
           RETURNING alert_id, xmax = 0 AS is_new,
             acknowledged_at IS NULL AND coalesce(reminded_at, raised_at) <= now() - make_interval(secs => $9) AS is_due`,
          [alert.key, alert.code, alert.severity, alert.message, alert.engine, alert.vmId ?? null, alert.runId ?? null, JSON.stringify(alert.evidence ?? {}), reminderSeconds],
        );
        if (!row || (!row.isNew && !row.isDue)) return 'kept';
        if (!row.isNew) await statements.change('UPDATE holdfast.alerts SET reminded_at = now() WHERE alert_id = $1', [row.alertId]);
        const raising = row.isNew ? 'raised' : 'reminded';
        await writeNotices(statements, row.alertId, sinksOf(alert.engine), raising);
        return raising;
      }),

    clearAlert: (key, why = 'what it told of is gone') =>
      database.transaction(`clearing alert ${key}`, async (statements) => {
        const [row] = await statements.rows<{ alertId: string; engine: string }>('UPDATE holdfast.alerts SET cleared_at = now(), cleared_why = $2 WHERE key = $1 AND cleared_at IS NULL RETURNING alert_id, engine', [key, why]);
        if (row) await writeNotices(statements, row.alertId, sinksOf(row.engine), 'cleared');
        return row !== undefined;
      }),

    async listAlerts({ engine, state = 'open', page }: Partial<ListAlertsInput> = {}) {
      const rows = await database.call('listing alerts').rows<AlertRow>(
        `SELECT ${fields} FROM holdfast.alerts
         WHERE ($1::text IS NULL OR engine = $1) AND ($4 = 'all' OR (cleared_at IS NULL) = ($4 = 'open'))
         ORDER BY raised_at DESC, alert_id DESC
         LIMIT $2 OFFSET $3`,
        [engine ?? null, page === undefined ? null : page.limit + 1, page?.offset ?? 0, state],
      );
      return rows.map(toAlert);
    },

    acknowledgeAlerts: ({ engine, key }: AcknowledgeAlertsInput) =>
      database.call('acknowledging alerts').change(
        'UPDATE holdfast.alerts SET acknowledged_at = now() WHERE cleared_at IS NULL AND acknowledged_at IS NULL AND ($1::text IS NULL OR engine = $1) AND ($2::text IS NULL OR key = $2)',
        [engine ?? null, key ?? null],
      ),

    countOpenAlerts: () => database.call('counting open alerts').rows('SELECT engine, code, count(*)::int AS count FROM holdfast.alerts WHERE cleared_at IS NULL GROUP BY engine, code'),
  };
}

function toAlert({ vmId, runId, evidence, raisedAt, acknowledgedAt, clearedAt, clearedWhy, ...rest }: AlertRow): Alert {
  return {
    ...rest,
    ...(vmId === null ? {} : { vmId }),
    ...(runId === null ? {} : { runId }),
    ...(Object.keys(evidence).length === 0 ? {} : { evidence }),
    raisedAt: raisedAt.toISOString(),
    ...(acknowledgedAt === null ? {} : { acknowledgedAt: acknowledgedAt.toISOString() }),
    ...(clearedAt === null ? {} : { clearedAt: clearedAt.toISOString() }),
    ...(clearedWhy === null ? {} : { clearedWhy }),
  };
}
