// How a hybrid backup gets rid of its own snapshot. The backup's locks are its own, so nothing is asked that a user would be.
import type { Context } from '../context';
import type { BackupRecord } from '../state/backup-model';
import type { VmBackupOperation } from '../state/operations';
import { carryOut, recordRemoval } from './remove-snapshot';

/** False: it is still there. */
export async function removeOwnSnapshot(
  context: Context,
  backup: BackupRecord,
  { user, correlationId }: VmBackupOperation,
): Promise<boolean> {
  const { store } = context;
  const snapshot = store.tables.snapshots.get(backup.snapshotId);
  const vm = store.tables.vms.get(backup.vmId);
  if (snapshot?.type !== 'regular' || vm === undefined) return true;
  try {
    const begun = store.tables.operations.all().find((row) => row.kind === 'remove-snapshot' && row.snapshotId === snapshot.id);
    const operation = begun?.kind === 'remove-snapshot' ? begun : recordRemoval(context, vm, snapshot, { user, correlationId }, backup.id);
    await carryOut(context, operation);
  } catch (error) {
    context.log(`snapshot ${snapshot.id} of backup ${backup.id}: ${String(error)}`);
  }
  return store.tables.snapshots.get(snapshot.id) === undefined;
}
