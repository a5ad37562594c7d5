// Where a run's time went, from its history alone: each activity's wait for a worker and its work, and what is left for Temporal and the
// workflow's own tasks. Pure.
import type { WorkflowHandle } from '@temporalio/client';

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];

export interface Step {
  readonly activityType: string;
  /** Milliseconds after the run's start. */
  readonly scheduledMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attempts: number;
}

export interface Breakdown {
  readonly totalMs: number;
  readonly steps: readonly Step[];
  /** Some activity was at work. */
  readonly workingMs: number;
  /** None was, but one waited for a worker to take it. */
  readonly waitingMs: number;
  /** Neither: workflow tasks, and the way between server and workers. */
  readonly betweenMs: number;
}

type EventTime = HistoryEvent['eventTime'];

function milliseconds(time: EventTime): number {
  return Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;
}

export function breakDown(history: History): Breakdown {
  const events = history.events ?? [];
  const zeroMs = milliseconds(events[0]?.eventTime);
  const atMs = (event: HistoryEvent | undefined): number => milliseconds(event?.eventTime) - zeroMs;
  const byScheduled = (id: unknown, pick: (event: HistoryEvent) => { scheduledEventId?: unknown } | null | undefined): HistoryEvent | undefined => events.find((event) => String(pick(event)?.scheduledEventId) === String(id));
  const steps = events.flatMap((event): Step[] => {
    const activityType = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (!activityType) return [];
    const started = byScheduled(event.eventId, (other) => other.activityTaskStartedEventAttributes);
    const ended = byScheduled(event.eventId, (other) => other.activityTaskCompletedEventAttributes ?? other.activityTaskFailedEventAttributes ?? other.activityTaskTimedOutEventAttributes ?? other.activityTaskCanceledEventAttributes);
    if (!started || !ended) return [];
    return [{ activityType, scheduledMs: atMs(event), startedMs: atMs(started), endedMs: atMs(ended), attempts: started.activityTaskStartedEventAttributes?.attempt ?? 1 }];
  });
  const totalMs = atMs(events.at(-1));
  const workingMs = covered(steps.map(({ startedMs, endedMs }) => [startedMs, endedMs]));
  const outMs = covered(steps.map(({ scheduledMs, endedMs }) => [scheduledMs, endedMs]));
  return { totalMs, steps, workingMs, waitingMs: outMs - workingMs, betweenMs: totalMs - outMs };
}

/** Length of the union of intervals: steps that run side by side count once. */
export function covered(intervals: readonly (readonly [number, number])[]): number {
  let length = 0;
  let reached = -Infinity;
  for (const [from, to] of [...intervals].sort(([one], [other]) => one - other)) {
    length += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  return length;
}
