// Heartbeats of short activities, by timer: while a call is out the worker is alive, and when it dies Temporal knows soon. Without them a
// call that takes longer than the heartbeat timeout would be begun a second time beside the first. Copies report for themselves.
import { Context } from '@temporalio/activity';

/** What an activity told last: a timer's heartbeat must not wipe it out. */
const told = new WeakMap<Context, object>();

/** For operators: what the activity is waiting for. */
export function tell(details: object): void {
  const context = Context.current();
  told.set(context, details);
  context.heartbeat(details);
}

type AnyActivity = (...args: never[]) => Promise<unknown>;

export function withHeartbeats<T extends object>(activities: T): T {
  const wrap = (activity: AnyActivity): AnyActivity => async (...args) => {
    const context = Context.current();
    const timeoutMs = context.info.heartbeatTimeoutMs;
    if (!timeoutMs) return activity(...args);
    const timer = setInterval(() => context.heartbeat(told.get(context)), timeoutMs / 4);
    try {
      return await activity(...args);
    } finally {
      clearInterval(timer);
    }
  };
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, wrap(activity as AnyActivity)])) as T;
}
