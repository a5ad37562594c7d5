// The VM backup: the engine keeps the disks of one moment readable until it is ended.
import { uuid4 } from '@temporalio/workflow';
import type { ReadyVmBackup } from '../../activities/vm-backups';
import type { Chosen } from '../../domain/chain';
import { snapshotMark } from '../../domain/ids';
import type { Backup, PlannedBackup } from './backup';

export interface OpenVmBackup {
  readonly vmBackupId: string;
  readonly ready: ReadyVmBackup;
  /** The backup is sealed: the next one may go on from the checkpoint that began with it. */
  keepCheckpoint(): void;
}

export async function vmBackupReady({ input, run, proxies, settings, backupId }: Backup, { vm, disks }: PlannedBackup, { fromCheckpointId }: Chosen): Promise<OpenVmBackup> {
  run.enter('vm-backup');
  const { engine, vmId, quiesce } = input;
  const of = { engine, runId: run.runId, vmId, vmBackupId: uuid4() };
  const diskIds = disks.map((disk) => disk.diskId);
  const description = snapshotMark(settings.snapshotPrefix, backupId);
  let keepCheckpoint = false;
  run.undo.push({ name: 'end the VM backup', leftover: { kind: 'vm-backup', objectId: of.vmBackupId, mark: description }, run: () => proxies.undo.ensureVmBackupEnded({ ...of, diskIds, keepCheckpoint }) });
  const ready = await proxies.waiting(settings.deadlines.snapshotSeconds).ensureVmBackup({ ...of, diskIds, fromCheckpointId, vmStatus: vm.status, quiesce, description });
  return { vmBackupId: of.vmBackupId, ready, keepCheckpoint: () => void (keepCheckpoint = true) };
}
