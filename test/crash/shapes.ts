// The shapes of runs that cells are cut from: runs that end well, each also failing late so that it undoes itself, and backups after one
// that was terminated. Which of a shape's recorded steps are its cells follows from where it differs from the plain run.
// Here: what shapes are, and those of the method `appliance`; those of the method `transfer` are in shapes-transfer.ts.
import { until } from '../e2e/support/vms';
import type { Ending } from './ending';
import type { LabFault } from './lab-faults';
import type { Lane } from './lane';
import { plannedRun, type Wish } from './runs';
import type { SourceName } from './sources';
import type { Step } from './steps';
import type { Fault } from './worker/fault';

export interface Shape extends Wish {
  readonly name: string;
  readonly ends: Ending;
  /** What the lab does wrong in every run of this shape, from before it. */
  readonly labFaults?: (lane: Lane) => readonly LabFault[];
  /** Beside the kill of the cell. */
  readonly fault: Omit<Fault, 'workflowId' | 'kill'>;
  readonly cells: (steps: readonly Step[]) => readonly Step[];
  /** What must have been before the run. */
  readonly prepare?: (lane: Lane) => Promise<void>;
  /** What it reads. */
  readonly source?: SourceName;
  /** What a backup's manifest must say: its kind, and what it lies on. */
  readonly makes?: { readonly kind: 'full' } | { readonly kind: 'incremental'; readonly on: SourceName | 'the one before' };
  /** Nothing can lie on its base any more, whatever becomes of the run: what changed since is forgotten. */
  readonly spoilsBase?: true;
  /** A run of it that is cut leaves work to the next one, which must do it. */
  readonly leavesToNext?: true;
  /** When the run before it was terminated, the new VM stood: with the content of the backup that it was restored from. */
  readonly standsAnew?: true;
  /** How many snapshots or VM backups a backup of this shape begins: one when absent. */
  readonly begins?: number;
}

export const after = (steps: readonly Step[], activityType: string): readonly Step[] => steps.slice(steps.findIndex((step) => step.activityType === activityType) + 1);
export const failing = (activityType: string): Pick<Shape, 'ends' | 'fault' | 'cells'> => ({ ends: { outcome: 'failed', code: 'repository.full' }, fault: { fail: { activityType } }, cells: (steps) => after(steps, activityType) });
export const well: Pick<Shape, 'ends' | 'fault' | 'cells'> = { ends: { outcome: 'completed' }, fault: {}, cells: (steps) => steps };

const plans: readonly string[] = ['planBackup', 'readVmChain'];

/** The steps that release what the terminated run held. */
export function releasing(steps: readonly Step[]): readonly Step[] {
  const rest = after(steps, 'listEarlierHoldings');
  return rest.slice(0, rest.findIndex(({ activityType }) => plans.includes(activityType)));
}

export type OfTerminated = Wish & Pick<Shape, 'source'>;

/** The next backup is one of the same method. */
export function afterTerminated(name: string, heldAt: string, of: OfTerminated): Shape {
  return { name, flow: 'backupVm', method: of.method, ...well, prepare: (lane) => terminateOne(lane, heldAt, of), cells: releasing, leavesToNext: true };
}

const [backup, restore] = [{ flow: 'backupVm', method: 'appliance' }, { flow: 'restoreVm', method: 'appliance', source: 'appliance' }] as const;

export const plainShapes: readonly [backup: Shape, restore: Shape] = [
  { name: 'backup', ...backup, ...well },
  { name: 'restore', ...restore, ...well },
];

export const applianceShapes: readonly Shape[] = [
  ...plainShapes,
  { name: 'backup that fails', ...backup, ...failing('sealBackup') },
  { name: 'restore that fails', ...restore, ...failing('attachRestoredDisk') },
  afterTerminated('backup after one that was terminated in its copy', 'backupDisk', backup),
];

/** Their steps are in other shapes, too: `npm test` takes a few of them, chosen by the seed. */
export const rareShapes: readonly Shape[] = [
  afterTerminated('backup after one that was terminated when it was sealed', 'indexBackup', backup),
];

const replacing = { ...restore, as: 'replace' } as const;

/** Restores of the lane's own VM, which is there again in the end. `npm test` tries one of them, chosen by the seed. */
export const ownVmShapes: readonly Shape[] = [
  { name: 'restore as the original', ...restore, as: 'original', ...well, prepare: async ({ stack, vm }) => stack.lab.removeWithDisks(vm.id), cells: (steps) => after(steps, 'planRestore') },
  { name: 'replacement', ...replacing, ...well, cells: (steps) => after(steps, 'proveDisk') },
  { name: 'replacement that fails', ...replacing, ...failing('attachRestoredDisk') },
  afterTerminated('backup after a replacement that was terminated before the new VM stood', 'attachRestoredDisk', replacing),
  { ...afterTerminated('backup after a replacement that was terminated when the new VM stood', 'unmarkVm', replacing), standsAnew: true },
];

/** Ends a run by Temporal's terminate at the beginning of a step: nothing undoes it. */
async function terminateOne(lane: Lane, heldAt: string, of: OfTerminated): Promise<void> {
  const { workflowId, start } = plannedRun(lane, of, { sourceBackupId: of.source && (await lane.sources.get(of.source)).backupId });
  await lane.wish({ workflowId, hold: { activityType: heldAt } });
  await start();
  await until(`the run to be terminated is at ${heldAt}`, async () => (await lane.held()) !== undefined);
  await lane.client.temporal.workflow.getHandle(workflowId).terminate('the crash harness');
  await lane.letGo();
}
