// Starting VM backups: repeated it does one thing, a lost reply starts no second one, and refusals are told apart.
import { randomUUID } from 'node:crypto';
import { holdingId } from '../../domain/holdings';
import { failureOf, type Desk } from './desk';
import { useVmBackups, type VmBackupStage } from './vm-backup-stage';

let stage: VmBackupStage;
let desk: Desk;
const stageOf = useVmBackups();
beforeEach(() => {
  stage = stageOf();
  ({ desk } = stage);
});

describe('starting', () => {
  test('makes one, waits until it is ready, and writes the holding ahead', async () => {
    desk.engine.looks = 3;
    const ready = await stage.ensure();
    expect(ready).toEqual({
      vmBackupId: stage.id, checkpointId: stage.backup?.toCheckpointId, createdAt: stage.backup?.createdAt, snapshotId: stage.backup?.snapshotId, style: 'hybrid',
      disks: stage.diskIds.map((diskId) => ({ diskId, mode: 'full' })), consistency: expect.objectContaining({ level: 'unknown' }) as unknown,
    });
    expect(stage.backup?.request).toMatchObject({ description: stage.of.description, correlationId: stage.of.vmBackupKey, legacy: false, requireConsistency: false });
    expect(await desk.holdings()).toEqual([
      expect.objectContaining({ kind: 'vm-backup', state: 'held', vmId: desk.vm.id, objectId: stage.id, mark: stage.of.description }),
      expect.objectContaining({ kind: 'checkpoint', state: 'held', vmId: desk.vm.id, objectId: ready.checkpointId, snapshotId: ready.snapshotId }),
    ]);
  });

  test('twice is once, and so it is after a lost reply', async () => {
    desk.engine.loseReply('startVmBackup');
    expect(await failureOf(desk.attempt('ensureVmBackup', stage.input()))).toMatchObject({ type: 'engine.unreachable', nonRetryable: false });
    expect(await stage.ensure()).toEqual(await stage.ensure());
    expect(desk.engine.countOf('startVmBackup')).toBe(1);
    expect(await desk.holdings()).toHaveLength(2);
  });

  test('a first request that was only slow is found when the second one is refused', async () => {
    const { listVmBackups } = desk.engine;
    let looks = 0;
    desk.engine.listVmBackups = (vmId) => (looks++ === 0 ? Promise.resolve([]) : listVmBackups(vmId));
    await stage.asked('hybrid');
    desk.engine.events.length = 0;
    desk.engine.refuseNext('startVmBackup', 'engine.refused');
    expect(await desk.attempt('ensureVmBackup', stage.input())).toMatchObject({ vmBackupId: stage.id, style: 'hybrid' });
  });

  test('after an incremental one that failed, the full one of the same run and description is another', async () => {
    desk.engine.failingVmBackups = 1;
    await failureOf(stage.ensure());
    const failed = stage.id;
    await stage.ended(false);
    stage.of = { ...stage.of, vmBackupKey: randomUUID() };
    expect(await stage.ensure()).toMatchObject({ vmBackupId: expect.not.stringContaining(failed) as string });
    expect(desk.engine.countOf('startVmBackup')).toBe(2);
  });

  test('one that an earlier release began is gone on with: its id was chosen by the run', async () => {
    await stage.ensure();
    const { engine, runId, vmId, description } = stage.of;
    await desk.catalog.hold({ holdingId: holdingId(runId, 'vm-backup', stage.id), runId, engine, kind: 'vm-backup', vmId, objectId: stage.id, parentId: vmId, mark: description });
    const { vmBackupKey, ...asked } = stage.input();
    expect(vmBackupKey).not.toBe(stage.id);
    expect(await stage.desk.retried('ensureVmBackup', { ...asked, vmBackupId: stage.id })).toMatchObject({ vmBackupId: stage.id });
    await stage.desk.retried('ensureVmBackupEnded', { engine, runId, vmId, vmBackupId: stage.id, diskIds: stage.diskIds, keepCheckpoint: true });
    expect([desk.engine.countOf('startVmBackup'), stage.backup?.phase]).toEqual([1, 'succeeded']);
  });

  test('the holding stands even when nothing came of the request', async () => {
    desk.engine.refuseNext('startVmBackup', 'engine.forbidden');
    expect(await failureOf(stage.ensure())).toMatchObject({ type: 'engine.forbidden', nonRetryable: true });
    expect(await stage.held()).toEqual({ 'vm-backup': 'held' });
  });

  test('a VM that is in another backup is asked again later', async () => {
    await desk.engine.startVmBackup({ vmId: desk.vm.id, diskIds: stage.diskIds, requireConsistency: false, legacy: false, description: 'of somebody else', correlationId: randomUUID() });
    expect(await failureOf(desk.attempt('ensureVmBackup', stage.input()))).toMatchObject({ type: 'engine.locked', nonRetryable: false });
  });

  test('one that fails is a failure in the engine\'s words, and is not started again, not even once the engine has forgotten it', async () => {
    desk.engine.failingVmBackups = 1;
    expect(await failureOf(stage.ensure())).toMatchObject({ type: 'backup.failed', nonRetryable: true, message: expect.stringContaining('event 10792') as string });
    desk.engine.forgetVmBackup(stage.id);
    expect(await failureOf(stage.ensure())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10792') as string });
    expect(desk.engine.countOf('startVmBackup')).toBe(1);
  });

  test('one that is seen on its way to a failure is waited for: its end alone says why', async () => {
    Object.assign(desk.engine, { failingVmBackups: 1, looks: 2 });
    expect(await failureOf(stage.ensure())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10792') as string });
  });

  test('one that somebody else has ended is a failure', async () => {
    await stage.ensure();
    await desk.engine.finalizeVmBackup(desk.vm.id, stage.id);
    expect(await failureOf(desk.attempt('ensureVmBackup', stage.input()))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('somebody else') as string });
  });

  test('a disk that the engine leaves out without a word is a failure that names it', async () => {
    const [first] = stage.diskIds;
    const { listVmBackupDisks } = desk.engine;
    desk.engine.listVmBackupDisks = async (vmId, id) => (await listVmBackupDisks(vmId, id)).filter(({ diskId }) => diskId !== first);
    expect(await failureOf(stage.ensure())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining(first ?? '') as string });
  });
});

describe('incremental', () => {
  test('the engine decides the mode, disk by disk', async () => {
    const [first, second] = desk.disks;
    if (second) second.settings = { ...second.settings, format: 'raw', backup: 'none' };
    const fromCheckpointId = await stage.earlierBackup();
    expect((await stage.ensure({ fromCheckpointId })).disks).toEqual([{ diskId: first?.settings.diskId, mode: 'incremental' }, { diskId: second?.settings.diskId, mode: 'full' }]);
  });

  test('a disk whose mode the engine does not tell is read in full', async () => {
    const fromCheckpointId = await stage.earlierBackup();
    const { listVmBackupDisks } = desk.engine;
    desk.engine.listVmBackupDisks = async (vmId, id) => (await listVmBackupDisks(vmId, id)).map(({ diskId }) => ({ diskId }));
    expect((await stage.ensure({ fromCheckpointId })).disks.map(({ mode }) => mode)).toEqual(['full', 'full']);
  });

  test('a checkpoint that the engine does not have is refused with its words', async () => {
    const fromCheckpointId = randomUUID();
    expect(await failureOf(stage.ensure({ fromCheckpointId }))).toMatchObject({ type: 'backup.incremental-refused', nonRetryable: true, message: expect.stringContaining(`Checkpoint ID ${fromCheckpointId} doesn't exist`) as string });
  });

  test.each([['answered at once', false], ['whose answer is lost', true]])('a redefinition that fails, %s, asks for a full one', async (_what, isLost) => {
    const fromCheckpointId = await stage.earlierBackup();
    desk.engine.failingRedefinitions = 1;
    if (isLost) {
      const { startVmBackup } = desk.engine;
      desk.engine.startVmBackup = (request) => startVmBackup(request).catch(() => Promise.reject(new Error('connection lost')));
    }
    expect(await failureOf(stage.ensure({ fromCheckpointId, quiesce: 'required' }))).toMatchObject({ type: 'backup.incremental-refused', nonRetryable: true, message: expect.stringContaining('event 10791') as string });
    expect(await stage.checkpoints()).toEqual([]);
    await stage.ended(false);
    expect(await stage.held()).toEqual({ 'vm-backup': 'released' });
  });

  test('one that fails for another reason is no reason for a full one', async () => {
    const fromCheckpointId = await stage.earlierBackup();
    desk.engine.failingVmBackups = 1;
    expect(await failureOf(stage.ensure({ fromCheckpointId }))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining(fromCheckpointId) as string });
  });
});

describe('consistency', () => {
  test('required of a running VM: a live backup that would fail without a freeze, and says so', async () => {
    expect(await stage.ensure({ quiesce: 'required' })).toMatchObject({ style: 'live', snapshotId: null, consistency: { level: 'filesystem', evidence: expect.stringContaining('require_consistency') as string } });
    expect(stage.backup?.request).toMatchObject({ legacy: true, requireConsistency: true });
  });

  test('required and not to be had: the engine fails it', async () => {
    desk.engine.freezeFails = true;
    expect(await failureOf(stage.ensure({ quiesce: 'required' }))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('agent') as string });
  });

  test('required, and the VM was started after it was planned as down: refused before anything is copied', async () => {
    expect(await failureOf(stage.ensure({ quiesce: 'required', vmStatus: 'down' }))).toMatchObject({ type: 'quiesce.failed', message: expect.stringContaining('not at rest') as string });
  });

  test('a VM that is down needs no freeze', async () => {
    desk.vm.status = 'down';
    expect(await stage.ensure({ quiesce: 'required' })).toMatchObject({ style: 'hybrid', consistency: { level: 'filesystem' } });
    expect(stage.backup?.request).toMatchObject({ legacy: false, requireConsistency: false });
  });

  const event = (code: number, vmId: string, time: string): void => void desk.engine.events.push({ id: 'x', code, severity: 'warning', description: `event ${code}`, vmId, time });
  const [longAgo, soon] = ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z'];

  test('the snapshot of a hybrid one that is unusable although it is ok fails it; another VM\'s, and one of old, do not', async () => {
    event(170, randomUUID(), soon);
    event(170, desk.vm.id, longAgo);
    await stage.ensure();
    event(170, desk.vm.id, soon);
    expect(await failureOf(desk.attempt('ensureVmBackup', stage.input()))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 170') as string });
  });

  test('a freeze of which the engine says that it failed', async () => {
    event(10764, desk.vm.id, soon);
    expect((await stage.ensure()).consistency).toEqual({ level: 'crash', evidence: expect.stringContaining('10764') as string });
  });
});
