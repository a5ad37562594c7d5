// The crash matrix: whatever is killed at whatever step, a run ends as it should, a sealed backup is whole, and nothing is left behind, seen
// from outside. The cells of a flow come from a recorded run of it: a new step is a new cell by itself.
import { useStack, type Stack } from '../e2e/support/stack';
import type { CellPlan, CellResult } from './cell';
import { bigVm, copyCells } from './copies';
import { guestVm, onGuest } from './guests';
import { Lane } from './lane';
import { choices, isWhole, seed } from './options';
import { killPart, parts, points } from './parts';
import { writeMatrix } from './report';
import { shapes, type Shape } from './shapes';
import { recordedSteps, stepsInSource, type Step } from './steps';
import { Harness } from './wave';

const laneCount = 4;
const limitMs = isWhole ? 3_600_000 : 600_000;
let harness: Harness | undefined;
// Before the stack's own: the lanes' workers must be gone when it ends.
const opened: Lane[] = [];
afterAll(async () => { await Promise.all(opened.map((lane) => lane.close())); }, 60_000);
const stackOf = useStack();
const recorded = new Map<Shape, readonly Step[]>();
let stack: Stack;
let copyLane: Lane;
let guestLane: Lane;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

beforeAll(async () => {
  stack = stackOf();
  say(`HOLDFAST_CRASH_SEED=${seed}${isWhole ? ' (every cell)' : ''}`);
  // The lanes bring workers of their own.
  await Promise.all((['worker-control', 'worker-appliance'] as const).map((name) => stack.parts.part(name).stop()));
  const open = async (...[name, makeSource]: [string, typeof bigVm?]): Promise<Lane> => {
    const lane = await Lane.open(stack, name, makeSource);
    opened.push(lane);
    await lane.revive();
    return lane;
  };
  const lanes = await Promise.all(Array.from({ length: laneCount }, (_, index) => open(String(index))));
  [copyLane, guestLane] = await Promise.all([open('copy', bigVm), open('guest', guestVm)]);
  harness = new Harness(stack, lanes, [copyLane, guestLane], say);
  await harness.makeSources();
}, 240_000);

function theHarness(): Harness {
  if (!harness) throw new Error('the harness did not come up');
  return harness;
}

const red = (results: readonly CellResult[]): readonly string[] => results.filter(({ problems }) => problems.length > 0).map(({ cell, problems }) => `${cell}: ${problems.join('; ')}`);

/** Without a fault; the steps that it took are the shape's. */
function recording(shape: Shape): CellPlan {
  return { name: `${shape.name}: no fault`, shape, alsoJudge: async (lane, { workflowId }) => { recorded.set(shape, await recordedSteps(lane.client, workflowId)); return []; } };
}

test('without a fault every shape of run ends as it must', async () => {
  const [backup, ...others] = shapes;
  if (!backup) throw new Error('there are no shapes');
  expect(red(await theHarness().run([recording(backup), ...others.map(recording)]))).toEqual([]);
}, limitMs);

test('every step that the flows\' source names was taken by a recorded run', async () => {
  const taken = new Set([...recorded.values()].flat().map(({ activityType }) => activityType));
  const named = await stepsInSource('backup-vm.ts', 'restore-vm.ts', 'release-earlier-runs.ts');
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((step) => !taken.has(step))).toEqual([]);
});

const next = choices(seed);
/** Of two: the first or the second. */
const pick = (): [number, number] => (next() < 0.5 ? [0, 1] : [1, 2]);

function killsOf(shape: Shape, step: Step): readonly CellPlan[] {
  return (['before', 'after'] as const).map((moment): CellPlan => ({ name: `${shape.name}: worker killed ${moment} ${step.activityType} (${step.activityId})`, shape, kill: { ...step, moment } }));
}

function stepCells(): readonly CellPlan[] {
  return shapes.flatMap((shape) => shape.cells(recorded.get(shape) ?? []).flatMap((step) => (isWhole ? killsOf(shape, step) : killsOf(shape, step).slice(...pick()))));
}

test('a worker may die before and after every step', async () => {
  const cells = stepCells();
  expect(cells.length).toBeGreaterThan(isWhole ? 60 : 30);
  expect(red(await theHarness().run(cells))).toEqual([]);
}, limitMs);

test.each(isWhole ? copyCells : copyCells.slice(0, 1))('$name', async (cell) => {
  expect(red(await theHarness().wave([cell], [copyLane]))).toEqual([]);
}, limitMs);

test('a guest writes again, whoever died while it was frozen', async () => {
  const [backup] = shapes;
  const step = backup && recorded.get(backup)?.find(({ activityType }) => activityType === 'ensureSnapshot');
  if (!step) throw new Error('no backup was recorded');
  const before = theHarness().results.length;
  const cells = killsOf(backup, step);
  for (const cell of isWhole ? cells : cells.slice(...pick())) await theHarness().wave([onGuest(cell)], [guestLane]);
  if (isWhole) {
    await guestLane.bePatient();
    await killPart(theHarness(), 'lab', points.slice(0, 1), [guestLane], (cell) => ({ ...onGuest(cell), mayFail: true }));
  }
  expect(red(theHarness().results.slice(before))).toEqual([]);
}, limitMs);

// `npm test` has four minutes for its steps: one part, chosen by the seed, dies in the middle of a few of them; `npm run test:crash` takes all.
const dyingParts = isWhole ? parts : [...parts].sort(() => next() - 0.5).slice(0, 1);

test.each(dyingParts)('%s may die in the middle of a step and come back', async (part) => {
  for (const lane of theHarness().lanes) await lane.bePatient();
  const wanted = isWhole ? points : [...points].sort(() => next() - 0.5).slice(0, theHarness().lanes.length);
  const before = theHarness().results.length;
  await killPart(theHarness(), part, wanted);
  expect(theHarness().results.length).toBe(before + wanted.length);
  expect(red(theHarness().results.slice(before))).toEqual([]);
}, limitMs);

test('a broken undo is seen: without the removal of the snapshot the same cell is red', async () => {
  const [backup] = shapes;
  if (!backup) throw new Error('there are no shapes');
  const [result] = await theHarness().wave([{ name: 'test of the test: ensureSnapshotGone does nothing', shape: backup, fault: { skip: { activityType: 'ensureSnapshotGone' } } }]);
  expect(result?.problems).toEqual([expect.stringMatching(/left behind: engine marked-snapshot .* is ours/)]);
  if (result) theHarness().takeBack([result]);
}, limitMs);

if (isWhole) {
  test('the table of docs/fault-matrix.md', async () => {
    const cells = theHarness().results;
    expect(cells.length).toBeGreaterThan(100);
    await writeMatrix(cells, laneCount);
  });
}
