// The catalog: PostgreSQL index of backups, runs, holdings and alerts. Backups can be rebuilt from the repositories, the rest cannot.
import type { CopyLimits, SlotVerdict } from '../../domain/copy-slots';
import type { Holding, HoldingKind, Leftover } from '../../domain/holdings';
import type { ListHoldingsInput, OpenHolding } from '../../domain/flows/holdings';
import type { BackupSummary, ListedBackup, Verification } from '../../domain/manifest';
import type { ListBackupsInput, ListRunsInput, Run } from '../../domain/flows/queries';
import type { AlertCatalog } from './port-alerts';
import type { Inventory } from './port-inventory';

export type { AlertCatalog, NewAlert, Notice, NoticeKind, Raising } from './port-alerts';

export interface NewRun {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowType: string;
  readonly engine: string;
  readonly vmId?: string;
  readonly vmName: string;
  readonly backupId?: string;
  /** Where the backup is made or read: what a terminated run left half-written there is dropped by the next. */
  readonly repository?: string;
  /** restoreVm: unique for ever. A second run with it is refused with `catalog.conflict`. */
  readonly requestId?: string;
}

export interface RunEnd {
  readonly runId: string;
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  readonly failure?: { readonly code: string; readonly message: string };
  readonly warnings: readonly string[];
  readonly leftovers: readonly Leftover[];
}

export interface NewCopySlot {
  /** A fresh one for every copy: what was given back is never taken again under the same id. */
  readonly slotId: string;
  readonly engine: string;
  readonly runId: string;
  readonly diskId: string;
  readonly storageDomainId?: string;
  /** The Temporal execution that asks. */
  readonly namespace: string;
  readonly workflowId: string;
  readonly executionId: string;
}

export interface NewVerification extends Pick<Verification, 'runId' | 'outcome' | 'dataBytes' | 'failure'> {
  readonly repository: string;
  readonly backupId: string;
}

export type UncheckedSlot = Pick<NewCopySlot, 'slotId' | 'workflowId' | 'executionId'>;

export interface CopySlotCount {
  readonly engine: string;
  readonly state: 'waiting' | 'held';
  readonly count: number;
}

/**
 * Every call is idempotent by its ids: an activity may be repeated. Failures: `catalog.unavailable`, `catalog.conflict`, and
 * `input.invalid` for values that no column takes. Times come back as ISO 8601 in UTC with milliseconds.
 */
export interface Catalog extends AlertCatalog, Inventory {
  /** Applies the numbered migrations; safe to run twice and at the same time. Refuses a schema newer than the code (`catalog.conflict`). */
  migrate(): Promise<void>;

  openRun(run: NewRun): Promise<void>;
  /** The VM's name is known only after planning. */
  nameRun(runId: string, vmName: string): Promise<void>;
  /** Gives its copy slots back too. An unknown run is fine: the undo of an `openRun` that never arrived. */
  closeRun(end: RunEnd): Promise<void>;
  /** Newest first. Up to `page.limit + 1` rows: the one too many tells the caller that there are more. */
  listRuns(query: ListRunsInput): Promise<readonly Run[]>;

  /** Writes the row before the acquisition; a repeat keeps what is known. Its run is open already. Holding what was let go holds it again. */
  hold(holding: Omit<Holding, 'state'>): Promise<void>;
  /** Fills in the object's id once the engine gave it. `catalog.conflict` when nothing was held before. */
  setHoldingObject(holdingId: string, objectId: string): Promise<void>;
  /** `product`: kept on purpose, the run's result names it. An unknown holding is fine. */
  releaseHolding(holdingId: string, state: 'released' | 'product' | 'leftover'): Promise<void>;
  /** In the order of acquisition. */
  listHoldings(query: { readonly runId: string } | { readonly engine: string; readonly vmId: string; readonly state: 'held' | 'leftover' | 'product' }): Promise<readonly Holding[]>;

  /** Over all VMs and runs, or of one kind, oldest first; up to `page.limit + 1` rows. */
  listOpenHoldings(query: ListHoldingsInput & { readonly kind?: HoldingKind }): Promise<readonly OpenHolding[]>;

  /** Asks for a slot, or asks again: its place in the line is that of the first time. One that was given back is refused (`catalog.conflict`). */
  takeCopySlot(slot: NewCopySlot, limits: CopyLimits): Promise<SlotVerdict>;
  /** An unknown slot is fine, and cannot be taken any more either: its request may still be on its way. */
  giveBackCopySlot(slot: NewCopySlot): Promise<void>;
  /** Slots of the engine that nobody has claimed here for so long: the caller finds out whether their executions, all of its own namespace, still run. */
  claimUncheckedSlots(of: { readonly engine: string; readonly namespace: string }, afterSeconds: number): Promise<readonly UncheckedSlot[]>;
  /** Slots whose executions are over. */
  dropCopySlots(slotIds: readonly string[]): Promise<void>;
  /** Over all engines. */
  countCopySlots(): Promise<readonly CopySlotCount[]>;

  /** Writes or refreshes these rows. */
  indexBackups(backups: readonly BackupSummary[]): Promise<void>;
  /** Newest first, at most `page.limit + 1` rows: one more than asked tells the caller that there is more. */
  listBackups(query: ListBackupsInput): Promise<readonly ListedBackup[]>;
  /** Idempotent by run and backup; the backup may be gone, or not indexed. Its run is open already. */
  recordVerification(verification: NewVerification): Promise<void>;
  /** The database's clock to the microsecond, as it writes it itself, for `forgetBackupsNotIndexedSince`. */
  now(): Promise<string>;
  /** The end of a rebuild: removes the repository's rows that nobody has indexed since then; backups sealed meanwhile stay. */
  forgetBackupsNotIndexedSince(repository: string, since: string): Promise<{ readonly removed: number; readonly indexed: number }>;

  /** For the doctor. Without a schema its version is 0. */
  examine(): Promise<{ readonly versionNumber: number; readonly schemaVersion: number; readonly knownVersion: number }>;
  /** Every repository that has a row. */
  listRepositories(): Promise<readonly string[]>;

  close(): Promise<void>;
}
