// `holdfast doctor`: is everything there that backups and restores need? One line for each check, what mends it below.
import type { Command } from 'commander';
import { countVerdicts, type Check, type Verdict } from '../../../domain/doctor/checks';
import type { RunDoctorOutput } from '../../../domain/flows/doctor';
import { exitCodes } from '../exit-codes';
import { formatTable, oneLine } from '../format';
import { given, wholeNumberOption } from '../options';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';

interface DoctorOptions extends CommonOptions {
  readonly answerSeconds: number;
}

export const marks: Readonly<Record<Verdict, string>> = { ok: '✓', warning: '!', problem: '✗', skipped: '-' };

export function addDoctor(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'doctor', 'check everything that backups and restores need: workers, Temporal, catalog, engine, repository, appliance', 'holdfast doctor --engine lab --repository main')
    .option('--engine <name>', 'only this engine (HOLDFAST_ENGINE is not used)')
    .option('--repository <name>', 'only this repository (HOLDFAST_REPOSITORY is not used)')
    .option('--answer-seconds <count>', 'how long a worker may take to answer', wholeNumberOption, 10)
    .action(async (options: DoctorOptions) => exitWith(await runSession(io, options, (session) => doctor(session, options))));
}

async function doctor(session: Session, { engine, repository, answerSeconds }: DoctorOptions): Promise<number> {
  const client = await session.client();
  const output = await client.runDoctor({ answerSeconds, ...given({ engine, repository }) });
  session.print(output, () => describeDoctor(output));
  return output.count.problem > 0 ? exitCodes.unhealthy.code : exitCodes.ok.code;
}

export function describeDoctor({ checks }: RunDoctorOutput): string {
  const objects = [...new Set(checks.map(({ object }) => object))];
  const sections = objects.map((object) => `${oneLine(object)}\n${describeChecks(checks.filter((each) => each.object === object))}`);
  const { ok, warning, problem, skipped } = countVerdicts(checks);
  return `${sections.join('\n')}\n${ok} ok, ${warning} warnings, ${problem} problems, ${skipped} skipped. docs/doctor.md tells what each check means.\n`;
}

function describeChecks(checks: readonly Check[]): string {
  const table = formatTable(checks, [
    { title: '', value: ({ verdict }) => marks[verdict] },
    { title: '', value: ({ id }) => id },
    { title: '', value: ({ text }) => text },
  ]);
  // The first line is the titles, which say nothing here.
  const lines = table.trimEnd().split('\n').slice(1);
  return checks.map(({ remedy }, index) => `  ${lines[index] ?? ''}\n${remedy === '' ? '' : remedy.split('\n').map((line) => `      → ${oneLine(line)}\n`).join('')}`).join('');
}
