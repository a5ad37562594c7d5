// How facts become verdicts: one table for each judgement, with the values on both sides of every border.
import { check, checkIds, checkTable, countVerdicts, ok, problem, skipRest, warning, type Judgement, type Verdict } from '../../../domain/doctor/checks';
import { betweenLooks, judgeClock, sinceScheduled } from '../../../domain/doctor/judge-clock';
import { judgeApplianceSnapshots, judgeApplianceStatus, judgeCertificate, judgeEngineVersion, judgeVirtioScsi, judgeVmBackups } from '../../../domain/doctor/judge-engine';
import { judgeDaemon, type DaemonFacts } from '../../../domain/doctor/judge-hosts';
import { judgeFlush, judgeLocking, judgeSpace } from '../../../domain/doctor/judge-repository';
import { compareVersions, judgeApplianceRepository, judgeDevices, judgeMigrations, judgeNamespace, judgeNode, judgePostgres, judgePrograms, judgeSearchAttributes } from '../../../domain/doctor/judge-workers';

const gib = 1024 ** 3;
const expectVerdict = (judgement: Judgement, verdict: Verdict, words: string): void => {
  expect(judgement).toMatchObject({ verdict, text: expect.stringContaining(words) as string });
};

describe('a check', () => {
  test('carries its table\'s remedy when something is wrong, its own when it knows more, none when all is well', () => {
    expect(check('engine.clock', 'engine lab', problem('late')).remedy).toBe(checkTable['engine.clock'].remedy);
    expect(check('engine.clock', 'engine lab', warning('late', 'do this')).remedy).toBe('do this');
    expect(check('engine.clock', 'engine lab', ok('fine'))).toEqual({ id: 'engine.clock', title: 'clock of the engine', object: 'engine lab', verdict: 'ok', text: 'fine', remedy: '' });
  });

  test.each(checkIds)('%s has a title of its own, a meaning and a remedy in whole sentences', (id) => {
    expect(checkIds.filter((other) => checkTable[other].title === checkTable[id].title)).toEqual([id]);
    expect(checkTable[id].meaning).toMatch(/^.{10,}\.$/);
    expect(checkTable[id].remedy).toMatch(/^[A-Z].{10,}/);
  });

  test('a group that nobody answers for is skipped, but for what is known', () => {
    const made = check('queue.mover', 'repository main', problem('nobody'));
    const rest = skipRest('mover', 'repository main', 'no worker answers', [made]);
    expect(rest.map(({ id }) => id)).toEqual(checkIds.filter((id) => checkTable[id].group === 'mover' && id !== 'queue.mover'));
    expect(countVerdicts([made, ...rest])).toEqual({ ok: 0, warning: 0, problem: 1, skipped: rest.length });
  });
});

describe('a host\'s data daemon', () => {
  const nowMs = Date.parse('2026-03-01T00:00:00Z');
  const judged = (facts: DaemonFacts, proxy: 'when-needed' | 'never' = 'never'): Judgement => judgeDaemon(facts, { host: 'node-1', address: 'node-1.example.org', port: 54_322 }, { proxy, nowMs });

  test.each<[Exclude<DaemonFacts['outcome'], 'answers'>, Verdict, string, string]>([
    ['unreachable', 'warning', 'cannot be reached: why; the data of image transfers there has to go through the engine\'s proxy', 'TCP port 54322'],
    // The proxy is asked only when no connection came about.
    ['silent', 'problem', 'is silent: why; image transfers there fail', 'daemon.log'],
    ['untrusted', 'problem', 'has a certificate that is not trusted: why', 'caFile'],
    ['no-daemon', 'problem', 'is no data daemon: why', 'engines.<name>.imageio.port'],
  ])('that is %s is a %s with the proxy, and names host, address, port and remedy', (outcome, verdict, words, remedy) => {
    const judgement = judged({ outcome, reason: 'why' }, 'when-needed');
    expectVerdict(judgement, verdict, `node-1 (node-1.example.org:54322) ${words}`);
    expect(judgement.remedy).toContain(remedy);
    expectVerdict(judged({ outcome, reason: 'why' }), 'problem', 'image transfers there fail');
  });

  test.each<[string, Verdict]>([['2026-03-31T00:00:00Z', 'ok'], ['2026-03-30T23:59:59Z', 'warning']])('whose certificate ends %s is %s', (certificateExpiresAt, verdict) => {
    expectVerdict(judged({ outcome: 'answers', certificateExpiresAt }), verdict, 'node-1');
  });
});

describe('clocks', () => {
  test.each<[number, number, Verdict]>([
    [0, 10, 'ok'], [5_000, 0, 'ok'], [5_001, 0, 'warning'], [-5_001, 0, 'warning'], [30_000, 0, 'warning'], [30_001, 0, 'problem'], [-30_001, 0, 'problem'],
    // What the measurement may be off by is not held against anybody.
    [6_000, 1_000, 'ok'], [31_000, 2_000, 'warning'], [600_000, 2_000, 'problem'],
  ])('%d ms measured to %d ms is %s', (differenceMs, uncertaintyMs, verdict) => {
    expectVerdict(judgeClock({ differenceMs, uncertaintyMs }, 'the engine'), verdict, 'the engine');
  });

  test('is measured against the middle of the question, and says which way', () => {
    expect(betweenLooks(10_500, 10_000, 11_000)).toEqual({ differenceMs: 0, uncertaintyMs: 500 });
    expect(betweenLooks(10_500, 10_000, 11_000, 1000).uncertaintyMs).toBe(1500);
    expect(judgeClock(betweenLooks(0, 60_000, 60_000), 'ours').text).toContain('60.0 s behind ours');
    expect(judgeClock(sinceScheduled(70_000, 10_000), 'Temporal').text).toContain('60.0 s ahead of Temporal');
  });
});

describe('the engine', () => {
  const now = Date.parse('2026-11-21T00:00:00Z');
  const certificate = { verification: 'ca-file', trusted: true, subject: 'engine.example.org', issuer: 'its CA', expiresAt: '2027-11-21T00:00:00.000Z' } as const;

  test.each<[string, Partial<Parameters<typeof judgeCertificate>[0]>, Verdict, string]>([
    ['trusted and long', {}, 'ok', '365 days'],
    ['29 days left', { expiresAt: '2026-12-20T00:00:00.000Z' }, 'warning', '29 days'],
    ['30 days left', { expiresAt: '2026-12-21T00:00:00.000Z' }, 'ok', '30 days'],
    ['over', { expiresAt: '2026-11-20T00:00:00.000Z' }, 'problem', 'expired'],
    ['over and not verified', { verification: 'off', expiresAt: '2026-11-20T00:00:00.000Z' }, 'problem', 'expired'],
    ['not verified', { verification: 'off', trusted: false }, 'warning', 'not verified'],
    ['another CA', { trusted: false, reason: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'problem', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['no caFile', { trusted: false, verification: 'system' }, 'problem', 'no caFile is set'],
  ])('certificate: %s', (_, changes, verdict, words) => {
    expectVerdict(judgeCertificate({ ...certificate, ...changes }, now), verdict, words);
  });

  test.each<[string, Verdict]>([['4.5.8-1.el9', 'ok'], ['4.4.0', 'ok'], ['4.10.1', 'ok'], ['5.0', 'ok'], ['4.3.10', 'problem'], ['3.6', 'problem'], ['unknown', 'warning']])('version %s is %s', (version, verdict) => {
    expectVerdict(judgeEngineVersion('oVirt Engine', version), verdict, version);
  });

  test.each<[string, Verdict, string]>([['4.5.8-1.el9', 'ok', 'makes them'], ['4.4.7.6', 'ok', 'makes them'], ['4.10.0', 'ok', 'makes them'], ['5.0', 'ok', 'makes them'], ['4.4.6', 'warning', 'forgets'], ['4.4', 'warning', 'forgets'], ['4.3.10', 'warning', 'makes none'], ['unknown', 'warning', 'not known']])('VM backups of version %s: %s', (version, verdict, words) => {
    expectVerdict(judgeVmBackups(version), verdict, words);
  });

  test('its appliance must be known and up, have VirtIO-SCSI and no snapshots', () => {
    expectVerdict(judgeApplianceStatus(undefined), 'problem', 'no such VM');
    expectVerdict(judgeApplianceStatus({ name: 'app', status: 'other', statusText: 'suspended' }), 'problem', 'app is suspended');
    expectVerdict(judgeApplianceStatus({ name: 'app', status: 'up', statusText: 'up' }), 'ok', 'up');
    expect([true, false, undefined].map((enabled) => judgeVirtioScsi(enabled).verdict)).toEqual(['ok', 'problem', 'skipped']);
    const active = { description: 'Active VM', status: 'ok', type: 'active' };
    expectVerdict(judgeApplianceSnapshots([active]), 'ok', 'none');
    expectVerdict(judgeApplianceSnapshots([active, { description: 'mine', status: 'ok', type: 'regular' }]), 'warning', '"mine" (ok)');
    expectVerdict(judgeApplianceSnapshots([active, { description: 'mine', status: 'locked', type: 'regular' }]), 'problem', '"mine" (locked)');
    expectVerdict(judgeApplianceSnapshots([active, { description: 'old', status: 'in_preview', type: 'regular' }]), 'problem', '"old" (in_preview)');
  });
});

describe('a repository', () => {
  test.each<[number, number, Verdict]>([[500 * gib, 1000 * gib, 'ok'], [100 * gib, 1000 * gib, 'ok'], [99 * gib, 1000 * gib, 'warning'], [gib, 1000 * gib, 'warning'], [gib - 1, 2 * gib, 'problem'], [0, 0, 'problem']])('%d of %d bytes free is %s', (availableBytes, totalBytes, verdict) => {
    expect(judgeSpace({ availableBytes, totalBytes }).verdict).toBe(verdict);
  });

  test.each<[string, readonly string[], number, Verdict, string]>([
    ['ext4', ['rw', 'relatime'], 0.02, 'ok', 'ext4'],
    ['xfs', ['rw'], 250, 'ok', 'xfs'],
    ['xfs', ['rw'], 251, 'warning', 'durable position'],
    ['ext4', ['rw', 'nobarrier'], 2, 'warning', 'nobarrier'],
    ['ext4', ['rw', 'barrier=0'], 2, 'warning', 'barrier=0'],
    ['tmpfs', ['rw'], 0.001, 'warning', 'memory'],
    ['nfs4', ['rw', 'hard'], 0.09, 'warning', 'too quick'],
    ['nfs4', ['rw', 'hard'], 0.1, 'ok', 'nfs4'],
    ['cifs', ['rw'], 0.05, 'warning', 'too quick'],
    ['fuse.sshfs', ['rw'], 0.05, 'warning', 'too quick'],
    ['fuseblk', ['rw'], 0.05, 'ok', 'fuseblk'],
  ])('flush on %s %j in %d ms is %s', (type, options, medianMs, verdict, words) => {
    expectVerdict(judgeFlush({ type, options, medianMs }), verdict, words);
  });

  test('locks must refuse a second writer, on other machines too', () => {
    const nfs = { type: 'nfs', options: ['rw', 'nolock'] };
    expectVerdict(judgeLocking({ outcome: 'refused' }, { type: 'nfs4', options: ['rw', 'local_lock=none'] }), 'ok', 'refused');
    expectVerdict(judgeLocking({ outcome: 'refused' }, nfs), 'warning', 'nolock');
    expectVerdict(judgeLocking({ outcome: 'refused' }, { type: 'nfs', options: ['local_lock=all'] }), 'warning', 'within this machine');
    expectVerdict(judgeLocking({ outcome: 'both-opened' }, nfs), 'problem', 'two QEMU processes');
    expectVerdict(judgeLocking({ outcome: 'unusable', reason: 'no qemu-nbd' }, nfs), 'problem', 'no qemu-nbd');
  });
});

describe('a worker', () => {
  test.each<[string, string, number]>([['2.33', '2.33', 0], ['2.38.1', '2.33', 1], ['2.4', '2.33', -1], ['10.0', '9.9', 1], ['7.2', '7.2.0', 0]])('version %s against %s', (one, other, sign) => {
    expect(Math.sign(compareVersions(one, other))).toBe(sign);
  });

  test.each<[string, Verdict]>([['20.19.0', 'ok'], ['22.1.0', 'ok'], ['20.18.3', 'problem'], ['18.20.0', 'problem']])('Node %s is %s', (version, verdict) => {
    expect(judgeNode(version).verdict).toBe(verdict);
  });

  test('needs its programs, a setpriv with --pdeathsig, and QEMU\'s two of one kind', () => {
    const programs = (changes: Partial<Record<string, string | undefined>>) =>
      (['qemu-img', 'qemu-nbd', 'setpriv'] as const).map((program) => ({ program, version: program in changes ? changes[program] : program === 'setpriv' ? '2.38.1' : '7.2.22' }));
    expectVerdict(judgePrograms(programs({})), 'ok', 'qemu-img 7.2.22');
    expectVerdict(judgePrograms(programs({ 'qemu-nbd': undefined })), 'problem', 'missing: qemu-nbd');
    expectVerdict(judgePrograms(programs({ setpriv: '2.32.4' })), 'problem', 'needs 2.33');
    expectVerdict(judgePrograms(programs({ 'qemu-nbd': '8.0.0' })), 'warning', 'different versions');
  });

  test('needs its devices directory, and the mover\'s repository', () => {
    expect((['directory', 'missing', 'unreadable', 'not-a-directory'] as const).map((state) => judgeDevices('/d', state).verdict)).toEqual(['ok', 'problem', 'problem', 'problem']);
    expectVerdict(judgeApplianceRepository({ name: 'main', id: 'one', moverId: 'one' }), 'ok', 'same');
    expectVerdict(judgeApplianceRepository({ name: 'main', id: 'two', moverId: 'one' }), 'problem', 'mount is missing');
    expectVerdict(judgeApplianceRepository({ name: 'main', id: 'one', moverId: undefined }), 'ok', 'no mover');
    expectVerdict(judgeApplianceRepository({ name: 'main', id: 'one', moverId: 'one', failure: 'read-only' }), 'problem', 'read-only');
  });
});

describe('catalog and Temporal', () => {
  test.each<[number, Verdict]>([[150018, 'ok'], [140000, 'ok'], [170001, 'ok'], [130022, 'problem'], [90624, 'problem']])('PostgreSQL %d is %s', (version, verdict) => {
    expect(judgePostgres(version).verdict).toBe(verdict);
  });

  test('the schema must be the one the worker knows; a newer one asks for another worker', () => {
    expectVerdict(judgeMigrations({ schemaVersion: 2, knownVersion: 2 }), 'ok', 'version 2');
    expectVerdict(judgeMigrations({ schemaVersion: 0, knownVersion: 2 }), 'problem', 'version 0');
    expect(judgeMigrations({ schemaVersion: 3, knownVersion: 2 })).toMatchObject({ verdict: 'problem', remedy: expect.stringContaining('Upgrade this worker') as string });
  });

  test('the namespace must be registered', () => {
    expectVerdict(judgeNamespace({ name: 'default', state: 'registered', retentionDays: 1 }), 'ok', '1 day');
    for (const state of ['deprecated', 'deleted', 'unknown'] as const) expectVerdict(judgeNamespace({ name: 'x', state, retentionDays: 3 }), 'problem', state);
  });

  test('each missing search attribute comes with the command that registers it', () => {
    const expected = { HoldfastVm: 'Keyword', HoldfastPhase: 'Keyword' };
    expectVerdict(judgeSearchAttributes(expected, { ...expected, Other: 'Int' }, 'ns'), 'ok', 'all 2');
    const missing = judgeSearchAttributes(expected, { HoldfastVm: 'Keyword' }, 'ns');
    expectVerdict(missing, 'problem', 'missing: HoldfastPhase');
    expect(missing.remedy).toContain('temporal operator search-attribute create --namespace ns --name HoldfastPhase --type Keyword');
    expectVerdict(judgeSearchAttributes(expected, { HoldfastVm: 'Text', HoldfastPhase: 'Keyword' }, 'ns'), 'problem', 'HoldfastVm is Text instead of Keyword');
  });
});
