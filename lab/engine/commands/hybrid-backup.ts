// A hybrid backup: a snapshot of the disks with the new checkpoint's bitmaps above it; transfers read what the snapshot froze, the VM is free
// to do anything else. Finalizing merges the snapshot away; if that fails the backup has succeeded all the same.
import { imagesOfSnapshot, type Context } from '../context';
import { refuse } from '../refusals';
import { HttpFault } from '../faults';
import type { BackedUpDisk, BackupRecord } from '../state/backup-model';
import type { VmRecord } from '../state/model';
import type { CreateSnapshotOperation, VmBackupOperation } from '../state/operations';
import { addCheckpoint, advance, patchBackup, tellModes } from './backup-state';
import { prepareSnapshot } from './create-snapshot';
import { failBackup, succeedBackup } from './end-backup';
import { carryOut as carryOutSnapshot, resumeCreateSnapshot } from './finish-snapshot';
import { removeOwnSnapshot } from './hybrid-snapshot';

export const hybridSnapshotDescription = 'Auto-generated for Backup VM';

type Run = (work: () => Promise<void>) => Promise<void>;

/** The snapshot's rows are made before the POST answers. */
export async function startHybrid(
  context: Context,
  vm: VmRecord,
  backup: BackupRecord,
  operation: VmBackupOperation,
  run: Run,
): Promise<{ readonly settled: Promise<void> }> {
  const subject = { vm, backup: backup.id };
  const snapshot = await prepare(context, vm, backup, operation).catch((error: unknown) => {
    context.log(`backup ${backup.id}: ${error instanceof Error ? error.message : String(error)}`);
    context.events.record('snapshotRefused', operation, { vm, snapshot: hybridSnapshotDescription });
    context.events.record('backupStarted', operation, subject);
    void run(() => failBackup(context, operation));
    throw error instanceof HttpFault ? refuse('start-backup/snapshot-refused') : error;
  });
  context.store.write(() => {
    patchBackup(context, backup.id, { phase: 'starting', snapshotId: snapshot.snapshotId });
    context.events.record('backupStarted', operation, subject);
  });
  const settled = run(async () => {
    try {
      await carryOutSnapshot(context, snapshot);
    } finally {
      context.locks.free(snapshotLock(backup));
    }
    await afterSnapshot(context, operation);
  });
  return { settled };
}

/** The snapshot's own lock of the VM, beside the backup's locks of its disks. */
function snapshotLock({ id }: BackupRecord): string {
  return `snapshot of ${id}`;
}

async function prepare(
  context: Context,
  vm: VmRecord,
  backup: BackupRecord,
  operation: VmBackupOperation,
): Promise<CreateSnapshotOperation> {
  context.locks.hold(snapshotLock(backup), 'create snapshot', 'Cannot create Snapshot', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/create-snapshot', parameters: { vm: vm.name } } },
  ]);
  const request = {
    vmId: vm.id,
    description: hybridSnapshotDescription,
    saveMemory: false,
    disks: backup.disks.map(({ diskId }) => ({ diskId })),
    backup: {
      id: backup.id,
      toCheckpointId: backup.toCheckpointId ?? '',
      trackedDiskIds: backup.disks.filter(({ tracked }) => tracked).map(({ diskId }) => diskId),
    },
  };
  try {
    const { user, correlationId } = operation;
    return await prepareSnapshot(context, vm, request, { user, correlationId });
  } catch (error) {
    context.locks.free(snapshotLock(backup));
    throw error;
  }
}

async function afterSnapshot(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  const snapshot = context.store.tables.snapshots.get(backup?.snapshotId);
  if (backup === undefined) return;
  // One that failed may be `ok` all the same (finish-snapshot.ts), and then the backup is on its way out.
  if (snapshot?.type !== 'regular' || snapshot.status !== 'ok' || backup.phase !== 'starting') return failBackup(context, operation);
  const images = imagesOfSnapshot(context, snapshot.id);
  const disks = backup.disks.map((disk): BackedUpDisk => ({
    ...disk,
    imageId: images.find(({ diskId }) => diskId === disk.diskId)?.id ?? disk.imageId,
  }));
  context.store.write(() => {
    addCheckpoint(context, backup);
    tellModes(context, backup);
    advance(context, backup.id, 'starting', { phase: 'ready', disks, checkpointVisible: true });
  });
}

/** Asked at each poll: finalizing was only noted. */
export async function finalizeHybrid(context: Context, operation: VmBackupOperation): Promise<void> {
  const backup = context.store.tables.backups.get(operation.backupId);
  const vm = context.store.tables.vms.get(backup?.vmId);
  if (backup === undefined || vm === undefined) return;
  if (backup.phase === 'ready') {
    if (!backup.stopAsked) return;
    patchBackup(context, backup.id, { phase: 'removing_snapshot' });
  }
  await context.holds.slowFinalize({ what: 'backup', id: vm.id });
  if (!(await removeOwnSnapshot(context, backup.snapshotId, operation))) context.events.record('backupLeftover', operation, { vm });
  await succeedBackup(context, operation);
}

export async function resumeHybrid(context: Context, operation: VmBackupOperation, backup: BackupRecord): Promise<void> {
  if (backup.phase === 'ready') return;
  if (backup.phase === 'removing_snapshot') return finalizeHybrid(context, operation);
  const snapshot = context.store.tables.operations.all().find((row) => row.kind === 'create-snapshot' && row.backupId === backup.id);
  if (backup.phase !== 'starting') return failBackup(context, operation);
  if (snapshot?.kind === 'create-snapshot') await resumeCreateSnapshot(context, snapshot);
  await afterSnapshot(context, operation);
}
