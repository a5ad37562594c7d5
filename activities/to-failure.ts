// The only place where an error becomes a Temporal failure. What is retried, and after how long, is decided by the table in domain/failures.
import { CancelledFailure, CompleteAsyncError } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { HoldfastError, ruleOf } from '../domain/failures';

export function toFailure(error: unknown): unknown {
  if (error instanceof CancelledFailure || error instanceof CompleteAsyncError || error instanceof ApplicationFailure) return error;
  if (!(error instanceof HoldfastError)) {
    // A bug or an error nobody foresaw: Temporal retries it, the operator sees its own words and stack.
    return error;
  }
  const rule = ruleOf(error.code);
  const delayMs = error.retryAfterMs ?? rule.delayMs;
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: !rule.retry,
    ...(delayMs === undefined ? {} : { nextRetryDelay: delayMs }),
    details: [error.details],
  });
}

type AnyActivity = (...args: never[]) => Promise<unknown>;

/** Gives every activity of the object the mapping above. */
export function withFailures<T extends object>(activities: T): T {
  const wrap = (activity: AnyActivity): AnyActivity => async (...args) => {
    try {
      return await activity(...args);
    } catch (error) {
      throw toFailure(error);
    }
  };
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, wrap(activity as AnyActivity)])) as T;
}
