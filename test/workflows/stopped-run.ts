// A run that is stopped at one of its steps, by a failure that no retry mends or by a cancel: what the tables of undos are asked of.
import type { WorkflowHandle } from '@temporalio/client';
import { isWhole, some } from '../support/share';
import { Holding, type ActivityName, type Call, type Match, type Script } from './script';
import { ending, type Ended } from './stage';

/** The n-th call of the activity (from 1) and all its repeats. */
export const nth = (n: number, of: () => Script): Match => (call: Call) => of().of(call.activity).indexOf(call) >= n - 1;

export type Stop = 'a final failure' | 'a cancel';

export interface StepOfRun {
  readonly step: ActivityName;
  readonly n: number;
}

/**
 * Where a flow is stopped in which way: at every step of its table in both, when everything runs; otherwise at a quarter of the steps in one of them, by the seed.
 * `notCancelled`: a step whose cancel is no cancel of the run.
 */
export function stopsOf<Row extends StepOfRun>(steps: readonly Row[], notCancelled: (row: Row) => boolean = () => false): Readonly<Record<Stop, readonly Row[]>> {
  // `some` gives all of them when everything runs.
  const stopped = some(steps, Math.ceil(steps.length / 4));
  const cancellable = stopped.filter((row) => !notCancelled(row));
  const cancelled = new Set(some(cancellable, Math.floor(cancellable.length / 2)));
  return { 'a final failure': stopped.filter((row) => isWhole || !cancelled.has(row)), 'a cancel': stopped.filter((row) => cancelled.has(row)) };
}

export async function stoppedAt<Run extends { readonly handle: WorkflowHandle }>(how: Stop, { step, n }: StepOfRun, start: (prepare: (script: Script) => void) => Promise<Run>): Promise<Run & { readonly end: Ended }> {
  const hold = new Holding();
  const run = await start((script) => {
    if (how === 'a cancel') hold.place(script, step, nth(n, () => script));
    else script.fail(step, 'engine.refused', nth(n, () => script));
  });
  if (how === 'a cancel') {
    await hold.begun();
    await run.handle.cancel();
  }
  return { ...run, end: await ending(run.handle) };
}
