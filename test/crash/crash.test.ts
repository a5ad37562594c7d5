// The crash matrix: whatever is killed at whatever step, a run ends as it should, a sealed backup is whole, and nothing is left behind, seen
// from outside. The cells of a flow come from a recorded run of it: a new step is a new cell by itself.
import { useStack } from '../e2e/support/stack';
import { isWhole, some, tellSeed } from '../support/share';
import { cancelCells } from './cancels';
import type { CellPlan, CellResult } from './cell';
import { oneMoment, killsOf, stepCells } from './choice';
import { bigVm } from './copy-tools';
import { applianceCopyCells } from './copies';
import { transferCopyCells } from './copies-transfer';
import { Costs } from './costs';
import { faultCells } from './engine-faults';
import { frozenAndFailed, guestShapes, guestSteps, guestVm, onGuest } from './guests';
import { Harness } from './harness';
import { Lane, type LaneOptions } from './lane';
import { isFiltered, isRecording, isWanted, noFault } from './options';
import { cellName, killPart, parts, points } from './parts';
import { writeMatrix } from './report';
import { applianceShapes, ownVmShapes, rareShapes, type Shape } from './shapes';
import { ownVmTransferShapes, rareTransferShapes, transferShapes } from './shapes-transfer';
import { readRecorded, recordedSteps, stepsInSource, writeRecorded, type Step } from './steps';

const laneCount = 6;
const limitMs = isWhole ? 3_600_000 : 600_000;
let harness: Harness | undefined;
let costs: Costs | undefined;
// Before the stack's own: the lanes' workers must be gone when it ends.
const opened: Lane[] = [];
afterAll(async () => {
  if (costs) say(costs.told(harness?.results.length ?? 0));
  await Promise.all(opened.map((lane) => lane.close()));
}, 60_000);
const stackOf = useStack();
const recorded = new Map<string, readonly Step[]>(isRecording ? [] : readRecorded());
let lanes: readonly Lane[];
let copyLanes: readonly Lane[];
let guestLane: Lane;
let faultLanes: readonly Lane[];
const say = (line: string): void => void process.stderr.write(`${line}\n`);

beforeAll(async () => {
  const stack = stackOf();
  costs = new Costs(stack, () => opened.flatMap(({ workers }) => workers));
  tellSeed();
  // The lanes bring workers of their own.
  await Promise.all((['worker-control', 'worker-appliance'] as const).map((name) => stack.parts.part(name).stop()));
  const open = async (name: string, options: LaneOptions = {}): Promise<Lane> => {
    const lane = await Lane.open(stack, name, options);
    opened.push(lane);
    stack.repositoryPaths.add(lane.repositoryPath);
    return lane;
  };
  lanes = await Promise.all(Array.from({ length: laneCount }, (_, index) => open(String(index))));
  copyLanes = await Promise.all(Array.from({ length: isWhole ? 2 : 1 }, (_, index) => open(`copy-${index}`, { makeSource: bigVm, ownAppliance: true, ownDataWorkers: true })));
  guestLane = await open('guest', { makeSource: guestVm });
  faultLanes = await Promise.all(Array.from({ length: isWhole ? 3 : 1 }, (_, index) => open(`fault-${index}`, { ownAppliance: true, engineFaults: true })));
  harness = new Harness(stack, lanes, [...copyLanes, guestLane, ...faultLanes], say);
}, 240_000);

function theHarness(): Harness {
  if (!harness) throw new Error('the harness did not come up');
  return harness;
}

/** A filter leaves out what it likes. */
const expectCount = (results: readonly unknown[], count: number | { readonly above: number }): void => {
  if (isFiltered) return;
  if (typeof count === 'number') expect(results.length).toBe(count);
  else expect(results.length).toBeGreaterThan(count.above);
};

const red = (results: readonly CellResult[]): readonly string[] => results.filter(({ problems }) => problems.length > 0).map(({ cell, problems }) => `${cell}: ${problems.join('; ')}`);

/** The steps that it takes are the shape's. */
function recording(shape: Shape): CellPlan {
  return { name: `${shape.name}: ${noFault}`, shape, alsoJudge: async (lane, { workflowId }) => { recorded.set(shape.name, await recordedSteps(lane.client, workflowId)); return []; } };
}

/** Nothing runs any more when it returns: what then is left and names no cell is everybody's. */
async function whole(...groups: readonly Promise<readonly CellResult[]>[]): Promise<readonly (readonly CellResult[])[]> {
  const results = await Promise.all(groups);
  expect(await theHarness().strays()).toEqual([]);
  return results;
}

const rare = some([...rareShapes, ...rareTransferShapes], 1);
const shapes = [...applianceShapes, ...transferShapes, ...rare];
const ownVm = some([...ownVmShapes, ...ownVmTransferShapes], 1);
const onGuests = [...some(guestShapes, 1), frozenAndFailed];

/** Without anything chosen: all shapes there are. */
const allShapes = [...applianceShapes, ...rareShapes, ...transferShapes, ...rareTransferShapes, ...ownVmShapes, ...ownVmTransferShapes];
const allOnGuests = [...guestShapes, frozenAndFailed];

if (isRecording) {
  test('without a fault every shape of run ends as it must', async () => {
    const [results = [], guests = []] = await whole(theHarness().run(allShapes.map(recording)), theHarness().run(allOnGuests.map(recording).map(onGuest), [guestLane]));
    expect(red([...results, ...guests])).toEqual([]);
    await writeRecorded(new Map([...allShapes, ...allOnGuests].map(({ name }) => [name, recorded.get(name) ?? []])));
  }, limitMs);
}

test('every shape of run is recorded, and every step that the flows\' source names is in one of them', async () => {
  expect([...allShapes, ...allOnGuests].map(({ name }) => name).filter((name) => (recorded.get(name) ?? []).length === 0)).toEqual([]);
  const taken = new Set([...recorded.values()].flat().map(({ activityType }) => activityType));
  const named = await stepsInSource();
  expect(named.length).toBeGreaterThan(50);
  // A step is missing here? Record the runs: HOLDFAST_CRASH_CELLS='no fault' npm run test:crash
  expect(named.filter((step) => !taken.has(step))).toEqual([]);
});

function guestCells(): readonly CellPlan[] {
  const steps = onGuests.flatMap((shape) => shape.cells(recorded.get(shape.name) ?? []).filter(({ activityType }) => guestSteps.includes(activityType)).map((step) => ({ shape, step })));
  return some(steps, 1).flatMap(({ shape, step }) => oneMoment(killsOf(shape, step))).map(onGuest);
}

const brokenUndos: readonly CellPlan[] = ([['backup', 'ensureSnapshotGone'], ['incremental backup', 'ensureVmBackupEnded']] as const).flatMap(([name, activityType]) =>
  shapes.filter((shape) => shape.name === name).map((shape): CellPlan => ({ name: `test of the test: ${activityType} does nothing`, shape, fault: { skip: { activityType } } })));

const copyCells = [...transferCopyCells, ...applianceCopyCells];
const someCopies = (): readonly CellPlan[] => some(copyCells.filter((cell) => isWhole || cell.bytesMovedAgain !== undefined).filter(isWanted), 1);

// All that can go on side by side does: what a test below asks for has happened in the first one of them.
type Group = 'steps' | 'cancels' | 'copies' | 'guests' | 'faults' | 'broken undos';
const sideBySide = new Map<Group, readonly CellResult[]>();
const resultsOf = (group: Group): readonly CellResult[] => sideBySide.get(group) ?? [];

test('every cell that harms nobody but its own lane has run', async () => {
  const running = theHarness();
  const cells = { steps: stepCells(recorded, shapes, ownVm, 2), cancels: some(shapes.flatMap((shape) => cancelCells(shape, recorded.get(shape.name) ?? [])).filter(isWanted), 2) };
  // What is moved again is measured: no other run meanwhile keeps a copy from noting how far it is.
  const copies = await running.run(someCopies(), copyLanes);
  const ran = await whole(
    // In one queue, so that no lane stands still while another group still has cells.
    running.run([...cells.steps, ...cells.cancels, ...brokenUndos]),
    running.run(guestCells().filter(isWanted), [guestLane]),
    running.run(some(faultCells.filter(({ isEverybodys, isLong }) => !isEverybodys && (isWhole || !isLong)).filter(isWanted), 2), faultLanes),
  );
  const [onLanes = [], guests = [], faults = []] = ran;
  const [steps, cancels] = [cells.steps.length, cells.cancels.length];
  for (const [group, results] of [['steps', onLanes.slice(0, steps)], ['cancels', onLanes.slice(steps, steps + cancels)], ['broken undos', onLanes.slice(steps + cancels)], ['copies', copies], ['guests', guests], ['faults', faults]] as const) sideBySide.set(group, results);
}, limitMs);

test('a broken undo is seen: without the end of what holds the source still the same cell is red', () => {
  const results = resultsOf('broken undos');
  theHarness().takeBack(results);
  expect(results.map(({ problems }) => problems)).toEqual([
    [expect.stringMatching(/left behind: engine marked-snapshot .* is ours/)],
    expect.arrayContaining([expect.stringMatching(/left behind: engine vm-backup /)]),
  ]);
});

test('a worker may die before and after every step', () => {
  // Some cells are two deaths.
  const deaths = resultsOf('steps').flatMap(({ fault }) => fault.match(/worker: SIGKILL/g) ?? []);
  expectCount(deaths, { above: isWhole ? 300 : 45 });
  expect(red(resultsOf('steps'))).toEqual([]);
});

test('a run that is cancelled ends cancelled and leaves nothing, in every phase', () => {
  expectCount(resultsOf('cancels'), { above: isWhole ? 100 : 1 });
  expect(red(resultsOf('cancels'))).toEqual([]);
});

test('a copy that is cut goes on where it was', () => {
  expectCount(resultsOf('copies'), isWhole ? copyCells.length : 1);
  expect(red(resultsOf('copies'))).toEqual([]);
});

test('a guest writes again, whoever died while it was frozen', () => {
  expectCount(resultsOf('guests'), isWhole ? 14 : 1);
  expect(red(resultsOf('guests'))).toEqual([]);
});

test('engine and host may do wrong what real ones do', async () => {
  const everybodys = some(faultCells.filter(({ isEverybodys }) => isEverybodys).filter(isWanted), 1);
  const [alone = []] = await whole(theHarness().run(everybodys, faultLanes.slice(0, 1)));
  expectCount([...resultsOf('faults'), ...alone], isWhole ? faultCells.length : 3);
  expect(red([...resultsOf('faults'), ...alone])).toEqual([]);
}, limitMs);

// One part, chosen by the seed, dies in the middle of a few steps; `npm run test:crash` takes all parts and all of them.
test.each(some(parts, 1))('%s may die in the middle of a step and come back', async (part) => {
  const wanted = some(points.filter((point) => isWanted({ name: cellName(part, point) })), 2);
  const on = lanes.slice(0, wanted.length);
  for (const lane of on) await lane.bePatient();
  const before = theHarness().results.length;
  await killPart(theHarness(), part, wanted, on);
  await whole();
  expect(theHarness().results.length).toBe(before + wanted.length);
  expect(red(theHarness().results.slice(before))).toEqual([]);
}, limitMs);

if (isWhole) {
  test('a guest writes again when the lab died while it was frozen', async () => {
    await guestLane.bePatient();
    await guestLane.stack.lab.bring(guestLane.vm.id, 'up');
    const before = theHarness().results.length;
    const wanted = points.slice(0, 1).filter((point) => isWanted({ name: `${cellName('lab', point)}, with a running guest` }));
    await killPart(theHarness(), 'lab', wanted, [guestLane], (cell) => ({ ...onGuest(cell), mayFail: true }));
    expect(red(theHarness().results.slice(before))).toEqual([]);
  }, limitMs);

  test('the table of docs/fault-matrix.md', async () => {
    const cells = theHarness().results;
    expectCount(cells, { above: 400 });
    if (!isFiltered) await writeMatrix(cells, opened.length, costs?.told(cells.length) ?? '');
  });
}
