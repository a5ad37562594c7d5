// What people read about a result: a backup, a restore, a page of a list. Programs get the same objects with --json.
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import type { FindVmsOutput, RebuildCatalogOutput, Run } from '../../domain/flows/queries';
import type { RestoreVmOutput } from '../../domain/flows/restore-vm';
import type { Leftover } from '../../domain/holdings';
import type { BackupSummary, ListedBackup, Note } from '../../domain/manifest';
import { formatDuration, formatTime, humanBytes, humanRate } from '../../domain/units';
import { formatFields, formatTable, oneLine } from './format';
import { describeLeftovers } from './print-error';

export function reportBackup(output: BackupVmOutput): string {
  const { backup } = output;
  return [
    `Backed up ${oneLine(backup.vmName)} as ${backup.backupId}.\n`,
    formatFields([
      ['repository', backup.repository],
      ['kind', kindOf(backup)],
      ...why([...(backup.reason ? [backup.reason] : []), ...output.notes]),
      ['data', sizes(backup)],
      ...(output.witnessedDiskIds.length === 0 ? [] : [['witnessed', `the host's own checksum of ${output.witnessedDiskIds.length} of ${backup.disks.length} disks is that of the backup`] as const]),
      ['consistency', `${backup.consistency}: ${oneLine(output.consistencyEvidence)}`],
      ['took', `${formatDuration(output.seconds)}, ${humanRate(output.bytesPerSecond)}`],
      ['restore it', `holdfast restore vm ${backup.backupId} --name <new name>`],
    ]),
    concerns(output),
  ].join('');
}

export function reportRestore(output: RestoreVmOutput): string {
  return [
    `Restored ${oneLine(output.vmName)} (VM ${output.vmId}) from backup ${output.backupId}${output.started ? ' and started it' : ''}.\n`,
    formatFields([
      ['disks', output.disks.map((disk) => `${oneLine(disk.alias)} ${humanBytes(disk.virtualBytes)}, proved by re-reading: ${disk.root.slice(0, 16)}…`).join('\n') || 'none'],
      ...named('not restored', output.leftOut),
      ...named('old disks that stay', output.keptDisks),
      ...(output.removedDiskIds.length === 0 ? [] : [['old disks removed', output.removedDiskIds.join('\n')] as const]),
      ['took', `${formatDuration(output.seconds)}, ${humanRate(output.bytesPerSecond)}`],
    ]),
    concerns(output),
  ].join('');
}

const named = (title: string, disks: RestoreVmOutput['leftOut']): readonly (readonly [string, string])[] =>
  disks.length === 0 ? [] : [[title, disks.map(({ diskId, alias, why }) => `${oneLine(alias)} (${diskId}): ${oneLine(why)}`).join('\n')]];

export function reportVms(vms: FindVmsOutput['vms']): string {
  return formatTable(vms, [
    { title: 'NAME', value: (vm) => vm.name },
    { title: 'STATUS', value: (vm) => vm.status },
    { title: 'CLUSTER', value: (vm) => vm.cluster ?? '-' },
    { title: 'ID', value: (vm) => vm.id },
  ]);
}

export function reportBackups(backups: readonly ListedBackup[]): string {
  return formatTable(backups, [
    { title: 'CREATED', value: (backup) => formatTime(backup.createdAt) },
    { title: 'VM', value: (backup) => backup.vmName },
    { title: 'ENGINE', value: (backup) => backup.engine },
    { title: 'KIND', value: (backup) => backup.kind },
    { title: 'CONSISTENCY', value: (backup) => backup.consistency },
    { title: 'VERIFIED', value: ({ verification }) => (verification === null ? '-' : verification.outcome === 'passed' ? formatTime(verification.verifiedAt).slice(0, 10) : 'FAILED') },
    { title: 'SIZE', value: (backup) => humanBytes(backup.virtualBytes), right: true },
    { title: 'STORED', value: (backup) => humanBytes(backup.imageBytes), right: true },
    { title: 'REPOSITORY', value: (backup) => backup.repository },
    { title: 'BACKUP ID', value: (backup) => backup.backupId },
  ]);
}

export function reportRuns(runs: readonly Run[]): string {
  return formatTable(runs, [
    { title: 'STARTED', value: (run) => formatTime(run.startedAt) },
    { title: 'FLOW', value: (run) => run.workflowType },
    { title: 'VM', value: (run) => run.vmName },
    { title: 'OUTCOME', value: (run) => run.outcome },
    { title: 'FAILURE', value: (run) => run.failure?.code ?? '-' },
    { title: 'LEFT', value: (run) => String(run.leftovers.length), right: true },
    { title: 'RUN ID', value: (run) => run.runId },
  ]);
}

export function reportOneBackup(backup: ListedBackup): string {
  const disks = formatTable(backup.disks, [
    { title: '  DISK', value: (disk) => `  ${disk.alias}` },
    { title: 'SIZE', value: (disk) => humanBytes(disk.virtualBytes), right: true },
    { title: 'DATA', value: (disk) => humanBytes(disk.dataBytes), right: true },
    { title: 'ID', value: (disk) => disk.diskId },
    { title: 'DIGEST ROOT', value: (disk) => disk.root },
  ]);
  return `Backup ${backup.backupId}\n${formatFields([
    ['vm', `${oneLine(backup.vmName)} (${backup.vmId}) of ${backup.engine}`],
    ['repository', backup.repository],
    ['kind', kindOf(backup)],
    ...why(backup.reason ? [backup.reason] : []),
    ['consistency', backup.consistency],
    ['point in time', formatTime(backup.createdAt)],
    ['sealed', formatTime(backup.sealedAt)],
    ['data', sizes(backup)],
    ...(backup.checkpointId === null ? [] : [['checkpoint', backup.checkpointId] as const]),
    ...(backup.witnessed ? [['witnessed', 'by the host, with a checksum of its own'] as const] : []),
    ['verified', verified(backup)],
  ])}${disks}`;
}

export function reportOneRun(run: Run): string {
  return `Run ${run.runId}\n${formatFields([
    ['flow', `${run.workflowType} (${run.workflowId})`],
    ['vm', `${oneLine(run.vmName)}${run.vmId === null ? '' : ` (${run.vmId})`} of ${run.engine}`],
    ['outcome', run.outcome],
    ['started', formatTime(run.startedAt)],
    ...(run.endedAt === null ? [] : [['ended', formatTime(run.endedAt)] as const]),
    ...(run.backupId === null ? [] : [['backup', run.backupId] as const]),
    ...(run.failure === null ? [] : [['failure', `${run.failure.message} [${run.failure.code}]`] as const]),
  ])}${concerns(run)}`;
}

export function reportRebuild(repository: string, output: RebuildCatalogOutput): string {
  const unreadable = output.unreadable.map(({ path, reason }) => `warning: ${oneLine(path)} cannot be read: ${oneLine(reason)}\n`).join('');
  return `The catalog now has ${output.indexed} backups of ${repository}; ${output.removed} rows without a sealed backup were removed.\n${unreadable}`;
}

export function concerns(output: { readonly warnings: readonly string[]; readonly leftovers: readonly Leftover[] }): string {
  return [...output.warnings.map((warning) => `warning: ${oneLine(warning)}`), ...describeLeftovers(output.leftovers)].map((line) => `${line}\n`).join('');
}

function kindOf({ kind, method, baseBackupId }: BackupSummary): string {
  return `${kind}, ${method}${baseBackupId === null ? '' : `, based on ${baseBackupId}`}`;
}

const why = (notes: readonly Note[]): readonly (readonly [string, string])[] => (notes.length === 0 ? [] : [['why', notes.map(({ code, text }) => `${oneLine(text)} [${code}]`).join('\n')]]);

function verified({ verification }: ListedBackup): string {
  if (!verification) return 'never: holdfast verify reads it again';
  const { outcome, verifiedAt, failure } = verification;
  return `${outcome} at ${formatTime(verifiedAt)}${failure ? `: ${oneLine(failure.message)} [${failure.code}]` : ''}`;
}

function sizes(backup: BackupSummary): string {
  return `${backup.disks.length} ${backup.disks.length === 1 ? 'disk' : 'disks'}, ${humanBytes(backup.virtualBytes)} (${humanBytes(backup.dataBytes)} of data, ${humanBytes(backup.imageBytes)} stored)`;
}
