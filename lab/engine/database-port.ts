// What the engine asks of its database. Only backups of the engine itself are there, because others than the engine write and read that: engine-backup,
// and whoever watches it. All else is in the store.
import type { Severity } from './state/model';

export interface AuditLogRow {
  readonly id: string;
  readonly timeMs: number;
  readonly code: number;
  readonly severity: Severity;
  readonly description: string;
  readonly deleted: boolean;
}

export interface EngineDatabase {
  /** By scope: when the newest completed backup was done. */
  newestBackups(scopes: readonly string[]): Promise<ReadonlyMap<string, Date>>;
  /** Oldest first. */
  auditLog(): Promise<readonly AuditLogRow[]>;
  markDeleted(auditLogId: string): Promise<void>;
  remove(auditLogIds: readonly string[]): Promise<void>;
}
