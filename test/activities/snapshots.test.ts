// The snapshot's activities: repeated they do one thing, a lost reply makes no second snapshot, and `ok` is not believed alone.
import { randomUUID } from 'node:crypto';
import type { EnsuredSnapshot, EnsureSnapshotInput, SnapshotOfRun } from '../../activities/snapshots';
import { snapshotMark } from '../../domain/ids';
import { failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
let of: SnapshotOfRun;
beforeEach(async () => {
  desk = await openDesk();
  const backupId = randomUUID();
  of = { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, backupId, mark: snapshotMark('Holdfast', backupId) };
});

const input = (): EnsureSnapshotInput => ({ ...of, quiesce: 'best-effort', vmStatus: 'up', diskIds: desk.disks.map((disk) => disk.settings.diskId) });
const ensure = (): Promise<EnsuredSnapshot> => desk.retried('ensureSnapshot', input());
const gone = (): Promise<void> => desk.retried('ensureSnapshotGone', of);

test('makes one marked snapshot of the named disks, waits until it is ok, and writes the holding ahead', async () => {
  desk.engine.looks = 3;
  const made = await ensure();
  const [snapshot] = desk.vm.snapshots.values();
  expect(made).toEqual({ snapshotId: snapshot?.id, createdAt: snapshot?.createdAt, consistency: expect.objectContaining({ level: 'unknown' }) as unknown });
  expect(snapshot).toMatchObject({ description: of.mark, status: 'ok' });
  expect([...(snapshot?.volumes.keys() ?? [])]).toEqual(desk.disks.map((disk) => disk.settings.diskId));
  expect(await desk.holdings()).toEqual([expect.objectContaining({ kind: 'snapshot', state: 'held', vmId: desk.vm.id, objectId: made.snapshotId, mark: of.mark })]);
});

test('twice is once', async () => {
  expect(await ensure()).toEqual(await ensure());
  expect(desk.engine.countOf('createSnapshot')).toBe(1);
  expect(await desk.holdings()).toHaveLength(1);
});

test('after a lost reply the snapshot is found by its mark', async () => {
  desk.engine.loseReply('createSnapshot');
  expect(await failureOf(desk.attempt('ensureSnapshot', input()))).toMatchObject({ type: 'engine.unreachable', nonRetryable: false });
  const made = await ensure();
  expect(desk.engine.countOf('createSnapshot')).toBe(1);
  expect(desk.vm.snapshots.size).toBe(1);
  expect(desk.vm.snapshots.has(made.snapshotId)).toBe(true);
});

test('the holding stands even when nothing came of the request', async () => {
  desk.engine.refuseNext('createSnapshot', 'engine.forbidden');
  expect(await failureOf(ensure())).toMatchObject({ type: 'engine.forbidden', nonRetryable: true });
  expect(await desk.holdings()).toEqual([expect.objectContaining({ state: 'held', mark: of.mark })]);
});

test('a VM that is busy with another snapshot is asked again later', async () => {
  desk.engine.looks = 2;
  await desk.engine.createSnapshot({ vmId: desk.vm.id, description: 'of somebody else', diskIds: [] });
  expect(await failureOf(desk.attempt('ensureSnapshot', input()))).toMatchObject({ type: 'engine.locked', nonRetryable: false, nextRetryDelay: 5000 });
  await ensure();
  expect([...desk.vm.snapshots.values()].map((each) => each.description)).toEqual(['of somebody else', of.mark]);
});

test.each([170, 10774, 117])('a snapshot that ends ok but with event %i is unusable', async (unusableByEvent) => {
  desk.engine.snapshotEnd = { unusableByEvent };
  expect(await failureOf(ensure())).toMatchObject({ type: 'snapshot.failed', nonRetryable: true, message: expect.stringContaining(`event ${unusableByEvent}`) as string });
  await gone();
  expect(desk.vm.snapshots.size).toBe(0);
});

test('a snapshot that the engine drops while making it is a failure, and is not made again by the next attempt', async () => {
  desk.engine.snapshotEnd = 'vanishes';
  for (let turn = 0; turn < 2; turn += 1) expect(await failureOf(ensure())).toMatchObject({ type: 'snapshot.failed', message: expect.stringContaining('event 69') as string });
  expect(desk.engine.countOf('createSnapshot')).toBe(1);
  await gone();
  expect(await desk.holdings()).toEqual([expect.objectContaining({ state: 'released' })]);
});

test('what the engine says about the freeze is what the result says', async () => {
  desk.engine.events.push({ id: 'x', code: 10764, severity: 'warning', description: `freeze failed for '${of.mark}'` });
  expect((await ensure()).consistency).toEqual({ level: 'crash', evidence: expect.stringContaining('10764') as string });
});

describe('removing', () => {
  test('waits for the merge and releases the holding; twice is once', async () => {
    desk.engine.looks = 2;
    await ensure();
    await gone();
    await gone();
    expect(desk.vm.snapshots.size).toBe(0);
    expect(desk.engine.countOf('removeSnapshot')).toBe(1);
    expect(await desk.holdings()).toEqual([expect.objectContaining({ state: 'released' })]);
  });

  test('what never was is done', async () => {
    await gone();
    expect(desk.engine.changes).toEqual([]);
  });

  test('a lost reply does not remove twice', async () => {
    await ensure();
    desk.engine.loseReply('removeSnapshot');
    await gone();
    expect(desk.engine.countOf('removeSnapshot')).toBe(1);
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('a merge that the engine gives up is tried again', async () => {
    await ensure();
    desk.engine.failingMerges = 2;
    expect(await failureOf(desk.attempt('ensureSnapshotGone', of))).toMatchObject({ type: 'wait.pending', nonRetryable: false, message: expect.stringContaining('gave up merging') as string });
    expect((await desk.holdings())[0]?.state).toBe('held');
    await gone();
    expect(desk.engine.countOf('removeSnapshot')).toBe(3);
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('a merge that the engine gives up before anybody looks is tried again, too', async () => {
    await ensure();
    Object.assign(desk.engine, { failingMerges: 1, looks: 0 });
    expect(await failureOf(desk.attempt('ensureSnapshotGone', of))).toMatchObject({ type: 'wait.pending', message: expect.stringContaining('gave up merging') as string });
    await gone();
    expect(desk.engine.countOf('removeSnapshot')).toBe(2);
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('a snapshot that is still being made is removed when it is there', async () => {
    desk.engine.looks = 4;
    await desk.engine.createSnapshot({ vmId: desk.vm.id, description: of.mark, diskIds: [] });
    await gone();
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('one whose disk is attached elsewhere is refused for good, and stays held', async () => {
    const { snapshotId } = await ensure();
    await desk.engine.attachSnapshotDisk({ vmId: desk.appliance.id, diskId: desk.disks[0]?.settings.diskId ?? '', snapshotId });
    expect(await failureOf(gone())).toMatchObject({ type: 'engine.conflict', nonRetryable: true });
    expect((await desk.holdings())[0]?.state).toBe('held');
  });

  test('an id that the engine gave back to the Active VM is not ours any more: nothing is removed, the holding is released', async () => {
    await ensure();
    const [snapshot] = desk.vm.snapshots.values();
    if (!snapshot) throw new Error('there is no snapshot');
    snapshot.description = 'Active VM';
    await gone();
    expect(desk.engine.countOf('removeSnapshot')).toBe(0);
    expect((await desk.holdings()).map(({ state }) => state)).toEqual(['released']);
  });

  test('leaves everybody else\'s snapshots alone', async () => {
    const other = await desk.engine.createSnapshot({ vmId: desk.vm.id, description: `Holdfast backup ${randomUUID()}`, diskIds: [] });
    await desk.engine.getSnapshot(desk.vm.id, other.snapshot.id);
    await ensure();
    await gone();
    expect([...desk.vm.snapshots.keys()]).toEqual([other.snapshot.id]);
  });
});
