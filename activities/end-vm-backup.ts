// The end of a VM backup, as an undo and as the last step of a backup that is sealed: transfers, the backup itself, its disks, the snapshot of a
// hybrid one, scratch disks that were forgotten, its checkpoint. Each part may have been done by an earlier attempt, or by the engine.
import type { Engine, VmBackup } from '../adapters/ovirt/port';
import { HoldfastError } from '../domain/failures';
import { checkpointMark, holdCheckpoint, removeCheckpoint } from './checkpoints';
import { endTransfer, transfersOfRun, type Outside, type TransfersOutside } from './own-transfers';
import { ownVmBackup, vmBackupHolding, type VmBackupOfRun } from './own-vm-backups';
import { gone, waitFor } from './waiting';

export interface EndedVmBackup {
  /** It ran when the backup began, or there would be none: a guest that writes more than its scratch disks hold is stopped. */
  readonly vmIsPaused: boolean;
}

export interface EndOfVmBackup extends VmBackupOfRun {
  readonly diskIds: readonly string[];
  readonly keepCheckpoint: boolean;
}

const isOver = ({ phase }: VmBackup): boolean => phase === 'succeeded' || phase === 'failed';

export async function endVmBackup(outside: TransfersOutside, of: EndOfVmBackup): Promise<EndedVmBackup> {
  await end(outside, of);
  return { vmIsPaused: (await outside.engine.getVm(of.vmId))?.status === 'paused' };
}

async function end(outside: TransfersOutside, of: EndOfVmBackup): Promise<void> {
  const { engine, catalog } = outside;
  const { runId, vmId, keepCheckpoint } = of;
  const { id: vmBackupId, backup: found } = await ownVmBackup(outside, of);
  if (found) await holdCheckpoint(catalog, of, found);
  const diskIds = of.diskIds.length > 0 || !found ? of.diskIds : (await engine.listVmBackupDisks(vmId, found.id)).map(({ diskId }) => diskId);
  for (const transfer of await transfersOfRun(outside, runId, diskIds)) await endTransfer(engine, transfer, 'cancel');
  const ended = found && !isOver(found) ? await finalize(outside, of, found) : found;
  await waitFor(async () => (await firstLocked(engine, diskIds)) ?? gone);
  // None was ever seen: there is nothing that could have come of it.
  if (vmBackupId === undefined) return catalog.releaseHolding(vmBackupHolding(of), 'released');
  const checkpoint = (await catalog.listHoldings({ runId })).find(({ kind, mark }) => kind === 'checkpoint' && mark === checkpointMark(vmBackupId));
  const snapshotId = ended?.snapshotId ?? checkpoint?.snapshotId;
  if (snapshotId !== undefined) await waitUntilMerged(engine, { vmId, vmBackupId }, snapshotId);
  if (ended?.phase !== 'succeeded') await removeScratchDisks(engine, vmBackupId);
  // A checkpoint without its VM backup looks like one that nobody needs: it is a product before that lets go of it.
  if (checkpoint && keepCheckpoint) await catalog.releaseHolding(checkpoint.holdingId, 'product');
  await catalog.releaseHolding(vmBackupHolding(of), 'released');
  if (!checkpoint || keepCheckpoint) return;
  if (checkpoint.objectId !== undefined) await removeCheckpoint(engine, vmId, checkpoint.objectId);
  await catalog.releaseHolding(checkpoint.holdingId, 'released');
}

/** Notes the checkpoint as soon as the engine tells it, which may be while it ends: soon after its end the engine forgets the backup. */
async function look({ engine, catalog }: Outside, of: EndOfVmBackup, vmBackupId: string): Promise<VmBackup | undefined> {
  const now = await engine.getVmBackup(of.vmId, vmBackupId);
  if (now) await holdCheckpoint(catalog, of, now);
  return now;
}

/**
 * One that is not ready yet ends as failed; a hybrid one goes on until it is, and ends then. What was seen of it last, and its snapshot if that was
 * ever seen: the engine names none of a hybrid one that failed, and does not look after it (HybridBackupCommand.endWithFailure).
 */
async function finalize(outside: Outside, of: EndOfVmBackup, found: VmBackup): Promise<VmBackup> {
  const { vmId } = of;
  const vmBackupId = found.id;
  let seen = found;
  await outside.engine.finalizeVmBackup(vmId, vmBackupId);
  await waitFor(async () => {
    const now = await look(outside, of, vmBackupId);
    seen = { ...seen, ...now };
    return !now || isOver(now) ? gone : `VM backup ${vmBackupId} of VM ${vmId} is ${now.phaseText}`;
  });
  return seen;
}

async function firstLocked(engine: Engine, diskIds: readonly string[]): Promise<string | undefined> {
  for (const diskId of diskIds) {
    const disk = await engine.getDisk(diskId);
    if (disk?.status === 'locked') return `disk ${disk.alias} (${diskId}) is still locked`;
  }
  return undefined;
}

/** A backup that the engine has lost track of (event 10814) leaves them, and they take room on the storage. */
async function removeScratchDisks(engine: Engine, vmBackupId: string): Promise<void> {
  for (const diskId of await engine.listScratchDiskIds(vmBackupId)) await engine.removeDisk(diskId);
  await waitFor(async () => {
    const left = await engine.listScratchDiskIds(vmBackupId);
    return left.length === 0 ? gone : `scratch disk ${left.join(', ')} of VM backup ${vmBackupId} is being removed`;
  });
}

/** A look at a snapshot that the engine is just beginning to merge must not take it for one that it gave up. */
const mergeBeginsMs = 3_000;

/**
 * The backup has succeeded even where the engine could not merge its snapshot (event 10813), which then stays as anybody's. Removing it once more
 * is the engine's own way on.
 */
async function waitUntilMerged(engine: Engine, { vmId, vmBackupId }: { readonly vmId: string; readonly vmBackupId: string }, snapshotId: string): Promise<void> {
  const isOurs = async () => {
    const now = await engine.getSnapshot(vmId, snapshotId);
    // Where its making failed, its id is the "Active VM"'s again.
    return now?.type === 'regular' ? now : undefined;
  };
  const name = `snapshot ${snapshotId} ("Auto-generated for Backup VM") of VM ${vmId}, which backup ${vmBackupId} left`;
  const sinceMs = Date.now();
  const left = await isOurs();
  if (!left) return;
  if (left.status === 'ok') await engine.removeSnapshot(vmId, snapshotId);
  let seenLocked = left.status === 'locked';
  await waitFor(async () => {
    const now = await isOurs();
    if (!now) return gone;
    if (now.status === 'ok' && (seenLocked || Date.now() - sinceMs > mergeBeginsMs)) throw new HoldfastError('wait.pending', `The engine gave up merging ${name}; it is tried again. Events 10813, 357 and 359 on the engine tell why; by hand: remove that snapshot in the engine.`, { vmId, snapshotId });
    seenLocked ||= now.status === 'locked';
    return `${name} is being merged (${now.status})`;
  });
}
