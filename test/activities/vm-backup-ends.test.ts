// Ending VM backups, as an undo and after the seal, and removing checkpoints: whatever state they are found in, nothing is left.
import { randomUUID } from 'node:crypto';
import { fakeDisk } from '../fakes/fake-world';
import { failureOf, type Desk } from './desk';
import { useVmBackups, type VmBackupStage } from './vm-backup-stage';

let stage: VmBackupStage;
let desk: Desk;
const stageOf = useVmBackups();
beforeEach(() => {
  stage = stageOf();
  ({ desk } = stage);
});

describe('ending', () => {
  test('of a sealed backup: it is over, the disks are free, its snapshot gone, its checkpoint a product; twice is once', async () => {
    desk.engine.looks = 2;
    const { checkpointId, snapshotId } = await stage.ensure();
    await stage.ended();
    await stage.ended();
    expect(stage.backup?.phase).toBe('succeeded');
    expect(desk.vm.snapshots.has(snapshotId ?? '')).toBe(false);
    expect(await stage.checkpoints()).toEqual([checkpointId]);
    expect(desk.engine.countOf('finalizeVmBackup')).toBe(1);
    expect(await stage.held()).toEqual({ 'vm-backup': 'released', checkpoint: 'product' });
  });

  test('tells of a VM that is paused since', async () => {
    await stage.ensure();
    expect(await stage.ended()).toEqual({ vmIsPaused: false });
    desk.vm.status = 'paused';
    expect(await stage.ended()).toEqual({ vmIsPaused: true });
  });

  test('as an undo it takes its own checkpoint with it, and leaves the others', async () => {
    const earlier = await stage.earlierBackup();
    await stage.ensure();
    await stage.ended(false);
    expect(await stage.checkpoints()).toEqual([earlier]);
    expect(await stage.held()).toEqual({ 'vm-backup': 'released', checkpoint: 'released' });
  });

  test('the checkpoint goes even when the engine has forgotten the backup meanwhile', async () => {
    await stage.ensure();
    await desk.engine.finalizeVmBackup(desk.vm.id, stage.id);
    while (stage.backup?.phase !== 'succeeded') await desk.engine.getVmBackup(desk.vm.id, stage.id);
    desk.engine.forgetVmBackup(stage.id);
    await stage.ended(false);
    expect(await stage.checkpoints()).toEqual([]);
  });

  test('of one that the engine has lost track of: its scratch disks go, another backup\'s stay', async () => {
    await stage.ensure();
    const left = stage.backup;
    if (left) left.phase = 'failed';
    const [scratch, other] = [fakeDisk('scratch'), fakeDisk('other')];
    for (const disk of [scratch, other]) desk.engine.disks.set(disk.settings.diskId, disk);
    desk.engine.scratchDisks.set(stage.id, [scratch.settings.diskId]);
    desk.engine.scratchDisks.set(randomUUID(), [other.settings.diskId]);
    await stage.ended(false);
    expect([scratch, other].map(({ settings }) => desk.engine.disks.has(settings.diskId))).toEqual([false, true]);
    expect(await stage.checkpoints()).toEqual([]);
  });

  test.each(['best-effort', 'required'] as const)('one that is not ready yet, quiesce %s', async (quiesce) => {
    desk.engine.looks = 5;
    await stage.asked(quiesce === 'required' ? 'live' : 'hybrid');
    await stage.ended(false);
    expect(await stage.checkpoints()).toEqual([]);
    expect(desk.disks.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(desk.vm.snapshots.size).toBe(0);
  });

  test('of a VM that was removed meanwhile: nothing is left to end', async () => {
    await stage.ensure();
    desk.engine.forgetVmBackup(stage.id);
    desk.engine.vms.delete(desk.vm.id);
    await stage.ended(false);
    expect(await stage.held()).toEqual({ 'vm-backup': 'released', checkpoint: 'released' });
  });

  test('a run that is closed as completed while it could not be ended keeps the checkpoint as its product', async () => {
    await stage.ensure();
    await desk.retried('closeRun', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, outcome: 'completed', warnings: [], leftovers: [] });
    expect(await stage.held()).toEqual({ 'vm-backup': 'leftover', checkpoint: 'product' });
  });

  test('what never was is done', async () => {
    await stage.ended(false);
    expect(desk.engine.changes).toEqual([]);
    expect(await desk.holdings()).toEqual([]);
  });

  test('a reply that is lost ends it all the same', async () => {
    await stage.ensure();
    desk.engine.loseReply('finalizeVmBackup');
    await stage.ended();
    expect(stage.backup?.phase).toBe('succeeded');
  });

  test('transfers that the run left are cancelled first, whether their ids are known or not; without disk ids those of the backup count', async () => {
    await stage.ensure();
    const [first, second] = stage.diskIds;
    const transfer = (diskId: string | undefined) => ({ ...stage.of, vmBackupId: stage.id, diskId: diskId ?? '', transferKey: randomUUID(), direction: 'download' as const });
    await desk.retried('ensureTransfer', transfer(first));
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', transfer(second)));
    await stage.ended(false, []);
    expect([...desk.engine.transfers.values()].map(({ phase }) => phase)).toEqual(['finished_failure', 'finished_failure']);
    expect(stage.backup?.phase).toBe('succeeded');
  });

  test('a snapshot that the engine could not merge is removed once more, and named as long as it stays', async () => {
    const { snapshotId } = await stage.ensure();
    Object.assign(desk.engine, { failingOwnMerges: 1, failingMerges: 1 });
    expect(await failureOf(desk.attempt('ensureVmBackupEnded', { ...stage.of, diskIds: stage.diskIds, keepCheckpoint: true }))).toMatchObject({ type: 'wait.pending', nonRetryable: false, message: expect.stringMatching(new RegExp(`${snapshotId ?? ''}.*10813`)) as string });
    expect(await stage.held()).toEqual({ 'vm-backup': 'held', checkpoint: 'held' });
    desk.engine.forgetVmBackup(stage.id);
    await stage.ended();
    expect(desk.vm.snapshots.size).toBe(0);
    expect(desk.engine.countOf('removeSnapshot')).toBe(2);
  });

  test('the snapshot of a hybrid one that fails is removed, though the engine does not name it any more', async () => {
    Object.assign(desk.engine, { looks: 5, failingVmBackups: 1, failingOwnMerges: 1 });
    await stage.asked('hybrid');
    await stage.ended(false);
    expect([stage.backup?.phase, stage.backup?.snapshotId, desk.vm.snapshots.size]).toEqual(['failed', undefined, 0]);
  });

  test('another\'s snapshot of the same description is left alone', async () => {
    const other = await desk.engine.createSnapshot({ vmId: desk.vm.id, description: 'Auto-generated for Backup VM', diskIds: stage.diskIds });
    while ((await desk.engine.getSnapshot(desk.vm.id, other.snapshot.id))?.status !== 'ok');
    await stage.ensure();
    await stage.ended(false);
    expect([...desk.vm.snapshots.keys()]).toEqual([other.snapshot.id]);
  });
});

describe('removing a checkpoint', () => {
  const remove = (checkpointId: string): Promise<void> => desk.retried('removeCheckpoint', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, checkpointId });

  test('waits until it is gone and lets go of it; absent is done', async () => {
    const checkpointId = await stage.earlierBackup();
    expect((await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).map(({ objectId }) => objectId)).toEqual([checkpointId]);
    await remove(checkpointId);
    await remove(checkpointId);
    expect(await stage.checkpoints()).toEqual([]);
    expect(desk.engine.countOf('removeCheckpoint')).toBe(1);
    expect(await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).toEqual([]);
  });

  test('it stays when the one that takes its place is gone, and goes when that is there', async () => {
    const checkpointId = await stage.earlierBackup();
    const insteadOf = (insteadId: string): Promise<void> => desk.retried('removeCheckpoint', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, checkpointId, insteadId });
    await insteadOf(randomUUID());
    expect(await stage.checkpoints()).toEqual([checkpointId]);
    expect((await desk.catalog.listHoldings({ engine: 'lab', vmId: desk.vm.id, state: 'product' })).map(({ objectId }) => objectId)).toEqual([checkpointId]);
    await insteadOf(await stage.earlierBackup());
    expect(await stage.checkpoints()).not.toContain(checkpointId);
  });

  test('one that the engine cannot remove is told in its words; an earlier failure does not count', async () => {
    const checkpointId = await stage.earlierBackup();
    const failed = (): void => void desk.engine.events.push({ id: randomUUID(), code: 10798, severity: 'error', description: `Failed to delete checkpoint ${checkpointId}` });
    const { removeCheckpoint } = desk.engine;
    desk.engine.removeCheckpoint = () => {
      failed();
      return Promise.resolve();
    };
    expect(await failureOf(remove(checkpointId))).toMatchObject({ type: 'engine.conflict', message: expect.stringContaining('event 10798') as string });
    desk.engine.removeCheckpoint = removeCheckpoint;
    await remove(checkpointId);
    expect(await stage.checkpoints()).toEqual([]);
  });
});
