// The Markdown that operators read on a run's page in the Temporal UI. Pure text of a Progress.
import type { DiskProgress, Progress } from '../domain/flows/progress';
import { humanBytes } from '../domain/units';

function percent(disk: DiskProgress): string {
  return disk.state === 'done' ? '100 %' : `${disk.virtualBytes === 0 ? 100 : Math.floor((disk.positionBytes / disk.virtualBytes) * 100)} %`;
}

function diskRow(disk: DiskProgress): string {
  const rate = disk.state === 'copying' && disk.bytesPerSecond > 0 ? `${humanBytes(disk.bytesPerSecond)}/s` : '';
  return `| ${disk.alias} | ${disk.state} | ${percent(disk)} | ${humanBytes(disk.dataBytes)} of ${humanBytes(disk.virtualBytes)} | ${rate} |`;
}

function list(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : ['', `**${title}**`, '', ...items.map((item) => `- ${item}`)];
}

export function describeProgress(progress: Progress): string {
  const limit = progress.bandwidthBytesPerSecond === null ? '' : ` · at most ${humanBytes(progress.bandwidthBytesPerSecond)}/s a disk`;
  return [
    `**${progress.vmName || progress.vmId || 'VM not known yet'}** · phase **${progress.phase}**${progress.paused ? ' · **paused**' : ''}${limit}`,
    ...(progress.disks.length === 0 ? [] : ['', '| disk | state | done | data | rate |', '|---|---|---|---|---|', ...progress.disks.map(diskRow)]),
    ...list('Waiting for a copy slot', progress.disks.flatMap(({ alias, waitingFor }) => (waitingFor === null ? [] : [`${alias}: ${waitingFor}`]))),
    ...(progress.trouble === null ? [] : ['', `**Waiting:** ${progress.trouble}`]),
    ...list('Undone', progress.undone),
    ...list('Warnings', progress.warnings),
    ...list('Leftovers', progress.leftovers.map((leftover) => `${leftover.kind} ${leftover.objectId ?? ''} ${leftover.mark}: ${leftover.reason}`)),
  ].join('\n');
}
