// Reads the log of engine backups, the catalog's own or the one in a real engine's database: the same columns, written by the same procedure. Reads
// only: all rows come from engine-backup (seed "Backup Awareness", 2). Whether they are enough decides domain/awareness.
import { engineBackupScopes, type EngineBackupScope } from '../../domain/awareness/engine-backup';
import type { EngineBackupEvent } from '../../domain/flows/awareness';
import { openDatabase, type CatalogLog, type Database } from './database';
import type { AlertCatalog, LoggedEngineBackups } from './port-alerts';

/** `engine-database`: the engine's own schema, where the real procedure checks no scope and a role may read only this table. */
export type EngineBackupLogPlace = 'catalog' | 'engine-database';

const tables: Readonly<Record<EngineBackupLogPlace, string>> = { catalog: 'holdfast.engine_backup_log', 'engine-database': 'public.engine_backup_log' };

interface Row {
  readonly scope: EngineBackupScope;
  readonly fqdn: string | null;
  readonly newest: Date | null;
  readonly future: Date | null;
}

/** `fqdn`: as engine-setup was told, which engine-backup logs. */
export async function readEngineBackupLog(database: Database, place: EngineBackupLogPlace, { fqdn, nowMs }: { readonly fqdn: string; readonly nowMs: number }): Promise<LoggedEngineBackups> {
  const rows = await database.call(`reading the log of engine backups (${place})`).rows<Row>(
    `SELECT scope, fqdn, max(done_at) FILTER (WHERE done_at <= $1) AS newest, max(done_at) FILTER (WHERE done_at > $1) AS future
     FROM ${tables[place]}
     WHERE is_passed AND scope = ANY ($2::text[])
     GROUP BY scope, fqdn
     ORDER BY fqdn, scope`,
    [new Date(nowMs).toISOString(), engineBackupScopes],
  );
  const dated = rows.flatMap(({ newest, future, ...of }) => [newest, future].flatMap((date) => (date === null ? [] : [{ ...of, doneAtMs: date.getTime() }])));
  return {
    completed: dated.filter((row) => row.fqdn === fqdn).map(({ scope, doneAtMs }) => ({ scope, doneAtMs })),
    elsewhere: dated.filter((row) => row.fqdn !== fqdn),
  };
}

type EventRow = Omit<EngineBackupEvent, 'doneAt'> & { readonly doneAt: Date };

/** The catalog's own log. */
export function createEngineBackupLog(database: Database): Pick<AlertCatalog, 'readEngineBackupLog' | 'listEngineBackupEvents'> {
  return {
    readEngineBackupLog: (of) => readEngineBackupLog(database, 'catalog', of),
    async listEngineBackupEvents({ limit }) {
      const rows = await database.call('listing what engine-backup has logged').rows<EventRow>(
        'SELECT event, scope, done_at, output_message, fqdn, log_path FROM holdfast.engine_backup_events ORDER BY sequence DESC LIMIT $1',
        [limit],
      );
      return rows.map(({ doneAt, ...row }) => ({ ...row, doneAt: doneAt.toISOString() }));
    },
  };
}

/** A real engine's database, read with an account that can read this one table (docs/operators.md). */
export function openEngineDatabase({ url, log }: { readonly url: string; readonly log: CatalogLog }): { read(of: { readonly fqdn: string; readonly nowMs: number }): Promise<LoggedEngineBackups>; close(): Promise<void> } {
  const database = openDatabase({ url, max: 1, log });
  return { read: (of) => readEngineBackupLog(database, 'engine-database', of), close: () => database.close() };
}
