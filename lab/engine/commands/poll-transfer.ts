// What the engine does with a transfer at each poll: renews its ticket, reads from it how far the client is, and stops a client that
// is gone. Idle time is the ticket's own.
import type { Context } from '../context';
import type { TicketState } from '../../host/backup-port';
import type { EventName } from '../events';
import { HostError } from '../../host/port';
import type { TransferPhase, TransferRecord } from '../state/backup-model';
import { renewTicket } from './transfer-session';

type Say = (context: Context, transfer: TransferRecord, name: EventName) => void;

export async function pollTransfer(context: Context, transfer: TransferRecord, say: Say): Promise<void> {
  const stop = (name: EventName, phase: TransferPhase): void => {
    say(context, transfer, name);
    const { transfers } = context.store.tables;
    context.store.write(() => {
      if (transfers.get(transfer.id)?.phase === 'transferring') transfers.patch(transfer.id, { phase, updatedMs: Date.now() });
    });
  };
  const bySystem: TransferPhase = transfer.direction === 'upload' ? 'paused_system' : 'cancelled_system';
  const isRenewed = await renewTicket(context, transfer);
  if (!isRenewed) stop('transferRenewalFailed', bySystem);
  // All the same (handleTransferring): a ticket that is gone is told twice.
  const state = await look(context, transfer);
  if (state === undefined) {
    stop('transferTicketMissing', bySystem);
    return;
  }
  if (!isRenewed) return;
  const transferredBytes = state.transferredBytes ?? transfer.transferredBytes;
  context.store.write(() => {
    context.store.tables.transfers.patch(transfer.id, { active: state.active, transferredBytes });
  });
  if (isReadToTheEnd(transfer, state))
    context.store.write(() => {
      context.store.tables.transfers.patch(transfer.id, { phase: 'finalizing_success', updatedMs: Date.now() });
    });
  else if (isIdle(context, transfer, state)) stop(...whatIdleMeans(transfer));
}

async function look(context: Context, { id, ticket }: TransferRecord): Promise<TicketState | undefined> {
  if (ticket === undefined) return undefined;
  try {
    return await context.imageio.ticketState(ticket.id);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`ticket of transfer ${id}: ${error.message}`);
    return undefined;
  }
}

/**
 * Every byte was read (holes that were skipped do not count), and nobody is at it, as when it was last looked at: a transfer begins like that, so
 * what is read between two polls is over at the first one (TransferDiskImageCommand.finalizeDownloadIfNecessary).
 */
function isReadToTheEnd(before: TransferRecord, now: TicketState): boolean {
  const total = before.ticket?.sizeBytes ?? 0;
  return before.direction === 'download' && total > 0 && now.transferredBytes === total && !now.active && !before.active;
}

/** The daemon tells whole seconds: what the clock was put forward within the one that it cut off counts. */
function isIdle({ clock }: Context, { inactivitySeconds }: TransferRecord, { active, idleSeconds }: TicketState): boolean {
  const idleMs = idleSeconds * 1000 + clock.advancedSince(Date.now() - (idleSeconds + 1) * 1000);
  return inactivitySeconds > 0 && !active && idleMs > inactivitySeconds * 1000;
}

function whatIdleMeans({ policy, direction }: TransferRecord): [EventName, TransferPhase] {
  if (policy === 'pause') return ['transferPausedIdle', 'paused_system'];
  if (policy === 'cancel') return ['transferCancelledIdle', 'cancelled_system'];
  return direction === 'upload' ? ['uploadPausedIdle', 'paused_system'] : ['downloadCancelledIdle', 'cancelled_system'];
}
