// What any catalog does with the inventory of VMs, and how it judges their backups: as the rule for one VM says (domain/awareness/vm-objectives).
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Catalog } from '../../adapters/catalog/port';
import type { InventoryVm, VmJudgement } from '../../adapters/catalog/port-inventory';
import { judgeVm, type VmFacts, type VmObjective } from '../../domain/awareness/vm-objectives';
import type { ListVmAwarenessInput, VmWithoutFreshBackup } from '../../domain/flows/vm-awareness';
import { newBackup, newRun } from './catalog-backups.contract';

const page = { limit: 500, offset: 0 };
const hour = 3_600_000;
const engine = 'lab';
const daily: VmObjective = { name: 'daily', vms: { name: 'db-*' }, maxAgeHours: 24 };
const scratch: VmObjective = { name: 'scratch', vms: { name: 'tmp-*' }, exempt: true };
const checked: VmObjective = { name: 'checked', vms: { tag: 'gold' }, maxAgeHours: 24, verifiedWithinHours: 48 };

const newVm = (changes: Partial<InventoryVm> = {}): InventoryVm => ({ vmId: randomUUID(), name: 'db-1', tags: [], isInfrastructure: false, ...changes });

export function inventoryContract(catalog: () => Catalog): void {
  const nowMs = Date.now();
  const refresh = async (...vms: readonly InventoryVm[]): Promise<{ removed: number; vms: number }> => {
    const { since } = await catalog().beginInventory(engine);
    await catalog().recordVms(engine, vms);
    return catalog().finishInventory(engine, since);
  };
  const backUp = async ({ vmId }: InventoryVm, ageMs: number, changes: Parameters<typeof newBackup>[0] = {}): Promise<{ repository: string; backupId: string }> => {
    const backup = newBackup({ vmId, createdAt: new Date(nowMs - ageMs).toISOString(), ...changes });
    await catalog().indexBackups([backup]);
    return backup;
  };
  const verify = async ({ repository, backupId }: { repository: string; backupId: string }, outcome: 'passed' | 'failed'): Promise<void> => {
    const run = newRun();
    await catalog().openRun(run);
    await catalog().recordVerification({ runId: run.runId, repository, backupId, outcome, dataBytes: 0, failure: outcome === 'failed' ? { code: 'digest.mismatch', message: 'block 7' } : null });
  };
  const judge = (objectives: readonly VmObjective[] = [daily], atMs = nowMs): Promise<VmJudgement> => catalog().judgeVms({ engine, objectives, nowMs: atMs });
  const list = (query: Partial<ListVmAwarenessInput> = {}): Promise<readonly VmWithoutFreshBackup[]> => catalog().listVmAwareness({ engine, page, ...query });
  const states = async (): Promise<Record<string, string>> => Object.fromEntries((await list()).map(({ vmName, state }) => [vmName, state]));

  test('a refresh removes what it did not come across, of its engine alone; recording again changes name and tags', async () => {
    const [kept, gone, elsewhere] = [newVm(), newVm(), newVm()];
    await catalog().recordVms('other', [elsewhere]);
    expect(await refresh(kept, gone)).toEqual({ removed: 0, vms: 2 });
    expect(await refresh({ ...kept, name: 'web', tags: ['gold', 'a "b", {c}'] })).toEqual({ removed: 1, vms: 1 });
    expect((await judge([checked])).objectives).toEqual([expect.objectContaining({ vms: 1, examples: ['web'] })]);
    expect((await judge([{ ...daily, vms: { tag: 'a "b", {c}' } }])).uncovered.vms).toBe(0);
    expect((await catalog().judgeVms({ engine: 'other', objectives: [daily], nowMs })).vms).toBe(1);
  });

  test('a refresh that stops midway has removed nothing, and what it missed is listed page by page', async () => {
    const vms = Array.from({ length: 3 }, () => newVm());
    await refresh(...vms);
    const { since } = await catalog().beginInventory(engine);
    await catalog().recordVms(engine, vms.slice(0, 1));
    const missed = vms.slice(1).map(({ vmId }) => vmId).sort();
    expect((await catalog().listVmsNotSeen({ engine, since, limit: 1 })).map(({ vmId }) => vmId)).toEqual(missed.slice(0, 1));
    expect((await catalog().listVmsNotSeen({ engine, since, after: missed[0] ?? '', limit: 9 })).map(({ vmId }) => vmId)).toEqual(missed.slice(1));
    expect((await judge()).vms).toBe(3);
  });

  test('a VM that comes twice in a page is one, an empty page is fine, and recording is idempotent', async () => {
    const vm = newVm();
    await catalog().recordVms(engine, []);
    for (let turn = 0; turn < 2; turn += 1) await catalog().recordVms(engine, [vm, { ...vm, name: 'db-2' }]);
    expect((await judge()).objectives).toEqual([{ objective: 'daily', vms: 1, wrong: { never: 1 }, examples: ['db-2'] }]);
  });

  test('refreshes at once do not get in each other\'s way', async () => {
    const vms = Array.from({ length: 500 }, () => newVm());
    await Promise.all(Array.from({ length: 4 }, async (_, turn) => (await catalog().recordVms(engine, turn % 2 === 0 ? vms : [...vms].reverse()), judge())));
    expect(await judge()).toMatchObject({ vms: 500 });
  });

  test('each state once: counts for each objective, also for one that no VM matches, and the list of what is wrong', async () => {
    const vms = { fresh: newVm({ name: 'db-fresh' }), old: newVm({ name: 'db-old' }), never: newVm({ name: 'db-never' }), unverified: newVm({ name: 'x-unverified', tags: ['gold'] }), failed: newVm({ name: 'x-failed', tags: ['gold'] }), good: newVm({ name: 'x-good', tags: ['silver', 'gold'] }), uncovered: newVm({ name: 'web' }), appliance: newVm({ isInfrastructure: true }) };
    await refresh(...Object.values(vms));
    await backUp(vms.fresh, 24 * hour);
    await backUp(vms.old, 24 * hour + 1);
    await backUp(vms.unverified, hour);
    await verify(await backUp(vms.failed, hour), 'failed');
    await verify(await backUp(vms.good, hour), 'passed');
    await backUp(vms.uncovered, 2 * hour);
    const objectives = [{ ...daily, name: 'nobody', vms: { name: 'mail-*' } }, daily, checked];
    const judged = {
      vms: 7,
      exempt: 0,
      objectives: [
        { objective: 'nobody', vms: 0, wrong: {}, examples: [] },
        { objective: 'daily', vms: 3, wrong: { never: 1, 'too-old': 1 }, examples: ['db-never', 'db-old'] },
        { objective: 'checked', vms: 3, wrong: { 'not-verified': 2 }, examples: ['x-failed', 'x-unverified'] },
      ],
      uncovered: { vms: 1, wrong: { uncovered: 1 }, examples: ['web'] },
    };
    for (let turn = 0; turn < 2; turn += 1) expect(await judge(objectives)).toEqual(judged);
    const all = await list();
    expect(all.map(({ vmName, objective, state }) => [vmName, objective, state])).toEqual([
      ['db-never', 'daily', 'never'], ['db-old', 'daily', 'too-old'], ['web', null, 'uncovered'], ...all.slice(3).map(({ vmName }) => [vmName, 'checked', 'not-verified']),
    ]);
    expect(all[1]).toEqual({ vmId: vms.old.vmId, vmName: 'db-old', objective: 'daily', state: 'too-old', newestBackupAt: new Date(nowMs - 24 * hour - 1).toISOString(), since: expect.stringMatching(/Z$/) as string });
    expect((await list({ objective: 'daily' })).map(({ vmName }) => vmName)).toEqual(['db-never', 'db-old']);
    expect((await list({ state: 'uncovered' })).map(({ vmName }) => vmName)).toEqual(['web']);
    expect((await list({ page: { limit: 1, offset: 1 } })).map(({ vmName }) => vmName)).toEqual(['db-old', 'web']);
    expect(await catalog().listVmAwareness({ engine: 'other', page })).toEqual([]);
  });

  test('the list follows: what is mended goes, what gets worse changes, what stays keeps its time; a VM that is gone is gone from it', async () => {
    const [mended, worse, stays] = [newVm({ name: 'db-mended' }), newVm({ name: 'db-worse' }), newVm({ name: 'db-stays' })];
    await refresh(mended, worse, stays);
    await backUp(worse, hour);
    await judge();
    const [before] = await list({ state: 'never', page: { limit: 1, offset: 0 } });
    expect(await states()).toEqual({ 'db-mended': 'never', 'db-stays': 'never' });
    await backUp(mended, hour);
    await judge([daily], nowMs + 10 * hour);
    expect(await states()).toEqual({ 'db-stays': 'never' });
    await judge([daily], nowMs + 24 * hour);
    expect(await states()).toEqual({ 'db-stays': 'never', 'db-worse': 'too-old', 'db-mended': 'too-old' });
    expect((await list({ state: 'never' }))[0]?.since).toBe(before?.since);
    await refresh(mended, worse);
    expect(await states()).toEqual({ 'db-worse': 'too-old', 'db-mended': 'too-old' });
  });

  test('exempt VMs are counted apart and never as fresh, are listed only when asked for, and are wrong again once nothing exempts them', async () => {
    const [backedUp, never, db] = [newVm({ name: 'tmp-backed-up' }), newVm({ name: 'tmp-never' }), newVm({ name: 'db-never' })];
    await refresh(backedUp, never, db);
    await backUp(backedUp, hour);
    await judge([{ ...daily, vms: { name: '*' } }]);
    expect(await states()).toEqual({ 'tmp-never': 'never', 'db-never': 'never' });
    const judged = { vms: 1, exempt: 2, objectives: [{ objective: 'daily', vms: 1, wrong: { never: 1 }, examples: ['db-never'] }], uncovered: { vms: 0, wrong: {}, examples: [] } };
    for (let turn = 0; turn < 2; turn += 1) expect(await judge([scratch, { ...daily, vms: { name: '*' } }])).toEqual(judged);
    expect(await states()).toEqual({ 'db-never': 'never' });
    expect((await list({ state: 'exempt' })).map(({ vmName, objective, state, newestBackupAt }) => [vmName, objective, state, newestBackupAt])).toEqual([
      ['tmp-never', 'scratch', 'exempt', null], ['tmp-backed-up', 'scratch', 'exempt', new Date(nowMs - hour).toISOString()],
    ]);
    expect(await list({ state: 'exempt', objective: 'daily' })).toEqual([]);
    const counted = await Promise.all([{ engine }, { engine, objective: 'scratch' }, { engine, objective: 'daily' }, { engine: 'other' }].map((query) => catalog().countExemptVms(query)));
    expect(counted).toEqual([2, 2, 0, 0]);
    expect(await judge([{ ...daily, vms: { name: '*' } }, scratch])).toMatchObject({ vms: 3, exempt: 0 });
    expect(await states()).toEqual({ 'tmp-never': 'never', 'db-never': 'never' });
    expect(await catalog().countExemptVms({ engine })).toBe(0);
  });

  test('without objectives nothing is judged, and nothing is listed any more', async () => {
    await refresh(newVm());
    await judge();
    expect(await judge([])).toEqual({ vms: 0, exempt: 0, objectives: [], uncovered: { vms: 0, wrong: {}, examples: [] } });
    expect(await list()).toEqual([]);
  });

  test('five names of a thousand, those without a backup first, then the oldest', async () => {
    const vms = Array.from({ length: 12 }, (_, index) => newVm({ name: `db-${String(index).padStart(2, '0')}` }));
    await refresh(...vms);
    for (const [index, vm] of vms.entries()) if (index >= 2) await backUp(vm, (24 + index) * hour);
    expect((await judge()).objectives[0]?.examples).toEqual(['db-00', 'db-01', 'db-11', 'db-10', 'db-09']);
  });

  test('a backup that lies in two repositories is verified when one of them is good, and each place\'s newest verification counts', async () => {
    const vm = newVm({ tags: ['gold'] });
    await refresh(vm);
    const here = await backUp(vm, hour);
    const there = await backUp(vm, hour, { backupId: here.backupId, repository: 'second' });
    await verify(here, 'passed');
    await verify(there, 'failed');
    expect((await judge([checked])).objectives[0]?.wrong).toEqual({});
    await verify(here, 'failed');
    expect((await judge([checked])).objectives[0]?.wrong).toEqual({ 'not-verified': 1 });
    await verify(there, 'passed');
    expect((await judge([checked])).objectives[0]?.wrong).toEqual({});
    expect((await judge([checked], nowMs + 30 * 24 * hour)).objectives[0]?.wrong).toEqual({ 'too-old': 1 });
  });

  test('an engine\'s backups are its own: the same VM id in another engine counts for nobody else', async () => {
    const vm = newVm();
    await refresh(vm);
    await backUp(vm, hour, { engine: 'other' });
    expect((await judge()).objectives[0]?.wrong).toEqual({ never: 1 });
  });

  test('over any inventory it judges as the rule for one VM does', async () => {
    const letters = fc.constantFrom('a', 'b', '_', '%', '\\', 'A', '💾');
    const names = fc.array(letters, { minLength: 1, maxLength: 4 }).map((list) => list.join(''));
    const globs = fc.array(fc.oneof(letters, fc.constantFrom('*', '?')), { minLength: 1, maxLength: 4 }).map((list) => list.join(''));
    const tags = fc.constantFrom('gold', 'silver');
    const objectivesOf = fc.array(fc.record({ vms: fc.oneof(globs.map((name) => ({ name })), tags.map((tag) => ({ tag }))), maxAgeHours: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }) }), { maxLength: 4 });
    const vmsOf = fc.array(fc.record({ name: names, tags: fc.uniqueArray(tags), isInfrastructure: fc.boolean(), ages: fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 3 }) }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(objectivesOf, vmsOf, async (some, facts) => {
        const objectives = some.map(({ vms: which, maxAgeHours }, place): VmObjective => ({ name: `o${place}`, vms: which, ...(maxAgeHours === undefined ? { exempt: true } : { maxAgeHours }) }));
        const vms = facts.map(({ ages, ...vm }) => ({ ...vm, vmId: randomUUID(), ages }));
        await refresh(...vms);
        await catalog().indexBackups(vms.flatMap(({ vmId, ages }) => ages.map((age) => newBackup({ vmId, createdAt: new Date(nowMs - age * hour).toISOString(), disks: [] }))));
        const asFacts = ({ ages, ...vm }: (typeof vms)[number]): VmFacts => ({ ...vm, backups: ages.map((age) => ({ createdAtMs: nowMs - age * hour, verifications: [] })) });
        const expected = vms.map((vm) => ({ vmId: vm.vmId, verdict: judgeVm(asFacts(vm), objectives, nowMs) }));
        const judged = await judge(objectives);
        expect(judged.vms).toBe(expected.filter(({ verdict }) => verdict && verdict.state !== 'exempt').length);
        expect(judged.exempt).toBe(expected.filter(({ verdict }) => verdict?.state === 'exempt').length);
        for (const { objective, vms: count } of judged.objectives) expect(count).toBe(expected.filter(({ verdict }) => verdict?.objective === objective).length);
        const told = [...(await list()), ...(await list({ state: 'exempt' }))].map(({ vmId, objective, state, newestBackupAt }) => [vmId, objective, state, newestBackupAt]).sort();
        expect(told).toEqual(expected.flatMap(({ vmId, verdict }) => (verdict && verdict.state !== 'fresh' ? [[vmId, verdict.objective ?? null, verdict.state, verdict.newestBackupAtMs === undefined ? null : new Date(verdict.newestBackupAtMs).toISOString()]] : [])).sort());
      }),
      { numRuns: 40 },
    );
  });
}
