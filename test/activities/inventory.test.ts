// The inventory of VMs as the engine lists it, and what their backups are found to be: nobody is forgotten whom the engine still has.
import type { VmObjective } from '../../domain/awareness/vm-objectives';
import type { VmWithoutFreshBackup } from '../../domain/flows/vm-awareness';
import { newBackup } from '../contracts/catalog-backups.contract';
import { fakeVm, type FakeVm } from '../fakes/fake-world';
import { applianceId } from '../workflows/answers';
import { failureOf, useDesks, type Desk } from './desk';

const page = { limit: 500, offset: 0 };
const hour = 3_600_000;
const daily: VmObjective = { name: 'daily', vms: { name: 'db-*' }, maxAgeHours: 24 };
const gold: VmObjective = { name: 'gold', vms: { tag: 'gold' }, maxAgeHours: 1 };

const openDesk = useDesks();
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
  desk.engine.vms.clear();
});

const add = (name: string, changes: Partial<FakeVm> = {}): FakeVm => desk.engine.add({ ...fakeVm(name), ...changes });
const refresh = (): Promise<{ readonly vms: number; readonly removed: number }> => desk.attempt('refreshInventory', { engine: 'lab' });
const judge = (): ReturnType<Desk['attempt']> => desk.attempt('judgeVms', { engine: 'lab' });
const listed = async (): Promise<Record<string, VmWithoutFreshBackup['state']>> => Object.fromEntries((await desk.attempt('listVmAwarenessInCatalog', { engine: 'lab', page })).vms.map(({ vmName, state }) => [vmName, state]));

test('the first objective that a VM\'s name or tag matches is the VM\'s; counts, five names and a text are the answer', async () => {
  desk.objectives.push(gold, daily);
  for (let index = 0; index < 7; index += 1) add(`db-${index}`);
  const [tagged, fresh] = [add('db-tagged', { tags: ['silver', 'gold'] }), add('db-fresh')];
  add('web');
  await desk.catalog.indexBackups([newBackup({ vmId: tagged.id, createdAt: new Date(Date.now() - 2 * hour).toISOString() }), newBackup({ vmId: fresh.id, createdAt: new Date(Date.now() - 2 * hour).toISOString() })]);
  expect(await refresh()).toMatchObject({ vms: 10 });
  expect(await judge()).toEqual({
    vms: 10,
    exempt: 0,
    objectives: [
      { objective: 'gold', vms: 1, wrong: { 'too-old': 1 }, examples: ['db-tagged'], text: expect.stringMatching(/^1 of 1 VM under the objective gold of engine lab/) as string },
      { objective: 'daily', vms: 8, wrong: { never: 7 }, examples: ['db-0', 'db-1', 'db-2', 'db-3', 'db-4'], text: expect.stringContaining('db-4 and others') as string },
    ],
    uncovered: { vms: 1, wrong: { uncovered: 1 }, examples: ['web'], text: expect.stringMatching(/^1 of 10 VMs of engine lab is covered by no objective \(web\)/) as string },
  });
  expect(await listed()).toMatchObject({ 'db-tagged': 'too-old', 'db-0': 'never', web: 'uncovered' });
});

test('VMs that the configuration exempts raise nothing, whatever rule comes after, and are listed as exempt with their number', async () => {
  desk.objectives.push({ name: 'scratch', vms: { tag: 'scratch' }, exempt: true }, daily);
  add('db-scratch', { tags: ['scratch'] });
  add('db-1');
  expect(await refresh()).toMatchObject({ vms: 2 });
  expect(await judge()).toEqual({
    vms: 1,
    exempt: 1,
    objectives: [{ objective: 'daily', vms: 1, wrong: { never: 1 }, examples: ['db-1'], text: expect.any(String) as string }],
    uncovered: { vms: 0, wrong: {}, examples: [] },
  });
  const list = (query: { readonly state?: 'exempt' }): Promise<unknown> => desk.attempt('listVmAwarenessInCatalog', { engine: 'lab', page, ...query });
  expect(await list({})).toMatchObject({ vms: [{ vmName: 'db-1' }], exempt: 1 });
  expect(await list({ state: 'exempt' })).toMatchObject({ vms: [{ vmName: 'db-scratch', objective: 'scratch', state: 'exempt' }], exempt: 1 });
});

test('appliances and the VM that the engine runs in are not judged', async () => {
  desk.objectives.push(daily);
  add('db-appliance', { id: applianceId });
  add('HostedEngine', { isHostedEngine: true });
  expect(await refresh()).toMatchObject({ vms: 2 });
  expect(await judge()).toEqual({ vms: 0, exempt: 0, objectives: [{ objective: 'daily', vms: 0, wrong: {}, examples: [] }], uncovered: { vms: 0, wrong: {}, examples: [] } });
});

test('more VMs than a page, and of a tag as well, are all there, and those that are gone go', async () => {
  desk.objectives.push(gold);
  for (let index = 0; index < 1001; index += 1) add(`vm-${index}`, { tags: ['gold'] });
  expect(await refresh()).toMatchObject({ vms: 1001 });
  expect(await judge()).toMatchObject({ objectives: [{ vms: 1001 }], uncovered: { vms: 0 } });
  const [kept] = desk.engine.vms.values();
  desk.engine.vms.clear();
  if (kept) desk.engine.add(kept);
  expect(await refresh()).toEqual({ vms: 1, removed: 1000 });
  expect(await listed()).toEqual({ [kept?.name ?? '']: 'never' });
});

test('a VM that slipped from one page to the one before it is asked for, and stays', async () => {
  desk.objectives.push(gold);
  const [seen, slipped] = [add('seen', { tags: ['gold'] }), add('slipped', { tags: ['gold'] })];
  await refresh();
  const { listVms } = desk.engine;
  desk.engine.listVms = async (query) => (await listVms(query)).filter(({ id }) => query.search !== undefined || id !== slipped.id);
  expect(await refresh()).toEqual({ vms: 2, removed: 0 });
  expect(await judge()).toMatchObject({ vms: 2, objectives: [{ vms: 2 }] });
  desk.engine.vms.delete(slipped.id);
  expect(await refresh()).toEqual({ vms: 1, removed: 1 });
  expect(Object.keys(await listed())).toEqual([seen.name]);
});

test.each([['at once', 1], ['midway', 2]])('a listing that fails %s removes nothing', async (_, failingCall) => {
  desk.objectives.push(gold);
  add('db-1');
  await refresh();
  await judge();
  const before = await listed();
  const { listVms } = desk.engine;
  let calls = 0;
  desk.engine.vms.clear();
  desk.engine.listVms = (query) => {
    if (++calls === failingCall) desk.engine.refuseNext('listVms', 'engine.unreachable');
    return listVms(query);
  };
  expect(await failureOf(refresh())).toMatchObject({ type: 'engine.unreachable', nonRetryable: false });
  expect(await listed()).toEqual(before);
});

test('without objectives nobody is judged', async () => {
  add('db-1');
  await refresh();
  expect(await judge()).toEqual({ vms: 0, exempt: 0, objectives: [], uncovered: { vms: 0, wrong: {}, examples: [] } });
});
