// The crash matrix: whatever is killed at whatever step, a run ends as it should, a sealed backup is whole, and nothing is left behind, seen
// from outside. The cells of a flow come from a recorded run of it: a new step is a new cell by itself.
import { useStack, type Stack } from '../e2e/support/stack';
import type { CellPlan, CellResult } from './cell';
import { Lane } from './lane';
import { choices, isWhole, seed } from './options';
import { killPart, parts, points } from './parts';
import { shapes, type Shape } from './shapes';
import { recordedSteps, stepsInSource, type Step } from './steps';
import { Harness } from './wave';

const laneCount = 4;
const limitMs = isWhole ? 3_600_000 : 600_000;
const stackOf = useStack();
const recorded = new Map<Shape, readonly Step[]>();
let stack: Stack;
let harness: Harness;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

beforeAll(async () => {
  stack = stackOf();
  say(`HOLDFAST_CRASH_SEED=${seed}${isWhole ? ' (every cell)' : ''}`);
  // The lanes bring workers of their own.
  await Promise.all((['worker-control', 'worker-appliance'] as const).map((name) => stack.parts.part(name).stop()));
  const lanes = await Promise.all(Array.from({ length: laneCount }, (_, index) => Lane.open(stack, String(index))));
  harness = new Harness(stack, lanes, say);
  await harness.makeSources();
}, 240_000);

afterAll(async () => { await Promise.all(harness.lanes.map((lane) => lane.close())); }, 60_000);

const red = (results: readonly CellResult[]): readonly string[] => results.filter(({ problems }) => problems.length > 0).map(({ cell, problems }) => `${cell}: ${problems.join('; ')}`);

/** Without a fault; the steps that it took are the shape's. */
function recording(shape: Shape): CellPlan {
  return { name: `${shape.name}: no fault`, shape, alsoJudge: async (lane, { workflowId }) => { recorded.set(shape, await recordedSteps(lane.client, workflowId)); return []; } };
}

test('without a fault every shape of run ends as it must', async () => {
  const [backup, ...others] = shapes;
  if (!backup) throw new Error('there are no shapes');
  expect(red(await harness.run([recording(backup), ...others.map(recording)]))).toEqual([]);
}, limitMs);

test('every step that the flows\' source names was taken by a recorded run', async () => {
  const taken = new Set([...recorded.values()].flat().map(({ activityType }) => activityType));
  const named = await stepsInSource('backup-vm.ts', 'restore-vm.ts', 'release-earlier-runs.ts');
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((step) => !taken.has(step))).toEqual([]);
});

function stepCells(): readonly CellPlan[] {
  const next = choices(seed);
  return shapes.flatMap((shape) => shape.cells(recorded.get(shape) ?? []).flatMap((step): CellPlan[] => {
    const both = (['before', 'after'] as const).map((moment): CellPlan => ({ name: `${shape.name}: worker killed ${moment} ${step.activityType} (${step.activityId})`, shape, kill: { ...step, moment } }));
    return isWhole ? both : both.slice(...(next() < 0.5 ? [0, 1] : [1, 2]));
  }));
}

test('a worker may die before and after every step', async () => {
  const cells = stepCells();
  expect(cells.length).toBeGreaterThan(isWhole ? 60 : 30);
  expect(red(await harness.run(cells))).toEqual([]);
}, limitMs);

test.each(parts)('%s may die in the middle of a step and come back', async (part) => {
  for (const lane of harness.lanes) await lane.bePatient();
  const next = choices(seed);
  const wanted = isWhole ? points : [...points].sort(() => next() - 0.5).slice(0, harness.lanes.length);
  const before = harness.results.length;
  await killPart(harness, part, wanted);
  expect(harness.results.length).toBe(before + wanted.length);
  expect(red(harness.results.slice(before))).toEqual([]);
}, limitMs);

test('a broken undo is seen: without the removal of the snapshot the same cell is red', async () => {
  const [backup] = shapes;
  if (!backup) throw new Error('there are no shapes');
  const [result] = await harness.wave([{ name: 'test of the test: ensureSnapshotGone does nothing', shape: backup, fault: { skip: { activityType: 'ensureSnapshotGone' } } }]);
  expect(result?.problems).toEqual([expect.stringMatching(/left behind: engine marked-snapshot .* is ours/)]);
  if (result) harness.takeBack([result]);
}, limitMs);
