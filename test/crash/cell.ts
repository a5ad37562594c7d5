// One cell: a run of a shape in a lane while something is killed, and what became of it. A cell is green when its fault fired, the run ended
// as its shape must, and the outside look finds nothing to complain about; otherwise it says everything that is wrong with it.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastRunError } from '../../client';
import { backupsOf, checkRestored, checkSealed, snapshotsBegun, type Backup, type Restored } from './outside';
import { plannedRun, type Handle, type Shape, type Started } from './shapes';
import type { Lane } from './lane';
import type { Fault } from './worker/fault';

const runLimitMs = 240_000;

export interface CellResult {
  readonly cell: string;
  /** What was killed, as its parent saw it end. */
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

export interface Products {
  readonly backups: readonly Backup[];
  readonly restored: readonly Restored[];
  /** Ids and paths by which a leftover is told to be this cell's. */
  readonly marks: readonly string[];
}

export interface CellPlan {
  readonly name: string;
  readonly shape: Shape;
  /** What the worker does to itself. */
  readonly kill?: NonNullable<Fault['kill']>;
  /** More than the worker's own death: runs beside the run and says what it did; a problem when it could not. */
  readonly disturb?: (lane: Lane, run: Started) => Promise<string>;
  readonly fault?: Omit<Fault, 'workflowId' | 'kill'>;
  readonly bandwidthBytesPerSecond?: number;
  /** Asked when the run has ended: what else is wrong. */
  readonly alsoJudge?: (lane: Lane, run: Started) => Promise<readonly string[]>;
  readonly bytesMovedAgain?: () => number;
  /** The engine may itself declare the step failed when it comes back: a run that then fails and leaves nothing is as right. */
  readonly mayFail?: true;
  /** The source VM runs when the cell begins; it is down afterwards. */
  readonly bring?: 'up';
}

/** Runs the cell to its end and judges everything but the leftovers, which are looked for when the whole wave has ended. */
export async function runCell(lane: Lane, plan: CellPlan, sourceBackup: Backup | undefined): Promise<CellResult> {
  const { shape } = plan;
  await lane.revive();
  if (plan.bring) await lane.stack.lab.bring(lane.vm.id, plan.bring);
  await shape.prepare?.(lane);
  const before = { backups: await backupsOf(lane, lane.vm.id), snapshots: await snapshotsBegun(lane.stack, lane.vm) };
  const run = plannedRun(lane, shape.flow, { sourceBackupId: sourceBackup?.backupId, ...(plan.bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond: plan.bandwidthBytesPerSecond }) });
  const { workflowId } = run;
  const startedMs = performance.now();
  await lane.wish({ workflowId, ...shape.fault, ...plan.fault, ...(plan.kill ? { kill: plan.kill } : {}) });
  const handle = await run.start();
  const disturbance = disturbed(lane, plan, run, handle);
  const ended = await endOf(handle);
  const { fault, problems } = await disturbance;
  const seconds = (performance.now() - startedMs) / 1000;
  await lane.wish(undefined);
  const ends = plan.mayFail && ended.startsWith('failed') ? 'failed' : shape.ends;
  const judged = await judge(lane, { flow: shape.flow, ends }, run, before);
  if (plan.alsoJudge) problems.push(...(await plan.alsoJudge(lane, run)));
  if (!ended.startsWith(ends)) problems.push(`the run ended ${ended}, not ${ends}`);
  return { cell: plan.name, fault, ended, seconds, problems: [...problems, ...judged.problems], products: judged.products, ...(plan.bytesMovedAgain ? { bytesMovedAgain: plan.bytesMovedAgain() } : {}) };
}

/** Sees the fault fire, and starts what died again as a service manager would. */
async function disturbed(lane: Lane, plan: CellPlan, run: Started, handle: Handle): Promise<{ fault: string; problems: string[] }> {
  if (plan.disturb) {
    try {
      return { fault: await plan.disturb(lane, run), problems: [] };
    } catch (error) {
      return { fault: 'none', problems: [`the fault did not fire: ${error instanceof Error ? error.message : String(error)}`] };
    }
  }
  if (!plan.kill) return { fault: 'none', problems: [] };
  const over = { yet: false };
  void endOf(handle).then(() => { over.yet = true; });
  // After the run's end the last step's fault may still be about to fire: one more look.
  for (let last = false; ; last = over.yet) {
    const fired = await lane.fired();
    const victim = lane.workers.find((worker) => worker.endedBy !== undefined && worker.pid === fired?.pid);
    if (fired && victim) {
      const by = victim.endedBy ?? '';
      await lane.revive();
      return { fault: `${victim === lane.control ? 'control' : 'appliance'} worker: ${by}`, problems: by === 'SIGKILL' ? [] : [`the worker ended by ${by}`] };
    }
    if (last) return { fault: 'none', problems: [`the fault did not fire: ${fired ? 'recorded, but the worker lives' : 'the step was never reached'}`] };
    await sleep(50);
  }
}

async function endOf(handle: Handle): Promise<string> {
  const timer = new AbortController();
  const late = sleep(runLimitMs, `still running after ${runLimitMs / 1000} s`, { signal: timer.signal, ref: false });
  late.catch(() => undefined);
  const ended = handle.result().then(
    ({ warnings, leftovers }) => `completed${leftovers.length > 0 ? ` with ${leftovers.length} leftovers` : ''}${warnings.length > 0 ? ` (${warnings.join('; ')})` : ''}`,
    (error: unknown) => (error instanceof HoldfastRunError ? `${error.code === 'run.cancelled' ? 'cancelled' : 'failed'} (${error.code}: ${error.message}${leftoversOf(error)})` : `unknown: ${String(error)}`),
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    timer.abort();
  }
}

const leftoversOf = ({ details }: HoldfastRunError): string => (details.leftovers.length > 0 ? `; ${details.leftovers.length} leftovers` : '');

interface Before {
  readonly backups: readonly Backup[];
  readonly snapshots: number;
}

async function judge(lane: Lane, { flow, ends }: Pick<Shape, 'flow' | 'ends'>, run: Started, before: Before): Promise<Pick<CellResult, 'problems' | 'products'>> {
  const { stack, vm } = lane;
  const marks = [vm.id, vm.name, run.vmName, ...vm.disks.map(({ id }) => id), lane.repositoryPath];
  const problems: string[] = [];
  if (flow === 'restoreVm') {
    const { restored, problems: found } = await checkRestored(stack, run.vmName, vm);
    if (ends === 'completed') problems.push(...found);
    else if (restored) problems.push(`the engine has a VM ${run.vmName} although the restore failed`);
    return { problems, products: { backups: [], restored: restored && ends === 'completed' ? [restored] : [], marks: [...marks, ...(restored ? [restored.vmId, ...restored.diskIds] : [])] } };
  }
  const begun = (await snapshotsBegun(stack, vm)) - before.snapshots;
  if (begun !== 1) problems.push(`the engine began ${begun} snapshots instead of one`);
  const made = (await backupsOf(lane, vm.id)).filter(({ backupId }) => !before.backups.some((each) => each.backupId === backupId));
  if (made.length !== (ends === 'completed' ? 1 : 0)) problems.push(`the run left ${made.length} backups in the repository`);
  for (const backup of made) problems.push(...(await checkSealed(stack, backup, vm).catch((error: unknown) => [`backup ${backup.backupId} cannot be read: ${String(error)}`])));
  return { problems, products: { backups: made, restored: [], marks } };
}
