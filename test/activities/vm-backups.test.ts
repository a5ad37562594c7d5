// VM backups' activities: repeated they do one thing, a lost reply starts no second one, refusals are told apart, and an end leaves nothing.
import { randomUUID } from 'node:crypto';
import type { EnsureVmBackupInput, ReadyVmBackup, VmBackupOfRun } from '../../activities/vm-backups';
import { failureOf, openDesks, type Desk, type Desks } from './desk';

let desks: Desks;
let desk: Desk;
let of: VmBackupOfRun;
beforeAll(async () => {
  desks = await openDesks();
}, 120_000);
afterAll(() => desks.stop());
beforeEach(async () => {
  desk = await desks.open();
  for (const disk of desk.disks) disk.settings = { ...disk.settings, format: 'cow', backup: 'incremental' };
  of = { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, vmBackupId: randomUUID() };
});

const diskIds = (): string[] => desk.disks.map((disk) => disk.settings.diskId);
const input = (changes: Partial<EnsureVmBackupInput> = {}): EnsureVmBackupInput => ({ ...of, diskIds: diskIds(), fromCheckpointId: null, vmStatus: desk.vm.status, quiesce: 'best-effort', description: `Holdfast backup ${of.vmBackupId}`, ...changes });
const ensure = (changes: Partial<EnsureVmBackupInput> = {}): Promise<ReadyVmBackup> => desk.retried('ensureVmBackup', input(changes));
const ended = (keepCheckpoint = true, changes: Partial<VmBackupOfRun & { diskIds: readonly string[] }> = {}): Promise<void> => desk.retried('ensureVmBackupEnded', { ...of, diskIds: diskIds(), keepCheckpoint, ...changes });
const backup = () => desk.engine.vmBackups.get(of.vmBackupId);
const checkpoints = async (): Promise<readonly string[]> => (await desk.engine.listCheckpoints(desk.vm.id)).map(({ id }) => id);
const held = async (runId?: string) => Object.fromEntries((await desk.holdings(runId)).map(({ kind, state }) => [kind, state]));

/** A whole backup of another run, whose checkpoint stays. */
async function earlierBackup(): Promise<string> {
  const mine = of;
  of = { ...of, runId: await desk.openRun(), vmBackupId: randomUUID() };
  const { checkpointId } = await ensure();
  await ended();
  of = mine;
  return checkpointId ?? '';
}

describe('starting', () => {
  test('makes one under our id, waits until it is ready, and writes the holding ahead', async () => {
    desk.engine.looks = 3;
    const ready = await ensure();
    expect(ready).toEqual({
      checkpointId: backup()?.toCheckpointId, createdAt: backup()?.createdAt, snapshotId: backup()?.snapshotId, style: 'hybrid',
      disks: diskIds().map((diskId) => ({ diskId, mode: 'full' })), consistency: expect.objectContaining({ level: 'unknown' }) as unknown,
    });
    expect(backup()?.request).toMatchObject({ description: input().description, legacy: false, requireConsistency: false });
    expect(await desk.holdings()).toEqual([
      expect.objectContaining({ kind: 'vm-backup', state: 'held', vmId: desk.vm.id, objectId: of.vmBackupId, mark: input().description }),
      expect.objectContaining({ kind: 'checkpoint', state: 'held', vmId: desk.vm.id, objectId: ready.checkpointId, snapshotId: ready.snapshotId }),
    ]);
  });

  test('twice is once, and so it is after a lost reply', async () => {
    desk.engine.loseReply('startVmBackup');
    expect(await failureOf(desk.attempt('ensureVmBackup', input()))).toMatchObject({ type: 'engine.unreachable', nonRetryable: false });
    expect(await ensure()).toEqual(await ensure());
    expect(desk.engine.countOf('startVmBackup')).toBe(1);
    expect(await desk.holdings()).toHaveLength(2);
  });

  test('a first request that was only slow is found when the second one is told that its id exists', async () => {
    const { getVmBackup } = desk.engine;
    let looks = 0;
    desk.engine.getVmBackup = (vmId, id) => (looks++ === 0 ? Promise.resolve(undefined) : getVmBackup(vmId, id));
    await desk.engine.startVmBackup({ vmId: desk.vm.id, backupId: of.vmBackupId, diskIds: diskIds(), requireConsistency: false, legacy: false, description: '' });
    desk.engine.events.length = 0;
    desk.engine.refuseNext('startVmBackup', 'engine.refused');
    expect(await desk.attempt('ensureVmBackup', input())).toMatchObject({ style: 'hybrid' });
  });

  test('the holding stands even when nothing came of the request', async () => {
    desk.engine.refuseNext('startVmBackup', 'engine.forbidden');
    expect(await failureOf(ensure())).toMatchObject({ type: 'engine.forbidden', nonRetryable: true });
    expect(await held()).toEqual({ 'vm-backup': 'held' });
  });

  test('a VM that is in another backup is asked again later', async () => {
    const other = randomUUID();
    await desk.engine.startVmBackup({ vmId: desk.vm.id, backupId: other, diskIds: diskIds(), requireConsistency: false, legacy: false, description: 'of somebody else' });
    expect(await failureOf(desk.attempt('ensureVmBackup', input()))).toMatchObject({ type: 'engine.locked', nonRetryable: false });
  });

  test('one that fails is a failure in the engine\'s words, and is not started again, not even once the engine has forgotten it', async () => {
    desk.engine.failingVmBackups = 1;
    expect(await failureOf(ensure())).toMatchObject({ type: 'backup.failed', nonRetryable: true, message: expect.stringContaining('event 10792') as string });
    desk.engine.forgetVmBackup(of.vmBackupId);
    expect(await failureOf(ensure())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10792') as string });
    expect(desk.engine.countOf('startVmBackup')).toBe(1);
  });

  test('one that somebody else has ended is a failure', async () => {
    await ensure();
    await desk.engine.finalizeVmBackup(desk.vm.id, of.vmBackupId);
    expect(await failureOf(desk.attempt('ensureVmBackup', input()))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('somebody else') as string });
  });

  test('a disk that the engine leaves out without a word is a failure that names it', async () => {
    const [first] = diskIds();
    const { listVmBackupDisks } = desk.engine;
    desk.engine.listVmBackupDisks = async (vmId, id) => (await listVmBackupDisks(vmId, id)).filter(({ diskId }) => diskId !== first);
    expect(await failureOf(ensure())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining(first ?? '') as string });
  });
});

describe('incremental', () => {
  test('the engine decides the mode, disk by disk', async () => {
    const [first, second] = desk.disks;
    if (second) second.settings = { ...second.settings, format: 'raw', backup: 'none' };
    const fromCheckpointId = await earlierBackup();
    expect((await ensure({ fromCheckpointId })).disks).toEqual([{ diskId: first?.settings.diskId, mode: 'incremental' }, { diskId: second?.settings.diskId, mode: 'full' }]);
  });

  test('a disk whose mode the engine does not tell is read in full', async () => {
    const fromCheckpointId = await earlierBackup();
    const { listVmBackupDisks } = desk.engine;
    desk.engine.listVmBackupDisks = async (vmId, id) => (await listVmBackupDisks(vmId, id)).map(({ diskId }) => ({ diskId }));
    expect((await ensure({ fromCheckpointId })).disks.map(({ mode }) => mode)).toEqual(['full', 'full']);
  });

  test('a checkpoint that the engine does not have is refused with its words', async () => {
    const fromCheckpointId = randomUUID();
    expect(await failureOf(ensure({ fromCheckpointId }))).toMatchObject({ type: 'backup.incremental-refused', nonRetryable: true, message: expect.stringContaining(`Checkpoint ID ${fromCheckpointId} doesn't exist`) as string });
  });

  test.each([['answered at once', false], ['whose answer is lost', true]])('a redefinition that fails, %s, asks for a full one', async (_what, isLost) => {
    const fromCheckpointId = await earlierBackup();
    desk.engine.failingRedefinitions = 1;
    if (isLost) {
      const { startVmBackup } = desk.engine;
      desk.engine.startVmBackup = (request) => startVmBackup(request).catch(() => Promise.reject(new Error('connection lost')));
    }
    expect(await failureOf(ensure({ fromCheckpointId, quiesce: 'required' }))).toMatchObject({ type: 'backup.incremental-refused', nonRetryable: true });
    expect(await checkpoints()).toEqual([]);
    await ended(false);
    expect(await held()).toEqual({ 'vm-backup': 'released' });
  });

  test('one that fails for another reason is no reason for a full one', async () => {
    const fromCheckpointId = await earlierBackup();
    desk.engine.failingVmBackups = 1;
    expect(await failureOf(ensure({ fromCheckpointId }))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining(fromCheckpointId) as string });
  });
});

describe('consistency', () => {
  test('required of a running VM: a live backup that would fail without a freeze, and says so', async () => {
    expect(await ensure({ quiesce: 'required' })).toMatchObject({ style: 'live', snapshotId: null, consistency: { level: 'filesystem', evidence: expect.stringContaining('require_consistency') as string } });
    expect(backup()?.request).toMatchObject({ legacy: true, requireConsistency: true });
  });

  test('required and not to be had: the engine fails it', async () => {
    desk.engine.freezeFails = true;
    expect(await failureOf(ensure({ quiesce: 'required' }))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('agent') as string });
  });

  test('required, and the VM was started after it was planned as down: refused before anything is copied', async () => {
    expect(await failureOf(ensure({ quiesce: 'required', vmStatus: 'down' }))).toMatchObject({ type: 'quiesce.failed', message: expect.stringContaining('not at rest') as string });
  });

  test('a VM that is down needs no freeze', async () => {
    desk.vm.status = 'down';
    expect(await ensure({ quiesce: 'required' })).toMatchObject({ style: 'hybrid', consistency: { level: 'filesystem' } });
    expect(backup()?.request).toMatchObject({ legacy: false, requireConsistency: false });
  });

  const event = (code: number, vmId: string, time: string): void => void desk.engine.events.push({ id: 'x', code, severity: 'warning', description: `event ${code}`, vmId, time });
  const [longAgo, soon] = ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z'];

  test('the snapshot of a hybrid one that is unusable although it is ok fails it; another VM\'s, and one of old, do not', async () => {
    event(170, randomUUID(), soon);
    event(170, desk.vm.id, longAgo);
    await ensure();
    event(170, desk.vm.id, soon);
    expect(await failureOf(desk.attempt('ensureVmBackup', input()))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 170') as string });
  });

  test('a freeze of which the engine says that it failed', async () => {
    event(10764, desk.vm.id, soon);
    expect((await ensure()).consistency).toEqual({ level: 'crash', evidence: expect.stringContaining('10764') as string });
  });
});

describe('ending', () => {
  test('of a sealed backup: it is over, the disks are free, its snapshot gone, its checkpoint a product; twice is once', async () => {
    desk.engine.looks = 2;
    const { checkpointId, snapshotId } = await ensure();
    await ended();
    await ended();
    expect(backup()?.phase).toBe('succeeded');
    expect(desk.vm.snapshots.has(snapshotId ?? '')).toBe(false);
    expect(await checkpoints()).toEqual([checkpointId]);
    expect(desk.engine.countOf('finalizeVmBackup')).toBe(1);
    expect(await held()).toEqual({ 'vm-backup': 'released', checkpoint: 'product' });
  });

  test('as an undo it takes its own checkpoint with it, and leaves the others', async () => {
    const earlier = await earlierBackup();
    await ensure();
    await ended(false);
    expect(await checkpoints()).toEqual([earlier]);
    expect(await held()).toEqual({ 'vm-backup': 'released', checkpoint: 'released' });
  });

  test('the checkpoint goes even when the engine has forgotten the backup meanwhile', async () => {
    await ensure();
    await desk.engine.finalizeVmBackup(desk.vm.id, of.vmBackupId);
    while (backup()?.phase !== 'succeeded') await desk.engine.getVmBackup(desk.vm.id, of.vmBackupId);
    desk.engine.forgetVmBackup(of.vmBackupId);
    await ended(false);
    expect(await checkpoints()).toEqual([]);
  });

  test.each(['best-effort', 'required'] as const)('one that is not ready yet, quiesce %s', async (quiesce) => {
    desk.engine.looks = 5;
    const { vmId, diskIds: disks, description, vmBackupId } = input();
    await desk.engine.startVmBackup({ vmId, backupId: vmBackupId, diskIds: disks, description, legacy: quiesce === 'required', requireConsistency: quiesce === 'required' });
    await ended(false);
    expect(await checkpoints()).toEqual([]);
    expect(desk.disks.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('of a VM that was removed meanwhile: nothing is left to end', async () => {
    await ensure();
    desk.engine.forgetVmBackup(of.vmBackupId);
    desk.engine.vms.delete(desk.vm.id);
    await ended(false);
    expect(await held()).toEqual({ 'vm-backup': 'released', checkpoint: 'released' });
  });

  test('a run that is closed as completed while it could not be ended keeps the checkpoint as its product', async () => {
    await ensure();
    await desk.retried('closeRun', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, outcome: 'completed', warnings: [], leftovers: [] });
    expect(await held()).toEqual({ 'vm-backup': 'leftover', checkpoint: 'product' });
  });

  test('what never was is done', async () => {
    await ended(false);
    expect(desk.engine.changes).toEqual([]);
    expect(await desk.holdings()).toEqual([]);
  });

  test('a reply that is lost ends it all the same', async () => {
    await ensure();
    desk.engine.loseReply('finalizeVmBackup');
    await ended();
    expect(backup()?.phase).toBe('succeeded');
  });

  test('transfers that the run left are cancelled first, whether their ids are known or not; without disk ids those of the backup count', async () => {
    await ensure();
    const [first, second] = diskIds();
    const transfer = (diskId: string | undefined) => ({ ...of, diskId: diskId ?? '', transferKey: randomUUID(), direction: 'download' as const });
    await desk.retried('ensureTransfer', transfer(first));
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', transfer(second)));
    await ended(false, { diskIds: [] });
    expect([...desk.engine.transfers.values()].map(({ phase }) => phase)).toEqual(['finished_failure', 'finished_failure']);
    expect(backup()?.phase).toBe('succeeded');
  });

  test('a snapshot that the engine could not merge is removed once more, and named as long as it stays', async () => {
    const { snapshotId } = await ensure();
    Object.assign(desk.engine, { failingOwnMerges: 1, failingMerges: 1 });
    expect(await failureOf(desk.attempt('ensureVmBackupEnded', { ...of, diskIds: diskIds(), keepCheckpoint: true }))).toMatchObject({ type: 'wait.pending', nonRetryable: false, message: expect.stringMatching(new RegExp(`${snapshotId ?? ''}.*10813`)) as string });
    expect(await held()).toEqual({ 'vm-backup': 'held', checkpoint: 'held' });
    desk.engine.forgetVmBackup(of.vmBackupId);
    await ended();
    expect(desk.vm.snapshots.size).toBe(0);
    expect(desk.engine.countOf('removeSnapshot')).toBe(2);
  });

  test('another\'s snapshot of the same description is left alone', async () => {
    const other = await desk.engine.createSnapshot({ vmId: desk.vm.id, description: 'Auto-generated for Backup VM', diskIds: diskIds() });
    while ((await desk.engine.getSnapshot(desk.vm.id, other.snapshot.id))?.status !== 'ok');
    await ensure();
    await ended(false);
    expect([...desk.vm.snapshots.keys()]).toEqual([other.snapshot.id]);
  });
});

describe('removing a checkpoint', () => {
  const remove = (checkpointId: string): Promise<void> => desk.retried('removeCheckpoint', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, checkpointId });

  test('waits until it is gone and lets go of it; absent is done', async () => {
    const checkpointId = await earlierBackup();
    expect((await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).map(({ objectId }) => objectId)).toEqual([checkpointId]);
    await remove(checkpointId);
    await remove(checkpointId);
    expect(await checkpoints()).toEqual([]);
    expect(desk.engine.countOf('removeCheckpoint')).toBe(1);
    expect(await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).toEqual([]);
  });

  test('it stays when the one that takes its place is gone, and goes when that is there', async () => {
    const checkpointId = await earlierBackup();
    const insteadOf = (insteadId: string): Promise<void> => desk.retried('removeCheckpoint', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, checkpointId, insteadId });
    await insteadOf(randomUUID());
    expect(await checkpoints()).toEqual([checkpointId]);
    expect((await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).map(({ objectId }) => objectId)).toEqual([checkpointId]);
    await insteadOf(await earlierBackup());
    expect(await checkpoints()).not.toContain(checkpointId);
  });

  test('one that the engine cannot remove is told in its words; an earlier failure does not count', async () => {
    const checkpointId = await earlierBackup();
    const failed = (): void => void desk.engine.events.push({ id: randomUUID(), code: 10798, severity: 'error', description: `Failed to delete checkpoint ${checkpointId}` });
    const { removeCheckpoint } = desk.engine;
    desk.engine.removeCheckpoint = () => {
      failed();
      return Promise.resolve();
    };
    expect(await failureOf(remove(checkpointId))).toMatchObject({ type: 'engine.conflict', message: expect.stringContaining('event 10798') as string });
    desk.engine.removeCheckpoint = removeCheckpoint;
    await remove(checkpointId);
    expect(await checkpoints()).toEqual([]);
  });
});
