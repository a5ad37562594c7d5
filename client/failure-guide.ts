// Every code that a client meets, what it means and what an operator does about it: those of runs (domain/guidance.ts), and what only a
// client sees. One entry per code, which the compiler enforces; docs/operators.md prints the table. The CLI shows the remedy below an error.
import { failureGuidance, type Guidance } from '../domain/guidance';
import type { ClientErrorCode, RunEndCode } from './errors';

const fromClients = {
  'client.unreachable': { cause: 'No connection to Temporal.', remedy: 'Check the address (--address, HOLDFAST_TEMPORAL_ADDRESS) and that Temporal runs; `holdfast up` starts an embedded one.' },
  'client.namespace': { cause: 'Temporal has no namespace of this name.', remedy: 'Name another (--namespace, HOLDFAST_TEMPORAL_NAMESPACE) or create it.' },
  'client.no-answer': { cause: 'No worker took the question, or what it asks does not answer.', remedy: 'Start a worker with role "control" on this namespace; look at the question\'s workflow in Temporal\'s UI.' },
  'client.already-running': { cause: 'The workflow id is taken: the VM has an open run, or the restore\'s request id was used before.', remedy: 'Wait for the named run or cancel it; for a restore choose a new request id.' },
  'client.not-found': { cause: 'There is no such VM, run or backup.', remedy: 'Look at `holdfast list vms`, `holdfast list runs` or `holdfast list backups`.' },
  'client.ambiguous': { cause: 'Several VMs have this name.', remedy: 'Name the VM by its id.' },
  'client.protocol': { cause: 'Client and workers do not understand each other, or the workflow is not one of Holdfast\'s.', remedy: 'Use the client of the workers\' version.' },
  'client.engine-backup': { cause: '`engine-backup-hook` could not save a scope of the engine, or could not tell the log of engine backups.', remedy: 'Mend what the message quotes of pg_dump, tar or psql (more is in the hook\'s log file), and run it again.' },
} as const satisfies Record<ClientErrorCode, Guidance>;

const fromTemporal = {
  'run.cancelled': { cause: 'Someone cancelled the run; what it had done was undone.', remedy: 'Nothing, unless leftovers are listed.' },
  'run.terminated': { cause: 'Someone terminated the workflow in Temporal: its undo did not run.', remedy: 'Start a run on the same VM: it first releases what the earlier one held. Cancel instead of terminating.' },
  'run.timed-out': { cause: 'The workflow was started with a Temporal timeout and hit it: its undo did not run.', remedy: 'As above; start flows without execution and run timeouts.' },
  'unexpected': { cause: 'The run failed without one of Holdfast\'s codes.', remedy: 'Look at the run in Temporal\'s UI, and report it as a bug.' },
} as const satisfies Record<RunEndCode, Guidance>;

export const failureGuide = { ...failureGuidance, ...fromClients, ...fromTemporal } as const;

export function guidanceFor(code: string): Guidance | undefined {
  return Object.hasOwn(failureGuide, code) ? failureGuide[code as keyof typeof failureGuide] : undefined;
}
