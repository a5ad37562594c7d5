// How a flow reads failures and throws its own: by code (`type`), never by message.
import { ActivityFailure, ApplicationFailure, CancellationScope, CancelledFailure, isCancellation, patched, TimeoutFailure, workflowInfo } from '@temporalio/workflow';
import { RetryState, TimeoutType } from '@temporalio/common';
import type { z } from 'zod';
import type { FailureCode } from '../domain/failures';
import { refusalText, rootCauses, type Reason } from '../domain/plan/reasons';
import { cancelObeyedBeforeKept } from './patches';

export function fail(code: FailureCode, message: string, details: Readonly<Record<string, unknown>> = {}): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message, nonRetryable: true, details: [details] });
}

/** A flow's input comes from any SDK: what zod refuses becomes a failure of the run, not of a task that Temporal retries for ever. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw fail('input.invalid', `The input of ${workflowInfo().workflowType} is not valid: ${parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`).join('; ')}`);
}

/** The workflow id is the lock: a flow under another id would step around it. */
export function requireWorkflowId(expected: string): void {
  const { workflowId, workflowType } = workflowInfo();
  if (workflowId !== expected) throw fail('input.invalid', `${workflowType} was started under the workflow id "${workflowId}", which must be "${expected}": the id is the lock. Start it through the client, or under that id.`);
}

export function refuse(what: string, reasons: readonly Reason[]): void {
  const causes = rootCauses(reasons);
  if (causes.length > 0) throw fail('plan.refused', refusalText(what, causes), { reasons: causes });
}

/** For a flow that is one question: it fails with the code of what it asked, not with the wrapper that Temporal puts around it. */
export async function answered<T>(question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (error) {
    if (wasCancelled(error)) throw error;
    const { code, message, details } = readFailure(error);
    throw ApplicationFailure.create({ type: code, message, nonRetryable: true, details: [details], ...(error instanceof Error ? { cause: error } : {}) });
  }
}

/** Nobody has picked the task up: no worker serves that queue. */
export function nobodyServes(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure && error.cause.timeoutType === TimeoutType.SCHEDULE_TO_START;
}

/**
 * Did this end because it was cancelled? An activity that answers its cancel with a failure (the connection broke at that moment, its
 * worker died) would have been tried again but for the cancel: that is a cancel too, not a failed run.
 */
export function wasCancelled(error: unknown): boolean {
  return isCancellation(error) || (error instanceof ActivityFailure && error.retryState === RetryState.CANCEL_REQUESTED);
}

/**
 * The last moment at which a cancel takes the run back: what follows is kept. A cancel that came while a step could not hear it, or was just done, has
 * stopped nothing yet. The patch is asked for only then: all other runs have no marker in their history.
 */
export function obeyCancel(): void {
  if (CancellationScope.current().consideredCancelled && patched(cancelObeyedBeforeKept)) throw new CancelledFailure('cancelled before anything was kept');
}

interface ReadFailure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export function readFailure(error: unknown): ReadFailure {
  if (wasCancelled(error)) return { code: 'cancelled', message: 'cancelled', details: {} };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const [details] = cause.details ?? [];
    const late = error instanceof ActivityFailure && cause.type === 'wait.pending';
    return {
      code: late ? 'wait.deadline' : (cause.type ?? 'unexpected'),
      message: late ? `gave up waiting: ${cause.message}` : cause.message,
      details: typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {},
    };
  }
  if (cause instanceof TimeoutFailure && error instanceof ActivityFailure) {
    const missing = cause.timeoutType === TimeoutType.SCHEDULE_TO_START;
    return { code: 'wait.deadline', message: missing ? `no worker picked up ${error.activityType} in time: is one running that serves its queue?` : `${error.activityType} took too long (${cause.timeoutType})`, details: {} };
  }
  return { code: 'unexpected', message: cause instanceof Error ? cause.message : String(cause), details: {} };
}

export function failureText(error: unknown): string {
  const { code, message } = readFailure(error);
  return `${message} [${code}]`;
}
