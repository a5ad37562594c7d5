// `holdfast awareness`: is the engine itself backed up, and are its VMs? And what the check is set to.
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { listedVmStates } from '../../../domain/awareness/vm-objectives';
import type { EngineBackupFinding, SetBackupAwarenessInput, ShowBackupAwarenessOutput } from '../../../domain/flows/awareness';
import type { ListVmAwarenessOutput, ListVmAwarenessRequest } from '../../../domain/flows/vm-awareness';
import { formatDuration } from '../../../domain/units';
import { exitCodes } from '../exit-codes';
import { formatFields, formatTable } from '../format';
import { given, wholeNumberOption } from '../options';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeAlerts } from './alerts';

interface ListOptions extends CommonOptions {
  readonly vms?: boolean;
  readonly objective?: string;
  readonly state?: NonNullable<ListVmAwarenessRequest['state']>;
  readonly limit: number;
  readonly offset: number;
}

interface SetOptions extends CommonOptions {
  readonly checkPeriod?: number | null;
  readonly alertPeriod?: number | null;
}

export function addAwareness(program: Command, { io, exitWith }: Host): void {
  const awareness = program.command('awareness').description('warnings while the engine or its VMs have no fresh backup');
  const engine = ['--engine <name>', 'name of the engine (HOLDFAST_ENGINE)'] as const;
  leaf(awareness, 'status', 'what is warned of, since when, and when the next check is', 'holdfast awareness status --engine lab\nholdfast awareness status --vms --engine lab\nholdfast awareness status --vms --state exempt --engine lab')
    .option(...engine)
    .option('--vms', 'the VMs without a fresh backup, as of the last check')
    .option('--objective <name>', 'with --vms: only of this objective')
    .addOption(new Option('--state <state>', 'with --vms: only in this state; without it all but exempt').choices(listedVmStates))
    .option('--limit <count>', 'with --vms: at most so many (1-500)', wholeNumberOption, 100)
    .option('--offset <count>', 'with --vms: skip so many', wholeNumberOption, 0)
    .action(async (options: ListOptions) => exitWith(await runSession(io, options, (session) => (options.vms ? vms(session, options) : status(session)))));
  leaf(awareness, 'check', 'check now; exit code 1 when something is wrong', 'holdfast awareness check --engine lab')
    .option(...engine)
    .action(async (options: CommonOptions) => exitWith(await runSession(io, options, check)));
  leaf(awareness, 'set', 'set the periods, over the workers\' configuration, and check at once', 'holdfast awareness set --engine lab --alert-period 1.5\nholdfast awareness set --engine lab --check-period -1')
    .option(...engine)
    .option('--check-period <hours>', 'BackupCheckPeriodInHours: check every so often; -1 disables; "default": as configured', periodOption)
    .option('--alert-period <days>', 'BackupAlertPeriodInDays: warn when the newest full backup is older; "default": as configured', periodOption)
    .action(async (options: SetOptions) => exitWith(await runSession(io, options, (session) => set(session, options))));
  leaf(awareness, 'log', 'what engine-backup has logged in the catalog, newest first', 'holdfast awareness log --engine lab --limit 20')
    .option(...engine)
    .option('--limit <count>', 'at most so many (0-500)', wholeNumberOption, 50)
    .action(async (options: ListOptions) => exitWith(await runSession(io, options, (session) => log(session, options.limit))));
}

/** A number, or back to the configuration. */
function periodOption(text: string): number | null {
  if (text === 'default') return null;
  if (!/^-?\d{1,6}(\.\d{1,6})?$/.test(text)) throw new InvalidArgumentError('Give a number such as 6 or 1.5, or "default".');
  return Number(text);
}

async function status(session: Session): Promise<number> {
  const shown = await (await session.client()).showBackupAwareness({ engine: session.engine(), events: 0 });
  session.print(shown, () => describeStatus(session.engine(), shown));
  return exitCodes.ok.code;
}

function describeStatus(engine: string, { settings, settingsFrom, source, fqdn, schedule, alerts, exemptVms = 0 }: ShowBackupAwarenessOutput): string {
  const period = settings.checkPeriodHours === -1 ? 'disabled' : `every ${formatDuration(settings.checkPeriodHours * 3600)}`;
  const fields = formatFields([
    ['engine', `${engine} (${fqdn}), backups as ${source} tells`],
    ['check', `${period} (${settingsFrom.checkPeriodHours})`],
    ['warned when', `the newest full backup is older than ${formatDuration(settings.alertPeriodDays * 86_400)} (${settingsFrom.alertPeriodDays})`],
    ['last check', schedule.lastCheckAt ?? 'none yet'],
    ['next check', schedule.paused ? 'paused' : (schedule.nextCheckAt ?? (schedule.exists ? 'none' : 'there is no schedule: start a control worker'))],
    ...(exemptVms === 0 ? [] : ([['exempt', `${exemptText(exemptVms)} as of the last check: holdfast awareness status --vms --state exempt`]] as const)),
  ]);
  return `${fields}${alerts.length === 0 ? 'No warnings.\n' : describeAlerts(alerts)}`;
}

async function vms(session: Session, { objective, state, limit, offset }: ListOptions): Promise<number> {
  const answer = await (await session.client()).listVmAwareness({ engine: session.engine(), page: { limit, offset }, ...given({ objective, state }) });
  session.print(answer, () => `${describeVms(answer, state)}${answer.more ? `There are more: --offset ${offset + answer.vms.length}\n` : ''}`);
  return exitCodes.ok.code;
}

/** Exempt ones are counted where they are not listed: nobody is to be exempt unknowingly. */
function describeVms({ vms: all, exempt = 0 }: ListVmAwarenessOutput, state: ListOptions['state']): string {
  const others = state === undefined && exempt > 0 ? `${exemptText(exempt)}: --state exempt\n` : '';
  if (all.length === 0) return `${state === undefined ? 'Every VM that is judged has a fresh backup, or none is judged (engines.<name>.awareness.vms).' : `No VM is ${state}.`}\n${others}`;
  return `${formatTable(all, [
    { title: 'VM', value: ({ vmName }) => vmName },
    { title: 'STATE', value: ({ state }) => state },
    { title: 'OBJECTIVE', value: ({ objective }) => objective ?? '-' },
    { title: 'NEWEST BACKUP', value: ({ newestBackupAt }) => newestBackupAt ?? 'none' },
    { title: 'SINCE', value: ({ since }) => since },
  ])}${others}`;
}

function exemptText(count: number): string {
  return `${count} ${count === 1 ? 'VM needs' : 'VMs need'} no backup by the configuration`;
}

async function check(session: Session): Promise<number> {
  const found = await (await session.client()).checkBackupAwareness({ engine: session.engine() });
  const isWrong = found.engineBackup?.text !== undefined || (found.vms?.alerts.open ?? 0) > 0 || found.warnings.length > 0;
  session.print(found, () => [
    ...(found.engineBackup ? [describeFinding(session.engine(), found.engineBackup)] : []),
    ...(found.vms ? [`${found.vms.judged} VMs judged: ${found.vms.withoutFreshBackup} without a fresh backup, ${found.vms.uncovered} covered by no objective${found.vms.exempt ? `; ${exemptText(found.vms.exempt)}` : ''}. holdfast awareness status --vms lists them.`] : []),
    ...found.warnings,
  ].map((line) => `${line}\n`).join(''));
  return isWrong ? exitCodes.failed.code : exitCodes.ok.code;
}

function describeFinding(engine: string, { text, state, backedUpAt, elsewhere, fqdn }: EngineBackupFinding): string {
  const others = elsewhere.length === 0 ? '' : ` There are backups under other names, which do not count for ${fqdn}: ${elsewhere.join(', ')}.`;
  if (state === 'disabled') return `Backup awareness of engine ${engine} is disabled.`;
  return `${text ?? `Engine ${engine} has a full backup of ${backedUpAt ?? 'an unknown time'}.`}${others}`;
}

async function set(session: Session, { checkPeriod, alertPeriod }: SetOptions): Promise<number> {
  const request: SetBackupAwarenessInput = { engine: session.engine(), ...given({ checkPeriodHours: checkPeriod, alertPeriodDays: alertPeriod }) };
  const { settings } = await (await session.client()).setBackupAwareness(request);
  session.print({ settings }, () => `Engine ${session.engine()}: ${settings.checkPeriodHours === -1 ? 'disabled; one last check clears the warning' : `checked every ${formatDuration(settings.checkPeriodHours * 3600)}, and now`}; warned after ${formatDuration(settings.alertPeriodDays * 86_400)}.\n`);
  return exitCodes.ok.code;
}

async function log(session: Session, limit: number): Promise<number> {
  const { events, source } = await (await session.client()).showBackupAwareness({ engine: session.engine(), events: limit });
  session.print({ events }, () => {
    if (events.length === 0) return `Nothing is logged in the catalog.${source === 'catalog' ? '' : ` Source ${source} has a log of its own.`}\n`;
    return formatTable(events, [
      { title: 'AT', value: ({ doneAt }) => doneAt },
      { title: 'EVENT', value: ({ event }) => event },
      { title: 'SCOPE', value: ({ scope }) => scope },
      { title: 'FQDN', value: ({ fqdn }) => fqdn ?? '-' },
      { title: 'MESSAGE', value: ({ outputMessage }) => outputMessage ?? '' },
    ]);
  });
  return exitCodes.ok.code;
}
