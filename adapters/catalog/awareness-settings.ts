// What an operator has set for awareness, over the worker's configuration.
import type { Database } from './database';
import type { AlertCatalog } from './port-alerts';

export function createAwarenessSettings(database: Database): Pick<AlertCatalog, 'awarenessSettings' | 'setAwareness'> {
  return {
    async awarenessSettings(engine) {
      const [row] = await database.call(`reading the awareness settings of engine ${engine}`).rows<{ checkPeriodHours: number | null; alertPeriodDays: number | null }>(
        'SELECT check_period_hours, alert_period_days FROM holdfast.awareness_settings WHERE engine = $1',
        [engine],
      );
      return {
        ...(row?.checkPeriodHours == null ? {} : { checkPeriodHours: row.checkPeriodHours }),
        ...(row?.alertPeriodDays == null ? {} : { alertPeriodDays: row.alertPeriodDays }),
      };
    },

    async setAwareness(engine, { checkPeriodHours, alertPeriodDays }) {
      await database.call(`setting the awareness of engine ${engine}`).change(
        `INSERT INTO holdfast.awareness_settings AS old (engine, check_period_hours, alert_period_days) VALUES ($1, $2, $3)
         ON CONFLICT (engine) DO UPDATE SET
           check_period_hours = CASE WHEN $4 THEN excluded.check_period_hours ELSE old.check_period_hours END,
           alert_period_days = CASE WHEN $5 THEN excluded.alert_period_days ELSE old.alert_period_days END,
           set_at = now()`,
        [engine, checkPeriodHours ?? null, alertPeriodDays ?? null, String(checkPeriodHours !== undefined), String(alertPeriodDays !== undefined)],
      );
    },
  };
}
