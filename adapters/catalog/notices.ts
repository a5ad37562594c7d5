// The outbox: what each sink has still to be told, in the order in which it happened.
import type { Database, Statements } from './database';
import type { AlertCatalog, Notice, NoticeKind } from './port-alerts';

/** The sink that an engine's own events go to: rows of engine-backup are told there and nowhere else. */
export const engineEventsSink = 'engine-events';

type NoticeRow = Omit<Notice, 'alert' | 'vmId' | 'writtenAt'> & {
  readonly vmId: string | null;
  readonly writtenAt: Date;
  readonly alertId: string | null;
  readonly key: string | null;
  readonly isOpen: boolean | null;
  readonly engineEventId: string | null;
};

type Outbox = Pick<AlertCatalog, 'listDueSinks' | 'listDueNotices' | 'takeCustomId' | 'noticeDelivered' | 'listShownAlerts' | 'showAlertAgain' | 'adoptEngineBackupEvents'>;

export function createNotices(database: Database): Outbox {
  return {
    listDueSinks: () => database.call('looking for notices').rows('SELECT engine, sink, count(*)::int AS notices FROM holdfast.notices WHERE delivered_at IS NULL GROUP BY engine, sink'),

    async listDueNotices({ engine, sink, limit }) {
      const rows = await database.call(`reading the notices for ${sink} of engine ${engine}`).rows<NoticeRow>(
        `SELECT notice_id, n.engine, kind, n.code, n.severity, n.message, n.evidence, n.vm_id, written_at, alert_id, key, cleared_at IS NULL AS is_open, engine_event_id
         FROM holdfast.notices AS n LEFT JOIN holdfast.alerts USING (alert_id)
         WHERE delivered_at IS NULL AND n.engine = $1 AND sink = $2
         ORDER BY notice_id
         LIMIT $3`,
        [engine, sink, limit],
      );
      return rows.map(toNotice);
    },

    async takeCustomId(noticeId, above) {
      const [row] = await database.call(`numbering notice ${noticeId}`).rows<{ customId: number }>(
        `UPDATE holdfast.notices SET custom_id = CASE
           WHEN $2::bigint IS NOT NULL THEN setval('holdfast.engine_event_custom_ids', greatest(nextval('holdfast.engine_event_custom_ids'), $2::bigint + 1))
           ELSE coalesce(custom_id, nextval('holdfast.engine_event_custom_ids')) END
         WHERE notice_id = $1 RETURNING custom_id`,
        [noticeId, above ?? null],
      );
      return row?.customId ?? 0;
    },

    noticeDelivered: (noticeId, engineEventId) =>
      database.transaction(`noting notice ${noticeId} as delivered`, async (statements) => {
        await statements.change('UPDATE holdfast.notices SET delivered_at = coalesce(delivered_at, now()) WHERE notice_id = $1', [noticeId]);
        if (engineEventId === undefined) return;
        await statements.change('UPDATE holdfast.alerts SET engine_event_id = $2 WHERE alert_id = (SELECT alert_id FROM holdfast.notices WHERE notice_id = $1)', [noticeId, engineEventId]);
      }),

    listShownAlerts: (engine) =>
      database.call(`reading which alerts show in the log of engine ${engine}`).rows('SELECT alert_id, engine_event_id FROM holdfast.alerts WHERE cleared_at IS NULL AND engine_event_id IS NOT NULL AND engine = $1', [engine]),

    showAlertAgain: (alertId) =>
      database.transaction(`showing alert ${alertId} again`, async (statements) => {
        // Only who takes the event's id away writes the notice: two checks at once post one event.
        const taken = await statements.change('UPDATE holdfast.alerts SET engine_event_id = NULL WHERE alert_id = $1 AND cleared_at IS NULL AND engine_event_id IS NOT NULL', [alertId]);
        if (taken === 0) return;
        await writeNotices(statements, alertId, [engineEventsSink], 'raised');
      }),

    adoptEngineBackupEvents: ({ engine, fqdn }) =>
      database.call(`forwarding what engine-backup has logged for ${fqdn}`).change(
        `WITH taken AS (
           UPDATE holdfast.engine_backup_events SET forwarded_at = now() WHERE forwarded_at IS NULL AND fqdn = $2 RETURNING *
         )
         INSERT INTO holdfast.notices (engine, sink, kind, code, severity, message)
         SELECT $1, $3, 'engine-backup', event, CASE event WHEN 'ENGINE_BACKUP_FAILED' THEN 'error' ELSE 'normal' END,
                CASE event WHEN 'ENGINE_BACKUP_STARTED' THEN 'Backup of the engine started' WHEN 'ENGINE_BACKUP_COMPLETED' THEN 'Backup of the engine completed' ELSE 'Backup of the engine failed' END
                || ': scope ' || scope || ', at ' || to_char(done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || coalesce(', log ' || log_path, '') || coalesce('. ' || nullif(output_message, ''), '')
         FROM taken ORDER BY sequence`,
        [engine, fqdn, engineEventsSink],
      ),
  };
}

/** In the transaction of what it tells of: the alert as it is now, once for each sink. */
export async function writeNotices(statements: Statements, alertId: string, sinks: readonly string[], kind: Exclude<NoticeKind, 'engine-backup'>): Promise<void> {
  await statements.change(
    `INSERT INTO holdfast.notices (engine, sink, kind, alert_id, code, severity, message, evidence, vm_id)
     SELECT engine, sink, $3::text, alert_id, code, CASE $3::text WHEN 'cleared' THEN 'normal' ELSE severity END,
            CASE $3::text WHEN 'cleared' THEN 'Cleared (' || cleared_why || '): ' || message ELSE message END, evidence, vm_id
     FROM holdfast.alerts, unnest($2::text[]) AS sink
     WHERE alert_id = $1`,
    [alertId, sinks, kind],
  );
}

function toNotice({ vmId, writtenAt, alertId, key, isOpen, engineEventId, ...rest }: NoticeRow): Notice {
  return {
    ...rest,
    ...(vmId === null ? {} : { vmId }),
    ...(alertId === null || key === null ? {} : { alert: { alertId, key, isOpen: isOpen ?? false, ...(engineEventId === null ? {} : { engineEventId }) } }),
    writtenAt: writtenAt.toISOString(),
  };
}
