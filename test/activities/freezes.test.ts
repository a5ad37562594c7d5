// A guest that Holdfast freezes by itself: it stands still only while the snapshot or the VM backup is made, is thawed whatever happens, and the
// result says what it is worth. The fake guest's agent answers one request at a time, as a real one does.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { thawForgotten } from '../../activities/forgotten-freezes';
import type { EnsureSnapshotInput, EnsuredSnapshot } from '../../activities/snapshots';
import type { EnsureVmBackupInput, ReadyVmBackup } from '../../activities/vm-backups';
import { freezeMark, snapshotMark } from '../../domain/ids';
import { holdingId } from '../../domain/holdings';
import { alertsOf, failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
let asked: EnsureSnapshotInput;
beforeEach(async () => {
  desk = await openDesk();
  const backupId = randomUUID();
  asked = { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, backupId, mark: snapshotMark('Holdfast', backupId), quiesce: 'required', explicitFreeze: true, vmStatus: 'up', diskIds: desk.disks.map(({ settings }) => settings.diskId) };
});

const of = (): { readonly engine: string; readonly runId: string; readonly vmId: string } => ({ engine: 'lab', runId: desk.runId, vmId: desk.vm.id });
const snapshot = (changes: Partial<EnsureSnapshotInput> = {}): Promise<EnsuredSnapshot> => desk.attempt('ensureSnapshot', { ...asked, ...changes });
const freezes = async (): Promise<readonly { readonly state: string; readonly isFrozen: boolean }[]> => (await desk.holdings()).filter(({ kind }) => kind === 'freeze').map(({ state, objectId }) => ({ state, isFrozen: objectId !== undefined }));
const thawed = async (): Promise<void> => {
  expect([...desk.engine.frozen]).toEqual([]);
  expect((await freezes()).filter(({ state }) => state !== 'released')).toEqual([]);
};
/** An earlier attempt whose worker died. */
async function leftFrozen(objectId?: string): Promise<void> {
  await desk.catalog.hold({ holdingId: holdingId(desk.runId, 'freeze', randomUUID()), runId: desk.runId, engine: 'lab', kind: 'freeze', vmId: desk.vm.id, mark: freezeMark(desk.vm.id), ...(objectId === undefined ? {} : { objectId }) });
}

describe('around a snapshot', () => {
  test('frozen, made, thawed, in this order, with the holding first', async () => {
    desk.engine.looks = 3;
    const held: unknown[] = [];
    const { freezeVm } = desk.engine;
    desk.engine.freezeVm = async (vmId) => {
      held.push(...(await freezes()));
      await freezeVm(vmId);
    };
    expect((await snapshot()).consistency).toEqual({ level: 'filesystem', evidence: expect.stringMatching(/^Holdfast froze the guest, and the snapshot was ok \d+\.\d s later, before it was thawed$/) as string });
    expect(desk.engine.changes).toEqual(['freezeVm', 'createSnapshot', 'thawVm']);
    expect(held).toEqual([{ state: 'held', isFrozen: false }]);
    expect(await freezes()).toEqual([{ state: 'released', isFrozen: true }]);
    await thawed();
  });

  test('with a hook in the guest it is the applications\' rest, too', async () => {
    expect((await snapshot({ guestHook: true })).consistency).toMatchObject({ level: 'application', evidence: expect.stringContaining('hook') as string });
  });

  test('without being asked nothing is frozen', async () => {
    expect((await snapshot({ explicitFreeze: false, quiesce: 'best-effort' })).consistency.level).toBe('unknown');
    expect(desk.engine.changes).toEqual(['createSnapshot']);
  });

  test('one that takes too long is waited for with the guest thawed, and is crash-consistent', async () => {
    desk.engine.looks = 16;
    const { consistency, mayStillFreeze } = await snapshot({ quiesce: 'best-effort' });
    expect(consistency).toEqual({ level: 'crash', evidence: 'the guest was thawed after 0.5 s, before the snapshot was ok' });
    expect(mayStillFreeze).toBeUndefined();
    expect(desk.engine.changes).toEqual(['freezeVm', 'createSnapshot', 'thawVm']);
    await thawed();
  });

  test('… or the end, where it was required', async () => {
    desk.engine.looks = 16;
    expect(await failureOf(snapshot())).toMatchObject({ type: 'quiesce.failed', nonRetryable: true, message: expect.stringContaining('thawed after 0.5 s') as string });
    await thawed();
  });

  test('an agent that refuses: nothing is to be thawed; with required nothing was asked for either', async () => {
    desk.engine.agentMissing = true;
    expect(await failureOf(snapshot())).toMatchObject({ type: 'quiesce.failed', message: expect.stringContaining('could not freeze the guest') as string });
    expect(desk.engine.changes).toEqual(['freezeVm']);
    expect((await snapshot({ quiesce: 'best-effort' })).consistency).toMatchObject({ level: 'crash', evidence: expect.stringContaining('agent does not answer') as string });
    expect(desk.engine.changes).toEqual(['freezeVm', 'freezeVm', 'createSnapshot']);
    await thawed();
  });

  test('a hook that takes too long: the freeze is thawed when it comes at last', async () => {
    desk.engine.slowHook = sleep(700);
    const { consistency, mayStillFreeze } = await snapshot({ quiesce: 'best-effort' });
    expect([consistency.level, consistency.evidence, mayStillFreeze]).toEqual(['crash', 'the guest\'s agent did not answer the freeze within 0.5 s', undefined]);
    expect(desk.engine.changes.at(-1)).toBe('createSnapshot');
    await thawed();
  });

  test('a hook that never ends: the backup goes on, the holding stays, and the undo does not claim a thaw', async () => {
    desk.engine.slowHook = new Promise(() => undefined);
    expect(await snapshot({ quiesce: 'best-effort' })).toMatchObject({ consistency: { level: 'crash', evidence: expect.stringContaining('neither the freeze') as string }, mayStillFreeze: true });
    expect(await freezes()).toEqual([{ state: 'held', isFrozen: false }]);
    expect(await failureOf(desk.attempt('ensureThawed', of()))).toMatchObject({ type: 'guest.frozen', nonRetryable: true, message: expect.stringContaining('may do so when its agent wakes up') as string });
    expect(await failureOf(snapshot())).toMatchObject({ type: 'quiesce.failed' });
    desk.engine.slowHook = Promise.resolve();
    await desk.attempt('ensureThawed', of());
    await thawed();
  });

  test('a frozen guest whose agent does not answer the thaw ends the attempt, and is not forgotten', async () => {
    desk.engine.failingThaws = 1000;
    expect(await failureOf(snapshot({ quiesce: 'best-effort' }))).toMatchObject({ type: 'guest.frozen', nonRetryable: true, message: expect.stringContaining('virsh domfsthaw') as string });
    expect(await freezes()).toEqual([{ state: 'held', isFrozen: true }]);
    desk.engine.failingThaws = 0;
    await desk.attempt('ensureThawed', of());
    await thawed();
  });

  test('a thaw that is refused at first takes the freeze\'s word back: so does Windows when its writes were not held', async () => {
    desk.engine.failingThaws = 1;
    expect((await snapshot({ quiesce: 'best-effort' })).consistency).toMatchObject({ level: 'crash', evidence: expect.stringContaining('refused the thaw at first') as string });
    await thawed();
  });

  test.each(['engine.refused', 'engine.locked', 'engine.unreachable'] as const)('a request that fails with %s: thawed at once, the failure stays what it is', async (code) => {
    desk.engine.refuseNext('createSnapshot', code);
    expect(await failureOf(snapshot())).toMatchObject({ type: code });
    expect(desk.engine.changes).toEqual(['freezeVm', 'createSnapshot', 'thawVm']);
    await thawed();
  });

  test('an engine that is away: whatever became of the freeze is thawed, and it is tried again soon', async () => {
    desk.engine.loseReply('freezeVm');
    desk.engine.refuseNext('thawVm', 'engine.unreachable');
    expect(await failureOf(snapshot())).toMatchObject({ type: 'engine.unreachable', nextRetryDelay: 250 });
    await thawed();
    expect((await snapshot()).consistency.level).toBe('filesystem');
  });

  test('a VM that is busy with another snapshot is not frozen before that is over', async () => {
    desk.engine.looks = 2;
    await desk.engine.createSnapshot({ vmId: desk.vm.id, description: 'of somebody else', diskIds: [] });
    expect(await failureOf(snapshot())).toMatchObject({ type: 'engine.locked' });
    expect(desk.engine.countOf('freezeVm')).toBe(0);
  });

  test('a cancel while it stands still', async () => {
    desk.engine.looks = 1000;
    const environment = new MockActivityEnvironment();
    const attempt = desk.attemptIn(environment, 'ensureSnapshot', asked);
    while (desk.engine.countOf('createSnapshot') === 0) await sleep(10);
    environment.cancel();
    expect(await failureOf(attempt)).toMatchObject({ name: 'CancelledFailure' });
    await thawed();
  });
});

describe('when the worker died while the guest stood still', () => {
  test('the next attempt thaws before anything else, and freezes anew where nothing was asked for', async () => {
    await leftFrozen(desk.vm.id);
    desk.engine.frozen.add(desk.vm.id);
    expect((await snapshot()).consistency.level).toBe('filesystem');
    expect(desk.engine.changes).toEqual(['thawVm', 'freezeVm', 'createSnapshot', 'thawVm']);
    await thawed();
  });

  test('a snapshot that was made meanwhile is worth what the engine\'s events prove', async () => {
    await desk.engine.freezeVm(desk.vm.id);
    await sleep(5);
    const { snapshot: made } = await desk.engine.createSnapshot({ vmId: desk.vm.id, description: asked.mark, diskIds: [] });
    while ((await desk.engine.getSnapshot(desk.vm.id, made.id))?.status !== 'ok');
    await leftFrozen();
    await sleep(5);
    expect((await snapshot()).consistency).toMatchObject({ level: 'filesystem', evidence: expect.stringContaining('events') as string });
    expect(desk.engine.countOf('createSnapshot')).toBe(1);
    await thawed();
  });

  test('one that came after the thaw is not', async () => {
    await desk.engine.freezeVm(desk.vm.id);
    await desk.engine.createSnapshot({ vmId: desk.vm.id, description: asked.mark, diskIds: [] });
    await leftFrozen();
    expect(await failureOf(snapshot())).toMatchObject({ type: 'quiesce.failed', message: expect.stringContaining('do not prove') as string });
    expect((await snapshot({ quiesce: 'best-effort' })).consistency.level).toBe('crash');
    await thawed();
  });

  test('the undo thaws; of a VM that was stopped nothing is left to thaw; what never was is done', async () => {
    await desk.attempt('ensureThawed', of());
    expect(desk.engine.changes).toEqual([]);
    await leftFrozen(desk.vm.id);
    await desk.attempt('ensureThawed', of());
    expect(desk.engine.changes).toEqual(['thawVm']);
    await leftFrozen(desk.vm.id);
    desk.vm.status = 'down';
    await desk.attempt('ensureThawed', of());
    await thawed();
  });
});

describe('around a VM backup', () => {
  const vmBackup = (changes: Partial<EnsureVmBackupInput> = {}): Promise<ReadyVmBackup> => {
    const { engine, runId, vmId, vmStatus, diskIds, mark: description } = asked;
    return desk.attempt('ensureVmBackup', { engine, runId, vmId, vmStatus, diskIds, description, vmBackupKey: randomUUID(), fromCheckpointId: null, quiesce: 'required', explicitFreeze: true, ...changes });
  };

  test('frozen until it is ready; the host is not told to freeze a guest that stands still', async () => {
    expect(await vmBackup()).toMatchObject({ style: 'hybrid', consistency: { level: 'filesystem', evidence: expect.stringContaining('the VM backup was ready') as string } });
    expect(desk.engine.changes).toEqual(['freezeVm', 'startVmBackup', 'thawVm']);
    expect([...desk.engine.vmBackups.values()].map(({ request: { legacy, requireConsistency } }) => ({ legacy, requireConsistency }))).toEqual([{ legacy: false, requireConsistency: false }]);
    await thawed();
  });

  test('required without it is the engine\'s to prove, by a live one', async () => {
    expect(await vmBackup({ explicitFreeze: false })).toMatchObject({ style: 'live', consistency: { level: 'filesystem', evidence: expect.stringContaining('require_consistency') as string } });
    expect(desk.engine.changes).toEqual(['startVmBackup']);
  });

  test('one that is not ready in time', async () => {
    desk.engine.looks = 16;
    expect((await vmBackup({ quiesce: 'best-effort' })).consistency).toMatchObject({ level: 'crash', evidence: expect.stringContaining('before the VM backup was ready') as string });
    expect(await failureOf(vmBackup())).toMatchObject({ type: expect.stringMatching(/quiesce\.failed|engine\.locked/) as string });
    await thawed();
  });

  test('an agent that refuses: with required no VM backup is begun', async () => {
    desk.engine.agentMissing = true;
    expect(await failureOf(vmBackup())).toMatchObject({ type: 'quiesce.failed' });
    expect(desk.engine.changes).toEqual(['freezeVm']);
    await thawed();
  });

  test('a checkpoint that the engine refuses is told apart, with the guest thawed', async () => {
    expect(await failureOf(vmBackup({ fromCheckpointId: randomUUID() }))).toMatchObject({ type: 'backup.incremental-refused' });
    expect(desk.engine.changes).toEqual(['freezeVm', 'startVmBackup', 'thawVm']);
    await thawed();
  });
});

describe('a guest that nobody is about to thaw', () => {
  const watch = (): ReturnType<typeof thawForgotten> => thawForgotten({ catalog: { ...desk.catalog, listOpenHoldings: async (query) => (await desk.catalog.listOpenHoldings(query)).filter(({ runId }) => runId === desk.runId).map((each) => ({ ...each, ageSeconds: age })) }, engineOf: (name) => (name === 'lab' ? desk.engine : undefined) });
  let age = 60;
  beforeEach(async () => {
    age = 60;
    await leftFrozen(desk.vm.id);
    desk.engine.frozen.add(desk.vm.id);
  });

  test('is thawed by any control worker, and its alert goes', async () => {
    await desk.attempt('closeRun', { runId: desk.runId, engine: 'lab', vmId: desk.vm.id, outcome: 'failed', warnings: [], leftovers: [{ kind: 'freeze', objectId: desk.vm.id, mark: freezeMark(desk.vm.id), reason: 'mute' }] });
    expect(await alertsOf(desk, desk.runId)).toHaveLength(1);
    expect(await watch()).toEqual({ thawed: [desk.vm.id], mute: [] });
    expect(await alertsOf(desk, desk.runId)).toEqual([]);
    await thawed();
    expect(await watch()).toEqual({ thawed: [], mute: [] });
  });

  test('is left to its owner while that may still be at it', async () => {
    age = 8;
    expect(await watch()).toEqual({ thawed: [], mute: [] });
    expect(desk.engine.changes).toEqual([]);
  });

  test('is asked again the next time when its agent is mute', async () => {
    desk.engine.agentMissing = true;
    expect(await watch()).toEqual({ thawed: [], mute: [desk.vm.id] });
    desk.engine.agentMissing = false;
    expect(await watch()).toEqual({ thawed: [desk.vm.id], mute: [] });
    await thawed();
  });
});
