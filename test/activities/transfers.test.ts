// Image transfers' activities: one key is one transfer, whatever reply is lost; others' are left alone; an upload's end is proven.
import { randomUUID } from 'node:crypto';
import type { TransferOfRun } from '../../activities/transfers';
import { HoldfastError } from '../../domain/failures';
import { transferIdleSeconds } from '../../domain/ids';
import { fakeDisk } from '../fakes/fake-world';
import { failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
let diskId: string;
let of: TransferOfRun;
/** An upload to a disk that no VM has. */
beforeEach(async () => {
  desk = await openDesk();
  const disk = fakeDisk('restored_Disk1');
  diskId = disk.settings.diskId;
  desk.engine.disks.set(diskId, disk);
  of = { engine: 'lab', runId: desk.runId, diskId, transferKey: randomUUID(), direction: 'upload' };
});

const ensure = (changes: Partial<TransferOfRun> = {}): Promise<{ readonly transferId: string }> => desk.retried('ensureTransfer', { ...of, ...changes });
const ended = (outcome: 'finalize' | 'cancel', changes: Partial<TransferOfRun> = {}): Promise<void> => desk.retried('ensureTransferEnded', { ...of, ...changes, outcome });
const transfers = () => [...desk.engine.transfers.values()];
const phases = () => transfers().map(({ phase }) => phase);
const states = async () => (await desk.holdings()).map(({ state }) => state);
const somebodys = () => desk.engine.createTransfer({ diskId, direction: 'upload', inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });

/** A VM backup of the desk's VM, and a download in it. */
async function download(): Promise<TransferOfRun> {
  const diskIds = desk.disks.map(({ settings }) => settings.diskId);
  const { vmBackupId } = await desk.retried('ensureVmBackup', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, vmBackupKey: randomUUID(), diskIds, fromCheckpointId: null, vmStatus: 'up', quiesce: 'required', description: 'Holdfast backup x' });
  return { ...of, direction: 'download', diskId: diskIds[0] ?? '', vmId: desk.vm.id, vmBackupId };
}

describe('beginning', () => {
  test('creates one, waits until it is transferring, writes the holding ahead, and answers no URL', async () => {
    desk.engine.looks = 3;
    const made = await ensure({ vmId: desk.vm.id });
    const [transfer] = transfers();
    expect(made).toEqual({ transferId: transfer?.id });
    expect(transfer).toMatchObject({ phase: 'transferring', diskId, direction: 'upload', correlationId: of.transferKey, inactivityTimeoutSeconds: transferIdleSeconds(of.transferKey, 600) });
    expect(await desk.holdings()).toEqual([expect.objectContaining({ kind: 'transfer', state: 'held', vmId: desk.vm.id, objectId: transfer?.id, parentId: diskId, mark: `transfer of disk ${diskId} ${of.transferKey}` })]);
  });

  test('in a VM backup that is over by itself: that is told, in the engine\'s words', async () => {
    const read = await download();
    desk.engine.events.push({ id: 'x', code: 10_814, severity: 'error', description: `Backup ${read.vmBackupId ?? ''} for VM demo was marked as failed since it is no longer monitored` });
    const backup = desk.engine.vmBackups.get(read.vmBackupId ?? '');
    if (backup) backup.phase = 'failed';
    expect(await failureOf(desk.attempt('ensureTransfer', read))).toMatchObject({ type: 'backup.failed', nonRetryable: true, message: expect.stringContaining('10814') as string });
    desk.engine.forgetVmBackup(read.vmBackupId ?? '');
    expect(await failureOf(desk.attempt('ensureTransfer', read))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('is gone') as string });
  });

  test('twice is once', async () => {
    expect(await ensure()).toEqual(await ensure());
    expect(transfers()).toHaveLength(1);
  });

  test('after a lost reply it is found by the event that has our key', async () => {
    desk.engine.loseReply('createTransfer');
    expect(await failureOf(desk.attempt('ensureTransfer', of))).toMatchObject({ type: 'engine.unreachable', nonRetryable: false });
    expect(await ensure()).toEqual({ transferId: transfers()[0]?.id });
    expect(transfers()).toHaveLength(1);
  });

  test('somebody else\'s transfer of the disk is named and waited for, never taken, and never ended', async () => {
    const { id } = await somebodys();
    expect(await failureOf(desk.attempt('ensureTransfer', of))).toMatchObject({ type: 'engine.locked', nonRetryable: false, message: expect.stringContaining(id) as string });
    await ended('cancel');
    expect(phases()).toEqual(['transferring']);
    await desk.engine.cancelTransfer(id);
    expect(await states()).toEqual(['released']);
  });

  test.each([['tells how long they may lie idle: ours is known by that', true], ['does not: which one is ours nobody knows, so neither is taken', false]])('two of the disk and one request of ours, and the engine %s', async (_what, tells) => {
    const inBackup = await download();
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', inBackup));
    const [ours] = transfers();
    await desk.engine.createTransfer({ ...inBackup, vmBackupId: inBackup.vmBackupId ?? '', inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });
    const { listTransfers } = desk.engine;
    if (!tells) desk.engine.listTransfers = async () => (await listTransfers()).map(({ inactivityTimeoutSeconds, ...untold }) => (expect(inactivityTimeoutSeconds).toBeDefined(), untold));
    const asked = desk.attempt('ensureTransfer', inBackup);
    if (tells) expect(await asked).toEqual({ transferId: ours?.id });
    else expect(await failureOf(asked)).toMatchObject({ type: 'engine.locked', nonRetryable: false });
    expect(transfers()).toHaveLength(2);
  });

  test('one whose engine died within the request is known without an event, is not waited for for ever, and ends with the rest', async () => {
    const inBackup = await download();
    desk.engine.stillbornTransfers = 1;
    await failureOf(desk.attempt('ensureTransfer', inBackup));
    expect(await failureOf(desk.retried('ensureTransfer', inBackup))).toMatchObject({ type: 'imageio.ticket-gone', nonRetryable: true, message: expect.stringContaining('still initializing') as string });
    await desk.retried('ensureTransferEnded', { ...inBackup, outcome: 'cancel' });
    expect(phases()).toEqual(['finished_failure']);
    expect(await desk.retried('ensureTransfer', { ...inBackup, transferKey: randomUUID() })).toEqual({ transferId: transfers()[1]?.id });
  });

  test('somebody else\'s that is initializing is not taken for one of those', async () => {
    const inBackup = await download();
    desk.engine.stillbornTransfers = 1;
    await failureOf(desk.engine.createTransfer({ ...inBackup, vmBackupId: inBackup.vmBackupId ?? '', inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() }));
    await desk.retried('ensureTransferEnded', { ...inBackup, outcome: 'cancel' });
    expect(phases()).toEqual(['initializing']);
  });

  test('two requests of ours, both replies lost: one is taken, and both end', async () => {
    const inBackup = await download();
    const { listEvents, listTransfers } = desk.engine;
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', inBackup));
    // The first request is still on its way when the second one looks.
    Object.assign(desk.engine, { listEvents: () => Promise.resolve([]), listTransfers: () => Promise.resolve([]) });
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', inBackup));
    Object.assign(desk.engine, { listEvents, listTransfers });
    expect(transfers().map(({ id }) => id)).toContain((await desk.retried('ensureTransfer', inBackup)).transferId);
    expect(transfers()).toHaveLength(2);
    await desk.retried('ensureTransferEnded', { ...inBackup, outcome: 'finalize' });
    expect(phases().sort()).toEqual(['finished_failure', 'finished_success']);
  });

  test('one that the system paused is resumed', async () => {
    const { transferId } = await ensure();
    Object.assign(desk.engine.transfers.get(transferId) ?? {}, { phase: 'paused_system' });
    expect(await ensure()).toEqual({ transferId });
    expect(phases()).toEqual(['transferring']);
    expect(desk.engine.countOf('resumeTransfer')).toBe(1);
  });

  test.each(['cancelled_system', 'finalizing_failure', 'finished_failure', 'finished_success'] as const)('one that is %s has failed, in the engine\'s words', async (phase) => {
    const { transferId } = await ensure();
    Object.assign(desk.engine.transfers.get(transferId) ?? {}, { phase });
    desk.engine.events.push({ id: 'x', code: 1065, severity: 'error', description: 'missing transfer image ticket', correlationId: of.transferKey });
    expect(await failureOf(ensure())).toMatchObject({ type: 'transfer.failed', nonRetryable: true, message: expect.stringMatching(/event 1065.*missing/) as string, details: [expect.objectContaining({ eventCode: 1065 })] });
  });

  test('one that the engine has forgotten has failed, with its id known or not, and is not begun again', async () => {
    desk.engine.looks = 0;
    desk.engine.failingTransfers = 1;
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', of));
    for (const { id } of transfers()) {
      while ((await desk.engine.getTransfer(id))?.phase !== 'finished_failure');
      desk.engine.forgetTransfer(id);
    }
    expect(await failureOf(ensure())).toMatchObject({ type: 'transfer.failed', message: expect.stringContaining('forgotten') as string });
    expect(desk.engine.countOf('createTransfer')).toBe(1);
  });

  test.each(['still on its way to its end', 'over'])('one that the engine carried out in vain and answered without a message, %s: it has failed, in the words of its events', async (state) => {
    const { createTransfer } = desk.engine;
    desk.engine.looks = 3;
    desk.engine.createTransfer = async (request) => {
      const { id } = await createTransfer.call(desk.engine, request);
      await desk.engine.cancelTransfer(id);
      while (state === 'over' && (await desk.engine.getTransfer(id))?.phase !== 'finished_failure');
      desk.engine.events.push({ id: 'x', code: 1068, severity: 'error', description: 'failed to create a signed image ticket', correlationId: of.transferKey });
      throw new HoldfastError('engine.unavailable', 'starting the upload was refused: Operation Failed');
    };
    expect(await failureOf(desk.attempt('ensureTransfer', of))).toMatchObject({ type: 'transfer.failed', nonRetryable: true, message: expect.stringContaining('event 1068') as string, details: [expect.objectContaining({ eventCode: 1068 })] });
    expect(transfers()).toHaveLength(1);
    await ended('cancel');
    expect(await states()).toEqual(['released']);
  });

  test('an engine that is away has begun nothing', async () => {
    desk.engine.createTransfer = () => Promise.reject(new HoldfastError('engine.unavailable', 'HTTP 503'));
    expect(await failureOf(desk.attempt('ensureTransfer', of))).toMatchObject({ type: 'engine.unavailable', nonRetryable: false });
  });

  test('a disk that is locked by anything else is asked for again', async () => {
    Object.assign(desk.engine.disks.get(diskId) ?? {}, { status: 'locked' });
    expect(await failureOf(desk.attempt('ensureTransfer', of))).toMatchObject({ type: 'engine.locked', nonRetryable: false });
  });
});

describe('ending', () => {
  test('a finished upload leaves the disk, free; twice is once', async () => {
    desk.engine.looks = 2;
    await ensure();
    await ended('finalize');
    await ended('finalize');
    expect(phases()).toEqual(['finished_success']);
    expect(desk.engine.disks.get(diskId)?.status).toBe('ok');
    expect(desk.engine.countOf('finalizeTransfer')).toBe(1);
    expect(await states()).toEqual(['released']);
  });

  test('an upload that the engine finds no image is a failure, and stays held', async () => {
    await ensure();
    desk.engine.failingUploads = 1;
    expect(await failureOf(ended('finalize'))).toMatchObject({ type: 'transfer.failed', nonRetryable: true, message: expect.stringContaining(diskId) as string });
    expect(await states()).toEqual(['held']);
  });

  test('an upload that the engine has forgotten is judged by its disk', async () => {
    const first = await ensure();
    await desk.engine.finalizeTransfer(first.transferId);
    while ((await desk.engine.getTransfer(first.transferId))?.phase !== 'finished_success');
    desk.engine.forgetTransfer(first.transferId);
    await ended('finalize');
    expect(await states()).toEqual(['released']);
    of = { ...of, transferKey: randomUUID() };
    const second = await ensure();
    await desk.engine.cancelTransfer(second.transferId);
    while ((await desk.engine.getTransfer(second.transferId))?.phase !== 'finished_failure');
    desk.engine.forgetTransfer(second.transferId);
    expect(await failureOf(ended('finalize'))).toMatchObject({ type: 'transfer.failed' });
  });

  test('an upload whose disk ends illegal is a failure', async () => {
    await ensure();
    const { getDisk } = desk.engine;
    desk.engine.getDisk = async (id) => {
      const disk = await getDisk(id);
      return disk && { ...disk, status: 'illegal' };
    };
    expect(await failureOf(ended('finalize'))).toMatchObject({ type: 'disk.illegal' });
  });

  test('a cancelled upload takes its disk with it', async () => {
    await ensure();
    await ended('cancel');
    expect(phases()).toEqual(['finished_failure']);
    expect(desk.engine.disks.has(diskId)).toBe(false);
    expect(await states()).toEqual(['released']);
  });

  test('a download in a VM backup does not wait for the disk, which is locked until that is over, and its failure is no longer anybody\'s', async () => {
    const inBackup = await download();
    const { transferId } = await desk.retried('ensureTransfer', inBackup);
    Object.assign(desk.engine.transfers.get(transferId) ?? {}, { phase: 'cancelled_system', moving: undefined });
    const { getTransfer } = desk.engine;
    let looks = 0;
    desk.engine.getTransfer = async (id) => {
      if (looks++ === 2) Object.assign(desk.engine.transfers.get(id) ?? {}, { phase: 'finished_failure' });
      return getTransfer(id);
    };
    await desk.retried('ensureTransferEnded', { ...inBackup, outcome: 'finalize' });
    // It was on its way to an end already: another wish would have won over that one.
    expect(desk.engine.countOf('finalizeTransfer')).toBe(0);
    expect(desk.engine.disks.get(inBackup.diskId)?.status).toBe('locked');
  });

  test('what never was is done', async () => {
    await ended('finalize');
    await ended('cancel');
    expect(desk.engine.changes).toEqual([]);
    expect(desk.engine.disks.has(diskId)).toBe(true);
  });

  test('a reply that is lost at the beginning is made up for at the end', async () => {
    desk.engine.loseReply('createTransfer');
    await failureOf(desk.attempt('ensureTransfer', of));
    await ended('cancel');
    expect(phases()).toEqual(['finished_failure']);
  });

  test('a request that is refused is asked again', async () => {
    await ensure();
    desk.engine.loseReply('finalizeTransfer');
    await ended('finalize');
    expect(phases()).toEqual(['finished_success']);
  });
});
