// `holdfast show`: one backup, one run, or the newest run of a VM; with --watch it follows the run to its end.
import type { Command } from 'commander';
import type { Progress } from '../../../domain/flows/progress';
import { Estimator } from '../../../domain/estimate';
import { uuidSchema } from '../../../domain/ids';
import { formatTime } from '../../../domain/units';
import { findRun } from '../../find-run';
import type { RunHandle, RunOutput, RunStatus } from '../../run-handle';
import { exitCodes } from '../exit-codes';
import { formatFields } from '../format';
import { errorDocument } from '../print-error';
import type { ErrorDocument } from '../print-error';
import { renderLines } from '../progress-view';
import { concerns, reportBackup, reportOneBackup, reportOneRun, reportRestore } from '../report';
import { reportVerification } from '../report-verification';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { watchRun } from '../watch-run';

interface ShowOptions extends CommonOptions {
  readonly watch?: boolean;
}

export function addShow(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'show <what>', 'a backup or run by its id, a workflow id, or the newest run of a VM', 'holdfast show vm/lab/6f1c2d3e-0000-4000-8000-000000000001 --watch')
    .option('--engine <name>', 'engine, when a VM is named (HOLDFAST_ENGINE)')
    .option('--watch', 'follow the run to its end; the exit code is then the run\'s')
    .action(async (what: string, options: ShowOptions) => exitWith(await runSession(io, options, (session) => show(session, what, options))));
}

async function show(session: Session, what: string, { watch }: ShowOptions): Promise<number> {
  const client = await session.client();
  if (watch === true) {
    const handle = await findRun(client, what, session.config.engine);
    return watchRun(session, handle, reportOutput);
  }
  if (uuidSchema.safeParse(what).success) {
    const [backup] = (await client.listBackups({ backupId: what })).backups;
    if (backup) return shown(session, { kind: 'backup', backup }, () => reportOneBackup(backup));
    const [run] = (await client.listRuns({ runId: what })).runs;
    if (run) return shown(session, { kind: 'run', run }, () => reportOneRun(run));
  }
  return showHandle(session, await findRun(client, what, session.config.engine));
}

interface RunReport {
  readonly kind: 'run';
  readonly workflowId: string;
  readonly temporalRunId: string;
  readonly runUrl: string | undefined;
  readonly status: RunStatus;
  readonly progress?: Progress;
  readonly result?: RunOutput;
  readonly error?: ErrorDocument;
}

/** What Temporal knows of the run: its state, and its progress or its end. */
async function showHandle(session: Session, handle: RunHandle): Promise<number> {
  const { flow, workflowId, temporalRunId, runUrl } = handle;
  const status = await handle.status();
  const end = status.status === 'RUNNING' ? { progress: await handle.progress().catch(() => undefined) } : await handle.result().then((result) => ({ result }), (error: unknown) => ({ error: errorDocument(error) }));
  const report: RunReport = { kind: 'run', workflowId, temporalRunId, runUrl, status, ...dropUndefined(end) };
  return shown(session, report, () => `${flow} ${workflowId}\n${formatFields([
    ['state', `${status.status.toLowerCase()}${status.pickedUp ? '' : ', no worker has taken it yet'}`],
    ['started', formatTime(status.startedAt)],
    ...(status.endedAt === undefined ? [] : [['ended', formatTime(status.endedAt)] as const]),
    ...(runUrl === undefined ? [] : [['see', runUrl] as const]),
  ])}${describeEnd(report, session.io.columns())}`);
}

function describeEnd({ progress, result, error }: RunReport, columns: number): string {
  if (progress) return `${renderLines(progress, new Estimator().add(progress, 0), columns).join('\n')}\n`;
  if (result) return reportOutput(result);
  if (error) return `${error.message} [${error.code}]\n${(error.undone ?? []).map((step) => `undone: ${step}\n`).join('')}${concerns({ warnings: error.warnings ?? [], leftovers: error.leftovers ?? [] })}`;
  return '';
}

function reportOutput(output: RunOutput): string {
  if ('backups' in output) return reportVerification(output);
  return 'backup' in output ? reportBackup(output) : reportRestore(output);
}

function shown(session: Session, document: unknown, text: () => string): number {
  session.print(document, text);
  return exitCodes.ok.code;
}

function dropUndefined<Fields extends object>(fields: Fields): { [Key in keyof Fields]: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
