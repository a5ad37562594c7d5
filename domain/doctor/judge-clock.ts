// Clocks. Pure: the differences are measured elsewhere.
import { ok, problem, warning, type Judgement } from './checks';

export interface ClockDifference {
  /** Positive: the looked-at clock is ahead. */
  readonly differenceMs: number;
  /** How far off the measurement may be. */
  readonly uncertaintyMs: number;
}

/** What the image locks of a repository take for granted between two hosts (adapters/repository/image-lock). */
const mostMs = 30_000;
const noticeableMs = 5_000;

export function judgeClock({ differenceMs, uncertaintyMs }: ClockDifference, comparedWith: string): Judgement {
  const atLeastMs = Math.max(0, Math.abs(differenceMs) - uncertaintyMs);
  const seconds = (Math.abs(differenceMs) / 1000).toFixed(1);
  const text = `${seconds} s ${differenceMs < 0 ? 'behind' : 'ahead of'} ${comparedWith} (measured to ${(uncertaintyMs / 1000).toFixed(1)} s)`;
  if (atLeastMs > mostMs) return problem(`${text}; at most ${mostMs / 1000} s are safe`);
  if (atLeastMs > noticeableMs) return warning(text);
  return ok(`agrees with ${comparedWith}: ${text}`);
}

/** The other side's clock was read between two looks at ours. `resolutionMs`: how coarsely it tells. */
export function betweenLooks(theirsMs: number, beforeMs: number, afterMs: number, resolutionMs = 0): ClockDifference {
  return { differenceMs: Math.round(theirsMs - (beforeMs + afterMs) / 2), uncertaintyMs: Math.ceil((afterMs - beforeMs) / 2) + resolutionMs };
}

/** Temporal says when it scheduled the task; waiting for a worker makes ours look later than it is, never earlier. */
export function sinceScheduled(nowMs: number, scheduledMs: number): ClockDifference {
  return { differenceMs: Math.round(nowMs - scheduledMs), uncertaintyMs: 2_000 };
}
