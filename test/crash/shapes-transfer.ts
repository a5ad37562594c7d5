// Shapes of runs of the method `transfer`: full and incremental backups, one that becomes a full one on the way, restores by uploads from an
// incremental backup, a verification of a chain, and backups after a run that was terminated while the VM backup was ready and a transfer open.
import type { Lane } from './lane';
import { after, afterTerminated, failing, well, type Shape } from './shapes';
import type { SourceName } from './sources';
import type { Step } from './steps';

/** So that the witness is one of its steps. */
const witness = 'always';
const fullBackup = { flow: 'backupVm', method: 'transfer', asks: { kind: 'full', witness } } as const;
const incremental = { flow: 'backupVm', method: 'transfer', asks: { kind: 'incremental', witness } } as const;
const restore = { flow: 'restoreVm', method: 'transfer', source: 'incremental' } as const;
const replacing = { ...restore, as: 'replace' } as const;

/** One full backup that can bear another one, and something to read since. */
export const toContinue = async (lane: Lane): Promise<void> => {
  await lane.sources.readyForTransfer();
  await lane.change();
};

const from = (steps: readonly Step[], activityType: string): readonly Step[] => steps.slice(steps.findIndex((step) => step.activityType === activityType));

/** The steps after the attempt that became none: its undoing, and the full backup. */
const secondAttempt = (steps: readonly Step[]): readonly Step[] => after(steps, 'ensureTransfer');

function nextAfter(name: string, heldAt: string, on: SourceName | 'the one before'): Shape {
  const shape = afterTerminated(name, heldAt, incremental);
  const prepare = async (lane: Lane): Promise<void> => {
    await toContinue(lane);
    await shape.prepare?.(lane);
  };
  return { ...shape, ...incremental, prepare, makes: { kind: 'incremental', on } };
}

export const plainTransferShapes: readonly [backup: Shape, restore: Shape, verification: Shape] = [
  { name: 'backup by transfer', ...fullBackup, ...well, prepare: (lane) => lane.sources.readyForTransfer(), makes: { kind: 'full' } },
  { name: 'restore by transfer', ...restore, ...well },
  { name: 'verification', flow: 'verifyBackup', method: 'transfer', source: 'incremental', ...well },
];

export const transferShapes: readonly Shape[] = [
  ...plainTransferShapes,
  // Up to its plan it is what a full one is.
  { name: 'incremental backup', ...incremental, ...well, prepare: toContinue, makes: { kind: 'incremental', on: 'full' }, cells: (steps) => from(steps, 'planTransferBackup') },
];

/** Their steps are in other shapes, too: `npm test` takes a few of them, chosen by the seed. */
export const rareTransferShapes: readonly Shape[] = [
  {
    name: 'incremental backup that becomes a full one', ...incremental, ...well, prepare: toContinue, makes: { kind: 'full' }, begins: 2, spoilsBase: true, cells: secondAttempt,
    // The engine finds out when the host is to serve what changed.
    labFaults: ({ vm }) => [{ kind: 'bitmaps-forgotten', vmId: vm.id }],
  },
  { name: 'incremental backup that fails', ...incremental, ...failing('sealBackup'), prepare: toContinue },
  { name: 'restore by transfer that fails', ...restore, ...failing('attachRestoredDisk') },
  nextAfter('backup after one by transfer that was terminated in its copy', 'backupDiskByTransfer', 'full'),
  nextAfter('backup after one by transfer that was terminated when it was sealed', 'indexBackup', 'the one before'),
];

/** Restores of the lane's own VM, which is there again in the end. */
export const ownVmTransferShapes: readonly Shape[] = [
  { name: 'restore as the original by transfer', ...restore, as: 'original', ...well, prepare: async ({ stack, vm }) => stack.lab.removeWithDisks(vm.id), cells: (steps) => after(steps, 'planRestore') },
  { name: 'replacement by transfer', ...replacing, ...well, cells: (steps) => from(steps, 'holdReplacedVm') },
  { name: 'replacement by transfer that fails', ...replacing, ...failing('attachRestoredDisk') },
  afterTerminated('backup after a replacement by transfer that was terminated in its copy', 'restoreDiskByTransfer', replacing),
];
