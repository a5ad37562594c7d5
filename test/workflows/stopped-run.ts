// A run that is stopped at one of its steps, by a failure that no retry mends or by a cancel: what the tables of undos are asked of.
import type { WorkflowHandle } from '@temporalio/client';
import { Holding, type ActivityName, type Call, type Match, type Script } from './script';
import { ending, type Ended } from './stage';

/** The n-th call of the activity (from 1) and all its repeats. */
export const nth = (n: number, of: () => Script): Match => (call: Call) => of().of(call.activity).indexOf(call) >= n - 1;

export type Stop = 'a final failure' | 'a cancel';

export interface StepOfRun {
  readonly step: ActivityName;
  readonly n: number;
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
