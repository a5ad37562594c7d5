// How a hybrid backup gets rid of its own snapshot: by the engine's own RemoveSnapshotCommand, which takes the VM's lock and refuses what it would
// refuse a user, but for the backup itself. A refusal is a failure like any other (CommandBase.executeAction keeps a refused child command).
import type { Context } from '../context';
import type { RemoveSnapshotOperation, VmBackupOperation } from '../state/operations';
import { carryOut, recordRemoval, takeForRemoval, validateRemoval } from './remove-snapshot';

/** False: it is still there. */
export async function removeOwnSnapshot(context: Context, snapshotId: string | undefined, operation: VmBackupOperation): Promise<boolean> {
  const { store } = context;
  if (store.tables.snapshots.get(snapshotId)?.type !== 'regular') return true;
  try {
    const begun = store.tables.operations.all().find((row) => row.kind === 'remove-snapshot' && row.snapshotId === snapshotId);
    const removal = begun?.kind === 'remove-snapshot' ? begun : await beginRemoval(context, snapshotId, operation);
    if (removal !== undefined) await carryOut(context, removal);
  } catch (error) {
    context.log(`snapshot ${snapshotId ?? ''} of backup ${operation.backupId}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return store.tables.snapshots.get(snapshotId) === undefined;
}

async function beginRemoval(context: Context, snapshotId: string | undefined, { user, correlationId, backupId }: VmBackupOperation): Promise<RemoveSnapshotOperation | undefined> {
  const { snapshots, vms } = context.store.tables;
  const snapshot = snapshots.get(snapshotId);
  const vm = vms.get(snapshot?.vmId);
  if (snapshot === undefined || vm === undefined) return undefined;
  const release = takeForRemoval(context, vm);
  try {
    await validateRemoval(context, vm, snapshot);
    return recordRemoval(context, vm, snapshot, { user, correlationId }, backupId);
  } finally {
    release();
  }
}
