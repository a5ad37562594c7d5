// What holds for every choice, whatever the repository and the engine look like. The oracle is written anew here: it shares no line with the code.
import fc from 'fast-check';
import { chooseKind, type ChainBackup, type ChainFacts, type EngineCheckpoint } from '../../../domain/chain';
import { hourMs } from './samples';

const diskIds = ['a', 'b', 'c'];
const names = ['0', '1', '2', '3', '4', '5'];
const maybe = <T>(value: fc.Arbitrary<T>, nil: T, oftener = 4): fc.Arbitrary<T> => fc.oneof({ weight: oftener, arbitrary: value }, { weight: 1, arbitrary: fc.constant(nil) });

/** Mostly sound, and damaged here and there: bases may be missing, newer, or in a circle. */
const backups = fc.array(
  fc.record({
    base: fc.nat(6),
    full: fc.boolean(),
    differential: fc.boolean(),
    sealed: maybe(fc.constant(true), false, 8),
    checkpoint: maybe(fc.boolean(), true),
    failed: maybe(fc.constant(false), true, 12),
    expired: maybe(fc.constant(false), true, 12),
    sizes: fc.tuple(...diskIds.map(() => maybe(fc.constant(1024), 2048, 8))),
    has: fc.tuple(...diskIds.map(() => maybe(fc.constant(true), false, 8))),
    own: fc.tuple(...diskIds.map(() => maybe(fc.constant(false), true, 8))),
  }),
  { maxLength: 6 },
).map((list): ChainBackup[] =>
  list.map((each, at) => {
    const baseBackupId = each.full || at === 0 ? null : (names[each.base > 5 ? 5 : each.base % at] ?? null);
    return {
      backupId: names[at] ?? '',
      kind: baseBackupId === null ? 'full' : each.differential ? 'differential' : 'incremental',
      baseBackupId,
      sealed: each.sealed,
      checkpointId: each.checkpoint ? `cp-${at}` : null,
      disks: diskIds.flatMap((diskId, index) => (each.has[index] === true ? [{ diskId, virtualBytes: each.sizes[index] ?? 0, baseBackupId: each.own[index] === true ? null : baseBackupId }] : [])),
      verification: each.failed ? 'failed' : 'none',
      expired: each.expired,
      ageMs: (list.length - at) * hourMs,
    };
  }),
);

const checkpoints = fc.array(
  fc.record({ present: maybe(fc.constant(true), false, 6), invalid: maybe(fc.constant(false), true, 10), ours: maybe(fc.constant(true), false, 6), parent: maybe(fc.constant(-1), 0, 12), disks: maybe(fc.constant(undefined), ['a'] as readonly string[] | undefined, 4) }),
  { minLength: 6, maxLength: 8 },
).map((list): EngineCheckpoint[] => {
  const present = list.map((each, at) => ({ ...each, id: `cp-${at}` })).filter((each) => each.present);
  return present.map((each, at) => ({ id: each.id, parentId: each.parent === 0 ? 'cp-0' : (present[at - 1]?.id ?? null), state: each.invalid ? 'invalid' : 'created', ours: each.ours, diskIds: each.disks }));
});

const anyFacts: fc.Arbitrary<ChainFacts> = fc.record({
  wanted: fc.constantFrom('full', 'incremental', 'differential', 'auto'),
  strict: fc.boolean(),
  policy: fc.record({ maxChainLength: fc.integer({ min: 1, max: 8 }), fullEveryMs: fc.constantFrom(undefined, 3 * hourMs) }),
  disks: fc.tuple(...diskIds.map(() => maybe(fc.constant(true), false))).map((tracked) => diskIds.map((diskId, at) => ({ diskId, alias: diskId, virtualBytes: 1024, tracked: tracked[at] === true }))),
  backups,
  elsewhere: fc.constantFrom([], [[{ backupId: 'x', kind: 'full' as const, baseBackupId: null, sealed: true, checkpointId: 'cp-3', disks: [], verification: 'none' as const, expired: false, ageMs: 0 }]]),
  checkpoints,
  past: fc.record({ snapshotRestoredAgeMs: maybe(fc.constant<number | undefined>(undefined), 2.5 * hourMs), detachedAgeMs: fc.constantFrom(undefined, hourMs) }),
});

const holds = (check: (facts: ChainFacts, choice: ReturnType<typeof chooseKind>) => void): void => {
  fc.assert(fc.property(anyFacts, (facts) => check(facts, chooseKind(facts))), { numRuns: 800 });
};

/** Can everything that a restore of it would read be read? */
function restorable(id: string | null, list: readonly ChainBackup[], seen: readonly string[] = []): boolean {
  const found = list.find((each) => each.backupId === id);
  if (found === undefined || !found.sealed || found.verification === 'failed' || seen.includes(found.backupId)) return false;
  if (found.kind === 'full') return found.baseBackupId === null;
  const base = list.find((each) => each.backupId === found.baseBackupId);
  const held = found.disks.every((disk) => disk.baseBackupId === null || (disk.baseBackupId === base?.backupId && base.disks.some((other) => other.diskId === disk.diskId)));
  return held && restorable(found.baseBackupId, list, [...seen, found.backupId]);
}

it('a base is sealed, its chain is whole, and its checkpoint is there, ours and valid', () => {
  let continued = 0;
  holds((facts, choice) => {
    if ('refused' in choice || choice.kind === 'full') return;
    continued += 1;
    const base = facts.backups.find((each) => each.backupId === choice.baseBackupId);
    expect(restorable(choice.baseBackupId, facts.backups)).toBe(true);
    expect(base?.expired).toBe(false);
    expect(base?.checkpointId).toBe(choice.fromCheckpointId);
    expect(facts.checkpoints.filter((each) => each.id === choice.fromCheckpointId)).toMatchObject([{ state: 'created', ours: true }]);
    if (facts.past.snapshotRestoredAgeMs !== undefined) expect(facts.past.snapshotRestoredAgeMs).toBeGreaterThan(base?.ageMs ?? Infinity);
  });
  // The chains above are damaged, but not all of them: without this the test would say nothing.
  expect(continued).toBeGreaterThan(40);
});

it('a full backup has no base; every other one has, and at least one disk to gain by it', () => {
  holds((facts, choice) => {
    if ('refused' in choice) return;
    expect(choice.baseBackupId === null).toBe(choice.kind === 'full');
    expect(choice.fromCheckpointId === null).toBe(choice.kind === 'full');
    expect(choice.disks.map((each) => each.diskId)).toEqual(facts.disks.map((each) => each.diskId));
    expect(choice.disks.some((each) => each.mode === 'incremental')).toBe(choice.kind !== 'full');
  });
});

it('a disk is incremental only when it is tracked, and in base and checkpoint as it is now', () => {
  holds((facts, choice) => {
    if ('refused' in choice) return;
    const base = facts.backups.find((each) => each.backupId === choice.baseBackupId);
    const from = facts.checkpoints.find((each) => each.id === choice.fromCheckpointId);
    for (const { diskId } of choice.disks.filter((each) => each.mode === 'incremental')) {
      expect(facts.disks.find((each) => each.diskId === diskId)).toMatchObject({ tracked: true });
      expect(base?.disks.find((each) => each.diskId === diskId)?.virtualBytes).toBe(1024);
      expect(from?.diskIds?.includes(diskId)).not.toBe(false);
    }
  });
});

it('a differential backup lies on the last sealed full one', () => {
  holds((facts, choice) => {
    if ('refused' in choice || choice.kind !== 'differential') return;
    expect(facts.wanted).toBe('differential');
    const fulls = facts.backups.filter((each) => each.sealed && each.kind === 'full').sort((one, other) => one.ageMs - other.ageMs);
    expect(choice.baseBackupId).toBe(fulls[0]?.backupId);
  });
});

it('who insists on a kind gets that kind or a refusal, and nobody else is refused', () => {
  holds((facts, choice) => {
    const insists = facts.strict && (facts.wanted === 'incremental' || facts.wanted === 'differential');
    if ('refused' in choice) expect(insists).toBe(true);
    else if (insists) expect(choice.kind).toBe(facts.wanted);
  });
});

it('no chain grows beyond what the policy allows, nor on a full backup that is too old', () => {
  holds((facts, choice) => {
    if ('refused' in choice || choice.baseBackupId === null) return;
    let length = 1;
    let root: ChainBackup | undefined;
    for (let id: string | null = choice.baseBackupId; id !== null; id = root?.baseBackupId ?? null) {
      root = facts.backups.find((each) => each.backupId === id);
      length += 1;
    }
    expect(length).toBeLessThanOrEqual(facts.policy.maxChainLength);
    if (facts.policy.fullEveryMs !== undefined) expect(root?.ageMs).toBeLessThan(facts.policy.fullEveryMs);
  });
});

it('removable checkpoints are ours, each once, parents before children, and never one that the next differential backup or another repository needs', () => {
  holds((facts, choice) => {
    const ids = choice.removableCheckpointIds;
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) {
      expect(facts.checkpoints.find((each) => each.id === id)?.ours).toBe(true);
      const parent = facts.checkpoints.find((each) => each.id === id)?.parentId ?? '';
      const circle = facts.checkpoints.some((each) => each.parentId === 'cp-0' && each.id === 'cp-0');
      if (ids.includes(parent) && !circle) expect(ids.indexOf(parent)).toBeLessThan(ids.indexOf(id));
    }
    if (!('refused' in choice) && choice.kind !== 'full') {
      for (const id of ids) expect(choice.removableAfterFullIds).toContain(id);
      const base = facts.backups.find(({ backupId }) => backupId === choice.baseBackupId);
      const lastFull = [...facts.backups].sort((one, other) => one.ageMs - other.ageMs).find(({ sealed, kind }) => sealed && kind === 'full');
      if (base !== undefined && base === lastFull) expect(ids).not.toContain(base.checkpointId);
    }
    const there = facts.checkpoints.find((each) => each.id === 'cp-3');
    const healthy = there?.ours === true && facts.checkpoints.every((each) => each.state === 'created') && facts.past.snapshotRestoredAgeMs === undefined;
    const straight = facts.checkpoints.every((each, at) => each.parentId === (facts.checkpoints[at - 1]?.id ?? null));
    if ((facts.elsewhere ?? []).length > 0 && healthy && straight) expect(ids).not.toContain('cp-3');
  });
});

it('does not depend on the order in which anything is listed', () => {
  holds((facts, choice) => {
    expect(chooseKind({ ...facts, backups: [...facts.backups].reverse(), checkpoints: [...facts.checkpoints].reverse() })).toEqual(choice);
  });
});
