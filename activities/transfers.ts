// Image transfers: the right to read or write one disk at its host's data daemon. The ticket's URL never gets into an answer: it is a secret.
// Idempotency key: the transfer's key, which is its holding's and the correlation id of the request. Role control.
import { HoldfastError } from '../domain/failures';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';

export interface TransferOfRun extends OfRun {
  readonly diskId: string;
  /** A uuid of the flow's, a fresh one for each transfer. */
  readonly transferKey: string;
  /** The VM whose lock protects it. */
  readonly vmId?: string | undefined;
  readonly vmBackupId?: string | undefined;
  readonly direction: 'download' | 'upload';
}

export interface TransferActivities {
  /** Created and `transferring`; one that the system paused is resumed. `transfer.failed` when it has ended: then another key is needed. */
  ensureTransfer(input: TransferOfRun): Promise<{ readonly transferId: string }>;
  /**
   * `finalize`: waits until it is over; an upload that did not end well is `transfer.failed`. `cancel`: waits until it is over; of an upload the
   * engine removes the disk. Absent is done.
   */
  ensureTransferEnded(input: TransferOfRun & { readonly outcome: 'finalize' | 'cancel' }): Promise<void>;
}

export function createTransferActivities(_: ControlDependencies): TransferActivities {
  const notYet = (): Promise<never> => Promise.reject(new HoldfastError('config.invalid', 'Image transfers are not built yet.'));
  return { ensureTransfer: notYet, ensureTransferEnded: notYet };
}
