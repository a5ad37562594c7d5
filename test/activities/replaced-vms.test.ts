// The VM that a restore replaces: taken away with its disks kept, put back whole whenever it is asked, its disks removed only when the new VM
// stands. And disks under their old ids: what this run did not make is never touched.
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createMoverQuickActivities, type MoverQuickActivities } from '../../activities';
import { createRepository } from '../../adapters/repository/repository';
import { holdingId } from '../../domain/holdings';
import { replacedMark, vmMark } from '../../domain/ids';
import { fakeDisk, fakeIds, type FakeAttachment } from '../fakes/fake-world';
import { failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
let directory: string;
let mover: MoverQuickActivities;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hf-replaced-'));
}, 120_000);
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  desk = await openDesk();
  desk.vm.status = 'down';
  desk.vm.comment = 'the web shop';
  const repository = createRepository({ name: 'main', path: directory });
  await repository.open();
  mover = createMoverQuickActivities({ engineOf: () => desk.engine, repositoryOf: () => repository, now: () => new Date(), version: '0' });
});

const inMover = async (work: () => Promise<void>): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      await new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }).run(work);
      return;
    } catch (error) {
      if (tries === 10 || !(error instanceof Error) || ('nonRetryable' in error && error.nonRetryable === true)) throw error;
    }
  }
};
const of = () => ({ engine: 'lab', runId: desk.runId, vmId: desk.vm.id });
const diskIds = (): string[] => desk.disks.map(({ settings }) => settings.diskId);
const hold = (): Promise<void> => desk.attempt('holdReplacedVm', { ...of(), mark: replacedMark('main', desk.runId), removedDiskIds: diskIds() });
const save = (): Promise<void> => inMover(() => mover.saveReplacedVm({ ...of(), repository: 'main' }));
const takeAway = (): Promise<void> => desk.retried('removeReplacedVm', { ...of(), diskIds: diskIds() });
const putBack = (): Promise<void> => inMover(() => mover.putBackReplacedVm({ ...of(), repository: 'main', mark: vmMark(desk.runId) }));
const saved = async (): Promise<readonly string[]> => (await readdir(path.join(directory, 'replaced'))).filter((name) => name.startsWith(desk.runId));

interface Seen {
  readonly name?: string | undefined;
  readonly comment?: string | undefined;
  readonly nics: unknown;
  readonly attachments: readonly FakeAttachment[];
}
function seen(): Seen {
  const vm = desk.engine.vms.get(desk.vm.id);
  return { name: vm?.name, comment: vm?.comment, nics: vm?.nics.map(({ id, name, mac, network }) => ({ id, name, mac, network })), attachments: [...(vm?.attachments.values() ?? [])].map(({ diskId, active, interface: bus, readOnly, bootable }) => ({ diskId, active, interface: bus, readOnly, bootable })) };
}

describe.each([['on Blank', undefined], ['made from a template', randomUUID()]])('a VM %s', (_what, templateId) => {
  beforeEach(() => {
    if (templateId !== undefined) desk.vm.templateId = templateId;
  });

  test('is taken away with its disks kept, and comes back as it was: identity, NICs, attachments; lost replies and repeats change nothing', async () => {
    const before = seen();
    for (const lost of ['removeVm', 'removeVmWithoutDisks', 'detachDisk', 'createVmFromConfiguration', 'attachDisk'] as const) desk.engine.loseReply(lost);
    await hold();
    for (let turn = 0; turn < 2; turn += 1) await save();
    for (let turn = 0; turn < 2; turn += 1) await takeAway();
    expect(desk.engine.vms.has(desk.vm.id)).toBe(false);
    expect([...desk.engine.disks.keys()]).toEqual(expect.arrayContaining(diskIds()));
    expect(await saved()).toHaveLength(1);
    for (let turn = 0; turn < 2; turn += 1) await putBack();
    expect(seen()).toEqual(before);
    expect(await saved()).toEqual([]);
    await desk.attempt('releaseReplacedVm', { ...of(), fate: 'back' });
    expect((await desk.holdings()).map(({ kind, state }) => [kind, state])).toEqual([['replaced-vm', 'released'], ['replaced-disk', 'released'], ['replaced-disk', 'released']]);
  });

  test('that was never taken away is left as it is', async () => {
    const before = seen();
    await hold();
    await putBack();
    await save();
    await putBack();
    expect(seen()).toEqual(before);
    expect(desk.engine.changes).toEqual([]);
  });
});

test('of a VM from a template that lost half of its disks when the run broke off, every disk comes back', async () => {
  desk.vm.templateId = randomUUID();
  const before = seen();
  await hold();
  await save();
  await desk.engine.detachDisk(desk.vm.id, diskIds()[0] ?? '');
  await putBack();
  expect({ ...seen(), attachments: new Set(seen().attachments.map(({ diskId }) => diskId)) }).toEqual({ ...before, attachments: new Set(diskIds()) });
});

test('while the VM that took its place is there, it is not put back over it, and nothing is lost', async () => {
  await save();
  await takeAway();
  const successor = { ...desk.vm, comment: vmMark(desk.runId), attachments: new Map(), snapshots: new Map() };
  delete successor.moving;
  desk.engine.vms.set(desk.vm.id, successor);
  expect(await failureOf(inMover(() => mover.putBackReplacedVm({ ...of(), repository: 'main', mark: vmMark(desk.runId) })))).toMatchObject({ type: 'engine.conflict', message: expect.stringMatching(/cannot be put back while .* is there/) as string });
  expect(await saved()).toHaveLength(1);
});

test.each<[string, () => void, RegExp]>([
  ['runs meanwhile', () => { desk.vm.status = 'up'; }, /is up: it was down/],
  ['got a disk meanwhile', () => { desk.engine.add(desk.vm, fakeDisk('new one')); }, /got disk .* after its replacement was planned/],
])('a VM that %s is not taken away', async (_what, change, text) => {
  change();
  expect(await failureOf(desk.attempt('removeReplacedVm', { ...of(), diskIds: diskIds() }))).toMatchObject({ type: 'engine.conflict', message: expect.stringMatching(text) as string });
  expect(desk.engine.changes).toEqual([]);
});

describe('an old disk', () => {
  const removeOld = (diskId = diskIds()[0] ?? ''): Promise<void> => desk.retried('removeReplacedDisk', { engine: 'lab', runId: desk.runId, diskId });

  test('stays until the catalog says that the new VM stands; then it goes, once', async () => {
    await hold();
    await desk.attempt('holdVm', { ...of(), mark: vmMark(desk.runId), lockedVmId: desk.vm.id });
    expect(await failureOf(removeOld())).toMatchObject({ type: 'engine.foreign', nonRetryable: true });
    expect(desk.engine.changes).toEqual([]);
    await desk.attempt('keepProducts', { runId: desk.runId });
    expect((await desk.holdings()).map(({ kind, state }) => [kind, state])).toEqual([['replaced-vm', 'held'], ['replaced-disk', 'held'], ['replaced-disk', 'held'], ['vm', 'product']]);
    desk.engine.loseReply('removeDisk');
    for (let turn = 0; turn < 2; turn += 1) await removeOld();
    expect(desk.engine.disks.has(diskIds()[0] ?? '')).toBe(false);
    expect(desk.engine.disks.has(diskIds()[1] ?? '')).toBe(true);
  });

  test('that nobody held is not removed', async () => {
    await removeOld();
    expect(desk.engine.changes).toEqual([]);
  });
});

test('the next run on the VM learns whether what an earlier one held is to be put back or finished, and where it was saved', async () => {
  const earlier = await desk.openRun();
  const kinds = async (): Promise<unknown> => (await desk.attempt('listEarlierHoldings', { ...of(), runId: randomUUID() })).map(({ kind, committed }) => [kind, committed]);
  await desk.catalog.hold({ holdingId: holdingId(earlier, 'replaced-vm', desk.vm.id), runId: earlier, engine: 'lab', kind: 'replaced-vm', vmId: desk.vm.id, objectId: desk.vm.id, mark: 'm' });
  await desk.attempt('holdVm', { ...of(), runId: earlier, mark: vmMark(earlier), lockedVmId: desk.vm.id });
  expect(await kinds()).toEqual([['replaced-vm', false], ['vm', false]]);
  await desk.attempt('keepProducts', { runId: earlier });
  expect(await kinds()).toEqual([['replaced-vm', true]]);
});

describe('a disk under the id it had', () => {
  const diskId = randomUUID();
  const settings = { ...fakeDisk('demo_Disk1').settings, diskId };
  const create = (): Promise<void> => desk.retried('createDisk', { engine: 'lab', runId: desk.runId, diskId, settings, storageDomainId: fakeIds.domain, lockedVmId: desk.vm.id });
  const remove = (): Promise<void> => desk.retried('removeDisk', { engine: 'lab', runId: desk.runId, diskId });

  test('is made, found again after a lost reply, and removed', async () => {
    desk.engine.loseReply('createDisk');
    await create();
    expect(desk.engine.countOf('createDisk')).toBe(1);
    expect((await desk.holdings()).map(({ kind, vmId }) => [kind, vmId])).toEqual([['disk', desk.vm.id]]);
    await remove();
    expect(desk.engine.disks.has(diskId)).toBe(false);
  });

  test('that somebody else has is not taken for ours: neither written nor removed by the undo', async () => {
    desk.engine.disks.set(diskId, fakeDisk('left over', { settings: { diskId } }));
    expect(await failureOf(create())).toMatchObject({ type: 'engine.foreign', nonRetryable: true, message: expect.stringMatching(/Nothing is done to it/) as string });
    await remove();
    expect(desk.engine.disks.get(diskId)?.settings.alias).toBe('left over');
    expect(desk.engine.changes).toEqual([]);
  });
});

test('a restored VM that was backed up with its protection on is removed by the undo all the same', async () => {
  Object.assign(desk.vm, { comment: vmMark(desk.runId), deleteProtected: true });
  await desk.retried('removeRestoredVm', { ...of(), mark: vmMark(desk.runId) });
  expect(desk.engine.vms.has(desk.vm.id)).toBe(false);
});
