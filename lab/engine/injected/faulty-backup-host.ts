// The host's side of backups and the daemon as the engine sees them: cut off from an engine that has been restarted, like faulty-host.ts.
import type { BackupHost, ImageioDaemon } from '../../host/backup-port';

export type Tracked = <Arguments extends unknown[], Result>(
  call: (...args: Arguments) => Promise<Result>,
) => (...args: Arguments) => Promise<Result>;

export function trackedBackupHost(inner: BackupHost, tracked: Tracked): BackupHost {
  return {
    startLiveBackup: tracked((vmId, backupId, disks, options) => inner.startLiveBackup(vmId, backupId, disks, options)),
    addBitmaps: tracked((disks) => inner.addBitmaps(disks)),
    stopLiveBackup: tracked((vmId, backupId, options) => inner.stopLiveBackup(vmId, backupId, options)),
    findLiveBackup: tracked((vmId, backupId) => inner.findLiveBackup(vmId, backupId)),
    bitmaps: tracked((vmId, volume) => inner.bitmaps(vmId, volume)),
    removeBitmap: tracked((vmId, volume, checkpointId) => inner.removeBitmap(vmId, volume, checkpointId)),
    resizeVolume: tracked((vmId, volume, virtualBytes) => inner.resizeVolume(vmId, volume, virtualBytes)),
    exportVolume: tracked((request) => inner.exportVolume(request)),
    endExport: tracked((transferId) => inner.endExport(transferId)),
    lieAboutNextBitmap: (diskId, bytes) => {
      inner.lieAboutNextBitmap(diskId, bytes);
    },
    limitNextScratch: (diskId, bytes) => {
      inner.limitNextScratch(diskId, bytes);
    },
    forgetBitmaps: tracked((vmId, volume) => inner.forgetBitmaps(vmId, volume)),
  };
}

export function trackedDaemon(inner: ImageioDaemon, tracked: Tracked): ImageioDaemon {
  return {
    start: tracked(() => inner.start()),
    stop: tracked(() => inner.stop()),
    address: () => inner.address(),
    addTicket: tracked((ticket) => inner.addTicket(ticket)),
    ticketState: tracked((uuid) => inner.ticketState(uuid)),
    extendTicket: tracked((uuid, timeoutSeconds) => inner.extendTicket(uuid, timeoutSeconds)),
    removeTicket: tracked((uuid) => inner.removeTicket(uuid)),
  };
}
