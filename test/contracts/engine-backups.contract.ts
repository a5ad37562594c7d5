// The part of the engine contract about VM backups, checkpoints and image transfers. It leaves no checkpoint, no backup and no disk behind.
import { randomUUID } from 'node:crypto';
import type { ImageTransfer, NewVmBackup, TransferPhase, VmBackup } from '../../adapters/ovirt/port';
import { codeOf, nobody, type Stage, until } from './engine-stage';

export function backupContract(on: () => Stage): void {
  const diskIds = (): string[] => on().disks.map(({ settings }) => settings.diskId);
  const tracked = (): string[] => on().disks.filter(({ settings }) => settings.format === 'cow' && settings.backup === 'incremental').map(({ settings }) => settings.diskId);
  const checkpointIds: string[] = [];

  test('a live one: known by its description, others find the VM busy, and it leaves a checkpoint of the disks that are tracked', async () => {
    const { engine, vm } = on();
    expect(tracked().length).toBeGreaterThan(0);
    const correlationId = randomUUID();
    const backup = await begin(on(), { description: 'known by this', correlationId });
    expect(Math.abs(Date.parse(backup.createdAt) - Date.now())).toBeLessThan(120_000);
    expect(backup).not.toHaveProperty('snapshotId');
    expect(backup).not.toHaveProperty('fromCheckpointId');
    await expect(engine.listVmBackupDisks(vm.id, backup.id).then(byDisk)).resolves.toEqual(byDisk(diskIds().map((diskId) => ({ diskId, mode: 'full' }))));
    expect((await engine.listVmBackups(vm.id)).find(({ description }) => description === 'known by this')).toEqual(backup);
    expect((await engine.listEvents({ correlationId })).map(({ code, description }) => ({ code, isNamed: description.includes(backup.id) }))).toContainEqual({ code: 10_790, isNamed: true });

    expect(await codeOf(engine.startVmBackup(request(on())))).toBe('engine.locked');
    expect(await codeOf(engine.createSnapshot({ vmId: vm.id, description: 'during a backup', diskIds: diskIds() }))).toBe('engine.locked');
    expect(await codeOf(engine.removeCheckpoint(vm.id, backup.toCheckpointId ?? ''))).toBe('engine.locked');
    await expect(engine.getDisk(diskIds()[0] ?? '')).resolves.toMatchObject({ status: 'locked' });

    await end(on(), backup.id);
    await engine.finalizeVmBackup(vm.id, backup.id);
    expect(await engine.listScratchDiskIds(backup.id)).toEqual([]);
    await expect(engine.getVmBackup(vm.id, backup.id)).resolves.toMatchObject({ phase: 'succeeded' });
    for (const diskId of diskIds()) await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'ok' });
    // What is over no longer tells how each disk was read.
    for (const disk of await engine.listVmBackupDisks(vm.id, backup.id)) expect(disk).not.toHaveProperty('mode');
    await expect(engine.listCheckpoints(vm.id)).resolves.toEqual([{ id: backup.toCheckpointId, parentId: null, state: 'created', createdAt: expect.any(String) as string }]);
    expect([...((await engine.listCheckpointDiskIds(vm.id, backup.toCheckpointId ?? '')) ?? [])].sort()).toEqual(tracked().sort());
    checkpointIds.push(backup.toCheckpointId ?? '');
  });

  test('an incremental one: disk by disk, and the checkpoints are one line', async () => {
    const { engine, vm } = on();
    const [fromCheckpointId = ''] = checkpointIds;
    const backup = await begin(on(), { fromCheckpointId });
    expect(backup).toMatchObject({ fromCheckpointId });
    const modes = diskIds().map((diskId) => ({ diskId, mode: tracked().includes(diskId) ? 'incremental' : 'full' }));
    expect(byDisk(await engine.listVmBackupDisks(vm.id, backup.id))).toEqual(byDisk(modes));
    await end(on(), backup.id);
    checkpointIds.push(backup.toCheckpointId ?? '');
    expect((await engine.listCheckpoints(vm.id)).map(({ id, parentId }) => ({ id, parentId }))).toEqual([
      { id: checkpointIds[0], parentId: null },
      { id: checkpointIds[1], parentId: checkpointIds[0] },
    ]);
    expect(await codeOf(engine.startVmBackup({ ...request(on()), fromCheckpointId: nobody }))).toBe('engine.refused');
  });

  test('a hybrid one: a snapshot of its own, whose configuration can be read while it runs; the VM stays free', async () => {
    const { engine, vm } = on();
    const backup = await begin(on(), { legacy: false });
    const snapshotId = backup.snapshotId ?? '';
    await expect(engine.getSnapshotConfiguration(vm.id, snapshotId)).resolves.toContain(vm.id);
    expect((await engine.listSnapshotDisks(vm.id, snapshotId)).map(({ diskId }) => diskId).sort()).toEqual(diskIds().sort());
    await expect(engine.getDisk(diskIds()[0] ?? '')).resolves.toMatchObject({ status: 'ok' });
    expect(await codeOf(engine.removeSnapshot(vm.id, snapshotId))).toBe('engine.locked');
    await end(on(), backup.id);
    await until('the backup\'s snapshot is gone', async () => ((await engine.getSnapshot(vm.id, snapshotId)) === undefined ? true : undefined));
    checkpointIds.push(backup.toCheckpointId ?? '');
    expect((await engine.listCheckpoints(vm.id)).map(({ id }) => id)).toEqual(checkpointIds);
  });

  test('a disk is read through a transfer, and the backup does not end before it', async () => {
    const { engine, vm } = on();
    const [diskId = ''] = diskIds();
    const backup = await begin(on(), {});
    const transfer = await open(on(), { diskId, direction: 'download', vmBackupId: backup.id });
    expect(transfer).toMatchObject({ direction: 'download', diskId });
    expect(await codeOf(engine.finalizeVmBackup(vm.id, backup.id))).toBe('engine.locked');
    await engine.extendTransfer(transfer.id);
    await engine.finalizeTransfer(transfer.id);
    await phase(on(), transfer.id, 'finished_success');
    await end(on(), backup.id);
    checkpointIds.push(backup.toCheckpointId ?? '');
    // Of one that is over, or unknown, the engine has nothing to look at: a validation that fails for good (TransferDiskImageCommand.getDiskImage).
    for (const vmBackupId of [backup.id, nobody]) expect(await codeOf(engine.createTransfer({ ...download(diskId), vmBackupId }))).toBe('engine.conflict');
  });

  test('one that is ended before it is ready ends all the same, and nothing stays locked', async () => {
    const { engine, vm } = on();
    const { id: backupId } = await engine.startVmBackup(request(on()));
    await engine.finalizeVmBackup(vm.id, backupId);
    const last = await until('the backup is over', async () => {
      const { phase: now, toCheckpointId } = (await engine.getVmBackup(vm.id, backupId)) ?? {};
      return now === 'failed' || now === 'succeeded' ? { now, toCheckpointId } : undefined;
    });
    if (last.now === 'succeeded' && last.toCheckpointId !== undefined) checkpointIds.push(last.toCheckpointId);
    for (const diskId of diskIds()) await until(`disk ${diskId} is ok`, async () => ((await engine.getDisk(diskId))?.status === 'ok' ? true : undefined));
    expect((await engine.listCheckpoints(vm.id)).map(({ id }) => id)).toEqual(checkpointIds);
  });

  test('checkpoints go, from the middle too; what is gone may be removed again', async () => {
    const { engine, vm } = on();
    const [first = '', second = '', third = ''] = checkpointIds;
    await engine.removeCheckpoint(vm.id, second);
    await until('the checkpoint is gone', async () => ((await engine.listCheckpointDiskIds(vm.id, second)) === undefined ? true : undefined));
    await engine.removeCheckpoint(vm.id, second);
    expect((await engine.listCheckpoints(vm.id)).find(({ id }) => id === third)).toMatchObject({ parentId: first, state: 'created' });
    for (const id of checkpointIds) await engine.removeCheckpoint(vm.id, id);
    await expect(engine.listCheckpoints(vm.id)).resolves.toEqual([]);
  });

  test('of a VM, a disk or a backup that is not there', async () => {
    const { engine, vm, appliance } = on();
    expect(await codeOf(engine.startVmBackup({ ...request(on()), vmId: nobody }))).toBe('engine.not-found');
    expect(await codeOf(engine.startVmBackup({ ...request(on()), diskIds: [nobody] }))).toBe('engine.not-found');
    expect(await codeOf(engine.startVmBackup({ ...request(on()), vmId: appliance.id }))).toBe('engine.conflict');
    await expect(engine.getVmBackup(vm.id, nobody)).resolves.toBeUndefined();
    await expect(engine.finalizeVmBackup(vm.id, nobody)).resolves.toBeUndefined();
    expect(await codeOf(engine.listVmBackupDisks(vm.id, nobody))).toBe('engine.not-found');
    await expect(engine.listCheckpointDiskIds(vm.id, nobody)).resolves.toBeUndefined();
    await expect(engine.removeCheckpoint(vm.id, nobody)).resolves.toBeUndefined();
    expect(await codeOf(on().reader.startVmBackup(request(on())))).toBe('engine.forbidden');
  });

  test('the file systems of a guest stand still and go on', async () => {
    const { engine, vm } = on();
    await engine.freezeVm(vm.id);
    await engine.thawVm(vm.id);
    expect(await codeOf(engine.freezeVm(nobody))).toBe('engine.not-found');
  });
}

export function transferContract(on: () => Stage): void {
  const newDisk = async (): Promise<string> => {
    const { engine, disks } = on();
    const settings = disks[0]?.settings;
    if (settings?.storageDomainId === undefined) throw new Error('the VM has no disk in a storage domain');
    const id = randomUUID();
    await engine.createDisk({ id, settings: { ...settings, diskId: id, alias: `contract-${id.slice(0, 8)}`, virtualBytes: 8 * 1024 * 1024 }, storageDomainId: settings.storageDomainId });
    await until(`disk ${id} is ok`, async () => ((await engine.getDisk(id))?.status === 'ok' ? true : undefined));
    return id;
  };

  test('an upload: a URL while it runs and not after, the disk locked and then ok, events by our correlation id', async () => {
    const { engine } = on();
    const diskId = await newDisk();
    const correlationId = randomUUID();
    const transfer = await open(on(), { diskId, direction: 'upload', correlationId });
    expect(transfer).toMatchObject({ direction: 'upload', diskId, inactivityTimeoutSeconds: 60 });
    expect((await engine.listTransfers()).find(({ id }) => id === transfer.id)).toEqual(transfer);
    await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'locked' });
    expect(await codeOf(engine.createTransfer(download(diskId)))).toBe('engine.locked');
    expect((await engine.listEvents({ correlationId })).map(({ code }) => code)).toContain(1031);
    // Not paused, so there is nothing to resume.
    await engine.resumeTransfer(transfer.id);
    await engine.finalizeTransfer(transfer.id);
    const last = await phase(on(), transfer.id, 'finished_success');
    expect(last).not.toHaveProperty('transferUrl');
    expect(last).not.toHaveProperty('proxyUrl');
    await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'ok' });
    // Over is over.
    for (const ask of [engine.extendTransfer, engine.resumeTransfer, engine.finalizeTransfer, engine.cancelTransfer]) await ask(transfer.id);
    await expect(engine.getTransfer(transfer.id)).resolves.toEqual(last);
    await engine.removeDisk(diskId);
    await until(`disk ${diskId} is gone`, async () => ((await engine.getDisk(diskId)) === undefined ? true : undefined));
  });

  test('an upload that is cancelled takes its disk with it; a download does not', async () => {
    const { engine } = on();
    const diskId = await newDisk();
    const reading = await open(on(), { diskId, direction: 'download' });
    await engine.cancelTransfer(reading.id);
    await phase(on(), reading.id, 'finished_failure');
    await expect(engine.getDisk(diskId)).resolves.toMatchObject({ status: 'ok' });
    const writing = await open(on(), { diskId, direction: 'upload' });
    await engine.cancelTransfer(writing.id);
    await phase(on(), writing.id, 'finished_failure');
    await until(`disk ${diskId} is gone`, async () => ((await engine.getDisk(diskId)) === undefined ? true : undefined));
  });

  test('a disk of a running VM only as part of a backup; one that is not there not at all', async () => {
    const { engine, disks, reader } = on();
    const diskId = disks[0]?.settings.diskId ?? '';
    expect(await codeOf(engine.createTransfer(download(diskId)))).toBe('engine.conflict');
    // The engine stumbles over it before it asks whether it exists (TransferDiskImageCommand.validateImageTransfer): a validation that fails for good.
    expect(await codeOf(engine.createTransfer(download(nobody)))).toBe('engine.conflict');
    expect(await codeOf(reader.createTransfer(download(diskId)))).toBe('engine.forbidden');
  });

  test('one that is not there: undefined, and everything asked of it is taken', async () => {
    const { engine } = on();
    await expect(engine.getTransfer(nobody)).resolves.toBeUndefined();
    for (const ask of [engine.extendTransfer, engine.resumeTransfer, engine.finalizeTransfer, engine.cancelTransfer]) await expect(ask(nobody)).resolves.toBeUndefined();
  });
}

const byDisk = (disks: readonly { readonly diskId: string }[]): unknown[] => [...disks].sort((a, b) => a.diskId.localeCompare(b.diskId));
const download = (diskId: string): Parameters<Stage['engine']['createTransfer']>[0] => ({ diskId, direction: 'download', inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });

function request({ vm, disks }: Stage): NewVmBackup {
  return { vmId: vm.id, diskIds: disks.map(({ settings }) => settings.diskId), requireConsistency: false, legacy: true, description: 'made by the contract', correlationId: randomUUID() };
}

async function begin(stage: Stage, changes: Partial<NewVmBackup>): Promise<VmBackup> {
  const asked = { ...request(stage), ...changes };
  return ready(stage, (await stage.engine.startVmBackup(asked)).id);
}

async function ready({ engine, vm }: Stage, backupId: string): Promise<VmBackup> {
  return until(`backup ${backupId} is ready`, async () => {
    const backup = await engine.getVmBackup(vm.id, backupId);
    if (backup === undefined || backup.phase === 'failed') throw new Error(`backup ${backupId} is ${backup?.phaseText ?? 'gone'}`);
    return backup.phase === 'ready' ? backup : undefined;
  });
}

async function end({ engine, vm }: Stage, backupId: string): Promise<void> {
  await engine.finalizeVmBackup(vm.id, backupId);
  await until(`backup ${backupId} has succeeded`, async () => ((await engine.getVmBackup(vm.id, backupId))?.phase === 'succeeded' ? true : undefined));
}

async function open(stage: Stage, wanted: Partial<Parameters<Stage['engine']['createTransfer']>[0]>): Promise<ImageTransfer> {
  const { id } = await stage.engine.createTransfer({ ...download(''), ...wanted });
  const transfer = await phase(stage, id, 'transferring');
  for (const url of [transfer.transferUrl, transfer.proxyUrl]) expect(url).toMatch(/^https:\/\/[^/]+\/images\/[0-9a-f-]{36}$/);
  return transfer;
}

function phase({ engine }: Stage, transferId: string, wanted: TransferPhase): Promise<ImageTransfer> {
  return until(`transfer ${transferId} is ${wanted}`, async () => {
    const transfer = await engine.getTransfer(transferId);
    if (transfer?.phase !== wanted && (transfer === undefined || transfer.phase.startsWith('finished_'))) throw new Error(`transfer ${transferId} is ${transfer?.phaseText ?? 'gone'}`);
    return transfer.phase === wanted ? transfer : undefined;
  });
}
