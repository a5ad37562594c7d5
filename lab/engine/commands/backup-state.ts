// Questions about backups and checkpoints that many commands ask, and the few changes that all of them make. Checkpoints of a VM are a
// linear chain, shared by all backup products.
import { activeImage, attachmentsOf, volumeRef, type Context } from '../context';
import { newId } from '../events';
import { isUnfinished, type BackupRecord, type CheckpointRecord } from '../state/backup-model';
import { without } from '../state/without';

export function unfinishedBackup({ store }: Context, vmId: string): BackupRecord | undefined {
  return store.tables.backups.where((backup) => backup.vmId === vmId && isUnfinished(backup))[0];
}

export function patchBackup({ store }: Context, id: string, change: Partial<BackupRecord>): void {
  store.write(() => {
    store.tables.backups.patch(id, { ...change, modifiedMs: Date.now() });
  });
}

/** From one phase to the next, unless somebody asked for the end meanwhile. */
export function advance(context: Context, id: string, from: BackupRecord['phase'], change: Partial<BackupRecord>): boolean {
  return context.store.write(() => {
    if (context.store.tables.backups.get(id)?.phase !== from) return false;
    patchBackup(context, id, change);
    return true;
  });
}

/** Oldest first. */
export function checkpointsOf({ store }: Context, vmId: string): CheckpointRecord[] {
  const all = store.tables.checkpoints.where((checkpoint) => checkpoint.vmId === vmId);
  const chain: CheckpointRecord[] = [];
  for (
    let next = all.find(({ parentId }) => parentId === undefined);
    next !== undefined;
    next = all.find(({ parentId }) => parentId === chain.at(-1)?.id)
  )
    chain.push(next);
  return chain;
}

/** Inside a write. */
export function addCheckpoint(context: Context, backup: BackupRecord): void {
  const leaf = checkpointsOf(context, backup.vmId).at(-1);
  context.store.tables.checkpoints.put({
    id: backup.toCheckpointId ?? newId(),
    vmId: backup.vmId,
    ...(leaf === undefined ? {} : { parentId: leaf.id }),
    createdMs: Date.now(),
    state: 'created',
    description: backup.description,
    diskIds: backup.disks.filter(({ tracked }) => tracked).map(({ diskId }) => diskId),
  });
}

/** Inside a write: what stood on it stands on its parent. */
export function forgetCheckpoint({ store }: Context, id: string | undefined): void {
  const { checkpoints } = store.tables;
  const gone = checkpoints.get(id);
  if (gone === undefined) return;
  for (const child of checkpoints.where(({ parentId }) => parentId === gone.id)) {
    const rest = without(child, 'parentId');
    checkpoints.put(gone.parentId === undefined ? rest : { ...rest, parentId: gone.parentId });
  }
  checkpoints.delete(gone.id);
}

/** Inside a write: an older state of the disks is the current one now. */
export function invalidateCheckpoints({ store }: Context, vmId: string): void {
  for (const { id } of store.tables.checkpoints.where((checkpoint) => checkpoint.vmId === vmId))
    store.tables.checkpoints.patch(id, { state: 'invalid' });
}

/** Inside a write: a disk that is gone is in no checkpoint. */
export function leaveCheckpoints({ store }: Context, diskId: string): CheckpointRecord[] {
  const { checkpoints } = store.tables;
  const left = checkpoints.where(({ diskIds }) => diskIds.includes(diskId));
  for (const { id, diskIds } of left) checkpoints.patch(id, { diskIds: diskIds.filter((other) => other !== diskId) });
  return left;
}

/** What a failed redefinition and the commit of an older state do: every checkpoint of the VM goes, in the engine and (as far as it can) on the host. */
export async function wipeCheckpoints(context: Context, vmId: string): Promise<void> {
  context.store.write(() => {
    for (const { id } of checkpointsOf(context, vmId)) forgetCheckpoint(context, id);
  });
  for (const { diskId } of attachmentsOf(context, vmId).filter(({ snapshotId }) => snapshotId === undefined))
    await forgetBitmaps(context, vmId, diskId);
}

async function forgetBitmaps(context: Context, vmId: string, diskId: string): Promise<void> {
  const image = activeImage(context, diskId);
  if (image?.format !== 'cow') return;
  await context.backups.forgetBitmaps(vmId, volumeRef(image)).catch((error: unknown) => {
    context.log(`bitmaps of disk ${diskId}: ${String(error)}`);
  });
}

/** Newer engines, when any attachment of the disk ends: its bitmaps go (best effort), it leaves every checkpoint, empty ones vanish. */
export async function wipeTracking(context: Context, vmId: string, diskId: string): Promise<void> {
  const owner = context.store.tables.attachments.where((other) => other.diskId === diskId && other.snapshotId === undefined)[0];
  await forgetBitmaps(context, owner?.vmId ?? vmId, diskId);
  context.store.write(() => {
    for (const { id } of leaveCheckpoints(context, diskId))
      if (context.store.tables.checkpoints.get(id)?.diskIds.length === 0) forgetCheckpoint(context, id);
  });
}
