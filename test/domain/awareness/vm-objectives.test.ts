// The rule for one VM around every boundary, which objective is a VM's, and what the alerts say.
import fc from 'fast-check';
import { judgeVm, likePatternOf, mostExamples, objectiveAlertText, objectiveOf, uncoveredAlertText, vmObjectivesSchema, type FreshnessObjective, type VmFacts, type VmObjective, type VmState } from '../../../domain/awareness/vm-objectives';

const now = Date.parse('2026-11-27T12:00:00Z');
const [hour, day] = [3_600_000, 86_400_000];
const gold: FreshnessObjective = { name: 'gold', vms: { tag: 'gold' }, maxAgeHours: 1, verifiedWithinHours: 48 };
const daily: FreshnessObjective = { name: 'daily', vms: { name: 'db-*' }, maxAgeHours: 24 };
const scratch: VmObjective = { name: 'scratch', vms: { tag: 'scratch' }, exempt: true };

type Backup = VmFacts['backups'][number];
const backup = (ageMs: number, ...verifications: Backup['verifications']): Backup => ({ createdAtMs: now - ageMs, verifications });
const passed = (ageMs: number): Backup['verifications'][number] => ({ passed: true, verifiedAtMs: now - ageMs });
const failed = (ageMs: number): Backup['verifications'][number] => ({ passed: false, verifiedAtMs: now - ageMs });
const judged = (backups: readonly Backup[], vm: Partial<VmFacts> = {}): VmState | undefined => judgeVm({ name: 'db-1', tags: [], isInfrastructure: false, backups, ...vm }, [gold, daily], now)?.state;

test.each<readonly [string, readonly Backup[], VmState]>([
  ['no backup', [], 'never'],
  ['now', [backup(0)], 'fresh'],
  ['as old as allowed, to the millisecond', [backup(day)], 'fresh'],
  ['a millisecond more', [backup(day + 1)], 'too-old'],
  ['the newest counts, in any order', [backup(9 * day), backup(hour), backup(3 * day)], 'fresh'],
  ['a millisecond in the future: it is not believed', [backup(-1)], 'never'],
  ['in the future beside an old one', [backup(-hour), backup(day + 1)], 'too-old'],
  ['not verified, and nobody asked', [backup(hour, failed(hour))], 'fresh'],
])('a limit of a day: %s', (_, backups, state) => {
  expect(judged(backups)).toBe(state);
});

test.each<readonly [string, readonly Backup[], VmState]>([
  ['not verified', [backup(0)], 'not-verified'],
  ['verified as long ago as allowed, to the millisecond', [backup(0, passed(2 * day))], 'fresh'],
  ['a millisecond more', [backup(0, passed(2 * day + 1))], 'not-verified'],
  ['failed', [backup(0, failed(0))], 'not-verified'],
  ['failed in one repository, good in another', [backup(0, failed(0), passed(hour))], 'fresh'],
  ['an older backup was verified, the newest was not', [backup(0), backup(1, passed(0))], 'not-verified'],
  ['too old and not verified: the worse one is told', [backup(hour + 1)], 'too-old'],
  ['none at all', [], 'never'],
])('where verification is asked: %s', (_, backups, state) => {
  expect(judged(backups, { tags: ['gold'] })).toBe(state);
});

test('the first objective that matches is the VM\'s, in the order of the configuration', () => {
  const both = { name: 'db-1', tags: ['silver', 'gold'] };
  expect(objectiveOf(both, [gold, daily])).toBe(gold);
  expect(objectiveOf(both, [daily, gold])).toBe(daily);
  expect(objectiveOf({ name: 'web-1', tags: ['Gold'] }, [gold, daily])).toBeUndefined();
});

test('what no objective matches is uncovered, however fresh; infrastructure, and all of them without any objective, are not judged', () => {
  expect(judgeVm({ name: 'web-1', tags: [], isInfrastructure: false, backups: [backup(hour)] }, [gold, daily], now)).toEqual({ state: 'uncovered', newestBackupAtMs: now - hour });
  expect(judged([], { isInfrastructure: true })).toBeUndefined();
  expect(judgeVm({ name: 'db-1', tags: [], isInfrastructure: false, backups: [] }, [], now)).toBeUndefined();
});

test.each<readonly [string, Partial<VmFacts>, readonly VmObjective[], ReturnType<typeof judgeVm>]>([
  ['no backup', { backups: [] }, [scratch, daily], { objective: 'scratch', state: 'exempt' }],
  ['a fresh backup does not make it fresh', { backups: [backup(hour)] }, [scratch, daily], { objective: 'scratch', state: 'exempt', newestBackupAtMs: now - hour }],
  ['an objective before the exemption is the VM\'s', { backups: [] }, [daily, scratch], { objective: 'daily', state: 'never' }],
  ['an objective before it that does not match leaves it exempt', { backups: [] }, [gold, scratch, daily], { objective: 'scratch', state: 'exempt' }],
  ['by its name', { tags: [], backups: [] }, [{ ...scratch, vms: { name: 'db-?' } }, daily], { objective: 'scratch', state: 'exempt' }],
  ['infrastructure is not judged, so not exempt either', { isInfrastructure: true, backups: [] }, [scratch], undefined],
])('a VM that matches an exemption: %s', (_, vm, objectives, verdict) => {
  expect(judgeVm({ name: 'db-1', tags: ['scratch'], isInfrastructure: false, backups: [], ...vm }, objectives, now)).toEqual(verdict);
});

test('over any objectives and backups: exempt exactly when the first that matches exempts, and then whatever the backups are', () => {
  const objectiveList = fc.array(fc.record({ vms: fc.constantFrom({ name: 'db-*' }, { name: 'web' }, { tag: 'gold' }, { tag: 'scratch' }), exempts: fc.boolean() }), { minLength: 1, maxLength: 5 });
  const backups = fc.array(fc.integer({ min: -day, max: 3 * day }), { maxLength: 3 });
  fc.assert(fc.property(objectiveList, fc.subarray(['gold', 'scratch']), backups, (list, tags, ages) => {
    const objectives = list.map(({ vms, exempts }, place): VmObjective => ({ name: `o${place}`, vms, ...(exempts ? { exempt: true } : { maxAgeHours: 24 }) }));
    const first = list.findIndex(({ vms }) => ('name' in vms ? vms.name === 'db-*' : tags.includes(vms.tag)));
    const verdict = judgeVm({ name: 'db-1', tags, isInfrastructure: false, backups: ages.map((ageMs) => backup(ageMs)) }, objectives, now);
    expect(verdict?.state === 'exempt').toBe(list[first]?.exempts === true);
    expect(verdict?.objective).toBe(objectives[first]?.name);
  }), { numRuns: 300 });
});

test.each([
  ['*', 'anything', true], ['*', '', true], ['db', 'db', true], ['db', 'db1', false], ['db', 'xdb', false], ['db-*', 'db-', true], ['DB-*', 'db-1', false], ['?b', 'db', true], ['?b', 'b', false], ['?', '💾', true],
  ['a.c', 'abc', false], ['a_c', 'abc', false], ['a%', 'abc', false], ['a\\*', 'a\\b', true], ['[ab]', 'a', false], ['a|b', 'a', false], ['*-prod-*', 'x-prod-1', true], ['a*', 'a\nb', true],
])('the pattern %j on the name %j: %p', (name, vmName, expected) => {
  expect(objectiveOf({ name: vmName, tags: [] }, [{ ...daily, vms: { name } }]) !== undefined).toBe(expected);
});

test('LIKE gets the same pattern, its own signs escaped', () => {
  expect(likePatternOf('a*b?c_d%e\\f')).toBe('a%b_c\\_d\\%e\\\\f');
});

test('over any backups: fresh only within the limit, and another backup of now never makes it worse', () => {
  const worse: Record<Exclude<VmState, 'exempt'>, number> = { fresh: 0, 'not-verified': 1, 'too-old': 2, never: 3, uncovered: 4 };
  const ages = fc.integer({ min: -day, max: 3 * day });
  fc.assert(fc.property(fc.array(ages, { maxLength: 6 }), (list) => {
    const before = judged(list.map((ageMs) => backup(ageMs)));
    expect(before === 'fresh').toBe(list.some((ageMs) => ageMs >= 0 && ageMs <= day));
    expect(before === 'never').toBe(list.every((ageMs) => ageMs < 0));
    const after = judged([...list, 0].map((ageMs) => backup(ageMs)));
    const badness = (state: VmState = 'uncovered'): number => worse[state === 'exempt' ? 'uncovered' : state];
    expect(badness(after)).toBeLessThanOrEqual(badness(before));
  }), { numRuns: 300 });
});

test('any pattern in which every letter became "?" matches the name that it was made of, and "*" around it changes nothing', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 20 }).filter((name) => !/[*?]/.test(name)), (name) => {
    for (const glob of [name, `*${name}`, `${name}*`, Array.from(name, () => '?').join('')]) expect(objectiveOf({ name, tags: [] }, [{ ...daily, vms: { name: glob } }])).toBeDefined();
  }), { numRuns: 300 });
});

describe('the alert of an objective', () => {
  test('names how many of how many, of which state, examples, what is at risk and what mends it', () => {
    const text = objectiveAlertText('lab', gold, { vms: 1200, wrong: { never: 2, 'too-old': 7, 'not-verified': 1 }, examples: ['a', 'b', 'c', 'd', 'e'] });
    expect(text).toBe(
      '10 of 1200 VMs under the objective gold of engine lab are not backed up as it asks: 2 without any backup, 7 whose newest backup is older than 1 h 00 min, 1 whose newest backup was not verified within 2 d 00 h, or failed it (a, b, c, d, e and others). ' +
        'A VM without a backup cannot be restored at all. What changed in a VM since its newest backup is lost with its disks. Whether a backup that was not verified can be restored is not known. ' +
        'Back up: holdfast backup vm <name> --engine lab --repository <repository>. Verify: holdfast verify <backup>. All of them: holdfast awareness status --vms --engine lab.',
    );
  });

  test('names only what is wrong, and is none when nothing is', () => {
    expect(objectiveAlertText('lab', daily, { vms: 1, wrong: { 'too-old': 1 }, examples: ['db-1'] })).toMatch(/^1 of 1 VM under the objective daily of engine lab is not backed up as it asks: 1 whose newest backup is older than 1 d 00 h \(db-1\)\. What changed/);
    expect(objectiveAlertText('lab', daily, { vms: 9, wrong: {}, examples: [] })).toBeUndefined();
  });

  test('stays short whatever the names are', () => {
    const text = objectiveAlertText('lab', gold, { vms: 1e5, wrong: { never: 1e5, 'too-old': 1e5, 'not-verified': 1e5 }, examples: Array.from({ length: 2 * mostExamples }, () => '💾'.repeat(255)) });
    expect(Buffer.byteLength(text ?? '')).toBeLessThan(1500);
  });
});

test('the alert of VMs without an objective says where to give them one', () => {
  expect(uncoveredAlertText('lab', { vms: 3, wrong: { uncovered: 3 }, examples: ['x', 'y', 'z'] }, 40)).toMatch(/^3 of 40 VMs of engine lab are covered by no objective \(x, y, z\)\. .*engines\.lab\.awareness\.vms.*holdfast backup vm <name>.*exempt them there.*holdfast awareness status --vms/);
  expect(uncoveredAlertText('lab', { vms: 0, wrong: {}, examples: [] }, 40)).toBeUndefined();
});

test.each<readonly [string, unknown, string]>([
  ['neither pattern nor tag', [{ ...daily, vms: {} }], '0.vms'],
  ['both', [{ ...daily, vms: { name: 'a', tag: 'b' } }], '0.vms'],
  ['a tag with a wildcard, which the engine would expand', [{ ...daily, vms: { tag: 'a*' } }], '0.vms'],
  ['no age', [{ ...daily, maxAgeHours: 0 }], '0.maxAgeHours'],
  ['a name twice', [gold, daily, { ...gold, maxAgeHours: 2 }], '2.name'],
  ['a name that is none', [{ ...daily, name: 'All VMs' }], '0.name'],
  ['an exemption with the name of an objective', [gold, { ...scratch, name: 'gold' }], '1.name'],
  ['an exemption of neither pattern nor tag', [{ ...scratch, vms: {} }], '0.vms'],
  ['a key that does not exist', [{ ...scratch, until: 'tomorrow' }], ''],
])('refused in the configuration: %s', (_, objectives, path) => {
  expect(vmObjectivesSchema.safeParse(objectives).error?.issues.map((issue) => issue.path.join('.'))[0]).toMatch(new RegExp(`^${path}`));
});

test.each<readonly [string, unknown, string]>([
  ['both an age and an exemption', { ...scratch, maxAgeHours: 24 }, '0.maxAgeHours: asks for backups that "exempt: true" says are not needed: give one of the two'],
  ['an exemption that asks for verification', { ...scratch, verifiedWithinHours: 24 }, '0.verifiedWithinHours: asks for backups that "exempt: true" says are not needed'],
  ['neither', { name: 'all', vms: { name: '*' } }, '0.maxAgeHours: must be given, or "exempt: true" for VMs that need no backup'],
  ['no exemption and no age', { ...scratch, exempt: false }, '0.maxAgeHours: must be given, or "exempt: true" for VMs that need no backup'],
  ['an exemption that is neither true nor false', { ...scratch, exempt: 'yes' }, '0.exempt: Invalid discriminator value. Expected \'false\' | \'undefined\' | \'true\''],
])('refused with what to do: %s', (_, objective, complaint) => {
  expect(vmObjectivesSchema.safeParse([objective]).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([complaint]);
});

test('an exemption and an objective are taken as they are written', () => {
  const written = [scratch, gold, { ...daily, exempt: false }];
  expect(vmObjectivesSchema.parse(written)).toEqual(written);
});
