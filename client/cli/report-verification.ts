// What people read about a verification that found everything as it was sealed. One that did not is an error, told by print-error.
import type { VerifyBackupOutput } from '../../domain/flows/verify-backup';
import { formatDuration, humanBytes, humanRate } from '../../domain/units';
import { formatFields, formatTable, oneLine } from './format';
import { concerns } from './report';

export function reportVerification(output: VerifyBackupOutput): string {
  const rows = output.backups.flatMap((backup) => backup.disks.map((disk) => ({ backup, disk })));
  return [
    `Backup ${output.backupId} of ${oneLine(output.vmName)} is what was sealed${output.backups.length > 1 ? `, and so are the ${output.backups.length - 1} that it lies on` : ''}.\n`,
    formatTable(rows, [
      { title: '  BACKUP', value: ({ backup }) => `  ${backup.backupId}` },
      { title: 'KIND', value: ({ backup }) => backup.kind ?? '-' },
      { title: 'DISK', value: ({ disk }) => disk.alias },
      { title: 'SIZE', value: ({ disk }) => humanBytes(disk.virtualBytes), right: true },
      { title: 'DIGEST ROOT', value: ({ disk }) => disk.root ?? '-' },
    ]),
    formatFields([['took', `${formatDuration(output.seconds)}, ${humanRate(output.bytesPerSecond)}`]]),
    concerns(output),
  ].join('');
}
