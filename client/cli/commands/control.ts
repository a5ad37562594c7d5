// `holdfast cancel | pause | resume | bandwidth`: tells an open run something.
import type { Command } from 'commander';
import { humanRate } from '../../../domain/units';
import { HoldfastCancelledError } from '../../errors';
import { findRun } from '../../find-run';
import type { RunHandle } from '../../run-handle';
import { exitCodes } from '../exit-codes';
import { rateArgument } from '../options';
import { errorDocument } from '../print-error';
import { concerns } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';

interface CancelOptions extends CommonOptions {
  readonly wait: boolean;
}

const runArgument = '<run>';
const exampleRun = 'vm/lab/6f1c2d3e-0000-4000-8000-000000000001';

export function addControl(program: Command, { io, exitWith }: Host): void {
  const act = (name: string, description: string, done: string, tell: (handle: RunHandle) => Promise<void>): void => {
    runLeaf(program, `${name} ${runArgument}`, description, `holdfast ${name} ${exampleRun}`)
      .action(async (run: string, options: CommonOptions) => exitWith(await runSession(io, options, (session) => tellRun(session, run, done, tell))));
  };
  runLeaf(program, `cancel ${runArgument}`, 'cancel a run: it undoes what it did, then ends', `holdfast cancel ${exampleRun}`)
    .option('--wait', 'wait until it has ended (the default)', true)
    .option('--no-wait', 'ask only')
    .action(async (run: string, options: CancelOptions) => exitWith(await runSession(io, options, (session) => cancel(session, run, options.wait))));
  act('pause', 'pause the copies of a run at their durable position', 'paused', (handle) => handle.pause());
  act('resume', 'let a paused run go on', 'resumed', (handle) => handle.resume());
  runLeaf(program, `bandwidth ${runArgument}`, 'limit a run\'s copies, per disk and second; "off" takes the limit away', `holdfast bandwidth ${exampleRun} 50MiB`)
    .argument('<rate>', 'such as 50MiB, or "off"', rateArgument)
    .action(async (run: string, bytesPerSecond: number | null, options: CommonOptions) => {
      const done = bytesPerSecond === null ? 'no limit any more' : `at most ${humanRate(bytesPerSecond)} per disk`;
      exitWith(await runSession(io, options, (session) => tellRun(session, run, done, (handle) => handle.setBandwidth(bytesPerSecond))));
    });
}

function runLeaf(program: Command, nameAndArguments: string, description: string, example: string): Command {
  return leaf(program, nameAndArguments, `${description} (workflow id, run id, or a VM's name or id)`, example).option('--engine <name>', 'engine, when a VM is named (HOLDFAST_ENGINE)');
}

async function tellRun(session: Session, target: string, done: string, tell: (handle: RunHandle) => Promise<void>): Promise<number> {
  const handle = await findRun(await session.client(), target, session.config.engine);
  await tell(handle);
  session.print({ workflowId: handle.workflowId, done }, () => `${handle.workflowId}: ${done}\n`);
  return exitCodes.ok.code;
}

async function cancel(session: Session, target: string, wait: boolean): Promise<number> {
  const handle = await findRun(await session.client(), target, session.config.engine);
  const { workflowId } = handle;
  await handle.cancel();
  if (!wait) {
    session.print({ workflowId, outcome: 'requested' }, () => `${workflowId}: asked to cancel\n`);
    return exitCodes.ok.code;
  }
  try {
    await handle.result();
  } catch (error) {
    if (!(error instanceof HoldfastCancelledError)) throw error;
    const { undone, warnings, leftovers } = errorDocument(error);
    session.print({ workflowId, outcome: 'cancelled', undone, warnings, leftovers }, () => `${workflowId}: cancelled\n${(undone ?? []).map((step) => `  undone: ${step}\n`).join('')}${concerns(error.details)}`);
    return exitCodes.ok.code;
  }
  // Past the seal a backup is kept whatever happens next.
  session.print({ workflowId, outcome: 'completed' }, () => `${workflowId}: had come too far to be cancelled, and completed\n`);
  return exitCodes.ok.code;
}
