// In the place of a host that cannot back up and of a daemon that is not there: the engine then offers no backups and no transfers, and what
// remains (a disk that is to grow) is refused as by a host that fails.
import type { BackupHost, ImageioDaemon } from '../host/backup-port';
import { HostError } from '../host/port';

const refuse = (): Promise<never> => Promise.reject(new HostError('qemu-failed', 'this host neither backs up nor serves volumes'));
const nothing = (): void => undefined;
const done = (): Promise<void> => Promise.resolve();

export const noBackupHost: BackupHost = {
  startLiveBackup: refuse,
  addBitmaps: refuse,
  stopLiveBackup: refuse,
  findLiveBackup: refuse,
  bitmaps: refuse,
  removeBitmap: refuse,
  resizeVolume: refuse,
  exportVolume: refuse,
  endExport: refuse,
  lieAboutNextBitmap: nothing,
  limitNextScratch: nothing,
  forgetBitmaps: done,
};

export const noDaemon: ImageioDaemon = {
  start: done,
  stop: done,
  address: () => ({ url: '', unixSocket: '' }),
  addTicket: refuse,
  ticketState: refuse,
  extendTicket: refuse,
  removeTicket: refuse,
};
