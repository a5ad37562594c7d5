// The phases of an image transfer (ovirt-api.md 2.8, engine-rules.md section 4). Requests only write a phase; what it means is done here, by
// whoever comes first: the request's own background work or the poll. One at a time per transfer.
import { volumeRef, type Context } from '../context';
import type { Actor, EventName, EventSubject } from '../events';
import { HttpFault } from '../faults';
import type { TransferPhase, TransferRecord } from '../state/backup-model';
import type { ImageTransferOperation } from '../state/operations';
import { pollTransfer } from './poll-transfer';
import { removeDisk } from './remove-disk';
import { renewTicket, startSession, stopSession } from './transfer-session';

export function transferSubject({ store }: Context, { direction, diskId }: TransferRecord): EventSubject & { readonly direction: string } {
  return { direction: direction === 'upload' ? 'Upload' : 'Download', disk: store.tables.disks.get(diskId)?.alias ?? diskId };
}

export function enter({ store }: Context, id: string, phase: TransferPhase): void {
  store.write(() => {
    store.tables.transfers.patch(id, { phase, updatedMs: Date.now() });
  });
}

export function operationOfTransfer({ store }: Context, id: string): ImageTransferOperation | undefined {
  return store.tables.operations.all().find((row): row is ImageTransferOperation => row.kind === 'image-transfer' && row.transferId === id);
}

/** The session of a new transfer. False: there is none, and the transfer goes on to its end by itself. */
export async function beginTransfer(context: Context, id: string): Promise<boolean> {
  const begun = await context.turns.run(id, async () => {
    const transfer = context.store.tables.transfers.get(id);
    return transfer !== undefined && (await initialize(context, transfer));
  });
  if (!begun) void context.background.run(`transfer ${id}`, () => runTransfer(context, id));
  return begun;
}

/** Goes on until the transfer waits for somebody. `polled`: it is time to look at the ticket. */
export function runTransfer(context: Context, id: string, polled = false): Promise<void> {
  return context.turns.run(id, async () => {
    const begun = context.store.tables.transfers.get(id);
    if (polled && begun?.phase === 'transferring') await pollTransfer(context, begun, say);
    for (;;) {
      const before = context.store.tables.transfers.get(id);
      if (before === undefined || !(await step(context, before))) return;
    }
  });
}

const system: Actor = { user: 'SYSTEM', correlationId: '' };

/** The events of a transfer are filed under whoever began it. */
export function say(context: Context, transfer: TransferRecord, name: EventName): void {
  context.events.record(name, operationOfTransfer(context, transfer.id) ?? system, transferSubject(context, transfer));
}

/** False: nothing more to do for now. */
async function step(context: Context, transfer: TransferRecord): Promise<boolean> {
  switch (transfer.phase) {
    case 'resuming':
      say(context, transfer, 'transferResumed');
      await renewTicket(context, transfer);
      return move(context, transfer, 'transferring');
    case 'cancelled_user':
      say(context, transfer, 'transferCancelled');
      return move(context, transfer, 'finalizing_cleanup');
    case 'cancelled_system':
      return move(context, transfer, 'finalizing_failure');
    case 'finalizing_success':
      return finishWell(context, transfer);
    case 'finalizing_failure':
    case 'finalizing_cleanup':
      return cleanUp(context, transfer);
    case 'finished_cleanup':
      fail(context, transfer);
      return false;
    // Its request's alone: an engine that died meanwhile leaves it so until somebody cancels it (TransferDiskImageCommand.handleInitializing
    // returns where there is no child command).
    case 'initializing':
    case 'transferring':
    case 'paused_system':
    case 'paused_user':
    case 'finished_success':
    case 'finished_failure':
      return false;
  }
}

/** Only if nobody asked for something else in the meantime. */
function move({ store }: Context, { id, phase }: TransferRecord, to: TransferPhase): true {
  store.write(() => {
    if (store.tables.transfers.get(id)?.phase === phase) store.tables.transfers.patch(id, { phase: to, updatedMs: Date.now() });
  });
  return true;
}

/** What was asked for meanwhile is lost: updateEntityPhase asks nobody. */
async function initialize(context: Context, transfer: TransferRecord): Promise<boolean> {
  const problem = await startSession(context, transfer);
  if (problem?.event !== undefined) say(context, transfer, problem.event);
  // Logged once the request is executed, however that went (CommandBase.execute): an engine that dies meanwhile leaves a transfer without it.
  say(context, transfer, 'transferStarted');
  if (problem?.isOver === true) fail(context, transfer);
  else enter(context, transfer.id, problem === undefined ? 'transferring' : stopped(transfer));
  return problem === undefined;
}

/** What the system does to a transfer that cannot go on. */
export function stopped({ direction }: TransferRecord): TransferPhase {
  return direction === 'upload' ? 'paused_system' : 'cancelled_system';
}

async function finishWell(context: Context, transfer: TransferRecord): Promise<boolean> {
  if (!(await stopSession(context, transfer))) return false;
  if (transfer.direction === 'upload' && !(await isVerified(context, transfer))) return move(context, transfer, 'finalizing_failure');
  await context.holds.slowFinalize({ what: 'transfer', id: transfer.diskId });
  unlock(context, transfer);
  end(context, transfer, 'finished_success');
  return false;
}

/** As vdsm verifies a volume that a stranger wrote: readable, of its own format and size, on the backing that it had. */
async function isVerified(context: Context, transfer: TransferRecord): Promise<boolean> {
  context.volumes.forget();
  const image = context.store.tables.images.get(transfer.imageId);
  const disk = context.store.tables.disks.get(transfer.diskId);
  if (image === undefined || disk === undefined) return false;
  if ((await context.volumes.damaged([volumeRef(image)])).size > 0) return false;
  const info = await context.volumes.info(volumeRef(image));
  return info?.format === image.format && info.virtualBytes === disk.virtualBytes && info.backingVolumeId === image.parentId;
}

async function cleanUp(context: Context, transfer: TransferRecord): Promise<boolean> {
  if (!(await stopSession(context, transfer))) return false;
  // The engine has a number for it, 1053, but no sentence, and so logs nothing.
  if (transfer.phase === 'finalizing_cleanup') return move(context, transfer, 'finished_cleanup');
  fail(context, transfer);
  return false;
}

/** An upload that did not succeed takes its disk with it (endWithFailure). A removal that an engine which died had begun goes on by itself. */
function fail(context: Context, transfer: TransferRecord): void {
  const { operations } = context.store.tables;
  if (!operations.all().some((row) => row.kind === 'remove-disk' && row.diskId === transfer.diskId)) {
    unlock(context, transfer);
    if (transfer.direction === 'upload') discard(context, transfer);
  }
  end(context, transfer, 'finished_failure');
}

/** RemoveDisk has the transfer's lock, may be refused (then the disk stays), and its host's work outlasts the transfer. */
function discard(context: Context, { id, diskId }: TransferRecord): void {
  if (context.store.tables.disks.get(diskId) === undefined) return;
  const { user, correlationId } = operationOfTransfer(context, id) ?? system;
  context.locks.free(id);
  try {
    removeDisk(context, diskId, { user, correlationId });
  } catch (error) {
    if (!(error instanceof HttpFault)) throw error;
    context.log(`disk ${diskId} of transfer ${id}: ${error.message}`);
  }
}

/** Also of a disk whose live or cold backup had locked it: setImageStatus(OK) asks nobody. A hybrid one's transfer has its snapshot's volume. */
function unlock({ store }: Context, { ofSnapshot, backupId, diskId }: TransferRecord): void {
  if (ofSnapshot || store.tables.backups.get(backupId)?.kind === 'hybrid') return;
  store.write(() => {
    store.tables.disks.patch(diskId, { locked: false });
  });
}

/** The engine's lock goes, then the phase is told. */
function end(context: Context, transfer: TransferRecord, phase: 'finished_success' | 'finished_failure'): void {
  const { store } = context;
  context.locks.free(transfer.id);
  context.volumes.forget();
  const operation = operationOfTransfer(context, transfer.id);
  store.write(() => {
    say(context, transfer, phase === 'finished_success' ? 'transferSucceeded' : 'transferFailed');
    enter(context, transfer.id, phase);
    if (operation === undefined) return;
    store.tables.operations.delete(operation.id);
    context.jobs.end(operation.jobId, phase === 'finished_success' ? 'finished' : 'failed');
  });
  purgeWhenAsked(context, transfer);
}

/** Engines before 4.4.7 forgot a transfer as soon as it was over. */
function purgeWhenAsked({ injected, store }: Context, { id, diskId }: TransferRecord): void {
  const fault = injected.ofKind('transfer-purged').find((active) => active.fault.diskId === undefined || active.fault.diskId === diskId);
  if (fault === undefined) return;
  injected.fire(fault);
  store.write(() => {
    store.tables.transfers.delete(id);
  });
}
