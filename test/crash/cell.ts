// One cell: a run of a shape in a lane while something goes wrong, and what became of it. A cell is green when its fault fired, the run ended
// as it must, and the outside look finds nothing to complain about; otherwise it says everything that is wrong with it.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailureCode } from '../../domain/failures';
import { endOf, type End, type Ending } from './ending';
import { judge, lookBefore, type Products } from './judge';
import { LabFaults, type LabFault } from './lab-faults';
import type { Lane } from './lane';
import { plannedRun, type Handle, type Method, type Started } from './runs';
import type { Shape } from './shapes';
import type { Fault } from './worker/fault';

export interface CellResult {
  readonly cell: string;
  readonly method: Method;
  /** What was killed, as its parent saw it end; what the lab says it did. */
  readonly fault: string;
  readonly ended: string;
  readonly seconds: number;
  /** Measured at the disk's QEMU; absent where it was not measured. */
  readonly bytesMovedAgain?: number;
  /** Empty: green. */
  readonly problems: readonly string[];
  /** What the run made that is meant to be there: the outside look must not call it a leftover. */
  readonly products: Products;
}

/** What a cell can use while its run goes on. */
export interface UnderWay {
  readonly handle: Handle;
  readonly faults: LabFaults;
}

export interface CellPlan {
  readonly name: string;
  readonly shape: Shape;
  /** What the worker does to itself, one after the other: the next one is wished when the last one is dead. */
  readonly kills?: readonly NonNullable<Fault['kill']>[];
  /** More than the worker's own death: runs beside the run and says what it did; a problem when it could not. */
  readonly disturb?: (lane: Lane, run: Started, underWay: UnderWay) => Promise<string>;
  readonly fault?: Omit<Fault, 'workflowId' | 'kill'>;
  /** What the lab's engine and host do wrong from before the run until it has ended. */
  readonly labFaults?: (lane: Lane) => readonly LabFault[];
  readonly bandwidthBytesPerSecond?: number;
  /** Asked when the run has ended: what else is wrong. */
  readonly alsoJudge?: (lane: Lane, run: Started, end: End) => Promise<readonly string[]>;
  readonly bytesMovedAgain?: () => number;
  /** The shape's, where the fault changes nothing about it. */
  readonly ends?: Ending;
  /** The engine may itself declare the step failed when it comes back: a run that then fails (with this code) and leaves nothing is as right. */
  readonly mayFail?: true | FailureCode;
  /** The source VM runs when the cell begins; it is down afterwards. */
  readonly bring?: 'up';
}

/** Runs the cell to its end and judges everything but what is left behind: that takes the harness's look from outside. */
export async function runCell(lane: Lane, plan: CellPlan): Promise<CellResult> {
  const { shape } = plan;
  await lane.revive();
  if (plan.bring) await lane.stack.lab.bring(lane.vm.id, plan.bring);
  const source = shape.source && (await lane.sources.get(shape.source));
  // Before a run is terminated: its half-made VM has the old one's id, and disks of the same alias, and is not what the next run has to bring back.
  if (shape.leavesToNext) await lane.reread();
  await shape.prepare?.(lane);
  const before = await lookBefore(lane, shape, source);
  const run = plannedRun(lane, shape, { sourceBackupId: source?.backupId, bandwidthBytesPerSecond: plan.bandwidthBytesPerSecond });
  await wishKill(lane, plan, run, 0);
  const faults = await LabFaults.inject(lane.stack, [...(shape.labFaults?.(lane) ?? []), ...(plan.labFaults?.(lane) ?? [])]);
  try {
    const { handle, end, seconds, told } = await ranToItsEnd(lane, plan, run, faults);
    const expected: Ending = plan.mayFail && end.outcome === 'failed' ? { outcome: end.outcome, ...(plan.mayFail === true ? {} : { code: plan.mayFail }) } : (plan.ends ?? shape.ends);
    const problems = [...told.problems, ...faults.unfired(), ...end.against(expected)];
    const judged = await judge(lane, { shape, outcome: expected.outcome, run }, before);
    if (plan.alsoJudge) problems.push(...(await plan.alsoJudge(lane, run, end)));
    problems.push(...judged.problems);
    if (problems.length > 0) problems.push(...(await decidedBy(handle)));
    const fault = [told.fault, faults.told()].filter(Boolean).join('; ') || 'none';
    return { cell: plan.name, method: shape.method, fault, ended: end.text, seconds, problems, products: judged.products, ...(plan.bytesMovedAgain ? { bytesMovedAgain: plan.bytesMovedAgain() } : {}) };
  } finally {
    await faults.release();
    if (shape.spoilsBase) lane.sources.spoiled();
  }
}

/** Beside what is wrong with a run: which way it took, and why. */
async function decidedBy(handle: Handle): Promise<readonly string[]> {
  const progress = await handle.progress().catch(() => undefined);
  return progress?.notes.map(({ code, text }) => `the run decided: ${text} [${code}]`) ?? [];
}

interface Told {
  readonly fault: string;
  readonly problems: readonly string[];
}

async function ranToItsEnd(lane: Lane, plan: CellPlan, run: Started, faults: LabFaults): Promise<{ readonly handle: Handle; readonly end: End; readonly seconds: number; readonly told: Told }> {
  const startedMs = performance.now();
  const handle = await run.start();
  const disturbance = disturbed(lane, plan, run, { handle, faults });
  const end = await endOf(handle);
  const told = await disturbance;
  const seconds = (performance.now() - startedMs) / 1000;
  await lane.wish(undefined);
  await faults.release();
  return { handle, end, seconds, told };
}

/** Sees the fault fire, and starts what died again as a service manager would. */
async function disturbed(lane: Lane, plan: CellPlan, run: Started, underWay: UnderWay): Promise<Told> {
  if (plan.disturb) {
    try {
      return { fault: await plan.disturb(lane, run, underWay), problems: [] };
    } catch (error) {
      return { fault: '', problems: [`the fault did not fire: ${error instanceof Error ? error.message : String(error)}`] };
    }
  }
  const over = { yet: false };
  void endOf(underWay.handle).then(() => { over.yet = true; });
  const told: Told[] = [];
  for (const next of (plan.kills ?? []).keys()) {
    told.push(await killed(lane, over));
    await wishKill(lane, plan, run, next + 1);
    await lane.revive();
  }
  return { fault: told.map(({ fault }) => fault).filter(Boolean).join('; '), problems: told.flatMap(({ problems }) => problems) };
}

const wishKill = (lane: Lane, { shape, fault, kills }: CellPlan, { workflowId }: Started, which: number): Promise<void> => {
  const kill = kills?.[which];
  return lane.wish({ workflowId, ...shape.fault, ...fault, ...(kill ? { kill } : {}) });
};

async function killed(lane: Lane, over: { readonly yet: boolean }): Promise<Told> {
  // After the run's end the last step's fault may still be about to fire: one more look.
  for (let last = false; ; last = over.yet) {
    const fired = await lane.fired();
    const victim = lane.workers.find((worker) => worker.endedBy !== undefined && worker.pid === fired?.pid);
    if (fired && victim) {
      const by = victim.endedBy ?? '';
      return { fault: `worker: ${by}`, problems: by === 'SIGKILL' ? [] : [`the worker ended by ${by}`] };
    }
    if (last) return { fault: '', problems: [`the fault did not fire: ${fired ? 'recorded, but the worker lives' : 'the step was never reached'}`] };
    await sleep(50);
  }
}
