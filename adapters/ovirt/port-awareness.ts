// The engine as backup awareness sees it: when its own backups were made, and the events that Holdfast posts into its log. A part of the Engine port.

/** As it shows in the engine's event list. */
export interface PostedEvent {
  readonly id: string;
  readonly customId: number;
  readonly severity: 'normal' | 'warning' | 'error' | 'alert';
  readonly description: string;
  /** ISO 8601, by the engine's clock. */
  readonly time?: string;
}

export interface NewEvent {
  /** From a sequence: the engine takes one only once, until it forgets the event that had it (AuditLogAgingThreshold, 30 days). */
  readonly customId: number;
  readonly severity: PostedEvent['severity'];
  /** The engine cuts long ones: 5000 characters at most. */
  readonly description: string;
  readonly vmId?: string;
}

/** The origin of all that Holdfast posts. */
export const eventOrigin = 'Holdfast';

export interface EngineAwareness {
  /** The API root's `engine_backup`: ISO 8601 times of the newest completed backup of a scope. Absent: there was none, or the engine is too old to tell (it came after 4.5). */
  engineBackupDates(): Promise<{ readonly db?: string; readonly files?: string }>;
  /** `undefined`: the custom id is used already. Whether that was this very event, whose reply was lost, `listPostedEvents` tells. */
  postEvent(event: NewEvent): Promise<PostedEvent | undefined>;
  /** Absent is fine. */
  deleteEvent(eventId: string): Promise<void>;
  /** Events of our origin that still show in the list, newest first, 1000 at most: a deleted one answers by its id and is not listed. */
  listPostedEvents(): Promise<readonly PostedEvent[]>;
}
