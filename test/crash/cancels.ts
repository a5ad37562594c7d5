// Runs that are cancelled at each of their steps: held there, cancelled, let go. Before the seal (or before the restored VM is kept) a run ends
// cancelled and leaves nothing; from then on it completes, and its backup stays listed; what fails already goes on undoing.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from '../e2e/support/vms';
import type { CellPlan } from './cell';
import type { Ending } from './ending';
import type { Lane } from './lane';
import { nextBackup } from './next-backup';
import { backupsOf } from './outside';
import type { Handle } from './runs';
import type { Shape } from './shapes';
import type { Step } from './steps';

const run = promisify(execFile);
const program = path.resolve(__dirname, '../../dist/client/cli/main.js');
const arriveLimitMs = 90_000;
/** From this step on nothing is taken back. */
const kept = { backupVm: 'sealBackup', restoreVm: 'keepProducts', verifyBackup: 'closeRun' } as const;
/** Opening a run hears no cancel: its row may be in the catalog whatever becomes of the answer. */
const deaf: readonly string[] = ['openRun'];

type Way = readonly [name: string, cancel: (lane: Lane, handle: Handle) => Promise<unknown>];
const byClient: Way = ['the client', (_, handle) => handle.cancel()];
const byCommand: Way = ['holdfast cancel', ({ stack, client }, { workflowId }) => {
  const { address } = stack.parts.temporal;
  const place = { HOLDFAST_TEMPORAL_ADDRESS: address, HOLDFAST_TEMPORAL_NAMESPACE: client.temporal.options.namespace };
  return run(process.execPath, [program, 'cancel', workflowId, '--no-wait'], { env: { ...stack.env, ...place } });
}];

interface Cancelled {
  readonly step: Step;
  readonly ends: Ending;
  /** The cancel ends the hold; elsewhere nobody hears it, and the step is let go. */
  readonly isHeard: boolean;
}

function cell(shape: Shape, { step: { activityId, activityType }, ends, isHeard }: Cancelled, [name, cancel]: Way): CellPlan {
  return {
    name: `${shape.name}: cancelled by ${name} at ${activityType} (${activityId})`,
    shape,
    ends,
    fault: { hold: { activityType, activityId } },
    disturb: async (lane, _, { handle }) => {
      await until(`the run is at ${activityType}`, async () => (await lane.held()) !== undefined, arriveLimitMs);
      await cancel(lane, handle);
      if (!isHeard) await lane.letGo();
      return `cancelled by ${name} at ${activityType}`;
    },
    ...(shape.leavesToNext ? { alsoJudge: (lane: Lane) => nextBackup(lane, shape.method) } : shape.flow === 'backupVm' && ends.outcome === 'completed' ? { alsoJudge: isListed } : {}),
  };
}

async function isListed(lane: Lane): Promise<readonly string[]> {
  const { backups } = await lane.client.listBackups({ vmId: lane.vm.id });
  const listed = backups.map(({ backupId }) => backupId);
  return (await backupsOf(lane, lane.vm.id)).filter(({ backupId }) => !listed.includes(backupId)).map(({ backupId }) => `backup ${backupId} is sealed and not listed`);
}

/** A step's first time among the shape's is where it is held. */
function firstTimes(steps: readonly Step[]): readonly Step[] {
  return steps.filter((step, index) => steps.findIndex(({ activityType }) => activityType === step.activityType) === index);
}

export function cancelCells(shape: Shape, recorded: readonly Step[]): readonly CellPlan[] {
  const cells = firstTimes(shape.cells(recorded));
  const keptAt = cells.findIndex(({ activityType }) => activityType === kept[shape.flow]);
  const keptFrom = shape.leavesToNext || keptAt < 0 ? cells.length : keptAt;
  return cells.map((step, index) => {
    const isUndoing = shape.ends.outcome === 'failed';
    const isHeard = !isUndoing && index < keptFrom && !deaf.includes(step.activityType);
    const ends: Ending = isUndoing ? shape.ends : { outcome: index < keptFrom ? 'cancelled' : 'completed' };
    return cell(shape, { step, ends, isHeard }, index % 2 === 0 ? byClient : byCommand);
  });
}
