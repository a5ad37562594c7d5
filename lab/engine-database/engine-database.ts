// The engine's database, as far as backups of the engine itself need one: on a PostgreSQL that somebody else runs and that may come later, or go and
// come back. The schema is made at the first connection.
import { Pool } from 'pg';
import type { AuditLogRow, EngineDatabase } from '../engine/database-port';
import type { Severity } from '../engine/state/model';
import { schema } from './schema';

/** AuditLogSeverity's numbers. */
const severities: Readonly<Record<number, Severity>> = { 0: 'normal', 1: 'warning', 2: 'error', 10: 'alert' };
const retryMs = 500;
/** Two labs may come to an empty database at once: "CREATE … IF NOT EXISTS" would fail in one of them. */
const schemaLock = 7_390_214;

export class PostgresEngineDatabase implements EngineDatabase {
  private readonly pool: Pool;
  private made: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private known: ReadonlyMap<string, Date> | undefined;

  constructor(url: string, private readonly log: (line: string) => void) {
    this.pool = new Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 5000 });
    this.pool.on('error', () => { /* An idle connection broke: the next question opens another. */ });
  }

  /** Until the schema is there, again and again: whoever fills the log need not have asked the engine first. */
  start(): void {
    this.ensureSchema().then(
      () => {
        this.log('the engine database has its schema');
      },
      () => {
        if (this.closed) return;
        this.timer = setTimeout(() => {
          this.start();
        }, retryMs);
      },
    );
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.pool.end();
  }

  /**
   * While the database is away: what was known last. A real engine would answer nothing at all then, but its database is not the one that Holdfast's
   * catalog lies in, and here it is: when a test ends the catalog's server, the engine goes on. Never known is a failure, not "no backup".
   */
  async newestBackups(scopes: readonly string[]): Promise<ReadonlyMap<string, Date>> {
    try {
      this.known = await this.readNewest(scopes);
    } catch (error) {
      if (this.known === undefined) throw error;
    }
    return this.known;
  }

  private async readNewest(scopes: readonly string[]): Promise<ReadonlyMap<string, Date>> {
    const rows = await this.rows<{ scope: string; done_at: Date }>('SELECT last.scope, last.done_at FROM unnest($1::text[]) AS wanted (scope), GetLastSuccessfulEngineBackup(wanted.scope) AS last', [scopes]);
    return new Map(rows.map(({ scope, done_at: doneAt }) => [scope, doneAt]));
  }

  async auditLog(): Promise<readonly AuditLogRow[]> {
    const rows = await this.rows<{ id: string; time: Date; code: number; severity: number; message: string; deleted: boolean }>(
      'SELECT audit_log_id::text AS id, log_time AS time, log_type AS code, severity, message, deleted FROM audit_log ORDER BY audit_log_id',
    );
    return rows.map(({ id, time, severity, message, ...row }) => ({ ...row, id, timeMs: time.getTime(), severity: severities[severity] ?? 'normal', description: message }));
  }

  async markDeleted(auditLogId: string): Promise<void> {
    await this.rows('UPDATE audit_log SET deleted = true WHERE audit_log_id = $1', [auditLogId]);
  }

  async remove(auditLogIds: readonly string[]): Promise<void> {
    await this.rows('DELETE FROM audit_log WHERE audit_log_id = ANY ($1::bigint[])', [auditLogIds]);
  }

  private async rows<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    await this.ensureSchema();
    return (await this.pool.query<Row>(sql, [...values])).rows;
  }

  private ensureSchema(): Promise<void> {
    this.made ??= this.pool.query(`BEGIN; SELECT pg_advisory_xact_lock(${schemaLock}); ${schema}; COMMIT`).then(
      () => undefined,
      (error: unknown) => {
        this.made = undefined;
        throw error;
      },
    );
    return this.made;
  }
}
