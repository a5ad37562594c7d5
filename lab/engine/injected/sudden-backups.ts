// Sudden faults of backups and transfers. See sudden.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { addDisk } from '../commands/add-disk';
import { enter, runTransfer } from '../commands/advance-transfer';
import { askTransfer } from '../commands/ask-transfer';
import { finalizeBackup } from '../commands/end-backup';
import { startBackup } from '../commands/start-backup';
import { startTransfer } from '../commands/start-transfer';
import { activeImage, attachmentsOf, needDisk, needVm, ownImageDisks, volumeRef, type Context } from '../context';
import { newId, type Actor } from '../events';
import { notFound } from '../faults';
import type { TransferRecord } from '../state/backup-model';
import type { FaultOf } from './kinds';

const lookAgainMs = 50;
const foreignDiskBytes = 64 * 1024 ** 2;

export function otherProduct(): Actor {
  return { user: 'otherbackup@internal', correlationId: newId() };
}

/** At least one; none is a 404 to the one who injects. */
function runningTransfers({ store }: Context, diskId: string | undefined): TransferRecord[] {
  const found = store.tables.transfers.where((row) => row.phase === 'transferring' && (diskId === undefined || row.diskId === diskId));
  if (found.length === 0) throw notFound();
  return found;
}

/** Behind the engine's back: it finds out at its next poll. */
export async function loseTickets(context: Context, { diskId }: FaultOf<'ticket-lost'>): Promise<void> {
  for (const { ticket } of runningTransfers(context, diskId)) if (ticket !== undefined) await context.imageio.removeTicket(ticket.id);
}

export async function stopTransfers(context: Context, { diskId, how }: FaultOf<'transfer-stopped'>): Promise<void> {
  for (const { id } of runningTransfers(context, diskId)) {
    enter(context, id, how === 'pause' ? 'paused_system' : 'cancelled_system');
    await runTransfer(context, id);
  }
}

export async function forgetBitmapsOf(context: Context, vmId: string): Promise<void> {
  for (const { disk } of ownImageDisks(context, needVm(context, vmId).id)) {
    const image = activeImage(context, disk.id);
    if (image?.format === 'cow') await context.backups.forgetBitmaps(vmId, volumeRef(image));
  }
}

/** Cancelled by whoever releases the fault: perhaps another engine than the one that began it. */
export async function foreignTransfer(context: Context, { diskId }: FaultOf<'foreign-transfer'>): Promise<string> {
  const request = { direction: 'download', format: 'raw', shallow: false, inactivitySeconds: 0, policy: 'legacy' } as const;
  return startTransfer(context, { ...request, of: { diskId: needDisk(context, diskId).id } }, otherProduct());
}

export function cancelForeignTransfer(context: Context, transferId: string): void {
  askTransfer(context, transferId, 'cancel', otherProduct());
}

export async function foreignBackup(context: Context, { vmId }: FaultOf<'foreign-backup'>): Promise<void> {
  const diskIds = attachmentsOf(context, needVm(context, vmId).id)
    .filter(({ active, snapshotId }) => active && snapshotId === undefined)
    .map(({ diskId }) => diskId);
  const request = { vmId, diskIds, description: 'another product', requireConsistency: false, legacy: true };
  const { backupId, settled } = await startBackup(context, request, otherProduct());
  await settled;
  if (context.store.tables.backups.get(backupId)?.phase === 'ready') await finalizeBackup(context, vmId, backupId);
  while (context.store.tables.backups.get(backupId)?.phase === 'finalizing') await sleep(lookAgainMs);
}

export async function foreignDisk(context: Context, { vmId, format }: FaultOf<'foreign-disk'>): Promise<void> {
  const vm = needVm(context, vmId);
  const [domain] = context.store.tables.domains.where(({ status }) => status === 'active');
  const wanted = {
    ...{ alias: `${vm.name}_foreign`, description: '', domain, virtualBytes: foreignDiskBytes, format, sparse: true },
    ...{ shareable: false, wipeAfterDelete: false, propagateErrors: false, incrementalBackup: format === 'cow' },
  };
  const attachment = { interface: 'virtio_scsi', bootable: false, active: true, readOnly: false, passDiscard: false } as const;
  const { settled } = await addDisk(context, wanted, otherProduct(), { vm, attachment });
  await settled;
}
