// Which cells run: all of the matrix, or the share that `npm test` has minutes for, chosen by the seed: every step once, in one of the runs that take it,
// with the worker killed before or after it. Of those in runs by the appliance and in verifications two make one cell, where they are far enough apart; a run by
// transfer dies once: after it, it may take other steps than the recorded ones (another transfer when a ticket died), and a second kill would miss its own.
import { isWhole, some } from '../support/share';
import type { CellPlan } from './cell';
import { isWanted } from './options';
import type { Shape } from './shapes';
import type { Step } from './steps';

export function killsOf(shape: Shape, step: Step): readonly CellPlan[] {
  return (['before', 'after'] as const).map((moment): CellPlan => ({ name: `${shape.name}: worker killed ${moment} ${step.activityType} (${step.activityId})`, shape, kills: [{ ...step, moment }] }));
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
  return [...shapes, ...rare].flatMap((shape) => inPairs(chosen.filter((cell) => cell.shape === shape), (recorded.get(shape.name) ?? []).map(({ activityId }) => activityId))).filter(isWanted);
}

/** Steps that stand beside each other may run side by side: the second one would be over when the worker dies at the first. */
const fewestBetween = 3;

/** Half of the runs for the same deaths: each cell of the first half with one of the second half, when one is far enough behind it. */
function inPairs(cells: readonly CellPlan[], activityIds: readonly string[]): readonly CellPlan[] {
  if (cells.some(({ shape }) => shape.method === 'transfer' && shape.flow !== 'verifyBackup')) return cells;
  const placeOf = ({ kills = [] }: CellPlan): number => activityIds.indexOf(kills[0]?.activityId ?? '');
  const inOrder = [...cells].sort((one, other) => placeOf(one) - placeOf(other));
  const [first, second] = [inOrder.slice(0, Math.ceil(inOrder.length / 2)), inOrder.slice(Math.ceil(inOrder.length / 2))];
  return first.flatMap((cell, index) => {
    const later = second[index];
    if (!later) return [cell];
    return placeOf(later) - placeOf(cell) >= fewestBetween ? [together(cell, later)] : [cell, later];
  });
}

const together = (one: CellPlan, other: CellPlan): CellPlan => ({ ...one, name: `${one.name}, then${other.name.slice(one.shape.name.length + ': worker killed'.length)}`, kills: [...(one.kills ?? []), ...(other.kills ?? [])] });
