// Scratch disks of a live backup: where the host keeps what the guest overwrites meanwhile. They are disks like others, on the domain of
// the disk that they serve, and everybody sees them. They are locked until the backup ends (RemoveScratchDisksCommand), and for good if it is lost.
import { activeImage, volumeRef, type Context } from '../context';
import { newId } from '../events';
import { HostError, type VolumeRef } from '../../host/port';
import type { BackupRecord } from '../state/backup-model';
import type { DiskRecord } from '../state/model';
import type { VmBackupOperation } from '../state/operations';
import { without } from '../state/without';
import { patchBackup } from './backup-state';
import { dropDisk } from './remove-disk';

/** False: one could not be made. */
export async function makeScratchDisks(context: Context, operation: VmBackupOperation): Promise<boolean> {
  const { store, host, events } = context;
  const backup = store.tables.backups.get(operation.backupId);
  const vm = store.tables.vms.get(backup?.vmId);
  if (backup === undefined || vm === undefined) return false;
  for (const { diskId } of backup.disks) {
    const source = store.tables.disks.get(diskId);
    if (source?.domainId === undefined) return false;
    const subject = { vm, backup: backup.id, diskId };
    const scratch = record(context, backup.id, source, vm.name);
    events.record('scratchStarted', operation, subject);
    try {
      refuseWhenFull(context, vm.id);
      await host.createVolume({ ...scratch, format: 'cow', virtualBytes: source.virtualBytes, sparse: true });
    } catch (error) {
      context.log(`scratch disk for disk ${diskId} of VM ${vm.name}: ${String(error)}`);
      events.record('scratchFailed', operation, subject);
      return false;
    }
    store.write(() => {
      events.record('scratchMade', operation, subject);
    });
  }
  return true;
}

function refuseWhenFull({ injected }: Context, vmId: string): void {
  const fault = injected
    .ofKind('scratch-full')
    .find(({ fault: { vmId: wanted, bytes } }) => bytes === 0 && (wanted === undefined || wanted === vmId));
  if (fault === undefined) return;
  injected.fire(fault);
  throw new HostError('no-space', `fault ${fault.id} says that there is no space`);
}

function record(context: Context, backupId: string, source: DiskRecord, vmName: string): VolumeRef {
  const { store } = context;
  const createdMs = Date.now();
  const disk: DiskRecord = {
    ...without(source, 'backupMode'),
    id: newId(),
    alias: `VM ${vmName} backup ${backupId} scratch disk for ${source.alias}`,
    description: `Backup ${backupId} scratch disk`,
    contentType: 'backup_scratch',
    sparse: true,
    incrementalBackup: false,
    locked: true,
    createdMs,
  };
  const domainId = source.domainId ?? '';
  const volumeId = newId();
  store.write(() => {
    store.tables.disks.put(disk);
    store.tables.images.put({ id: volumeId, diskId: disk.id, domainId, format: 'cow', active: true, createdMs });
    const disks = (store.tables.backups.get(backupId)?.disks ?? []).map((each) =>
      each.diskId === source.id ? { ...each, scratchDiskId: disk.id } : each,
    );
    patchBackup(context, backupId, { disks });
  });
  return { domainId, diskId: disk.id, volumeId };
}

export function scratchVolume(context: Context, scratchDiskId: string | undefined): VolumeRef | undefined {
  const image = scratchDiskId === undefined ? undefined : activeImage(context, scratchDiskId);
  return image === undefined ? undefined : volumeRef(image);
}

/** Best effort, as the real one: what cannot go stays in the list of disks. */
export async function removeScratchDisks(context: Context, backup: BackupRecord): Promise<void> {
  for (const { scratchDiskId } of backup.disks) {
    const disk = context.store.tables.disks.get(scratchDiskId);
    if (disk?.domainId === undefined) continue;
    try {
      await context.host.removeDisk(disk.domainId, disk.id);
      context.store.write(() => {
        dropDisk(context, disk);
      });
    } catch (error) {
      context.log(`scratch disk ${disk.id} of backup ${backup.id}: ${String(error)}`);
      context.store.write(() => {
        context.store.tables.disks.patch(disk.id, { locked: false });
      });
    }
  }
}
