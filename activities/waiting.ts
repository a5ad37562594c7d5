// Waiting for the engine inside one activity attempt: poll with heartbeats for under a minute, then end the attempt with `wait.pending`.
// So no worker slot is held for long, a cancel arrives at the next heartbeat, and the wait's deadline is the activity's
// schedule-to-close timeout, set by the workflow.
import { Context } from '@temporalio/activity';
import { HoldfastError } from '../domain/failures';
import { tell } from './alive';

const attemptMs = 45_000;
/** Much is done within a tenth of a second (npm run bench -- overhead); growing by half, a wait of a second is ten looks. */
const firstPauseMs = 20;
const longestPauseMs = 2_000;

/** `probe` returns the value that was waited for, or a sentence that says what is still missing. */
export async function waitFor<T extends object>(probe: () => Promise<T | string>): Promise<T> {
  const context = Context.current();
  const endsAt = Date.now() + attemptMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    const answer = await probe();
    if (typeof answer !== 'string') return answer;
    tell({ waiting: answer });
    if (Date.now() + pauseMs > endsAt) throw new HoldfastError('wait.pending', answer);
    await context.sleep(pauseMs);
  }
}

/** For waits that end with "it is gone". */
export const gone = {} as const;
