// The catalog's alerts: one open alert per key; clearing it removes it.
import type { Database } from './database';
import type { ListAlertsInput } from '../../domain/flows/holdings';
import type { Catalog, NewAlert } from './port';

type AlertRow = Omit<NewAlert, 'vmId' | 'runId'> & { readonly vmId: string | null; readonly runId: string | null; readonly raisedAt: Date };

export function createAlerts(database: Database): Pick<Catalog, 'raiseAlert' | 'clearAlert' | 'listAlerts'> {
  return {
    async raiseAlert(alert) {
      // raised_at stays: how long something has been wrong is what an operator wants to know.
      await database.call(`raising alert ${alert.key}`).change(
        `INSERT INTO holdfast.alerts (key, code, severity, message, engine, vm_id, run_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (key) DO UPDATE SET
           code = excluded.code, severity = excluded.severity, message = excluded.message, engine = excluded.engine, vm_id = excluded.vm_id, run_id = excluded.run_id`,
        [alert.key, alert.code, alert.severity, alert.message, alert.engine, alert.vmId ?? null, alert.runId ?? null],
      );
    },

    async clearAlert(key) {
      await database.call(`clearing alert ${key}`).change('DELETE FROM holdfast.alerts WHERE key = $1', [key]);
    },

    async listAlerts({ engine, page }: Partial<ListAlertsInput> = {}) {
      const rows = await database.call('listing alerts').rows<AlertRow>(
        `SELECT key, code, severity, message, engine, vm_id, run_id, raised_at
         FROM holdfast.alerts
         WHERE $1::text IS NULL OR engine = $1
         ORDER BY raised_at DESC, key
         LIMIT $2 OFFSET $3`,
        [engine ?? null, page === undefined ? null : page.limit + 1, page?.offset ?? 0],
      );
      return rows.map(({ vmId, runId, raisedAt, ...rest }) => ({
        ...rest,
        ...(vmId === null ? {} : { vmId }),
        ...(runId === null ? {} : { runId }),
        raisedAt: raisedAt.toISOString(),
      }));
    },
  };
}
