// Attachments and disks: looked for before they are made, waited for, never taken from anybody else; each holding written ahead.
import { randomUUID } from 'node:crypto';
import type { AttachmentOfRun } from '../../activities/attachments';
import { fakeIds } from '../fakes/fake-world';
import { failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});

const diskId = (): string => desk.disks[0]?.settings.diskId ?? '';

async function snapshotOf(description = 'Holdfast backup'): Promise<string> {
  const { snapshot } = await desk.engine.createSnapshot({ vmId: desk.vm.id, description, diskIds: [diskId()] });
  for (let looks = 0; looks < 3; looks += 1) await desk.engine.getSnapshot(desk.vm.id, snapshot.id);
  return snapshot.id;
}

describe('a snapshot\'s disk', () => {
  let of: AttachmentOfRun & { readonly snapshotId: string; readonly sourceVmId: string };
  beforeEach(async () => {
    of = { engine: 'lab', runId: desk.runId, toVmId: desk.appliance.id, diskId: diskId(), snapshotId: await snapshotOf(), sourceVmId: desk.vm.id };
  });

  test('is attached once, held under the source VM\'s lock, and detached once', async () => {
    for (let turn = 0; turn < 2; turn += 1) await desk.retried('attachSnapshotDisk', of);
    expect(desk.engine.countOf('attachSnapshotDisk')).toBe(1);
    expect(await desk.holdings()).toEqual([expect.objectContaining({ kind: 'attachment', state: 'held', vmId: desk.vm.id, objectId: of.diskId, parentId: desk.appliance.id, snapshotId: of.snapshotId, mark: `disk ${of.diskId} at VM ${desk.appliance.id}` })]);
    for (let turn = 0; turn < 2; turn += 1) await desk.retried('detachDisk', of);
    expect(desk.engine.countOf('detachDisk')).toBe(1);
    expect(desk.appliance.attachments.has(of.diskId)).toBe(false);
    expect(desk.vm.attachments.has(of.diskId)).toBe(true);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released']);
  });

  test.each(['attachSnapshotDisk', 'detachDisk'] as const)('a lost reply to %s does it once', async (operation) => {
    desk.engine.loseReply(operation);
    await desk.retried('attachSnapshotDisk', of);
    await desk.retried('detachDisk', of);
    expect([desk.engine.countOf('attachSnapshotDisk'), desk.engine.countOf('detachDisk')]).toEqual([1, 1]);
  });

  test('an unplug that takes its time is waited for', async () => {
    await desk.retried('attachSnapshotDisk', of);
    desk.engine.unplugLooks = 3;
    await desk.retried('detachDisk', of);
    expect(desk.appliance.attachments.has(of.diskId)).toBe(false);
  });

  test('one that is attached but not plugged is plugged', async () => {
    await desk.engine.attachSnapshotDisk({ vmId: desk.appliance.id, diskId: of.diskId, snapshotId: of.snapshotId });
    Object.assign(desk.appliance.attachments.get(of.diskId) ?? {}, { active: false });
    await desk.retried('attachSnapshotDisk', of);
    expect(desk.appliance.attachments.get(of.diskId)?.active).toBe(true);
  });

  test('another snapshot of the same disk at the appliance is a conflict, and is never detached', async () => {
    const foreign = await snapshotOf('of another product');
    await desk.engine.attachSnapshotDisk({ vmId: desk.appliance.id, diskId: of.diskId, snapshotId: foreign });
    expect(await failureOf(desk.retried('attachSnapshotDisk', of))).toMatchObject({ type: 'engine.conflict', nonRetryable: true, message: expect.stringContaining(foreign) as string });
    await desk.retried('detachDisk', of);
    expect(desk.appliance.attachments.get(of.diskId)?.snapshotId).toBe(foreign);
    expect(desk.engine.countOf('detachDisk')).toBe(0);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released']);
  });

  test('of a snapshot that is locked is asked for again later', async () => {
    const snapshot = desk.vm.snapshots.get(of.snapshotId);
    if (snapshot) snapshot.status = 'locked';
    expect(await failureOf(desk.attempt('attachSnapshotDisk', of))).toMatchObject({ type: 'engine.locked', nonRetryable: false });
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['held']);
  });

  test('detaching from a VM that is gone is done', async () => {
    desk.engine.vms.delete(desk.appliance.id);
    await desk.retried('detachDisk', of);
    expect(desk.engine.countOf('detachDisk')).toBe(0);
  });
});

describe('a disk that a restore makes', () => {
  let made: string;
  const create = (): Promise<void> => desk.retried('createDisk', { engine: 'lab', runId: desk.runId, diskId: made, settings: { ...(desk.disks[0] ?? { settings: never() }).settings, alias: 'restored' }, storageDomainId: fakeIds.domain });
  const remove = (): Promise<void> => desk.retried('removeDisk', { engine: 'lab', runId: desk.runId, diskId: made });
  beforeEach(() => {
    made = randomUUID();
  });

  test('is created once under the id we chose, waited for, and removed once', async () => {
    desk.engine.looks = 2;
    for (let turn = 0; turn < 2; turn += 1) await create();
    expect(desk.engine.disks.get(made)).toMatchObject({ status: 'ok', settings: { alias: 'restored' } });
    expect(await desk.retried('listHeldDisks', { runId: desk.runId })).toEqual([made]);
    for (let turn = 0; turn < 2; turn += 1) await remove();
    expect([desk.engine.countOf('createDisk'), desk.engine.countOf('removeDisk')]).toEqual([1, 1]);
    expect(desk.engine.disks.has(made)).toBe(false);
    expect(await desk.retried('listHeldDisks', { runId: desk.runId })).toEqual([]);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released']);
  });

  test('a lost reply to its creation does not create it twice, and one to its removal still ends with it gone', async () => {
    desk.engine.loseReply('createDisk');
    await create();
    expect(desk.engine.countOf('createDisk')).toBe(1);
    desk.engine.loseReply('removeDisk');
    await remove();
    expect(desk.engine.disks.has(made)).toBe(false);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released']);
  });

  test('that the engine calls illegal fails for good', async () => {
    desk.engine.newDiskIsIllegal = true;
    expect(await failureOf(create())).toMatchObject({ type: 'disk.illegal', nonRetryable: true });
    await remove();
    expect(desk.engine.disks.has(made)).toBe(false);
  });

  test('goes to the appliance writable and plugged, once; and comes off again', async () => {
    await create();
    const of = { engine: 'lab', runId: desk.runId, toVmId: desk.appliance.id, diskId: made };
    desk.engine.loseReply('attachDisk');
    for (let turn = 0; turn < 2; turn += 1) await desk.retried('attachToAppliance', of);
    expect(desk.engine.countOf('attachDisk')).toBe(1);
    expect(desk.appliance.attachments.get(made)).toMatchObject({ active: true, readOnly: false, interface: 'virtio_scsi' });
    expect((await desk.holdings()).map(({ kind, state, vmId }) => ({ kind, state, vmId }))).toEqual([{ kind: 'disk', state: 'held' }, { kind: 'attachment', state: 'held' }]);
    expect(await failureOf(remove())).toMatchObject({ type: 'engine.conflict' });
    await desk.retried('detachDisk', of);
    await remove();
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released', 'released']);
  });

  test('goes to the restored VM with the settings it had, once', async () => {
    await create();
    desk.vm.status = 'down';
    const settings = { ...(desk.disks[0] ?? { settings: never() }).settings, interface: 'virtio', bootable: true, active: false, readOnly: true } as const;
    for (let turn = 0; turn < 2; turn += 1) await desk.retried('attachRestoredDisk', { engine: 'lab', vmId: desk.vm.id, diskId: made, settings });
    expect(desk.vm.attachments.get(made)).toMatchObject({ interface: 'virtio', bootable: true, active: false, readOnly: true });
    expect(desk.engine.countOf('attachDisk')).toBe(1);
  });
});

function never(): never {
  throw new Error('the desk has disks');
}
