// What a transfer has on the host: an export of the data and a ticket of the daemon. Both are made here, looked after and taken away again.
import { hostOf, volumeRef, type Context } from '../context';
import type { DataExport } from '../../host/backup-port';
import { newId, type EventName } from '../events';
import { HostError } from '../../host/port';
import type { TransferRecord } from '../state/backup-model';
import { without } from '../state/without';

/** Of the engine's configuration (engine-rules.md section 4): ticket validity, and how early before its end it is renewed. */
export const ticketSeconds = 300;
const renewalAllowanceSeconds = 240;
/** A fully allocated qcow2 is bigger than its disk. */
const cowOverhead = 1.1;
const cowHeaderBytes = 64 * 1024;

export interface SessionProblem {
  /** A volume that cannot be prepared has none. */
  readonly event?: EventName;
  /** At once; else it is stopped, as by the system at any later time. */
  readonly isOver: boolean;
}

/** Undefined: the session is up. As TransferDiskImageCommand.startImageTransferSession. */
export async function startSession(context: Context, transfer: TransferRecord): Promise<SessionProblem | undefined> {
  const hostId = chooseHost(context, transfer);
  if (hostId === undefined) return { event: 'transferNoHost', isOver: true };
  let served: DataExport;
  try {
    served = await serve(context, transfer);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`transfer ${transfer.id}: ${error.message}`);
    if (transfer.asFile) return { isOver: true };
    return { event: 'transferPrepareFailed', isOver: false };
  }
  const disk = context.store.tables.disks.get(transfer.diskId);
  const id = newId();
  const sizeBytes = ticketSize(context, transfer, served);
  // It counts as there, and its URL is told, before the daemon has it; the time that it has begins when the daemon does.
  const ticket = { id, sizeBytes, expiresMs: context.clock.nowMs(), renewalFailed: false };
  context.store.write(() => {
    context.store.tables.transfers.patch(transfer.id, { hostId, ticket });
  });
  try {
    await context.imageio.addTicket({
      uuid: id,
      transferId: transfer.id,
      sizeBytes,
      ops: [transfer.direction === 'upload' ? 'write' : 'read'],
      timeoutSeconds: ticketSeconds,
      inactivityTimeoutSeconds: transfer.inactivitySeconds,
      url: served.url,
      sparse: disk?.sparse ?? false,
      dirty: served.dirty,
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`transfer ${transfer.id}: ${error.message}`);
    return { event: 'transferTicketFailed', isOver: false };
  }
  patchTicket(context, transfer.id, { ...ticket, expiresMs: context.clock.nowMs() + ticketSeconds * 1000 });
  return undefined;
}

/** A backup is read where its VM runs or ran, whatever host was asked for, were there nothing to read any more (initializeVds); everything else on any host. */
function chooseHost(context: Context, transfer: TransferRecord): string | undefined {
  const { store } = context;
  const backup = store.tables.backups.get(transfer.backupId);
  const vm = store.tables.vms.get(backup?.vmId);
  if (backup?.kind === 'live') return backup.hostId;
  if (vm !== undefined && vm.status !== 'down') return hostOf(context, vm).id;
  const hosts = store.tables.places.where((place) => place.kind === 'host');
  return transfer.hostId === undefined ? hosts[0]?.id : hosts.find(({ id }) => id === transfer.hostId)?.id;
}

async function serve(context: Context, transfer: TransferRecord): Promise<DataExport> {
  const { store } = context;
  const backup = store.tables.backups.get(transfer.backupId);
  const mine = backup?.disks.find(({ diskId }) => diskId === transfer.diskId);
  if (backup?.kind === 'live') {
    if (mine?.export === undefined) throw new HostError('no-such-volume', `backup ${backup.id} does not serve disk ${transfer.diskId}`);
    return mine.export;
  }
  const image = store.tables.images.get(transfer.imageId);
  if (image === undefined) throw new HostError('no-such-volume', `volume ${transfer.imageId} does not exist`);
  // TransferDiskImageCommand.getBitmap: of a volume that has become raw a cold backup shows everything, and a hybrid one asks in vain.
  const isSince = mine?.mode === 'incremental' && (backup?.kind === 'hybrid' || image.format === 'cow');
  store.write(() => {
    store.tables.transfers.patch(transfer.id, { prepared: true });
  });
  return context.backups.exportVolume({
    transferId: transfer.id,
    volume: volumeRef(image),
    writable: transfer.direction === 'upload',
    shallow: transfer.shallow,
    ...(isSince && backup?.fromCheckpointId !== undefined ? { changedSince: [backup.fromCheckpointId] } : {}),
    asFile: transfer.asFile,
  });
}

function ticketSize({ store }: Context, { direction, asFile, diskId, imageId }: TransferRecord, served: DataExport): number {
  const virtualBytes = store.tables.disks.get(diskId)?.virtualBytes ?? served.sizeBytes;
  if (!asFile || direction === 'download') return served.sizeBytes;
  if (store.tables.images.get(imageId)?.format === 'raw') return virtualBytes;
  return Math.ceil(virtualBytes * cowOverhead) + cowHeaderBytes;
}

/** Renews about every minute. False: it failed, for the second time in a row. */
export async function renewTicket(context: Context, transfer: TransferRecord): Promise<boolean> {
  const { ticket } = transfer;
  if (ticket === undefined || context.clock.nowMs() < ticket.expiresMs - renewalAllowanceSeconds * 1000) return true;
  try {
    await context.imageio.extendTicket(ticket.id, ticketSeconds);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`renewing the ticket of transfer ${transfer.id}: ${error.message}`);
    if (ticket.renewalFailed) return false;
    patchTicket(context, transfer.id, { ...ticket, renewalFailed: true });
    return true;
  }
  patchTicket(context, transfer.id, { ...ticket, expiresMs: context.clock.nowMs() + ticketSeconds * 1000, renewalFailed: false });
  return true;
}

function patchTicket({ store }: Context, id: string, ticket: TransferRecord['ticket'] & object): void {
  store.write(() => {
    store.tables.transfers.patch(id, { ticket });
  });
}

/** False: somebody still reads or writes; it is tried again later. */
export async function stopSession(context: Context, transfer: TransferRecord): Promise<boolean> {
  let transferredBytes: number | undefined;
  try {
    if (transfer.ticket !== undefined) {
      transferredBytes = (await context.imageio.ticketState(transfer.ticket.id))?.transferredBytes;
      await context.imageio.removeTicket(transfer.ticket.id);
    }
    if (transfer.prepared) await context.backups.endExport(transfer.id);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`ending the session of transfer ${transfer.id}: ${error.message}`);
    return false;
  }
  context.store.write(() => {
    const now = context.store.tables.transfers.get(transfer.id);
    if (now === undefined) return;
    const known = transferredBytes ?? now.transferredBytes;
    context.store.tables.transfers.put({ ...without(now, 'ticket'), prepared: false, transferredBytes: known });
  });
  return true;
}
