// Alerts, what is told of them, and what awareness is set to: a part of `Catalog` (port.ts), with the same promises.
import type { CompletedEngineBackup, EngineBackupScope, EngineBackupState } from '../../domain/awareness/engine-backup';
import type { ListAlertsInput, AcknowledgeAlertsInput, Alert } from '../../domain/flows/alerts';
import type { AwarenessSettings, EngineBackupEvent } from '../../domain/flows/awareness';

export interface LoggedEngineBackups {
  /** Of the engine with this name: of each scope the newest that is not in the future, and the newest that is. */
  readonly completed: readonly CompletedEngineBackup[];
  /** Completed backups of other names count for nobody: a name that is misspelt on either side shows here. */
  readonly elsewhere: readonly { readonly fqdn: string | null; readonly scope: EngineBackupScope; readonly doneAtMs: number }[];
}

export interface NewAlert {
  /** One open alert per key: raising it again only refreshes it. */
  readonly key: string;
  readonly code: string;
  readonly severity: 'warning' | 'alert';
  readonly message: string;
  readonly engine: string;
  readonly vmId?: string;
  readonly runId?: string;
  /** What it was judged by: plain JSON. */
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/** `reminded`: it was open already, for a day and longer since it was last told of, and nobody has acknowledged it. */
export type Raising = 'raised' | 'reminded' | 'kept';

export type NoticeKind = 'raised' | 'reminded' | 'cleared' | 'engine-backup';

/** One thing to tell one sink. */
export interface Notice {
  readonly noticeId: string;
  readonly engine: string;
  readonly kind: NoticeKind;
  /** Absent: it tells of a backup of the engine itself, not of an alert. */
  readonly alert?: { readonly alertId: string; readonly key: string; readonly isOpen: boolean; readonly engineEventId?: string };
  readonly code: string;
  readonly severity: 'normal' | 'warning' | 'error' | 'alert';
  readonly message: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly vmId?: string;
  /** ISO 8601. */
  readonly writtenAt: string;
}

export interface AlertCatalog {
  raiseAlert(alert: NewAlert): Promise<Raising>;
  /** Whether there was one. `why` stays with it. */
  clearAlert(key: string, why?: string): Promise<boolean>;
  /** Newest first, open ones unless asked for more; `raisedAt` is the first time. With a page, up to `page.limit + 1` rows. */
  listAlerts(query?: Partial<ListAlertsInput>): Promise<readonly Alert[]>;
  /** No reminders any more; the alert stays open. Gives the number of those that were not acknowledged before. */
  acknowledgeAlerts(which: AcknowledgeAlertsInput): Promise<number>;

  /** Sinks that something waits for. */
  listDueSinks(): Promise<readonly { readonly engine: string; readonly sink: string; readonly notices: number }[]>;
  /** In the order in which they were written. */
  listDueNotices(of: { readonly engine: string; readonly sink: string; readonly limit: number }): Promise<readonly Notice[]>;
  /** The notice's own; with `above` a new one, greater than that: the last one belongs to somebody else's event. */
  takeCustomId(noticeId: string, above?: number): Promise<number>;
  noticeDelivered(noticeId: string, engineEventId?: string | null): Promise<void>;
  /** Open alerts that show in the engine's log, and those whose event is to be posted again because it is not there any more. */
  listShownAlerts(engine: string): Promise<readonly { readonly alertId: string; readonly engineEventId: string }[]>;
  showAlertAgain(alertId: string): Promise<void>;

  /** Rows of engine-backup in our own log (LogEngineBackupEvent) that were written under this name become notices. Gives their number. */
  adoptEngineBackupEvents(of: { readonly engine: string; readonly fqdn: string }): Promise<number>;
  readEngineBackupLog(of: { readonly fqdn: string; readonly nowMs: number }): Promise<LoggedEngineBackups>;
  /** Newest first, of all names and scopes, failed ones and starts too. */
  listEngineBackupEvents(query: { readonly limit: number }): Promise<readonly EngineBackupEvent[]>;

  /** What an operator has set; what is not set is absent. */
  awarenessSettings(engine: string): Promise<Partial<AwarenessSettings>>;
  /** `null` goes back to the worker's configuration; absent stays. */
  setAwareness(engine: string, change: { readonly checkPeriodHours?: number | null | undefined; readonly alertPeriodDays?: number | null | undefined }): Promise<void>;

  recordEngineBackupFinding(finding: { readonly engine: string; readonly state: EngineBackupState; readonly backedUpAtMs?: number | undefined }): Promise<void>;
  listEngineBackupFindings(): Promise<readonly { readonly engine: string; readonly state: EngineBackupState; readonly backedUpAt?: string; readonly judgedAt: string }[]>;
  /** For the metrics: open alerts by engine and code. */
  countOpenAlerts(): Promise<readonly { readonly engine: string; readonly code: string; readonly count: number }[]>;
}
