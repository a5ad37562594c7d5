// The overhead benchmark's figures as tables and as JSON. Pure.
import { machineText, type Machine } from '../measure/machine';
import { spreadOf } from '../measure/statistics';
import { markdownTable } from '../measure/table';
import type { Breakdown } from './history';

export interface OverheadRun extends Breakdown {
  /** From the client's start call to the result in its hands. */
  readonly seconds: number;
}

export interface OverheadReport {
  readonly benchmark: 'overhead';
  readonly startedAt: string;
  readonly machine: Machine;
  /** By the VM's state. */
  readonly runs: Readonly<Record<string, readonly OverheadRun[]>>;
}

export const aimSeconds = 2;

const median = (runs: readonly OverheadRun[], pick: (run: OverheadRun) => number): number => spreadOf(runs.map(pick)).median;

export function reportText({ startedAt, machine, runs }: OverheadReport): string {
  const parts = [`${startedAt.slice(0, 10)}. ${machineText(machine)}.`, 'A whole `backupVm` of a VM with an empty disk of 1 GiB, from the client\'s call to the result. Temporal (data in a file), PostgreSQL, lab and two workers on this machine.'];
  const rows = Object.entries(runs).map(([state, list]) => {
    const seconds = spreadOf(list.map((run) => run.seconds));
    const part = (pick: (run: OverheadRun) => number): string => (median(list, pick) / 1000).toFixed(2);
    return [state, String(list.length), seconds.median.toFixed(2), `${seconds.low.toFixed(2)}–${seconds.high.toFixed(2)}`, part((run) => run.workingMs), part((run) => run.waitingMs), part((run) => run.betweenMs), seconds.median <= aimSeconds ? `reached (${aimSeconds} s)` : `missed (${aimSeconds} s)`];
  });
  parts.push(markdownTable(['VM', 'runs', 'seconds', 'low–high', 'activities at work', 'waiting for a worker', 'workflow tasks', 'aim'], rows));
  for (const [state, list] of Object.entries(runs)) parts.push(`### ${state}, step by step (medians, ms)`, stepTable(list));
  return parts.join('\n\n');
}

export function stepTable(runs: readonly Breakdown[]): string {
  const [first] = runs;
  const rows = (first?.steps ?? []).map((step, index) => {
    const same = runs.flatMap((run) => run.steps.filter((other, at) => at === index && other.activityType === step.activityType));
    const figure = (pick: (one: (typeof same)[number]) => number): string => spreadOf(same.map(pick)).median.toFixed(0);
    return [step.activityType, figure((one) => one.scheduledMs), figure((one) => one.startedMs - one.scheduledMs), figure((one) => one.endedMs - one.startedMs), figure((one) => one.attempts)];
  });
  return markdownTable(['activity', 'scheduled at', 'waited', 'ran', 'attempts'], rows);
}
