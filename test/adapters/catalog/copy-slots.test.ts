// The line of copies on a real PostgreSQL: places are kept, limits hold however many workers ask at the same time, and a slot without an owner
// holds nobody up for ever.
import { randomUUID } from 'node:crypto';
import { createCatalog } from '../../../adapters/catalog/catalog';
import type { Catalog, NewCopySlot, NewRun } from '../../../adapters/catalog/port';
import type { CopyLimits } from '../../../domain/copy-slots';
import { newRun } from '../../contracts/catalog-backups.contract';
import { startPostgres, type TestPostgres } from '../../support/postgres';

let postgres: TestPostgres;
let url: string;
let catalog: Catalog;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  url = await postgres.createDatabase();
  catalog = createCatalog({ url });
  await catalog.migrate();
});
afterEach(() => catalog.close());

const oneAtOnce: CopyLimits = { copiesAtOnce: 1, copiesAtOncePerStorageDomain: 1, ofStorageDomain: {} };
const granted = { granted: true };

function newCopySlot(run: NewRun, changes: Partial<NewCopySlot> = {}): NewCopySlot {
  return { slotId: randomUUID(), engine: run.engine, runId: run.runId, diskId: randomUUID(), storageDomainId: randomUUID(), namespace: 'default', workflowId: run.workflowId, executionId: randomUUID(), ...changes };
}

let run: NewRun;
beforeEach(async () => {
  run = newRun();
  await catalog.openRun(run);
});
const take = (slot: NewCopySlot, limits = oneAtOnce): ReturnType<Catalog['takeCopySlot']> => catalog.takeCopySlot(slot, limits);

test('first come, first served: asking again keeps the place, giving back lets the next in', async () => {
  const [first, second, third] = [newCopySlot(run), newCopySlot(run), newCopySlot(run)];
  expect(await take(first)).toEqual(granted);
  expect(await take(second)).toEqual({ granted: false, limit: 'engine', ahead: 0 });
  expect(await take(third)).toEqual({ granted: false, limit: 'engine', ahead: 1 });
  expect(await take(second)).toEqual({ granted: false, limit: 'engine', ahead: 0 });
  expect(await take(first)).toEqual(granted);
  await catalog.giveBackCopySlot(first);
  expect(await take(third)).toEqual({ granted: false, limit: 'engine', ahead: 0 });
  expect(await take(second)).toEqual(granted);
  expect(await catalog.countCopySlots()).toEqual([{ engine: 'lab', state: 'held', count: 1 }, { engine: 'lab', state: 'waiting', count: 1 }]);
});

test('domains and engines have lines of their own', async () => {
  const limits = { ...oneAtOnce, copiesAtOnce: 3 };
  const [storageDomainId, other] = [randomUUID(), newRun({ engine: 'other' })];
  await catalog.openRun(other);
  expect(await take(newCopySlot(run, { storageDomainId }), limits)).toEqual(granted);
  expect(await take(newCopySlot(run, { storageDomainId }), limits)).toEqual({ granted: false, limit: 'storage-domain', ahead: 0 });
  expect(await take(newCopySlot(run), limits)).toEqual(granted);
  expect(await take(newCopySlot(other, { storageDomainId }), limits)).toEqual(granted);
});

test('a slot that was given back is never taken again, also when it is given back before it was asked for', async () => {
  const [slot, late] = [newCopySlot(run), newCopySlot(run)];
  await take(slot);
  for (let turn = 0; turn < 2; turn += 1) await catalog.giveBackCopySlot(slot);
  await catalog.giveBackCopySlot(late);
  for (const each of [slot, late]) await expect(take(each)).rejects.toMatchObject({ code: 'catalog.conflict' });
  expect(await catalog.countCopySlots()).toEqual([]);
});

test('a run that is closed has given back everything', async () => {
  const other = newRun();
  await catalog.openRun(other);
  const [held, waiting, next] = [newCopySlot(run), newCopySlot(run), newCopySlot(other)];
  for (const slot of [held, waiting, next]) await take(slot);
  await catalog.closeRun({ runId: run.runId, outcome: 'failed', warnings: [], leftovers: [] });
  expect(await take(next)).toEqual(granted);
  expect(await catalog.countCopySlots()).toEqual([{ engine: 'lab', state: 'held', count: 1 }]);
});

test('each slot is claimed for a check by one at a time, and dropped when its execution is over', async () => {
  const [dead, next] = [newCopySlot(run), newCopySlot(run)];
  for (const slot of [dead, next]) await take(slot);
  expect(await catalog.claimUncheckedSlots({ engine: 'lab', namespace: 'default' }, 60)).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const claims = await Promise.all(Array.from({ length: 5 }, () => catalog.claimUncheckedSlots({ engine: 'lab', namespace: 'default' }, 0.001)));
  expect(claims.flat()).toContainEqual({ slotId: dead.slotId, workflowId: dead.workflowId, executionId: dead.executionId });
  expect(await catalog.claimUncheckedSlots({ engine: 'lab', namespace: 'default' }, 60)).toEqual([]);
  // Who asks can only look into a namespace of its own.
  for (const strange of [{ engine: 'other', namespace: 'default' }, { engine: 'lab', namespace: 'other' }]) expect(await catalog.claimUncheckedSlots(strange, 0)).toEqual([]);
  await catalog.dropCopySlots([dead.slotId, 'nowhere']);
  expect(await take(next)).toEqual(granted);
});

test('two workers that ask at the same time never grant more than the limits, and serve everybody', async () => {
  const other = createCatalog({ url });
  const limits: CopyLimits = { copiesAtOnce: 5, copiesAtOncePerStorageDomain: 3, ofStorageDomain: {} };
  const domains = [randomUUID(), randomUUID(), randomUUID()];
  const slots = Array.from({ length: 45 }, (_, index) => newCopySlot(run, { storageDomainId: domains[index % 3] ?? '' }));
  // One after the other, so that the order of asking is known; by both workers in turn.
  for (const [index, slot] of slots.entries()) await (index % 2 === 0 ? catalog : other).takeCopySlot(slot, { ...limits, copiesAtOnce: 0 });
  const running = new Set<NewCopySlot>();
  const begun: NewCopySlot[] = [];
  const most = { inEngine: 0, inDomain: 0 };
  const lane = async (worker: Catalog, slot: NewCopySlot): Promise<void> => {
    while (!(await worker.takeCopySlot(slot, limits)).granted) await new Promise((resolve) => setTimeout(resolve, 1));
    running.add(slot);
    begun.push(slot);
    most.inEngine = Math.max(most.inEngine, running.size);
    for (const domain of domains) most.inDomain = Math.max(most.inDomain, [...running].filter(({ storageDomainId }) => storageDomainId === domain).length);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running.delete(slot);
    await worker.giveBackCopySlot(slot);
  };
  await Promise.all(slots.map((slot, index) => lane(index % 2 === 0 ? other : catalog, slot)));
  expect(most.inEngine).toBeLessThanOrEqual(5);
  expect(most.inDomain).toBeLessThanOrEqual(3);
  expect(new Set(begun).size).toBe(slots.length);
  expect(await catalog.countCopySlots()).toEqual([]);
  await other.close();
}, 60_000);
