// finalize, cancel, pause, resume and extend of an image transfer. They only write what is wanted; none asks whether the transfer exists.
import type { Context } from '../context';
import type { Actor } from '../events';
import { refuse } from '../refusals';
import { isFinal, type TransferPhase } from '../state/backup-model';
import type { ImageTransferOperation } from '../state/operations';
import { enter, runTransfer, transferSubject } from './advance-transfer';
import { transferLocks } from './start-transfer';

export type TransferAction = 'finalize' | 'cancel' | 'pause' | 'resume' | 'extend';

const wanted: Readonly<Record<Exclude<TransferAction, 'extend'>, TransferPhase>> = {
  finalize: 'finalizing_success',
  cancel: 'cancelled_user',
  pause: 'paused_user',
  resume: 'resuming',
};

export function askTransfer(context: Context, id: string, action: TransferAction, actor: Actor): void {
  const { store } = context;
  const transfer = store.tables.transfers.get(id);
  if (transfer === undefined) return;
  if (action === 'pause' && transfer.direction === 'download') throw refuse('pause-transfer/download');
  if (action === 'resume' && !transfer.phase.startsWith('paused_')) throw refuse('resume-transfer/not-paused');
  if (isFinal(transfer.phase)) return;
  if (action === 'extend') {
    store.write(() => {
      store.tables.transfers.patch(id, { updatedMs: Date.now() });
    });
    return;
  }
  store.write(() => {
    if (action === 'pause') context.events.record('transferPaused', actor, transferSubject(context, transfer));
    enter(context, id, wanted[action]);
  });
  void context.background.run(`${action} transfer ${id}`, () => runTransfer(context, id));
}

/** A new engine takes its locks again and goes on where the last one was; what was `initializing` stays so (see `step`). */
export async function resumeTransfer(context: Context, operation: ImageTransferOperation): Promise<void> {
  const transfer = context.store.tables.transfers.get(operation.transferId);
  const disk = context.store.tables.disks.get(transfer?.diskId);
  if (transfer === undefined) return;
  if (disk !== undefined && transfer.backupId === undefined)
    context.locks.hold(
      transfer.id,
      'image transfer',
      'Cannot transfer Virtual Disk',
      transferLocks(context, transfer.direction, disk, transfer.ofSnapshot),
    );
  await runTransfer(context, transfer.id);
}
