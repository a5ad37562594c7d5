// What an operator has set for awareness, over the worker's configuration, and what the last check found.
import type { EngineBackupState } from '../../domain/awareness/engine-backup';
import type { Database } from './database';
import type { AlertCatalog } from './port-alerts';

export function createAwarenessSettings(database: Database): Pick<AlertCatalog, 'awarenessSettings' | 'setAwareness' | 'recordEngineBackupFinding' | 'listEngineBackupFindings'> {
  return {
    async awarenessSettings(engine) {
      const [row] = await database.call(`reading the awareness settings of engine ${engine}`).rows<{ checkPeriodHours: number | null; alertPeriodDays: number | null }>(
        'SELECT check_period_hours, alert_period_days FROM holdfast.awareness_settings WHERE engine = $1',
        [engine],
      );
      return {
        ...(typeof row?.checkPeriodHours === 'number' ? { checkPeriodHours: row.checkPeriodHours } : {}),
        ...(typeof row?.alertPeriodDays === 'number' ? { alertPeriodDays: row.alertPeriodDays } : {}),
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

    async recordEngineBackupFinding({ engine, state, backedUpAtMs }) {
      await database.call(`recording what was found about backups of engine ${engine}`).change(
        `INSERT INTO holdfast.engine_backup_findings (engine, state, backed_up_at) VALUES ($1, $2, $3)
         ON CONFLICT (engine) DO UPDATE SET state = excluded.state, backed_up_at = excluded.backed_up_at, judged_at = now()`,
        [engine, state, backedUpAtMs === undefined ? null : new Date(backedUpAtMs).toISOString()],
      );
    },

    async listEngineBackupFindings() {
      const rows = await database.call('reading what was found about backups of engines').rows<{ engine: string; state: EngineBackupState; backedUpAt: Date | null; judgedAt: Date }>('SELECT engine, state, backed_up_at, judged_at FROM holdfast.engine_backup_findings');
      return rows.map(({ backedUpAt, judgedAt, ...row }) => ({ ...row, ...(backedUpAt === null ? {} : { backedUpAt: backedUpAt.toISOString() }), judgedAt: judgedAt.toISOString() }));
    },
  };
}
