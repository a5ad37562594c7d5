// The activities of the method `transfer` over the lab's real QEMU and the real data daemon, without workflows: a live full backup of a running
// guest, a hybrid incremental one of what it wrote since, and a restore by uploads, with the host as a witness each time.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createControlActivities, createMoverCopyActivities, createMoverQuickActivities, type ControlActivities, type MoverCopyActivities, type MoverQuickActivities } from '../../activities';
import type { SealInput } from '../../activities/repository';
import type { Catalog } from '../../adapters/catalog/port';
import { createEngine } from '../../adapters/ovirt/engine';
import type { Repository } from '../../adapters/repository/port';
import type { Chosen, KindChoice } from '../../domain/chain';
import { serveControl, type ControlServer } from '../../lab/control/server';
import { useDirectory } from '../adapters/blocks/support';
import { newRepository } from '../adapters/repository/support';
import { ControlClient } from '../lab/engine/control-client';
import { realLabDeadlineMs, startRealLab, until, type RealLab } from '../lab/engine/real-lab';
import { startCatalog, type TestCatalog } from '../support/catalog';
import { settings } from '../workflows/answers';

type All = ControlActivities & MoverQuickActivities & MoverCopyActivities;

const directory = useDirectory();
let started: TestCatalog;
let catalog: Catalog;
let lab: RealLab;
let server: ControlServer;
let control: ControlClient;
let engine: ReturnType<typeof createEngine>;
let repository: Repository;
let activities: All;
let vmId: string;

beforeAll(async () => {
  started = await startCatalog();
  ({ catalog } = started);
  lab = await startRealLab();
  const socket = join(lab.directory, 'control.sock');
  server = await serveControl(socket, lab.engine);
  control = new ControlClient(socket);
  const [admin] = lab.engine.accounts;
  engine = createEngine({ name: 'lab', url: lab.engine.url, caFile: lab.engine.caFile, username: admin?.userName ?? '', password: () => Promise.resolve(admin?.password ?? '') });
  ({ repository } = await newRepository(directory.path));
  const shared = { engineOf: () => engine, imageioOf: () => ({ caFile: lab.engine.caFile, proxy: 'when-needed', connections: 4, inactivityTimeoutSeconds: 60 }) as const, repositoryOf: () => repository, now: () => new Date() };
  activities = {
    ...createControlActivities({ ...shared, catalog, settingsOf: () => settings, vmObjectivesOf: () => [], isExecutionRunning: () => Promise.resolve(true), copyLimitsOf: () => ({ copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, storageDomains: {} }) }),
    ...createMoverQuickActivities({ ...shared, version: '0.1.0' }),
    ...createMoverCopyActivities({ ...shared, heartbeatMs: 200 }),
  };
  vmId = (await engine.findVmByName('demo'))?.id ?? '';
  await until('the demo', async () => (await engine.getVm(vmId))?.status === 'up');
}, realLabDeadlineMs);
afterAll(async () => {
  await engine.close();
  await server.close();
  await lab.remove();
  await started.stop();
});

/** As Temporal would, at once. */
async function run<Name extends keyof All>(name: Name, input: Parameters<All[Name]>[0]): Promise<Awaited<ReturnType<All[Name]>>> {
  type Answer = Awaited<ReturnType<All[Name]>>;
  type Run = (asked: typeof input) => Promise<Answer>;
  const client = { withAbortSignal: (_: AbortSignal, work: () => unknown) => work(), workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) } } as unknown as Client;
  for (let tries = 1; ; tries += 1) {
    try {
      return await new MockActivityEnvironment(undefined, { client, logger: new DefaultLogger('ERROR') }).run<[typeof input], Answer, Run>(activities[name] as Run, input);
    } catch (error) {
      if (tries === 10 || (error instanceof Error && 'nonRetryable' in error && error.nonRetryable === true)) throw error;
    }
  }
}

async function openRun(): Promise<string> {
  const runId = randomUUID();
  await catalog.openRun({ runId, workflowId: `vm/lab/${vmId}`, workflowType: 'backupVm', engine: 'lab', vmId, vmName: 'demo' });
  return runId;
}

/** One whole backup, as the flow does it. */
async function backUp(quiesce: 'required' | 'best-effort') {
  const [runId, backupId, vmBackupKey] = [await openRun(), randomUUID(), randomUUID()];
  const of = { engine: 'lab', runId, repository: 'primary', vmId };
  const backups = await run('readVmChain', of);
  const plan = await run('planTransferBackup', { ...of, leaveOutDiskIds: [], quiesce, wanted: 'incremental', strict: false, policy: { maxChainLength: 14 }, backups });
  expect(plan.reasons).toEqual([]);
  const choice = plan.choice as Chosen & KindChoice;
  const base = choice.baseBackupId;
  if (base !== null) expect(await run('checkBase', { ...of, backupId: base })).toBeNull();
  const own = { ...of, vmBackupKey, description: `Holdfast backup ${backupId}` };
  const ready = await run('ensureVmBackup', { ...own, diskIds: plan.disks.map(({ diskId }) => diskId), fromCheckpointId: choice.fromCheckpointId, vmStatus: plan.vm?.status ?? '', quiesce });
  const { vmBackupId = '' } = ready;
  await run('saveConfiguration', { ...of, backupId, disks: plan.disks, ...(ready.snapshotId === null ? {} : { snapshotId: ready.snapshotId }) });
  const disks: SealInput['disks'][number][] = [];
  for (const disk of plan.disks) {
    const transfer = { engine: 'lab', runId, diskId: disk.diskId, vmId, vmBackupId, transferKey: randomUUID(), direction: 'download' } as const;
    const { transferId } = await run('ensureTransfer', transfer);
    const mode = ready.disks.find(({ diskId }) => diskId === disk.diskId)?.mode;
    const image = { ...of, backupId, diskId: disk.diskId, virtualBytes: disk.virtualBytes, transferId };
    const copied = await run('backupDiskByTransfer', { ...image, source: vmBackupId, baseBackupId: mode === 'incremental' ? base : null });
    await run('witnessTransfer', image);
    await run('ensureTransferEnded', { ...transfer, outcome: 'finalize' });
    disks.push({ settings: disk, ...copied, seconds: 1, witnessed: true });
  }
  const { id, name, clusterId } = plan.vm ?? { id: vmId, name: '', clusterId: '' };
  const summary = await run('sealBackup', {
    ...of, backupId, disks,
    manifest: {
      format: 'holdfast-backup', version: 1, backupId, runId, engine: { name: 'lab', product: plan.product, version: plan.version }, vm: { id, name, clusterId }, method: 'transfer', kind: choice.kind,
      base: base === null ? null : { backupId: base }, reason: choice.reason, notes: [...choice.notes], consistency: ready.consistency, checkpoint: ready.checkpointId === null ? null : { id: ready.checkpointId },
      snapshot: null, vmBackup: { id: vmBackupId, style: ready.style, createdAt: ready.createdAt }, leftOut: [], startedAt: new Date().toISOString(),
    },
  });
  await run('indexBackup', summary);
  await run('ensureVmBackupEnded', { ...own, diskIds: [], keepCheckpoint: true });
  for (const checkpointId of choice.removableCheckpointIds) await run('removeCheckpoint', { ...of, checkpointId });
  return { backupId, choice, ready, disks, summary };
}

async function writeInGuest(): Promise<void> {
  const { status, json } = await control.ask('POST', `/vms/${vmId}/guest-exec`, { script: 'for d in /data/*; do dd if=/dev/urandom of=$d/new bs=1M count=3 2>/dev/null; done; sync' });
  expect({ status, exitCode: json['exitCode'] }).toEqual({ status: 200, exitCode: 0 });
}

test('a running guest: live and full, then hybrid and incremental, read back, and restored by uploads', async () => {
  const full = await backUp('required');
  expect(full).toMatchObject({ choice: { kind: 'full' }, ready: { style: 'live', consistency: { level: 'filesystem' } } });
  await writeInGuest();
  const later = await backUp('best-effort');
  // One disk is raw: never tracked, always whole.
  expect(later.ready.disks.map(({ mode }) => mode).sort()).toEqual(['full', 'incremental']);
  expect(later).toMatchObject({ choice: { kind: 'incremental', baseBackupId: full.backupId }, ready: { style: 'hybrid' } });
  const cow = later.disks.find(({ settings: { format } }) => format === 'cow');
  expect(cow?.dataBytes).toBeGreaterThan(3 * 1024 ** 2);
  expect(cow?.dataBytes).toBeLessThan(64 * 1024 ** 2);
  expect((await engine.listCheckpoints(vmId)).map(({ id }) => id)).toEqual([full.ready.checkpointId, later.ready.checkpointId]);
  expect((await engine.listSnapshots(vmId)).filter(({ type }) => type === 'regular')).toEqual([]);

  const runId = await openRun();
  for (const { diskId, virtualBytes, root } of later.summary.disks) {
    const image = { engine: 'lab', runId, repository: 'primary', vmId, backupId: later.backupId, diskId, virtualBytes };
    expect(await run('verifyDisk', { ...image, from: { positionBytes: 0, dataBytes: 0 } })).toMatchObject({ root });
    const targetDiskId = randomUUID();
    const settingsOfDisk = later.disks.find(({ settings: { diskId: id } }) => id === diskId)?.settings;
    if (!settingsOfDisk) throw new Error('a disk without settings');
    await run('createDisk', { engine: 'lab', runId, diskId: targetDiskId, settings: settingsOfDisk, storageDomainId: settingsOfDisk.storageDomainId ?? '' });
    const transfer = { engine: 'lab', runId, diskId: targetDiskId, transferKey: randomUUID(), direction: 'upload' } as const;
    const { transferId } = await run('ensureTransfer', transfer);
    await run('restoreDiskByTransfer', { ...image, transferId, targetDiskId, heldDiskIds: [targetDiskId], from: { positionBytes: 0, dataBytes: 0 } });
    expect(await run('witnessTransfer', { ...image, transferId, targetDiskId })).toEqual({ root });
    await run('ensureTransferEnded', { ...transfer, outcome: 'finalize' });
    expect((await engine.getDisk(targetDiskId))?.status).toBe('ok');
  }
}, realLabDeadlineMs);

test('a bitmap that lies is caught by the host', async () => {
  await writeInGuest();
  const { diskId = '' } = (await engine.listVmDisks(vmId)).find(({ settings: { format } }) => format === 'cow')?.settings ?? {};
  await control.inject({ kind: 'lying-bitmap', diskId, bytes: 1024 ** 2 });
  await expect(backUp('best-effort')).rejects.toMatchObject({ type: 'digest.mismatch', message: expect.stringContaining(diskId) as string });
}, realLabDeadlineMs);
