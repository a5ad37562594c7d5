// `holdfast list vms|backups|runs`: a page of what the engine or the catalog has.
import type { Command } from 'commander';
import type { HoldfastClient } from '../../holdfast-client';
import { uuidSchema } from '../../../domain/ids';
import { runOutcomes } from '../../../domain/flows/queries';
import { exitCodes } from '../exit-codes';
import { given, wholeNumberOption } from '../options';
import { reportBackups, reportRuns, reportVms } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';

interface PageOptions extends CommonOptions {
  readonly limit: number;
  readonly offset: number;
}

interface VmsOptions extends PageOptions {
  readonly search?: string;
}

interface CatalogOptions extends PageOptions {
  readonly vm?: string;
  readonly outcome?: string;
}

export function addList(program: Command, { io, exitWith }: Host): void {
  const list = program.command('list').description('list VMs, backups or runs');
  paged(leaf(list, 'vms', 'VMs of an engine', 'holdfast list vms --engine lab --search "status=up"'))
    .option('--engine <name>', 'engine (HOLDFAST_ENGINE)')
    .option('--search <expression>', 'an oVirt search')
    .action(async (options: VmsOptions) => exitWith(await runSession(io, options, (session) => listVms(session, options))));
  paged(leaf(list, 'backups', 'sealed backups, newest first', 'holdfast list backups --vm demo'))
    .option('--vm <vm>', 'only of this VM, by name or id')
    .option('--engine <name>', 'only of this engine')
    .option('--repository <name>', 'only in this repository')
    .action(async (options: CatalogOptions) => exitWith(await runSession(io, options, (session) => listBackups(session, options))));
  paged(leaf(list, 'runs', 'runs, newest first', 'holdfast list runs --outcome failed'))
    .option('--vm <id>', 'only of this VM, by id; by name with --engine')
    .option('--engine <name>', 'only of this engine')
    .option('--outcome <outcome>', `only: ${runOutcomes.join(', ')}`)
    .action(async (options: CatalogOptions) => exitWith(await runSession(io, options, (session) => listRuns(session, options))));
}

function paged(command: Command): Command {
  return command.option('--limit <count>', 'at most so many (1-500)', wholeNumberOption, 100).option('--offset <count>', 'skip so many', wholeNumberOption, 0);
}

async function listVms(session: Session, { search, limit, offset }: VmsOptions): Promise<number> {
  const engine = session.engine();
  const client = await session.client();
  const answer = await client.findVms({ engine, page: { limit, offset }, ...given({ search }) });
  session.print(answer, () => `${reportVms(answer.vms)}${describeRest(answer.more, limit, offset)}`);
  return exitCodes.ok.code;
}

async function listBackups(session: Session, { vm, engine, repository, limit, offset }: CatalogOptions): Promise<number> {
  const client = await session.client();
  // Backups outlive their VM: a name is looked up among the backups, not in the engine.
  const which = vm === undefined ? {} : uuidSchema.safeParse(vm).success ? { vmId: vm } : { vmName: vm };
  const answer = await client.listBackups({ page: { limit, offset }, ...which, ...given({ engine, repository }) });
  session.print(answer, () => `${reportBackups(answer.backups)}${describeRest(answer.more, limit, offset)}`);
  return exitCodes.ok.code;
}

async function listRuns(session: Session, { vm, engine, outcome, limit, offset }: CatalogOptions): Promise<number> {
  const client = await session.client();
  const vmId = vm === undefined ? undefined : await vmIdOf(session, client, vm);
  const request = { page: { limit, offset }, ...given({ engine, vmId, outcome }) };
  const answer = await client.listRuns(request as Parameters<typeof client.listRuns>[0]);
  session.print(answer, () => `${reportRuns(answer.runs)}${describeRest(answer.more, limit, offset)}`);
  return exitCodes.ok.code;
}

async function vmIdOf(session: Session, client: HoldfastClient, vm: string): Promise<string> {
  return uuidSchema.safeParse(vm).success ? vm : (await client.resolveVm(session.engine(), vm)).id;
}

function describeRest(more: boolean, limit: number, offset: number): string {
  return more ? `There are more: --offset ${offset + limit}\n` : '';
}
