// Uploads as activities, and planning by transfer, against the lab's engine: what its answers and faults do to them.
import { randomUUID } from 'node:crypto';
import type { VmChainBackup } from '../../activities/chains';
import type { TransferOfRun } from '../../activities/transfers';
import { trackedVm } from '../lab/engine/backup-client';
import { failureOf } from './desk';
import { useLabDesk, type LabDesk } from './lab-desk';

let desk: LabDesk;
const deskOf = useLabDesk();
beforeEach(() => {
  desk = deskOf();
});

describe('an upload', () => {
  let upload: TransferOfRun;
  beforeEach(async () => {
    upload = { engine: 'lab', runId: desk.runId, diskId: await desk.lab.disk('restored_Disk1'), transferKey: randomUUID(), direction: 'upload' };
  });

  test('that the system pauses is resumed under the same id, and ends with a disk that is free', async () => {
    const { transferId } = await desk.retried('ensureTransfer', upload);
    await desk.control.inject({ kind: 'transfer-stopped', diskId: upload.diskId, how: 'pause' });
    expect((await desk.engine.getTransfer(transferId))?.phase).toBe('paused_system');
    expect(await desk.retried('ensureTransfer', upload)).toEqual({ transferId });
    await desk.retried('ensureTransferEnded', { ...upload, outcome: 'finalize' });
    expect((await desk.engine.getDisk(upload.diskId))?.status).toBe('ok');
  });

  test('that the system cancels has failed, and took the disk with it', async () => {
    await desk.retried('ensureTransfer', upload);
    await desk.control.inject({ kind: 'transfer-stopped', diskId: upload.diskId, how: 'cancel' });
    expect(await failureOf(desk.retried('ensureTransfer', upload))).toMatchObject({ type: 'transfer.failed' });
    await desk.retried('ensureTransferEnded', { ...upload, outcome: 'cancel' });
    expect(await desk.engine.getDisk(upload.diskId)).toBeUndefined();
  });

  test('that the engine forgets at once is judged by its disk', async () => {
    await desk.retried('ensureTransfer', upload);
    await desk.control.inject({ kind: 'transfer-purged', diskId: upload.diskId });
    await desk.retried('ensureTransferEnded', { ...upload, outcome: 'finalize' });
    expect((await desk.engine.getDisk(upload.diskId))?.status).toBe('ok');
    expect(await desk.openHoldings()).toEqual([]);
  });

  test('waits for another\'s transfer of the disk and names it', async () => {
    const fault = await desk.control.inject({ kind: 'foreign-transfer', diskId: upload.diskId });
    const [foreign] = await desk.engine.listTransfers();
    expect(await failureOf(desk.attempt('ensureTransfer', upload))).toMatchObject({ type: 'engine.locked', message: expect.stringContaining(foreign?.id ?? 'none') as string });
    await desk.retried('ensureTransferEnded', { ...upload, outcome: 'cancel' });
    expect((await desk.engine.getTransfer(foreign?.id ?? ''))?.phase).toBe('transferring');
    await desk.control.release(fault);
    await desk.lab.idle();
    await desk.retried('ensureTransfer', { ...upload, transferKey: randomUUID() });
  });
});

describe('planning', () => {
  const plan = (backups: readonly VmChainBackup[]) =>
    desk.retried('planTransferBackup', { engine: 'lab', runId: desk.runId, vmId: desk.vmId, repository: 'primary', leaveOutDiskIds: [], quiesce: 'best-effort', wanted: 'incremental', strict: false, policy: { maxChainLength: 14 }, backups });
  async function sealed(): Promise<VmChainBackup> {
    const of = desk.newBackup();
    const { checkpointId, createdAt } = await desk.start(of, 'hybrid');
    await desk.end(of, true);
    return { backupId: randomUUID(), kind: 'full', baseBackupId: null, createdAt, checkpointId, witnessed: false, disks: [{ diskId: desk.diskId, virtualBytes: 1024 ** 3, baseBackupId: null }] };
  }

  test('continues a chain over another product\'s checkpoint; what is left of ours is removed, theirs is not', async () => {
    const [old, newer] = [await sealed(), await sealed()];
    await desk.control.inject({ kind: 'foreign-backup', vmId: desk.vmId });
    await desk.lab.idle();
    const { reasons, choice } = await plan([newer]);
    expect({ reasons, choice }).toMatchObject({ reasons: [], choice: { kind: 'incremental', fromCheckpointId: newer.checkpointId, removableCheckpointIds: [old.checkpointId], notes: [{ code: 'checkpoint.others-between' }] } });
    await desk.retried('removeCheckpoint', { engine: 'lab', runId: desk.runId, vmId: desk.vmId, checkpointId: old.checkpointId ?? '' });
    expect(await desk.checkpoints()).toEqual([newer.checkpointId, expect.any(String)]);
  });

  test('a snapshot that was restored since makes a full one', async () => {
    const snapshotId = await desk.lab.snapshot(desk.vmId);
    const full = await sealed();
    await desk.down();
    const restored = await desk.lab.action(`/vms/${desk.vmId}/snapshots/${snapshotId}/restore`);
    expect(restored.status).toBe(200);
    await desk.lab.idle();
    expect((await plan([full])).choice).toMatchObject({ kind: 'full', reason: { code: 'snapshot.restored' } });
  });

  test('tracking that a detached disk lost is explained', async () => {
    await desk.control.ask('PUT', '/settings', { detachWipesTracking: true });
    const full = await sealed();
    const { vmId: applianceId } = await trackedVm(desk.lab, 'appliance', 'live');
    const snapshotId = await desk.lab.snapshot(desk.vmId);
    await desk.engine.attachSnapshotDisk({ vmId: applianceId, diskId: desk.diskId, snapshotId });
    await desk.engine.detachDisk(applianceId, desk.diskId);
    await desk.lab.idle();
    const { choice } = await plan([full]);
    expect(choice).toMatchObject({ kind: 'full', reason: { code: 'checkpoint.wiped' } });
  });
});
