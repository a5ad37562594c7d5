// VMs (found, started, removed) and runs in the catalog (opened, closed, their leftovers handed to the next run).
import { randomUUID } from 'node:crypto';
import type { NewRun } from '../../activities/runs';
import type { FindVmsInput, FindVmsOutput } from '../../domain/flows/queries';
import { holdingId } from '../../domain/holdings';
import { vmMark } from '../../domain/ids';
import { fakeVm } from '../fakes/fake-world';
import { settings } from '../workflows/answers';
import { alertsOf, failureOf, useDesks, type Desk } from './desk';

const openDesk = useDesks();
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});

describe('finding VMs', () => {
  const find = (more: Partial<FindVmsInput>): Promise<FindVmsOutput> => desk.attempt('findVmsOnEngine', { engine: 'lab', vms: [], page: { limit: 2, offset: 0 }, ...more });

  test('by name and by id, in the order asked for', async () => {
    expect(await find({ vms: ['appliance', desk.vm.id] })).toEqual({ vms: [desk.appliance, desk.vm].map(({ id, name, status }) => ({ id, name, status, cluster: 'Default' })), more: false });
  });

  test('names every one that is unknown', async () => {
    expect(await failureOf(find({ vms: ['nobody', 'demo', 'noone'] }))).toMatchObject({ type: 'engine.not-found', nonRetryable: true, message: expect.stringMatching(/"nobody", "noone"/) as string });
  });

  test('by a search, page by page, over more than one page of the engine', async () => {
    for (let index = 0; index < 205; index += 1) desk.engine.add(fakeVm(`many-${String(index).padStart(3, '0')}`));
    const search = 'name=many-*';
    const names = async (offset: number, limit: number): Promise<readonly [readonly string[], boolean]> => {
      const { vms, more } = await find({ search, page: { limit, offset } });
      return [vms.map((vm) => vm.name), more];
    };
    expect(await names(0, 2)).toEqual([['many-000', 'many-001'], true]);
    expect(await names(99, 2)).toEqual([['many-099', 'many-100'], true]);
    expect(await names(203, 2)).toEqual([['many-203', 'many-204'], false]);
    expect(await names(205, 2)).toEqual([[], false]);
  });
});

describe('starting', () => {
  const start = (): Promise<void> => desk.retried('startVm', { engine: 'lab', vmId: desk.vm.id });

  test('waits until the VM is up; twice, and after a lost reply, is once', async () => {
    desk.vm.status = 'down';
    desk.engine.looks = 2;
    desk.engine.loseReply('startVm');
    for (let turn = 0; turn < 2; turn += 1) await start();
    expect(desk.vm.status).toBe('up');
    expect(desk.engine.countOf('startVm')).toBe(1);
  });

  test('a VM that goes down again has failed', async () => {
    desk.vm.status = 'down';
    desk.engine.vmStartFails = true;
    expect(await failureOf(start())).toMatchObject({ type: 'vm.failed', nonRetryable: true });
  });

  test('a VM that is gone has failed', async () => {
    desk.engine.vms.delete(desk.vm.id);
    expect(await failureOf(start())).toMatchObject({ type: 'vm.failed', nonRetryable: true });
  });
});

describe('removing the VM of a restore', () => {
  const remove = (): Promise<void> => desk.retried('removeRestoredVm', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, mark: vmMark(desk.runId) });
  beforeEach(async () => {
    desk.vm.comment = vmMark(desk.runId);
    await desk.attempt('holdVm', { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, mark: desk.vm.comment });
  });

  test('stops and removes it and keeps its disks; twice, and after lost replies, is once', async () => {
    desk.engine.loseReply('removeVm');
    for (let turn = 0; turn < 2; turn += 1) await remove();
    expect(desk.engine.vms.has(desk.vm.id)).toBe(false);
    for (const disk of desk.disks) expect(desk.engine.disks.has(disk.settings.diskId)).toBe(true);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['released']);
  });

  test.each(['', 'somebody else\'s', vmMark(randomUUID())])('refuses a VM with the comment "%s"', async (comment) => {
    desk.vm.comment = comment;
    expect(await failureOf(remove())).toMatchObject({ type: 'engine.foreign', nonRetryable: true });
    expect(desk.engine.changes).toEqual([]);
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['held']);
  });

  test('waits for one that is still being made', async () => {
    desk.vm.status = 'image_locked';
    desk.vm.moving = { looks: 2, then: () => void (desk.vm.status = 'down') };
    await remove();
    expect(desk.engine.vms.has(desk.vm.id)).toBe(false);
  });

  test('one that never was is done', async () => {
    desk.engine.vms.delete(desk.vm.id);
    await remove();
    expect(desk.engine.changes).toEqual([]);
  });
});

describe('a run', () => {
  const row = (runId: string): NewRun => ({ runId, workflowId: `restore/${runId}`, workflowType: 'restoreVm', engine: 'lab', vmName: 'demo' });

  test('is opened once and gives its settings; an engine that is not configured opens nothing', async () => {
    const runId = randomUUID();
    for (let turn = 0; turn < 2; turn += 1) expect(await desk.attempt('openRun', row(runId))).toEqual(settings);
    expect(await failureOf(desk.attempt('openRun', { ...row(randomUUID()), engine: 'nowhere' }))).toMatchObject({ type: 'config.invalid', nonRetryable: true });
    const { runs } = await desk.attempt('listRunsInCatalog', { runId, page: { limit: 10, offset: 0 } });
    expect(runs).toHaveLength(1);
  });

  test('refuses a request id that another run has used', async () => {
    const requestId = randomUUID();
    await desk.attempt('openRun', { ...row(randomUUID()), requestId });
    expect(await failureOf(desk.attempt('openRun', { ...row(randomUUID()), requestId }))).toMatchObject({ type: 'catalog.conflict', nonRetryable: true });
  });

  test('is closed with its leftovers: an alert each, what is still held is marked; twice is once', async () => {
    const leftover = { kind: 'snapshot', mark: 'Holdfast backup x', reason: 'engine says no' } as const;
    const hold = (state: string): Promise<void> => desk.catalog.hold({ holdingId: holdingId(desk.runId, 'snapshot', state), runId: desk.runId, engine: 'lab', kind: 'snapshot', vmId: desk.vm.id, mark: state });
    await hold('kept');
    await hold('gone');
    await desk.catalog.releaseHolding(holdingId(desk.runId, 'snapshot', 'gone'), 'released');
    for (let turn = 0; turn < 2; turn += 1) await desk.attempt('closeRun', { runId: desk.runId, engine: 'lab', vmId: desk.vm.id, outcome: 'failed', failure: { code: 'x', message: 'y' }, warnings: ['w'], leftovers: [leftover] });
    expect((await desk.holdings()).map(({ mark, state }) => [mark, state])).toEqual([['kept', 'leftover'], ['gone', 'released']]);
    expect(await alertsOf(desk, desk.runId)).toEqual([expect.objectContaining({ code: 'leftover', severity: 'alert', vmId: desk.vm.id, message: expect.stringMatching(/snapshot.*Holdfast backup x.*engine says no/) as string })]);
    await desk.attempt('forgetLeftover', { runId: desk.runId, kind: 'snapshot', mark: leftover.mark });
    expect(await alertsOf(desk, desk.runId)).toEqual([]);
  });

  test('that completed keeps the VM and disks it made, even if nobody noted them as products before', async () => {
    const diskId = randomUUID();
    await desk.attempt('holdVm', { runId: desk.runId, engine: 'lab', vmId: desk.vm.id, mark: 'm' });
    await desk.catalog.hold({ holdingId: holdingId(desk.runId, 'disk', diskId), runId: desk.runId, engine: 'lab', kind: 'disk', objectId: diskId, mark: diskId });
    await desk.catalog.hold({ holdingId: holdingId(desk.runId, 'snapshot', 's'), runId: desk.runId, engine: 'lab', kind: 'snapshot', mark: 's' });
    await desk.attempt('closeRun', { runId: desk.runId, engine: 'lab', outcome: 'completed', warnings: [], leftovers: [] });
    expect((await desk.holdings()).map(({ kind, state }) => [kind, state])).toEqual([['vm', 'product'], ['disk', 'product'], ['snapshot', 'leftover']]);
  });

  test('keeps its products: what is held becomes one, what was released stays so', async () => {
    await desk.attempt('holdVm', { runId: desk.runId, engine: 'lab', vmId: desk.vm.id, mark: 'm' });
    for (let turn = 0; turn < 2; turn += 1) await desk.attempt('keepProducts', { runId: desk.runId });
    await desk.attempt('closeRun', { runId: desk.runId, engine: 'lab', outcome: 'completed', warnings: [], leftovers: [] });
    expect((await desk.holdings()).map((each) => each.state)).toEqual(['product']);
  });

  test('finds what earlier runs on the same VM hold or left, never its own, nor those of other VMs', async () => {
    const [left, held, released] = [await desk.openRun(), await desk.openRun(), await desk.openRun()];
    for (const runId of [left, held, released, desk.runId]) await desk.catalog.hold({ holdingId: holdingId(runId, 'snapshot', 's'), runId, engine: 'lab', kind: 'snapshot', vmId: desk.vm.id, mark: runId });
    await desk.catalog.hold({ holdingId: holdingId(held, 'snapshot', 'other'), runId: held, engine: 'lab', kind: 'snapshot', vmId: desk.appliance.id, mark: 'other' });
    await desk.catalog.releaseHolding(holdingId(left, 'snapshot', 's'), 'leftover');
    await desk.catalog.releaseHolding(holdingId(released, 'snapshot', 's'), 'released');
    const found = await desk.attempt('listEarlierHoldings', { engine: 'lab', vmId: desk.vm.id, runId: desk.runId });
    expect(found.map((each) => each.mark).sort()).toEqual([held, left].sort());
  });
});
