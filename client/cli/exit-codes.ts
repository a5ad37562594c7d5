// Exit codes of `holdfast`: one table, printed in docs/operators.md (a test compares), and the one place that chooses among them.
import { HoldfastClientError, HoldfastRunError } from '../errors';

export const exitCodes = {
  ok: { code: 0, meaning: 'done; with --no-wait: started' },
  failed: { code: 1, meaning: 'the run failed; what it had done was undone, or is listed as a leftover' },
  usage: { code: 2, meaning: 'unknown command or option, invalid input or configuration; nothing was started' },
  refused: { code: 3, meaning: 'planning refused the run, with every reason; nothing was created' },
  cancelled: { code: 4, meaning: 'the run was cancelled' },
  unreachable: { code: 5, meaning: 'Temporal cannot be reached, or has no such namespace' },
  notFound: { code: 6, meaning: 'no such VM, run or backup' },
  conflict: { code: 7, meaning: 'the VM has an open run, or the restore\'s request id was used before' },
  noAnswer: { code: 8, meaning: 'no worker answered in time' },
  unhealthy: { code: 9, meaning: '`doctor` found a problem, or `status` a task queue that nobody serves' },
  detached: { code: 130, meaning: 'Ctrl-C: watching ended, the run goes on in Temporal' },
} as const;
export type ExitName = keyof typeof exitCodes;

/** Codes that a script may want to tell apart; everything else is `failed`. */
const byErrorCode: Readonly<Record<string, ExitName>> = {
  'input.invalid': 'usage',
  'config.invalid': 'usage',
  'plan.refused': 'refused',
  'run.cancelled': 'cancelled',
  'client.unreachable': 'unreachable',
  'client.namespace': 'unreachable',
  'client.not-found': 'notFound',
  'client.ambiguous': 'usage',
  'client.already-running': 'conflict',
  'client.no-answer': 'noAnswer',
  'backup.not-found': 'notFound',
  'catalog.conflict': 'conflict',
};

export function exitCodeOf(error: unknown): number {
  return exitCodes[exitNameOf(error)].code;
}

function exitNameOf(error: unknown): ExitName {
  if (!(error instanceof HoldfastClientError || error instanceof HoldfastRunError)) return 'failed';
  // A question about an unknown VM is "not found"; a backup whose VM vanishes on the way has failed.
  if (error instanceof HoldfastRunError && error.code === 'engine.not-found' && error.run.flow === 'findVms') return 'notFound';
  // A worker's broken configuration is a failed run, not a caller's mistake.
  if (error instanceof HoldfastRunError && error.code === 'config.invalid') return 'failed';
  return byErrorCode[error.code] ?? 'failed';
}
