// Which cells run: all of the matrix, or the share that `npm test` has minutes for, chosen by the seed: every step once, in one of the runs that take it,
// with the worker killed before or after it. One death a run: after it a run may take other steps than the recorded ones (another transfer when a
// ticket died), and a second kill would miss its own.
import { isWhole, some } from '../support/share';
import type { CellPlan } from './cell';
import { isWanted } from './options';
import type { Shape } from './shapes';
import type { Step } from './steps';

export function killsOf(shape: Shape, step: Step): readonly CellPlan[] {
  return (['before', 'after'] as const).map((moment): CellPlan => ({ name: `${shape.name}: worker killed ${moment} ${step.activityType} (${step.activityId})`, shape, kill: { ...step, moment } }));
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
  const chosen = once.flatMap((type) => some(all.filter(({ step }) => step.activityType === type), 1)).flatMap(({ shape, step }) => oneMoment(killsOf(shape, step)));
  // One after the other, so that a lane rarely has to make what another shape begins with.
  return [...shapes, ...rare].flatMap((shape) => chosen.filter((cell) => cell.shape === shape)).filter(isWanted);
}
