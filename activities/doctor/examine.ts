// How every check is made: with a deadline of its own, and a failure of the looking is a problem in words, never a failed activity. So one
// hung mount or silent server does not hide what the other checks found.
import { Context } from '@temporalio/activity';
import { setTimeout as delay } from 'node:timers/promises';
import { hostname } from 'node:os';
import { check, problem, type Check, type CheckId, type Judgement } from '../../domain/doctor/checks';
import { judgeClock, sinceScheduled } from '../../domain/doctor/judge-clock';
import { judgeNode } from '../../domain/doctor/judge-workers';
import type { WorkerExamination } from './dependencies';

export const checkDeadlineMs = 20_000;

export async function examine(id: CheckId, object: string, look: () => Promise<Judgement>, deadlineMs = checkDeadlineMs): Promise<Check> {
  try {
    return check(id, object, await withDeadline(look(), deadlineMs));
  } catch (error) {
    return check(id, object, problem(error instanceof Error ? error.message : String(error)));
  }
}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  const timer = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${deadlineMs / 1000} s`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
    work.catch(() => undefined);
  }
}

/** Node and clock of the worker that this runs on. */
export function examineWorker(ids: { readonly node: CheckId; readonly clock: CheckId }, object: string, { now }: WorkerExamination): readonly Check[] {
  const { currentAttemptScheduledTimestampMs } = Context.current().info;
  return [
    check(ids.node, object, judgeNode(process.versions.node)),
    check(ids.clock, object, judgeClock(sinceScheduled(now().getTime(), currentAttemptScheduledTimestampMs), 'Temporal\'s clock')),
  ];
}

export interface QueueAnswer {
  /** Who answered, for the report. */
  readonly worker: string;
}

/** On every task queue: that somebody answers is the answer. */
export interface QueueActivities {
  answerQueue(): Promise<QueueAnswer>;
}

export function createQueueActivities({ version }: WorkerExamination): QueueActivities {
  return { answerQueue: () => Promise.resolve({ worker: `Holdfast ${version} on ${hostname()}, pid ${process.pid}` }) };
}
