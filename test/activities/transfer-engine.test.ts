// VM backups and image transfers as activities against the lab's engine over HTTP, which has a fake host: what its answers and faults do to them.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createControlActivities, type ControlActivities } from '../../activities';
import type { VmChainBackup } from '../../activities/chains';
import type { TransferOfRun } from '../../activities/transfers';
import type { EnsureVmBackupInput, ReadyVmBackup, VmBackupOfRun } from '../../activities/vm-backups';
import { createCatalog } from '../../adapters/catalog/catalog';
import type { Catalog } from '../../adapters/catalog/port';
import { createEngine } from '../../adapters/ovirt/engine';
import { serveControl, type ControlServer } from '../../lab/control/server';
import { trackedVm } from '../lab/engine/backup-client';
import { ControlClient } from '../lab/engine/control-client';
import { Lab } from '../lab/engine/lab-client';
import { startPostgres } from '../support/postgres';
import { settings } from '../workflows/answers';
import { failureOf } from './desk';

let postgres: Awaited<ReturnType<typeof startPostgres>>;
let catalog: Catalog;
let lab: Lab;
let server: ControlServer;
let control: ControlClient;
let engine: ReturnType<typeof createEngine>;
let activities: ControlActivities;
let vmId: string;
let diskId: string;
let runId: string;

beforeAll(async () => {
  postgres = await startPostgres();
  catalog = createCatalog({ url: await postgres.createDatabase() });
  await catalog.migrate();
}, 120_000);
afterAll(async () => {
  await catalog.close();
  await postgres.stop();
});
beforeEach(async () => {
  lab = await Lab.start();
  const socket = join(lab.directory, 'control.sock');
  server = await serveControl(socket, lab.engine);
  control = new ControlClient(socket);
  engine = createEngine({ name: 'lab', url: `${lab.origin}/ovirt-engine/api`, caFile: lab.engine.caFile, username: 'admin@internal', password: () => Promise.resolve(lab.password('admin@internal')) });
  activities = createControlActivities({
    engineOf: () => engine, catalog, settingsOf: () => settings, isExecutionRunning: () => Promise.resolve(true),
    imageioOf: () => ({ proxy: 'when-needed', connections: 4, inactivityTimeoutSeconds: 600 }), copyLimitsOf: () => ({ copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, storageDomains: {} }),
  });
  ({ vmId, diskId } = await trackedVm(lab, 'guest', 'live'));
  runId = await openRun();
});
afterEach(async () => {
  await engine.close();
  await server.close();
  await lab.remove();
});

async function openRun(): Promise<string> {
  const id = randomUUID();
  await catalog.openRun({ runId: id, workflowId: `vm/lab/${vmId}`, workflowType: 'backupVm', engine: 'lab', vmId, vmName: 'guest' });
  return id;
}

function attempt<Name extends keyof ControlActivities>(name: Name, input: Parameters<ControlActivities[Name]>[0]): Promise<Awaited<ReturnType<ControlActivities[Name]>>> {
  type Answer = Awaited<ReturnType<ControlActivities[Name]>>;
  type Run = (asked: typeof input) => Promise<Answer>;
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }).run<[typeof input], Answer, Run>(activities[name] as Run, input);
}

/** As Temporal would, at once. */
async function retried<Name extends keyof ControlActivities>(name: Name, input: Parameters<ControlActivities[Name]>[0]): Promise<Awaited<ReturnType<ControlActivities[Name]>>> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(name, input);
    } catch (error) {
      if (tries === 30 || (error instanceof Error && 'nonRetryable' in error && error.nonRetryable === true)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const styles = ['live', 'hybrid'] as const;
/** `required` makes it live, anything else hybrid. */
const quiesceOf = (style: (typeof styles)[number]) => (style === 'live' ? 'required' : 'best-effort');
const newBackup = (): VmBackupOfRun => ({ engine: 'lab', runId, vmId, vmBackupId: randomUUID() });
const start = (of: VmBackupOfRun, style: (typeof styles)[number], more: Partial<EnsureVmBackupInput> = {}): Promise<ReadyVmBackup> =>
  retried('ensureVmBackup', { ...of, diskIds: [diskId], fromCheckpointId: null, vmStatus: 'up', quiesce: quiesceOf(style), description: `Holdfast backup ${of.vmBackupId}`, ...more });
const end = (of: VmBackupOfRun, keepCheckpoint: boolean): Promise<void> => retried('ensureVmBackupEnded', { ...of, diskIds: [diskId], keepCheckpoint });
const checkpoints = async (): Promise<readonly string[]> => (await engine.listCheckpoints(vmId)).map(({ id }) => id);
const openHoldings = async () => (await catalog.listHoldings({ runId })).filter(({ state }) => state === 'held').map(({ kind }) => kind);

/** Nothing of a run is left in the engine but these checkpoints. */
async function expectNothingBut(kept: readonly (string | null)[]): Promise<void> {
  await lab.idle();
  const { context } = lab.engine;
  expect(await checkpoints()).toEqual(kept);
  expect(context.store.tables.operations.all()).toEqual([]);
  expect((await engine.listSnapshots(vmId)).filter(({ type }) => type === 'regular')).toEqual([]);
  expect((await engine.getDisk(diskId))?.status).toBe('ok');
  expect(await openHoldings()).toEqual([]);
}

describe.each(styles)('a %s backup', (style) => {
  test('full, then incremental, each with a transfer; what is left are the checkpoints', async () => {
    const first = newBackup();
    const full = await start(first, style);
    expect(full).toMatchObject({ style, disks: [{ diskId, mode: 'full' }], consistency: { level: style === 'live' ? 'filesystem' : 'unknown' } });
    const transfer: TransferOfRun = { engine: 'lab', runId, diskId, vmId, vmBackupId: first.vmBackupId, transferKey: randomUUID(), direction: 'download' };
    const { transferId } = await retried('ensureTransfer', transfer);
    expect(await engine.getTransfer(transferId)).toMatchObject({ phase: 'transferring', diskId });
    await retried('ensureTransferEnded', { ...transfer, outcome: 'finalize' });
    await end(first, true);
    await expectNothingBut([full.checkpointId]);
    const second = newBackup();
    const incremental = await start(second, style, { fromCheckpointId: full.checkpointId });
    expect(incremental.disks).toEqual([{ diskId, mode: 'incremental' }]);
    await end(second, true);
    await expectNothingBut([full.checkpointId, incremental.checkpointId]);
  });

  test('lost replies at every request: one backup, one transfer, and nothing left', async () => {
    const lose = (method: string, path: string) => control.inject({ kind: 'lost-reply', call: { method, path } });
    const of = newBackup();
    for (const path of ['/vms/*/backups', '/imagetransfers', '/imagetransfers/*/cancel', '/vms/*/backups/*/finalize']) await lose('POST', path);
    await lose('DELETE', '/vms/*/checkpoints/*');
    await start(of, style);
    const transfer: TransferOfRun = { engine: 'lab', runId, diskId, vmId, vmBackupId: of.vmBackupId, transferKey: randomUUID(), direction: 'download' };
    await retried('ensureTransfer', transfer);
    expect(await engine.listTransfers()).toHaveLength(1);
    await retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    await end(of, false);
    expect(await engine.listVmBackups(vmId)).toHaveLength(1);
    await expectNothingBut([]);
    expect((await control.list()).map(({ fired }) => fired)).toEqual([1, 1, 1, 1, 1]);
  });

  test('the engine restarts in the middle and has forgotten it: the undo leaves nothing', async () => {
    const of = newBackup();
    await start(of, style);
    await control.inject({ kind: 'engine-restart', forgetBackups: true });
    expect(await failureOf(attempt('ensureVmBackup', { ...of, diskIds: [diskId], fromCheckpointId: null, vmStatus: 'up', quiesce: quiesceOf(style), description: 'x' }))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10814') as string });
    await end(of, false);
    expect(await openHoldings()).toEqual([]);
  });

  test('a checkpoint that the engine does not have is refused, and the refusal leaves nothing', async () => {
    const of = newBackup();
    expect(await failureOf(start(of, style, { fromCheckpointId: randomUUID() }))).toMatchObject({ type: 'backup.incremental-refused' });
    await end(of, false);
    await expectNothingBut([]);
  });

  test('transfers that a dead worker left are ended with it', async () => {
    const of = newBackup();
    await start(of, style);
    const transfer: TransferOfRun = { engine: 'lab', runId, diskId, vmId, vmBackupId: of.vmBackupId, transferKey: randomUUID(), direction: 'download' };
    await retried('ensureTransfer', transfer);
    await retried('ensureVmBackupEnded', { ...of, diskIds: [], keepCheckpoint: false });
    await retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    await expectNothingBut([]);
  });

  test('a lost ticket ends the transfer; another key gets another one', async () => {
    const of = newBackup();
    await start(of, style);
    const transfer: TransferOfRun = { engine: 'lab', runId, diskId, vmId, vmBackupId: of.vmBackupId, transferKey: randomUUID(), direction: 'download' };
    const { transferId } = await retried('ensureTransfer', transfer);
    await control.inject({ kind: 'ticket-lost', diskId });
    while ((await engine.getTransfer(transferId))?.phase !== 'finished_failure');
    expect(await failureOf(retried('ensureTransfer', transfer))).toMatchObject({ type: 'transfer.failed', message: expect.stringContaining('event 1065') as string });
    await retried('ensureTransferEnded', { ...transfer, outcome: 'cancel' });
    const other = { ...transfer, transferKey: randomUUID() };
    expect((await retried('ensureTransfer', other)).transferId).not.toBe(transferId);
    await retried('ensureTransferEnded', { ...other, outcome: 'finalize' });
    await end(of, false);
    await expectNothingBut([]);
  });
});

test('a redefinition that fails asks for a full one, and the engine\'s words are told', async () => {
  const first = newBackup();
  const { checkpointId } = await start(first, 'live');
  await end(first, true);
  await control.inject({ kind: 'redefinition-failure', vmId });
  const second = newBackup();
  expect(await failureOf(start(second, 'live', { fromCheckpointId: checkpointId }))).toMatchObject({ type: 'backup.incremental-refused' });
  await end(second, false);
  await expectNothingBut([]);
});

test('no room for scratch disks is no reason for a full one', async () => {
  await control.inject({ kind: 'scratch-full', vmId });
  const of = newBackup();
  expect(await failureOf(start(of, 'live'))).toMatchObject({ type: 'backup.failed', message: expect.stringContaining('event 10806') as string });
  await end(of, false);
  await expectNothingBut([]);
});

test('an end that fails is an end: the checkpoint went with it', async () => {
  const of = newBackup();
  await start(of, 'live');
  await control.inject({ kind: 'finalize-failure', vmId });
  await end(of, true);
  await expectNothingBut([]);
});

test('a snapshot that the engine could not merge is removed once more', async () => {
  const of = newBackup();
  const { checkpointId } = await start(of, 'hybrid');
  await control.inject({ kind: 'merge-failure', vmId, diskId });
  await end(of, true);
  await expectNothingBut([checkpointId]);
  expect((await engine.listEvents({ search: 'type=10813' })).length).toBe(1);
});

test('a VM that dies takes a live backup with it: it has failed, and the undo leaves nothing', async () => {
  const of = newBackup();
  await start(of, 'live');
  await control.inject({ kind: 'qemu-killed', vmId });
  await end(of, false);
  await expectNothingBut([]);
});

test('a VM that is down is backed up hybrid; its files are at rest', async () => {
  await engine.stopVm(vmId);
  while ((await engine.getVm(vmId))?.status !== 'down');
  const of = newBackup();
  expect(await start(of, 'hybrid', { vmStatus: 'down' })).toMatchObject({ style: 'hybrid', consistency: { level: 'filesystem' } });
  await end(of, false);
  await expectNothingBut([]);
});

describe('an upload', () => {
  let upload: TransferOfRun;
  beforeEach(async () => {
    upload = { engine: 'lab', runId, diskId: await lab.disk('restored_Disk1'), transferKey: randomUUID(), direction: 'upload' };
  });

  test('that the system pauses is resumed under the same id, and ends with a disk that is free', async () => {
    const { transferId } = await retried('ensureTransfer', upload);
    await control.inject({ kind: 'transfer-stopped', diskId: upload.diskId, how: 'pause' });
    expect((await engine.getTransfer(transferId))?.phase).toBe('paused_system');
    expect(await retried('ensureTransfer', upload)).toEqual({ transferId });
    await retried('ensureTransferEnded', { ...upload, outcome: 'finalize' });
    expect((await engine.getDisk(upload.diskId))?.status).toBe('ok');
  });

  test('that the system cancels has failed, and took the disk with it', async () => {
    await retried('ensureTransfer', upload);
    await control.inject({ kind: 'transfer-stopped', diskId: upload.diskId, how: 'cancel' });
    expect(await failureOf(retried('ensureTransfer', upload))).toMatchObject({ type: 'transfer.failed' });
    await retried('ensureTransferEnded', { ...upload, outcome: 'cancel' });
    expect(await engine.getDisk(upload.diskId)).toBeUndefined();
  });

  test('that the engine forgets at once is judged by its disk', async () => {
    await retried('ensureTransfer', upload);
    await control.inject({ kind: 'transfer-purged', diskId: upload.diskId });
    await retried('ensureTransferEnded', { ...upload, outcome: 'finalize' });
    expect((await engine.getDisk(upload.diskId))?.status).toBe('ok');
    expect(await openHoldings()).toEqual([]);
  });

  test('waits for another\'s transfer of the disk and names it', async () => {
    const fault = await control.inject({ kind: 'foreign-transfer', diskId: upload.diskId });
    const [foreign] = await engine.listTransfers();
    expect(await failureOf(attempt('ensureTransfer', upload))).toMatchObject({ type: 'engine.locked', message: expect.stringContaining(foreign?.id ?? 'none') as string });
    await retried('ensureTransferEnded', { ...upload, outcome: 'cancel' });
    expect((await engine.getTransfer(foreign?.id ?? ''))?.phase).toBe('transferring');
    await control.release(fault);
    await lab.idle();
    await retried('ensureTransfer', { ...upload, transferKey: randomUUID() });
  });
});

describe('planning', () => {
  const plan = (backups: readonly VmChainBackup[]) =>
    retried('planTransferBackup', { engine: 'lab', runId, vmId, repository: 'primary', leaveOutDiskIds: [], quiesce: 'best-effort', wanted: 'incremental', strict: false, policy: { maxChainLength: 14 }, backups });
  async function sealed(): Promise<VmChainBackup> {
    const of = newBackup();
    const { checkpointId, createdAt } = await start(of, 'hybrid');
    await end(of, true);
    return { backupId: of.vmBackupId, kind: 'full', baseBackupId: null, createdAt, checkpointId, witnessed: false, disks: [{ diskId, virtualBytes: 1024 ** 3, baseBackupId: null }] };
  }

  test('continues a chain over another product\'s checkpoint; what is left of ours is removed, theirs is not', async () => {
    const [old, newer] = [await sealed(), await sealed()];
    await control.inject({ kind: 'foreign-backup', vmId });
    await lab.idle();
    const { reasons, choice } = await plan([newer]);
    expect({ reasons, choice }).toMatchObject({ reasons: [], choice: { kind: 'incremental', fromCheckpointId: newer.checkpointId, removableCheckpointIds: [old.checkpointId], notes: [{ code: 'checkpoint.others-between' }] } });
    await retried('removeCheckpoint', { engine: 'lab', runId, vmId, checkpointId: old.checkpointId ?? '' });
    expect(await checkpoints()).toEqual([newer.checkpointId, expect.any(String)]);
  });

  test('a snapshot that was restored since makes a full one', async () => {
    const snapshotId = await lab.snapshot(vmId);
    const full = await sealed();
    await engine.stopVm(vmId);
    while ((await engine.getVm(vmId))?.status !== 'down');
    const restored = await lab.action(`/vms/${vmId}/snapshots/${snapshotId}/restore`);
    expect(restored.status).toBe(200);
    await lab.idle();
    expect((await plan([full])).choice).toMatchObject({ kind: 'full', reason: { code: 'snapshot.restored' } });
  });

  test('tracking that a detached disk lost is explained', async () => {
    await control.ask('PUT', '/settings', { detachWipesTracking: true });
    const full = await sealed();
    const { vmId: applianceId } = await trackedVm(lab, 'appliance', 'live');
    const snapshotId = await lab.snapshot(vmId);
    await engine.attachSnapshotDisk({ vmId: applianceId, diskId, snapshotId });
    await engine.detachDisk(applianceId, diskId);
    await lab.idle();
    const { choice } = await plan([full]);
    expect(choice).toMatchObject({ kind: 'full', reason: { code: 'checkpoint.wiped' } });
  });
});
