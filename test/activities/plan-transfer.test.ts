// Planning a backup by transfer: what stands in the way comes at once, the chain is judged from what engine, repository and catalog have, and
// nothing is changed.
import { randomUUID } from 'node:crypto';
import type { ControlActivities } from '../../activities';
import type { VmChainBackup } from '../../activities/chains';
import type { Chosen, KindChoice } from '../../domain/chain';
import { summarize } from '../../domain/manifest';
import { useDesks, type Desk } from './desk';
import { manifestOf } from './manifests';

const openDesk = useDesks();
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
  for (const disk of desk.disks) disk.settings = { ...disk.settings, format: 'cow', backup: 'incremental' };
});

type Asked = Parameters<ControlActivities['planTransferBackup']>[0];
type Plan = Awaited<ReturnType<ControlActivities['planTransferBackup']>>;
const plan = (changes: Partial<Asked> = {}): Promise<Plan> =>
  desk.attempt('planTransferBackup', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, repository: 'primary', leaveOutDiskIds: [], quiesce: 'best-effort', wanted: 'incremental', strict: false, policy: { maxChainLength: 14 }, backups: [], ...changes });
const codes = async (changes?: Partial<Asked>): Promise<readonly string[]> => (await plan(changes)).reasons.map(({ code }) => code);
const chosen = async (changes?: Partial<Asked>): Promise<Chosen & KindChoice> => {
  const { choice } = await plan(changes);
  if (!choice || 'refused' in choice) throw new Error('nothing was chosen');
  return choice;
};
const diskIds = (): string[] => desk.disks.map(({ settings }) => settings.diskId);

/** A whole VM backup of a run of its own, and what its manifest says. */
async function backup(base: VmChainBackup | null = null, repository = 'primary'): Promise<VmChainBackup> {
  const of = { engine: 'lab', runId: await desk.openRun(), vmId: desk.vm.id, vmBackupKey: randomUUID(), description: `Holdfast backup ${randomUUID()}` };
  const { checkpointId, createdAt, disks } = await desk.retried('ensureVmBackup', { ...of, diskIds: diskIds(), fromCheckpointId: base?.checkpointId ?? null, vmStatus: 'up', quiesce: 'best-effort' });
  await desk.retried('ensureVmBackupEnded', { ...of, diskIds: diskIds(), keepCheckpoint: true });
  const made: VmChainBackup = {
    backupId: randomUUID(), kind: base ? 'incremental' : 'full', baseBackupId: base?.backupId ?? null, createdAt, checkpointId, witnessed: false,
    disks: disks.map(({ diskId, mode }) => ({ diskId, virtualBytes: 64 * 1024 * 1024, baseBackupId: mode === 'incremental' ? (base?.backupId ?? null) : null })),
  };
  const manifest = manifestOf({ backupId: made.backupId, runId: of.runId, vmId: desk.vm.id, kind: made.kind, baseBackupId: made.baseBackupId, checkpointId, createdAt });
  await desk.catalog.indexBackups([summarize(manifest, repository, '0'.repeat(64))]);
  // Two backups never have the same moment.
  await new Promise((resolve) => setTimeout(resolve, 2));
  return made;
}

/** On the engine, by another product. */
async function foreignCheckpoint(): Promise<string> {
  const { id: backupId } = await desk.engine.startVmBackup({ vmId: desk.vm.id, diskIds: diskIds(), requireConsistency: false, legacy: false, description: 'of somebody else', correlationId: randomUUID() });
  while ((await desk.engine.getVmBackup(desk.vm.id, backupId))?.phase !== 'ready');
  await desk.engine.finalizeVmBackup(desk.vm.id, backupId);
  while ((await desk.engine.getVmBackup(desk.vm.id, backupId))?.phase !== 'succeeded');
  return desk.engine.vmBackups.get(backupId)?.toCheckpointId ?? '';
}

test('the first backup of a VM is a full one, of all its disks, and the run gets the VM\'s name', async () => {
  const changes = desk.engine.changes.length;
  expect(await plan()).toEqual({
    product: 'oVirt Engine', version: '4.5.8', vm: { id: desk.vm.id, name: 'demo', status: 'up', clusterId: desk.vm.clusterId, clusterName: 'Default' },
    disks: desk.disks.map((disk) => disk.settings), leftOut: [], neededBytes: 2 * 1024 * 1024, reasons: [],
    choice: expect.objectContaining({ kind: 'full', baseBackupId: null, fromCheckpointId: null, reason: expect.objectContaining({ code: 'chain.first' }) as unknown, removableCheckpointIds: [] }) as unknown,
  });
  expect(desk.engine.changes.length).toBe(changes);
  const { runs } = await desk.attempt('listRunsInCatalog', { runId: desk.runId, page: { limit: 1, offset: 0 } });
  expect(runs).toEqual([expect.objectContaining({ vmName: 'demo' })]);
});

test('an unknown VM is a reason, and there is nothing to choose', async () => {
  expect(await plan({ vmId: randomUUID() })).toMatchObject({ reasons: [{ code: 'vm.unknown' }], disks: [] });
});

describe('what stands in the way', () => {
  test('comes at once: VM, disks, and what is not active', async () => {
    const [first, second] = desk.disks;
    Object.assign(first ?? {}, { status: 'illegal' });
    if (second) second.settings = { ...second.settings, active: false };
    const attachment = desk.vm.attachments.get(second?.settings.diskId ?? '');
    if (attachment) attachment.active = false;
    desk.vm.status = 'paused';
    expect(await codes()).toEqual(['vm.status', 'disk.illegal', 'disk.inactive']);
  });

  test('a VM that is in a backup of another product', async () => {
    await desk.engine.startVmBackup({ vmId: desk.vm.id, diskIds: diskIds(), requireConsistency: false, legacy: false, description: 'of somebody else', correlationId: randomUUID() });
    expect(await codes()).toContain('vm.backup-busy');
  });

  test('shareable disks and LUNs, unless they are left out', async () => {
    const [first, second] = desk.disks;
    Object.assign(first ?? {}, { shareable: true });
    Object.assign(second ?? {}, { storageType: 'lun' });
    expect(await codes()).toEqual(['disk.shared', 'disk.lun']);
    expect(await codes({ leaveOutDiskIds: [first?.settings.diskId ?? ''] })).toEqual(['disk.lun']);
  });

  test('quiescing can be required of a running VM', async () => {
    expect(await codes({ quiesce: 'required' })).toEqual([]);
  });
});

describe('the chain', () => {
  test('is continued on the newest backup, and of our checkpoints only what chains need stays', async () => {
    const full = await backup();
    const one = await backup(full);
    const two = await backup(one);
    const theirs = await foreignCheckpoint();
    const choice = await chosen({ backups: [two, one, full] });
    expect(choice).toMatchObject({ kind: 'incremental', baseBackupId: two.backupId, fromCheckpointId: two.checkpointId, reason: { code: 'chain.continued' }, disks: diskIds().map((diskId) => ({ diskId, mode: 'incremental' })) });
    expect(choice.notes.map(({ code }) => code)).toEqual(['checkpoint.others-between']);
    expect(choice.removableCheckpointIds).toEqual([one.checkpointId, two.checkpointId]);
    expect(choice).toMatchObject({ removableAfterFullIds: [full, one, two].map(({ checkpointId }) => checkpointId) });
    expect(choice.removableCheckpointIds).not.toContain(theirs);
    expect(await plan({ backups: [two, one, full] })).toMatchObject({ neededBytes: 0 });
    expect(await chosen({ backups: [two, one, full], wanted: 'differential' })).toMatchObject({ baseBackupId: full.backupId, fromCheckpointId: full.checkpointId });
  });

  test('checkpoints of chains in other repositories stay; of backups that nobody has any more they go', async () => {
    const elsewhere = await backup(null, 'secondary');
    const gone = await backup();
    const full = await backup();
    // Its manifest went, and its row of the catalog with it: only the run's product tells that its checkpoint was ours.
    await desk.catalog.forgetBackupsNotIndexedSince('primary', await desk.catalog.now());
    const { removableCheckpointIds } = await chosen({ backups: [full] });
    expect(removableCheckpointIds).toEqual([gone.checkpointId]);
    expect(removableCheckpointIds).not.toContain(elsewhere.checkpointId);
  });

  test('a checkpoint that is gone makes a full one, and tells why; insisting on the kind is refused with the same reason', async () => {
    const full = await backup();
    await desk.engine.removeCheckpoint(desk.vm.id, full.checkpointId ?? '');
    expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'full', reason: { code: 'checkpoint.missing' } });
    expect((await plan({ backups: [full], strict: true })).choice).toMatchObject({ refused: { code: 'checkpoint.missing' } });
  });

  test('a disk that left the checkpoint is read in full within the incremental one, and counts for the room that is needed', async () => {
    const full = await backup();
    const [first, second] = diskIds();
    desk.engine.checkpoints.get(desk.vm.id)?.[0]?.diskIds.delete(second ?? '');
    expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'incremental', disks: [{ diskId: first, mode: 'incremental' }, { diskId: second, mode: 'full', reason: { code: 'disk.not-in-checkpoint' } }] });
    expect(await plan({ backups: [full] })).toMatchObject({ neededBytes: 1024 * 1024 });
  });

  test('a raw disk is noted as one that cannot be tracked', async () => {
    const full = await backup();
    const [, second] = desk.disks;
    if (second) second.settings = { ...second.settings, format: 'raw', backup: 'none' };
    expect((await chosen({ backups: [full] })).notes.map(({ code }) => code)).toContain('disk.no-tracking');
  });

  test('nothing lies on a base that is damaged, or that failed its verification', async () => {
    const full = await backup();
    const one = await backup(full);
    expect(await chosen({ backups: [{ ...one, damage: 'image x is missing' }, full] })).toMatchObject({ kind: 'incremental', baseBackupId: full.backupId, notes: [{ code: 'base.damaged', text: expect.stringContaining('image x is missing') as string }] });
    await desk.catalog.recordVerification({ runId: desk.runId, repository: 'primary', backupId: full.backupId, outcome: 'failed', dataBytes: 0, failure: { code: 'digest.mismatch', message: 'rotten' } });
    expect(await chosen({ backups: [one, full] })).toMatchObject({ kind: 'full', reason: { code: 'base.failing' } });
  });

  describe('events of the past', () => {
    const event = (code: number, vmId: string, time: string, description = `event ${code}`): void => void desk.engine.events.push({ id: randomUUID(), code, severity: 'normal', description, vmId, time });
    const [longAgo, soon] = ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z'];

    test('a snapshot of the VM that was restored since breaks the chain; another VM\'s, or an earlier one, does not', async () => {
      const full = await backup();
      event(47, desk.vm.id, longAgo);
      event(94, desk.appliance.id, soon);
      expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'incremental' });
      event(95, desk.vm.id, soon);
      expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'full', reason: { code: 'snapshot.restored' } });
    });

    test('a run whose backup the host contradicted ends the chain, until there is a new one', async () => {
      const full = await backup();
      const run = async (backupId: string, failure?: string): Promise<string> => {
        const runId = randomUUID();
        await desk.catalog.openRun({ runId, workflowId: `vm/lab/${desk.vm.id}`, workflowType: 'backupVm', engine: 'lab', vmId: desk.vm.id, vmName: 'demo', repository: 'primary', backupId });
        await desk.catalog.closeRun({ runId, outcome: failure === undefined ? 'completed' : 'failed', warnings: [], leftovers: [], ...(failure === undefined ? {} : { failure: { code: failure, message: '' } }) });
        return runId;
      };
      await run(full.backupId);
      await run(randomUUID(), 'imageio.io');
      expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'incremental' });
      const contradicted = await run(randomUUID(), 'digest.mismatch');
      await run(randomUUID(), 'engine.conflict');
      expect(await chosen({ backups: [full] })).toMatchObject({ kind: 'full', reason: { code: 'base.contradicted', text: expect.stringContaining(contradicted) as string } });
      const anew = await backup();
      await run(anew.backupId);
      expect(await chosen({ backups: [anew, full] })).toMatchObject({ kind: 'incremental', baseBackupId: anew.backupId });
    });

    test('a disk that was detached from an appliance explains why the checkpoint is gone', async () => {
      const full = await backup();
      await desk.engine.removeCheckpoint(desk.vm.id, full.checkpointId ?? '');
      event(2018, desk.appliance.id, soon, 'Disk demo_Disk11 was successfully detached from VM appliance by admin.');
      expect(await chosen({ backups: [full] })).toMatchObject({ reason: { code: 'checkpoint.missing' } });
      event(2018, desk.appliance.id, soon, 'Disk demo_Disk1 was successfully detached from VM appliance by admin.');
      expect(await chosen({ backups: [full] })).toMatchObject({ reason: { code: 'checkpoint.wiped' } });
    });
  });
});
