// The rule around every boundary, and its promises over any log.
import fc from 'fast-check';
import { defaultAwarenessPolicy, engineBackupScopes, judgeEngineBackup, type CompletedEngineBackup, type EngineBackupScope } from '../../../domain/awareness/engine-backup';

const now = Date.parse('2026-11-27T12:00:00Z');
const [hour, day] = [3_600_000, 86_400_000];
const done = (scope: EngineBackupScope, ageMs: number): CompletedEngineBackup => ({ scope, doneAtMs: now - ageMs });
const full = (ageMs: number): readonly CompletedEngineBackup[] => [done('db', ageMs), done('files', ageMs)];
const judged = (completed: readonly CompletedEngineBackup[], policy: Partial<typeof defaultAwarenessPolicy> = {}) => judgeEngineBackup('lab', completed, { ...defaultAwarenessPolicy, ...policy }, now);

test('the defaults are the seed\'s: every six hours, a day', () => {
  expect(defaultAwarenessPolicy).toEqual({ checkPeriodHours: 6, alertPeriodDays: 1 });
});

test.each<readonly [string, readonly CompletedEngineBackup[], string]>([
  ['nothing was ever backed up', [], 'no-full-backup'],
  ['the database alone', [done('db', hour)], 'no-full-backup'],
  ['the files alone', [done('files', hour)], 'no-full-backup'],
  ['every scope but the files', engineBackupScopes.filter((scope) => scope !== 'files').map((scope) => done(scope, hour)), 'no-full-backup'],
  ['both, now', full(0), 'fresh'],
  ['both, a day ago to the millisecond', full(day), 'fresh'],
  ['both, a millisecond more', full(day + 1), 'old-backup'],
  ['not only after two days, as the real engine', full(2 * day - 1), 'old-backup'],
  ['the older of the two counts: files', [done('db', 0), done('files', day + 1)], 'old-backup'],
  ['the older of the two counts: db', [done('db', day + 1), done('files', 0)], 'old-backup'],
  ['the newest of each scope counts, in any order', [...full(9 * day), ...full(hour), ...full(3 * day)], 'fresh'],
  ['in the future: the only one', full(-1), 'no-full-backup'],
  ['in the future beside an old one', [...full(-hour), ...full(day + 1)], 'old-backup'],
  ['in the future beside a fresh one', [...full(-hour), ...full(hour)], 'fresh'],
])('%s', (_, completed, state) => {
  expect(judged(completed).state).toBe(state);
});

test.each([[0.5, 12 * hour, 'fresh'], [0.5, 12 * hour + 1, 'old-backup'], [0, 0, 'fresh'], [0, 1, 'old-backup'], [7, 7 * day, 'fresh']] as const)('a limit of %d days and an age of %d ms: %s', (alertPeriodDays, ageMs, state) => {
  expect(judged(full(ageMs), { alertPeriodDays }).state).toBe(state);
});

test('-1 disables it, whatever the log says', () => {
  for (const completed of [[], full(99 * day)]) expect(judged(completed, { checkPeriodHours: -1 })).toEqual({ state: 'disabled', notBelieved: [] });
});

test('the text names what is at risk, what is missing or how old, and the command that mends it', () => {
  expect(judged([done('db', hour)]).text).toMatch(/^There is no full backup of engine lab: files has never been backed up\. .*certificates.*engine-backup --mode=backup --scope=all/);
  expect(judged([]).text).toMatch(/db and files have never been backed up/);
  expect(judged([done('db', hour), done('files', 26 * hour)]).text).toMatch(/is 1 d 02 h old \(files: 2026-11-26T10:00:00\.000Z\), at most 1 d 00 h are allowed\..*engine-backup --mode=backup/);
  expect(judged(full(hour))).toEqual({ state: 'fresh', backedUpAtMs: now - hour, notBelieved: [] });
});

test('a backup of a time that has not come is named, not believed', () => {
  const { text, notBelieved } = judged([done('db', hour), done('files', -day)]);
  expect(text).toContain('A backup of files claims to be of 2026-11-28T12:00:00.000Z, which has not come');
  expect(notBelieved).toEqual([done('files', -day)]);
});

test('over any log: fresh only with both scopes within the limit, and a success never makes it worse', () => {
  const scope = fc.constantFrom(...engineBackupScopes);
  const logs = fc.array(fc.tuple(scope, fc.integer({ min: -day, max: 3 * day })), { maxLength: 6 }).map((list) => list.map(([of, ageMs]) => done(of, ageMs)));
  const worse = { fresh: 0, 'old-backup': 1, 'no-full-backup': 2, disabled: 3 };
  fc.assert(fc.property(logs, scope, fc.integer({ min: 0, max: day }), (log, success, ageMs) => {
    const before = judged(log);
    const within = (of: EngineBackupScope): boolean => log.some((each) => each.scope === of && each.doneAtMs <= now && each.doneAtMs >= now - day);
    expect(before.state === 'fresh').toBe(within('db') && within('files'));
    expect(before.text === undefined).toBe(before.state === 'fresh');
    const after = judged([...log, done(success, ageMs)]);
    expect(worse[after.state]).toBeLessThanOrEqual(worse[before.state]);
  }), { numRuns: 500 });
});
