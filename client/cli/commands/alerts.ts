// `holdfast alerts`: what is wrong and since when; acknowledging ends the reminders, never the alert.
import type { Command } from 'commander';
import type { Alert, ListAlertsRequest } from '../../../domain/flows/alerts';
import { exitCodes } from '../exit-codes';
import { given, wholeNumberOption } from '../options';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';

interface AlertOptions extends CommonOptions {
  readonly ack?: string | true;
  readonly state?: ListAlertsRequest['state'];
  readonly limit: number;
  readonly offset: number;
}

export function addAlerts(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'alerts', 'what is wrong and since when; --ack ends the reminders, never the alert', 'holdfast alerts --engine lab\nholdfast alerts --ack awareness/lab/engine-backup')
    .option('--engine <name>', 'only of this engine (HOLDFAST_ENGINE is not used)')
    .option('--ack [key]', 'acknowledge this one, or all that are open')
    .option('--state <state>', 'open, cleared or all', 'open')
    .option('--limit <count>', 'at most so many (1-500)', wholeNumberOption, 100)
    .option('--offset <count>', 'skip so many', wholeNumberOption, 0)
    .action(async (options: AlertOptions) => exitWith(await runSession(io, options, (session) => (options.ack === undefined ? list(session, options) : acknowledge(session, options)))));
}

async function list(session: Session, { engine, state, limit, offset }: AlertOptions): Promise<number> {
  const answer = await (await session.client()).listAlerts({ page: { limit, offset }, ...given({ engine, state }) });
  session.print(answer, () => `${answer.alerts.length === 0 ? 'No alerts.\n' : describeAlerts(answer.alerts)}${answer.more ? `There are more: --offset ${offset + answer.alerts.length}\n` : ''}`);
  return exitCodes.ok.code;
}

async function acknowledge(session: Session, { engine, ack }: AlertOptions): Promise<number> {
  const answer = await (await session.client()).acknowledgeAlerts(given({ engine, key: ack === true ? undefined : ack }));
  session.print(answer, () => `${answer.acknowledged} acknowledged; they stay until what they tell of is over.\n`);
  return exitCodes.ok.code;
}

export function describeAlerts(alerts: readonly Alert[]): string {
  return alerts.map(({ key, code, severity, raisedAt, acknowledgedAt, clearedAt, clearedWhy, message }) => {
    const until = clearedAt === undefined ? '' : `, cleared ${clearedAt} (${clearedWhy ?? ''})`;
    return `${severity} ${code} since ${raisedAt}${until}${acknowledgedAt === undefined ? '' : `, acknowledged ${acknowledgedAt}`}\n  ${key}\n  ${message}\n`;
  }).join('');
}
