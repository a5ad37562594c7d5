// The shapes of runs that cells are cut from: a backup, a restore, each also failing late so that it undoes itself, and a backup after one
// that was terminated. Which of a shape's recorded steps are its cells follows from where it differs from the plain run.
import { randomUUID } from 'node:crypto';
import type { BackupHandle, RestoreHandle } from '../../client';
import { workflowIds } from '../../domain/ids';
import { until } from '../e2e/support/vms';
import { repositoryName, type Lane } from './lane';
import { backupsOf } from './outside';
import type { Ending } from './ending';
import type { Step } from './steps';
import type { Fault } from './worker/fault';

export type Handle = BackupHandle | RestoreHandle;

export interface Shape {
  readonly name: string;
  readonly flow: 'backupVm' | 'restoreVm';
  readonly ends: Ending;
  /** Beside the kill of the cell. */
  readonly fault: Omit<Fault, 'workflowId' | 'kill'>;
  readonly cells: (steps: readonly Step[]) => readonly Step[];
  /** What must have been before the run. */
  readonly prepare?: (lane: Lane) => Promise<void>;
  /** Restores of the lane's own VM. */
  readonly as?: 'original' | 'replace';
}

const after = (steps: readonly Step[], activityType: string): readonly Step[] => steps.slice(steps.findIndex((step) => step.activityType === activityType) + 1);
const failing = (activityType: string): Pick<Shape, 'ends' | 'fault' | 'cells'> => ({ ends: { outcome: 'failed', code: 'repository.full' }, fault: { fail: { activityType } }, cells: (steps) => after(steps, activityType) });

/** The steps that release what the terminated run held. */
function releasing(steps: readonly Step[]): readonly Step[] {
  const rest = after(steps, 'listEarlierHoldings');
  return rest.slice(0, rest.findIndex(({ activityType }) => activityType === 'planBackup'));
}

function afterTerminated(name: string, heldAt: string, of: Pick<Shape, 'flow' | 'as'> = { flow: 'backupVm' }): Shape {
  return { name, flow: 'backupVm', ends: { outcome: 'completed' }, fault: {}, prepare: (lane) => terminateOne(lane, heldAt, of), cells: releasing };
}

export const plainShapes: readonly [backup: Shape, restore: Shape] = [
  { name: 'backup', flow: 'backupVm', ends: { outcome: 'completed' }, fault: {}, cells: (steps) => steps },
  { name: 'restore', flow: 'restoreVm', ends: { outcome: 'completed' }, fault: {}, cells: (steps) => steps },
];

export const shapes: readonly Shape[] = [
  ...plainShapes,
  { name: 'backup that fails', flow: 'backupVm', ...failing('sealBackup') },
  { name: 'restore that fails', flow: 'restoreVm', ...failing('attachRestoredDisk') },
  afterTerminated('backup after one that was terminated in its copy', 'backupDisk'),
  afterTerminated('backup after one that was terminated when it was sealed', 'indexBackup'),
];

const replacing = { flow: 'restoreVm', as: 'replace' } as const;

/** Restores of the lane's own VM, which is there again in the end. `npm test` tries one of them, chosen by the seed. */
export const ownVmShapes: readonly Shape[] = [
  { name: 'restore as the original', flow: 'restoreVm', as: 'original', ends: { outcome: 'completed' }, fault: {}, prepare: async ({ stack, vm }) => stack.lab.removeWithDisks(vm.id), cells: (steps) => after(steps, 'planRestore') },
  { name: 'replacement', ...replacing, ends: { outcome: 'completed' }, fault: {}, cells: (steps) => after(steps, 'proveDisk') },
  { name: 'replacement that fails', ...replacing, ...failing('attachRestoredDisk') },
  afterTerminated('backup after a replacement that was terminated before the new VM stood', 'attachRestoredDisk', replacing),
  afterTerminated('backup after a replacement that was terminated when the new VM stood', 'unmarkVm', replacing),
];

export interface Started {
  readonly workflowId: string;
  readonly start: () => Promise<Handle>;
  /** Restores: the new VM's name. */
  readonly vmName: string;
}

/** The ids come before the start, so that the fault can name them. */
export function plannedRun(lane: Lane, flow: Shape['flow'], options: { readonly sourceBackupId?: string | undefined; readonly bandwidthBytesPerSecond?: number; readonly vmId?: string; readonly as?: Shape['as'] | undefined } = {}): Started {
  const { engine } = lane.stack;
  const common = { engine, repository: repositoryName, ...(options.bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond: options.bandwidthBytesPerSecond }) };
  if (flow === 'backupVm') {
    const vmId = options.vmId ?? lane.vm.id;
    return { workflowId: workflowIds.vm(engine, vmId), vmName: lane.vm.name, start: () => lane.client.backupVm({ ...common, vmId }, { vmName: lane.vm.name }) };
  }
  const requestId = randomUUID();
  const vmName = `restored-${requestId.slice(0, 8)}`;
  const { sourceBackupId } = options;
  if (sourceBackupId === undefined) throw new Error(`lane ${lane.name} has no backup to restore from`);
  const { as } = options;
  if (as) {
    // All of them: those of a VM that an earlier cell replaced have ids that are not in the backup.
    const { id: vmId, name } = lane.vm;
    return { workflowId: workflowIds.vm(engine, vmId), vmName: name, start: () => lane.client.restoreVm({ ...common, as, vmId, backupId: sourceBackupId, ...(as === 'replace' ? { oldDisks: 'all' } : {}) }) };
  }
  return { workflowId: workflowIds.restore(requestId), vmName, start: () => lane.client.restoreVm({ ...common, requestId, backupId: sourceBackupId, name: vmName, start: true }) };
}

/** Ends a run by Temporal's terminate at the beginning of a step: nothing undoes it. */
async function terminateOne(lane: Lane, heldAt: string, { flow, as }: Pick<Shape, 'flow' | 'as'>): Promise<void> {
  const [source] = await backupsOf(lane, lane.vm.id);
  const { workflowId, start } = plannedRun(lane, flow, { as, sourceBackupId: source?.backupId });
  await lane.wish({ workflowId, hold: { activityType: heldAt } });
  await start();
  await until(`the run to be terminated is at ${heldAt}`, async () => (await lane.held()) !== undefined);
  await lane.client.temporal.workflow.getHandle(workflowId).terminate('the crash harness');
  await lane.letGo();
}
