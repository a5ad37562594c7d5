// `holdfast status`: what runs now and how far it is, the last backup of each VM, open alerts, and whether workers serve their queues.
import type { Command } from 'commander';
import type { Check } from '../../../domain/doctor/checks';
import type { Alert } from '../../../domain/flows/alerts';
import type { Progress } from '../../../domain/flows/progress';
import type { Run } from '../../../domain/flows/queries';
import type { BackupSummary } from '../../../domain/manifest';
import { formatDuration, formatTime, humanBytes, humanRate } from '../../../domain/units';
import type { HoldfastClient } from '../../holdfast-client';
import { exitCodes } from '../exit-codes';
import { formatTable, oneLine } from '../format';
import { given, wholeNumberOption } from '../options';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { marks } from './doctor';

interface StatusOptions extends CommonOptions {
  readonly limit: number;
}

interface RunningNow {
  readonly run: Run;
  /** null: the run does not answer; `silence` says why. */
  readonly progress: Progress | null;
  readonly silence?: string;
}

export interface Status {
  readonly running: readonly RunningNow[];
  readonly lastBackups: readonly BackupSummary[];
  readonly alerts: readonly Alert[];
  readonly queues: readonly Check[];
  /** There is more of these than --limit shows. */
  readonly more: readonly ('running' | 'lastBackups' | 'alerts')[];
}

export function addStatus(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'status', 'what runs now, the last backup of each VM, open alerts, and which workers answer', 'holdfast status --engine lab')
    .option('--engine <name>', 'only this engine (HOLDFAST_ENGINE is not used)')
    .option('--limit <count>', 'at most so many of each (1-500)', wholeNumberOption, 100)
    .action(async (options: StatusOptions) => exitWith(await runSession(io, options, (session) => status(session, options))));
}

async function status(session: Session, { engine, limit }: StatusOptions): Promise<number> {
  const client = await session.client();
  const found = await askStatus(client, engine, limit);
  session.print(found, () => describeStatus(found, Date.now()));
  return found.queues.some(({ verdict }) => verdict === 'problem') ? exitCodes.unhealthy.code : exitCodes.ok.code;
}

async function askStatus(client: HoldfastClient, engine: string | undefined, limit: number): Promise<Status> {
  const query = { page: { limit, offset: 0 }, ...given({ engine }) };
  const [open, backups, alerts, queues] = await Promise.all([
    client.listRuns({ ...query, outcome: 'running' }),
    client.listBackups({ ...query, newestPerVm: true }),
    client.listAlerts(query),
    client.runDoctor({ scope: 'queues', ...given({ engine }) }),
  ]);
  const running = await Promise.all(open.runs.map((run) => askProgress(client, run)));
  const more = ([['running', open.more], ['lastBackups', backups.more], ['alerts', alerts.more]] as const).filter(([, isMore]) => isMore).map(([name]) => name);
  return { running, lastBackups: onePerVm(backups.backups), alerts: alerts.alerts, queues: queues.checks.filter(({ verdict }) => verdict !== 'skipped'), more };
}

/** The catalog may call a run open that Temporal has ended: a terminated one closes nothing. */
async function askProgress(client: HoldfastClient, run: Run): Promise<RunningNow> {
  try {
    const handle = await client.attach(run.workflowId);
    const { status: state } = await handle.status();
    if (state !== 'RUNNING') return { run, progress: null, silence: `Temporal says ${state.toLowerCase()}: the next run on this VM releases what it held (holdfast holdings)` };
    const progress = await handle.progress();
    return progress.runId === run.runId ? { run, progress } : { run, progress: null, silence: 'a newer run has its workflow id; this one was ended from outside' };
  } catch (error) {
    return { run, progress: null, silence: error instanceof Error ? error.message : String(error) };
  }
}

/** A backup may lie in several repositories. */
function onePerVm(backups: readonly BackupSummary[]): readonly BackupSummary[] {
  return [...new Map(backups.map((backup) => [`${backup.engine}/${backup.vmId}`, backup])).values()];
}

export function describeStatus({ running, lastBackups, alerts, queues, more }: Status, nowMs: number): string {
  const ago = (iso: string): string => `${formatDuration((nowMs - Date.parse(iso)) / 1000)} ago`;
  const sections = [
    section('Running now', running, 'nothing', () => running.map(describeRunning).join('')),
    section('Last backup of each VM', lastBackups, 'none yet', () => formatTable(lastBackups, [
      { title: 'VM', value: ({ vmName }) => vmName },
      { title: 'ENGINE', value: ({ engine }) => engine },
      { title: 'WHEN', value: ({ createdAt }) => formatTime(createdAt) },
      { title: 'AGE', value: ({ createdAt }) => ago(createdAt) },
      { title: 'DATA', value: ({ dataBytes }) => humanBytes(dataBytes), right: true },
      { title: 'REPOSITORY', value: ({ repository }) => repository },
      { title: 'BACKUP', value: ({ backupId }) => backupId },
    ])),
    section('Open alerts', alerts, 'none', () => alerts.map(({ severity, raisedAt, message }) => `${severity} since ${formatTime(raisedAt)}: ${oneLine(message)}\n`).join('')),
    section('Workers', queues, 'none asked', () => queues.map(({ verdict, title, object, text }) => `${marks[verdict]} ${title}, ${oneLine(object)}: ${oneLine(text)}\n`).join('')),
  ];
  return `${sections.join('\n')}${more.length > 0 ? '\nThere is more than is shown: --limit\n' : ''}`;
}

function section(title: string, rows: readonly unknown[], none: string, text: () => string): string {
  const body = rows.length === 0 ? `${none}\n` : text();
  return `${title}\n${body.replace(/^(?=.)/gm, '  ')}`;
}

function describeRunning({ run, progress, silence }: RunningNow): string {
  const head = `${run.workflowType} ${oneLine(run.vmName)} of ${run.engine} (${run.workflowId}), since ${formatTime(run.startedAt)}`;
  return `${head}: ${progress ? describeFigures(progress) : `no answer: ${oneLine(silence ?? '')}`}\n`;
}

/** Phase, percent and rate over all disks. */
export function describeFigures({ phase, paused, disks }: Progress): string {
  const sum = (of: (disk: Progress['disks'][number]) => number): number => disks.reduce((total, disk) => total + of(disk), 0);
  const total = sum((disk) => disk.virtualBytes);
  const percent = total === 0 ? '' : `, ${Math.floor((sum((disk) => (disk.state === 'done' ? disk.virtualBytes : disk.positionBytes)) / total) * 100)} %`;
  const rate = sum((disk) => (disk.state === 'copying' ? disk.bytesPerSecond : 0));
  const waiting = disks.filter(({ waitingFor }) => waitingFor !== null).length;
  const slots = waiting === 0 ? '' : waiting === 1 ? ', 1 disk waits for a copy slot' : `, ${waiting} disks wait for a copy slot`;
  return `${phase}${paused ? ' (paused)' : ''}${percent}${rate > 0 ? `, ${humanRate(rate)}` : ''}${slots}`;
}
