// Which cells run: all of the matrix, each kill in a run of its own, or the share that `npm test` has minutes for, chosen by the seed: every step
// once, in one of the runs that take it, with the worker killed before or after it, a few of them in one run.
import { isWhole, some } from '../support/share';
import type { CellPlan } from './cell';
import { isWanted } from './options';
import type { Shape } from './shapes';
import type { Step } from './steps';
import type { Kill } from './worker/fault';

/** After one death a run may take other steps than the recorded one (another transfer when a ticket died), and a second kill would miss its step. */
const killsInOneRun = 1;

const killsAt = (step: Step): readonly Kill[] => (['before', 'after'] as const).map((moment) => ({ ...step, moment }));

function killing(shape: Shape, kills: readonly Kill[]): CellPlan {
  const told = kills.map(({ moment, activityType, activityId }) => `${moment} ${activityType} (${activityId})`).join(', ');
  return { name: `${shape.name}: worker killed ${told}`, shape, kills };
}

export const killsOf = (shape: Shape, step: Step): readonly CellPlan[] => killsAt(step).map((kill) => killing(shape, [kill]));

/** In the order in which the run comes to them, those of one run far from each other. */
function spread(kills: readonly Kill[]): readonly (readonly Kill[])[] {
  const runs = Math.ceil(kills.length / killsInOneRun);
  return Array.from({ length: runs }, (_, run) => kills.filter((_kill, index) => index % runs === run));
}

/** Before or after. */
export const oneMoment = (cells: readonly CellPlan[]): readonly CellPlan[] => some(cells, 1);

/** By the names of the shapes. */
export type Recorded = ReadonlyMap<string, readonly Step[]>;

/** Of the steps that only `rare` shapes take, `npm test` has time for a few. */
export function stepCells(recorded: Recorded, shapes: readonly Shape[], rare: readonly Shape[], fewRare: number): readonly CellPlan[] {
  const stepsOf = (shape: Shape) => shape.cells(recorded.get(shape.name) ?? []).map((step) => ({ shape, step }));
  const [usual, all] = [shapes.flatMap(stepsOf), [...shapes, ...rare].flatMap(stepsOf)];
  if (isWhole) return all.flatMap(({ shape, step }) => killsOf(shape, step)).filter(isWanted);
  const typesOf = (steps: typeof all): readonly string[] => [...new Set(steps.map(({ step }) => step.activityType))];
  const usualTypes = typesOf(usual);
  const once = [...usualTypes, ...some(typesOf(all).filter((type) => !usualTypes.includes(type)), fewRare)];
  const chosen = once.flatMap((type) => some(all.filter(({ step }) => step.activityType === type), 1));
  // One shape after the other, so that a lane rarely has to make what another shape begins with.
  return [...shapes, ...rare].flatMap((shape) => {
    const steps = (recorded.get(shape.name) ?? []).filter(({ activityId }) => chosen.some((each) => each.shape === shape && each.step.activityId === activityId));
    return spread(steps.flatMap((step) => some(killsAt(step), 1))).map((kills) => killing(shape, kills));
  }).filter(isWanted);
}
