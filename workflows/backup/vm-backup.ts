// The VM backup: the engine keeps the disks of one moment readable until it is ended.
import { uuid4 } from '@temporalio/workflow';
import type { EndedVmBackup, ReadyVmBackup } from '../../activities/vm-backups';
import type { Chosen } from '../../domain/chain';
import { snapshotMark } from '../../domain/ids';
import type { Backup, PlannedBackup } from './backup';
import { frozenIfAsked } from './freeze';

export interface OpenVmBackup {
  readonly vmBackupId: string;
  readonly ready: ReadyVmBackup;
  /** The backup is sealed: the next one may go on from the checkpoint that began with it. */
  keepCheckpoint(): void;
}

export async function vmBackupReady(backup: Backup, { vm, disks }: PlannedBackup, { fromCheckpointId }: Chosen): Promise<OpenVmBackup> {
  const { input, run, proxies, settings, backupId } = backup;
  run.enter('vm-backup');
  const { engine, vmId, quiesce, guestHook } = input;
  const description = snapshotMark(settings.snapshotPrefix, backupId);
  const of = { engine, runId: run.runId, vmId, vmBackupKey: uuid4(), description };
  const diskIds = disks.map((disk) => disk.diskId);
  let keepCheckpoint = false;
  const end = async (): Promise<void> => {
    // Histories of older releases hold no answer.
    const ended = (await proxies.undo.ensureVmBackupEnded({ ...of, diskIds, keepCheckpoint })) as EndedVmBackup | null | undefined;
    if (ended?.vmIsPaused) run.warn(`VM ${vm.name} is paused since the backup: its guest may have written more than the engine's scratch disks hold. Look at the VM's events on the engine, make room in its storage domain, and run the VM again`);
  };
  run.undo.push({ name: 'end the VM backup', leftover: { kind: 'vm-backup', mark: description }, run: end });
  const ready = await frozenIfAsked(backup, vm, (explicitFreeze, calls) => calls.ensureVmBackup({ ...of, diskIds, fromCheckpointId, vmStatus: vm.status, quiesce, guestHook, explicitFreeze }));
  run.reached(ready.consistency);
  return { vmBackupId: ready.vmBackupId ?? of.vmBackupKey, ready, keepCheckpoint: () => void (keepCheckpoint = true) };
}
