// Backing disks up through image transfers at the real data daemon: in full and what changed, with the host as a witness; what a lost ticket, a
// cancel, a foreign disk and a lying bitmap do.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { MiB, qemuImg, until } from '../adapters/blocks/support';
import { newDisk } from '../adapters/imageio/imageio.contract';
import { useCopies, type CopyStage } from './copy-stage';
import { fakeVm } from '../fakes/fake-world';
import { failureOf } from './desk';

let stage: CopyStage;
const stageOf = useCopies();
beforeEach(() => {
  stage = stageOf();
});

test('a whole disk is what the daemon shows; the host\'s checksum of the partial backup is its root, and that of the sealed one too', async () => {
  const backupId = await stage.newBackup();
  const { transferId } = await stage.download();
  const done = await stage.attempt('backupDiskByTransfer', { ...stage.image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
  expect(done).toEqual({ dataBytes: expect.any(Number) as number, transport: 'socket' });
  expect(done.dataBytes).toBeLessThan(12 * MiB);
  expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId })).toEqual({ root: stage.rootOfDisk });
  await stage.sealed(backupId, null);
  expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId })).toEqual({ root: stage.rootOfDisk });
  expect(qemuImg('compare', '-U', stage.disk.image, stage.imageFile(backupId))).toContain('identical');
});

test('on a base only what changed is read, and the chain verifies', async () => {
  const base = await stage.fullBackup();
  qemuImg('bitmap', '--add', '-g', '65536', stage.disk.image, 'since');
  execFileSync('qemu-io', ['-c', `write -q -P 7 ${6 * MiB + 100} 5000`, '-c', `write -q -z ${9 * MiB} 256k`, stage.disk.image]);
  const backupId = await stage.newBackup();
  const { transferId, ticket } = await stage.download({ bitmap: 'since' });
  expect(await stage.attempt('backupDiskByTransfer', { ...stage.image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base })).toMatchObject({ dataBytes: 65536 });
  const { root } = await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId });
  await ticket.end();
  expect(root).toBe(stage.rootOfDisk);
  await stage.sealed(backupId, base);
  expect(await stage.attempt('verifyDisk', { ...stage.image(backupId), from: { positionBytes: 0, dataBytes: 0 } })).toMatchObject({ root });
});

test('on a base without a list of changes it is a failure of its own, before anything is copied', async () => {
  const base = await stage.fullBackup();
  const { transferId } = await stage.download();
  expect(await failureOf(stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup()), transferId, source: 'vm-backup-2', baseBackupId: base }))).toMatchObject({ type: 'imageio.no-changes', nonRetryable: true });
});

test('a lying list of changes is found by the host\'s checksum, which names the disk', async () => {
  const base = await stage.fullBackup();
  execFileSync('qemu-io', ['-c', 'write -q -P 9 1M 64k', stage.disk.image]);
  qemuImg('bitmap', '--add', '-g', '65536', stage.disk.image, 'since');
  const backupId = await stage.newBackup();
  const { transferId } = await stage.download({ bitmap: 'since' });
  await stage.attempt('backupDiskByTransfer', { ...stage.image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base });
  expect(await failureOf(stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId }))).toMatchObject({ type: 'digest.mismatch', nonRetryable: true, message: expect.stringContaining(stage.diskId) as string });
});

test('a cancelled attempt goes on at its durable position, through another transfer of the same VM backup; of another one it begins anew', async () => {
  const backupId = await stage.newBackup();
  const first = await stage.download();
  const slow = stage.begin('backupDiskByTransfer', { ...stage.image(backupId, { bandwidthBytesPerSecond: 3 * MiB }), transferId: first.transferId, source: 'vm-backup-1', baseBackupId: null });
  await until(() => slow.heartbeats.some((each) => 'positionBytes' in each && Number(each.positionBytes) >= 6 * MiB));
  slow.cancel();
  await expect(slow.answer).rejects.toMatchObject({ name: 'CancelledFailure' });
  await first.ticket.end();
  const positionOf = async (source: string): Promise<number> => {
    const opened = await stage.repository.openPartialImage(stage.refOf(backupId), stage.diskId, stage.virtualBytes, { owner: 'test', source });
    await opened.close();
    return opened.positionBytes;
  };
  expect(await positionOf('vm-backup-1')).toBeGreaterThanOrEqual(6 * MiB);
  const { transferId } = await stage.download();
  const again = stage.begin('backupDiskByTransfer', { ...stage.image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
  await again.answer;
  expect(again.heartbeats.every((each) => !('positionBytes' in each) || Number(each.positionBytes) >= 6 * MiB)).toBe(true);
  expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId })).toEqual({ root: stage.rootOfDisk });
  expect(await positionOf('vm-backup-2')).toBe(0);
});

test('while nothing is read the engine hears that somebody is there', async () => {
  stage.inactivityTimeoutSeconds = 0.3;
  const { transferId } = await stage.download();
  await stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup(), { bandwidthBytesPerSecond: 12 * MiB }), transferId, source: 'vm-backup-1', baseBackupId: null });
  expect(stage.engine.countOf('extendTransfer')).toBeGreaterThan(1);
});

describe('a ticket that is gone is the flow\'s to replace: it is not tried again and never named', () => {
  const copy = async (transferId: string) => failureOf(stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup()), transferId, source: 'vm-backup-1', baseBackupId: null }));
  const gone = { type: 'imageio.ticket-gone', nonRetryable: true };

  test('forgotten by the engine, or paused, or over', async () => {
    expect(await copy(randomUUID())).toMatchObject(gone);
    for (const phase of ['paused_system', 'finalizing_failure', 'finished_failure'] as const) {
      const { transferId } = await stage.transfer(randomUUID(), { image: stage.disk.image, op: 'read' });
      Object.assign(stage.engine.transfers.get(transferId) ?? {}, { phase, moving: undefined });
      expect(await copy(transferId)).toMatchObject({ ...gone, message: expect.stringContaining(phase) as string });
    }
  });

  test('refused by the daemon', async () => {
    const { transferId, ticket } = await stage.download();
    await ticket.cancel();
    const failure = await copy(transferId);
    expect(failure).toMatchObject(gone);
    expect(JSON.stringify([failure, failure.message])).not.toContain(ticket.uuid);
  });
});

test('in a live VM backup it is over when the VM is: nothing serves the data any more, whatever ticket the engine has', async () => {
  const { transferId } = await stage.download();
  const copy = async () => stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup()), transferId, isLive: true, source: 'vm-backup-1', baseBackupId: null });
  const vm = { ...fakeVm('demo'), id: stage.vmId };
  stage.engine.vms.set(vm.id, vm);
  for (const status of ['up', 'paused'] as const) {
    vm.status = status;
    await expect(copy()).resolves.toMatchObject({ transport: expect.any(String) as string });
  }
  vm.status = 'down';
  expect(await failureOf(copy())).toMatchObject({ type: 'backup.failed', nonRetryable: true, message: expect.stringContaining('went down') as string });
  stage.engine.vms.delete(vm.id);
  expect(await failureOf(copy())).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('was removed') as string });
});

test('a transfer of another disk, or in the other direction, is not touched', async () => {
  const other = await stage.transfer(randomUUID(), { image: stage.disk.image, op: 'read' });
  expect(await failureOf(stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup()), transferId: other.transferId, source: 'vm-backup-1', baseBackupId: null }))).toMatchObject({ type: 'device.foreign', nonRetryable: true });
  const upload = await stage.transfer(stage.diskId, { image: newDisk(stage.directory).image, op: 'write' });
  expect(await failureOf(stage.attempt('backupDiskByTransfer', { ...stage.image(await stage.newBackup()), transferId: upload.transferId, source: 'vm-backup-1', baseBackupId: null }))).toMatchObject({ type: 'device.foreign' });
});

test('the witness is not asked about what is not copied to its end', async () => {
  const { transferId } = await stage.download();
  expect(await failureOf(stage.attempt('witnessTransfer', { ...stage.image(await stage.newBackup()), transferId }))).toMatchObject({ type: 'backup.not-sealed' });
});
