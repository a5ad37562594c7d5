// VM backups and their transfers as activities against the lab's engine: what its answers and faults do to them, and what is left of them.
import { randomUUID } from 'node:crypto';
import { failureOf } from './desk';
import { useLabDesk, type LabDesk, type Style } from './lab-desk';

let desk: LabDesk;
const deskOf = useLabDesk();
beforeEach(() => {
  desk = deskOf();
});

describe.each<Style>(['live', 'hybrid'])('a %s backup', (style) => {
  test('full, then incremental, each with a transfer; what is left are the checkpoints', async () => {
    const first = desk.newBackup();
    const full = await desk.start(first, style);
    expect(full).toMatchObject({ style, disks: [{ diskId: desk.diskId, mode: 'full' }], consistency: { level: style === 'live' ? 'filesystem' : 'unknown' } });
    const transfer = desk.download(first);
    const { transferId } = await desk.retried('ensureTransfer', transfer);
    expect(await desk.engine.getTransfer(transferId)).toMatchObject({ phase: 'transferring', diskId: desk.diskId });
    await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'finalize' });
    await desk.end(first, true);
    await desk.expectNothingBut([full.checkpointId]);
    const second = desk.newBackup();
    const incremental = await desk.start(second, style, { fromCheckpointId: full.checkpointId });
    expect(incremental.disks).toEqual([{ diskId: desk.diskId, mode: 'incremental' }]);
    await desk.end(second, true);
    await desk.expectNothingBut([full.checkpointId, incremental.checkpointId]);
  });

  test('lost replies at every request: one backup, one transfer, and nothing left', async () => {
    const lose = (method: string, path: string) => desk.control.inject({ kind: 'lost-reply', call: { method, path } });
    const of = desk.newBackup();
    for (const path of ['/vms/*/backups', '/imagetransfers', '/imagetransfers/*/cancel', '/vms/*/backups/*/finalize']) await lose('POST', path);
    await lose('DELETE', '/vms/*/checkpoints/*');
    await desk.start(of, style);
    const transfer = desk.download(of);
    await desk.retried('ensureTransfer', transfer);
    expect(await desk.engine.listTransfers()).toHaveLength(1);
    await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    await desk.end(of, false);
    expect(await desk.engine.listVmBackups(desk.vmId)).toHaveLength(1);
    await desk.expectNothingBut([]);
    expect((await desk.control.list()).map(({ fired }) => fired)).toEqual([1, 1, 1, 1, 1]);
  });

  test('the engine restarts in the middle and has forgotten it: the undo leaves nothing', async () => {
    const of = desk.newBackup();
    await desk.start(of, style);
    await desk.control.inject({ kind: 'engine-restart', forgetBackups: true });
    expect(await failureOf(desk.attempt('ensureVmBackup', desk.asked(of, style)))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10814') as string });
    await desk.end(of, false);
    expect(await desk.openHoldings()).toEqual([]);
  });

  test('a checkpoint that the engine does not have is refused, and the refusal leaves nothing', async () => {
    const of = desk.newBackup();
    expect(await failureOf(desk.start(of, style, { fromCheckpointId: randomUUID() }))).toMatchObject({ type: 'backup.incremental-refused' });
    await desk.end(of, false);
    await desk.expectNothingBut([]);
  });

  test('transfers that a dead worker left are ended with it', async () => {
    const of = desk.newBackup();
    await desk.start(of, style);
    const transfer = desk.download(of);
    await desk.retried('ensureTransfer', transfer);
    await desk.retried('ensureVmBackupEnded', { ...of, diskIds: [], keepCheckpoint: false });
    await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    await desk.expectNothingBut([]);
  });

  test('a lost ticket ends the transfer; another key gets another one', async () => {
    const of = desk.newBackup();
    await desk.start(of, style);
    const transfer = desk.download(of);
    const { transferId } = await desk.retried('ensureTransfer', transfer);
    await desk.control.inject({ kind: 'ticket-lost', diskId: desk.diskId });
    while ((await desk.engine.getTransfer(transferId))?.phase !== 'finished_failure');
    expect(await failureOf(desk.retried('ensureTransfer', transfer))).toMatchObject({ type: 'transfer.failed', message: expect.stringContaining('event 1065') as string });
    await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    const other = { ...transfer, transferKey: randomUUID() };
    expect((await desk.retried('ensureTransfer', other)).transferId).not.toBe(transferId);
    await desk.retried('ensureTransferEnded', { ...other, outcome: 'finalize' });
    await desk.end(of, false);
    await desk.expectNothingBut([]);
  });
});

test.each<Style>(['live', 'hybrid'])('a %s one is gone on with by an engine that was restarted: its id is the engine\'s, which fails those that were named for it', async (style) => {
  const of = desk.newBackup();
  const { vmBackupId, checkpointId } = await desk.start(of, style);
  await desk.control.inject({ kind: 'engine-restart' });
  expect(await desk.start(of, style)).toMatchObject({ vmBackupId });
  await desk.end(of, true);
  await desk.expectNothingBut([checkpointId]);
});

test('a transfer in whose request the engine dies: it is ended, another key gets another one, and nothing is left', async () => {
  const of = desk.newBackup();
  await desk.start(of, 'hybrid');
  const transfer = desk.download(of);
  const goOn = desk.lab.host.hold('exportVolume');
  const asked = failureOf(desk.attempt('ensureTransfer', transfer));
  while ((await desk.engine.listTransfers()).length === 0);
  const restarted = desk.control.inject({ kind: 'engine-restart' });
  expect(await asked).toMatchObject({ type: 'engine.unreachable' });
  goOn();
  await restarted;
  expect(await failureOf(desk.retried('ensureTransfer', transfer))).toMatchObject({ type: 'imageio.ticket-gone' });
  await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
  const other = { ...transfer, transferKey: randomUUID() };
  await desk.retried('ensureTransfer', other);
  await desk.retried('ensureTransferEnded', { ...other, outcome: 'finalize' });
  await desk.end(of, false);
  await desk.expectNothingBut([]);
});

test('a redefinition that fails asks for a full one, and the engine\'s words are told', async () => {
  const first = desk.newBackup();
  const { checkpointId } = await desk.start(first, 'live');
  await desk.end(first, true);
  await desk.control.inject({ kind: 'redefinition-failure', vmId: desk.vmId });
  const second = desk.newBackup();
  expect(await failureOf(desk.start(second, 'live', { fromCheckpointId: checkpointId }))).toMatchObject({ type: 'backup.incremental-refused' });
  await desk.end(second, false);
  await desk.expectNothingBut([]);
});

test('bitmaps that the host has lost: the one request for a transfer fails with the event that says so, and all of it can be ended', async () => {
  const first = desk.newBackup();
  const { checkpointId } = await desk.start(first, 'hybrid');
  await desk.end(first, true);
  await desk.control.inject({ kind: 'bitmaps-forgotten', vmId: desk.vmId });
  const second = desk.newBackup();
  await desk.start(second, 'hybrid', { fromCheckpointId: checkpointId });
  const transfer = desk.download(second);
  expect(await failureOf(desk.attempt('ensureTransfer', transfer))).toMatchObject({ type: 'transfer.failed', details: [expect.objectContaining({ eventCode: 1068 })] });
  expect(await desk.engine.listTransfers()).toHaveLength(1);
  await desk.retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
  await desk.end(second, false);
  await desk.expectNothingBut([checkpointId]);
});

test('no room for scratch disks is no reason for a full one', async () => {
  await desk.control.inject({ kind: 'scratch-full', vmId: desk.vmId });
  const of = desk.newBackup();
  expect(await failureOf(desk.start(of, 'live'))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10806') as string });
  await desk.end(of, false);
  await desk.expectNothingBut([]);
});

test('an end that fails is an end: the checkpoint went with it', async () => {
  const of = desk.newBackup();
  await desk.start(of, 'live');
  await desk.control.inject({ kind: 'finalize-failure', vmId: desk.vmId });
  await desk.end(of, true);
  await desk.expectNothingBut([]);
});

test('a snapshot that the engine could not merge is removed once more', async () => {
  const of = desk.newBackup();
  const { checkpointId } = await desk.start(of, 'hybrid');
  await desk.control.inject({ kind: 'merge-failure', vmId: desk.vmId, diskId: desk.diskId });
  await desk.end(of, true);
  await desk.expectNothingBut([checkpointId]);
  expect((await desk.engine.listEvents({ search: 'type=10813' })).length).toBe(1);
});

test('a VM that dies takes a live backup with it: it has failed, and the undo leaves nothing', async () => {
  const of = desk.newBackup();
  await desk.start(of, 'live');
  await desk.control.inject({ kind: 'qemu-killed', vmId: desk.vmId });
  await desk.end(of, false);
  await desk.expectNothingBut([]);
});

test('a VM that is down is backed up hybrid; its files are at rest', async () => {
  await desk.down();
  const of = desk.newBackup();
  expect(await desk.start(of, 'hybrid', { vmStatus: 'down' })).toMatchObject({ style: 'hybrid', consistency: { level: 'filesystem' } });
  await desk.end(of, false);
  await desk.expectNothingBut([]);
});
