// `holdfast holdings`: what runs hold in the engines, or have left behind there, how old it is, and how it is released.
import type { Command } from 'commander';
import { openStates, type OpenHolding } from '../../../domain/flows/holdings';
import { formatDuration } from '../../../domain/units';
import { exitCodes } from '../exit-codes';
import { formatTable, oneLine } from '../format';
import { given, wholeNumberOption } from '../options';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';

interface HoldingsOptions extends CommonOptions {
  readonly vm?: string;
  readonly run?: string;
  readonly state?: (typeof openStates)[number];
  readonly limit: number;
  readonly offset: number;
}

export function addHoldings(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'holdings', 'what runs hold in the engines or have left behind, and how it is released', 'holdfast holdings --engine lab --state leftover')
    .option('--engine <name>', 'only of this engine (HOLDFAST_ENGINE is not used)')
    .option('--vm <id>', 'only of this VM, by id')
    .option('--run <id>', 'only of this run')
    .option('--state <state>', `only: ${openStates.join(', ')}`)
    .option('--limit <count>', 'at most so many (1-500)', wholeNumberOption, 100)
    .option('--offset <count>', 'skip so many', wholeNumberOption, 0)
    .action(async (options: HoldingsOptions) => exitWith(await runSession(io, options, (session) => holdings(session, options))));
}

async function holdings(session: Session, { engine, vm, run, state, limit, offset }: HoldingsOptions): Promise<number> {
  const client = await session.client();
  const answer = await client.listHoldings({ page: { limit, offset }, ...given({ engine, vmId: vm, runId: run, state }) });
  const advised = { ...answer, holdings: answer.holdings.map((holding) => ({ ...holding, release: releaseAdvice(holding) })) };
  session.print(advised, () => `${describeHoldings(answer.holdings)}${answer.more ? `There are more: --offset ${offset + answer.holdings.length}\n` : ''}`);
  return exitCodes.ok.code;
}

export function describeHoldings(all: readonly OpenHolding[]): string {
  if (all.length === 0) return 'Nothing is held and nothing is left over.\n';
  const owners = [...new Set(all.map(({ runId }) => runId))];
  return owners.map((runId) => describeOwner(all.filter((holding) => holding.runId === runId))).join('\n');
}

function describeOwner(held: readonly OpenHolding[]): string {
  const [first] = held;
  if (!first) return '';
  const { run, runId, engine } = first;
  const table = formatTable(held, [
    { title: 'STATE', value: ({ state }) => state },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'OBJECT', value: ({ objectId }) => objectId ?? 'not known yet' },
    { title: 'AGE', value: ({ ageSeconds }) => formatDuration(ageSeconds), right: true },
    { title: 'MARK', value: ({ mark }) => mark },
  ]);
  const advice = [...new Set(held.map(releaseAdvice))];
  return `${run.workflowType} of ${oneLine(run.vmName)}, engine ${engine}, run ${runId} (${run.outcome})\n${table.replace(/^(?=.)/gm, '  ')}${advice.map((line) => `  → ${line}\n`).join('')}`;
}

const byHand: Readonly<Record<OpenHolding['kind'], string>> = {
  snapshot: 'remove the snapshot with that mark from the VM in the engine',
  'vm-backup': 'finalize the VM backup with that id in the engine (REST API: vms/<id>/backups/<id>/finalize), after its image transfers',
  transfer: 'cancel the image transfer of that disk in the engine; of an upload that removes the disk',
  checkpoint: 'remove the checkpoint with that id in the engine (REST API: vms/<id>/checkpoints/<id>), or let it be: it only costs space',
  freeze: 'thaw the guest of that VM (REST API: vms/<id>/thawfilesystems; on its host: virsh domfsthaw); control workers go on asking for it',
  attachment: 'detach the disk from the VM it is attached to in the engine, without removing it',
  disk: 'remove the disk with that id in the engine, if no VM uses it',
  vm: 'remove the VM whose comment is that mark in the engine',
  'replaced-vm': 'look whether the VM or its successor is there; the file with that mark in the repository has its configuration and its disks',
  'replaced-disk': 'once the restored VM is right, remove the disk with that id in the engine, if no VM uses it',
};

/** Who releases it: the run while it is open, the next run on the VM, or a person. */
export function releaseAdvice({ kind, vmId, engine, run }: Pick<OpenHolding, 'kind' | 'vmId' | 'engine' | 'run'>): string {
  if (run.outcome === 'running') return `The run is open and releases it by itself. To end it now: holdfast cancel ${run.workflowId}`;
  const alone = `By hand: ${byHand[kind]}.`;
  return vmId === undefined ? alone : `The next run on this VM releases it first: holdfast backup vm ${vmId} --engine ${engine}. ${alone}`;
}
