// Which kind, on which base, and why: one row for each thing that can be the matter with a chain.
import { chooseKind, type ChainBackup, type ChainFacts, type ChainReasonCode } from '../../../domain/chain';
import { backup, checkpoint, dayMs, disk, f, facts, hourMs, i1, i2, line } from './samples';

const without = (...gone: readonly string[]) => facts().checkpoints.filter((each) => !gone.includes(each.id));

describe('an unbroken chain is continued', () => {
  it.each([
    ['incremental', 'incremental', 'i2'],
    ['auto', 'incremental', 'i2'],
    ['differential', 'differential', 'f'],
  ] as const)('%s is %s on %s', (wanted, kind, base) => {
    expect(chooseKind(facts({ wanted }))).toMatchObject({ kind, baseBackupId: base, fromCheckpointId: `cp-${base}`, reason: { code: 'chain.continued' }, notes: [] });
  });

  it('a differential backup lies on the last full one, whatever came between, also in the order of the list', () => {
    const newer = backup('g', null, 12 * hourMs);
    const choice = chooseKind(facts({ wanted: 'differential', backups: [newer, i2, f, i1], checkpoints: line('cp-f', 'cp-i1', 'cp-i2', 'cp-g') }));
    expect(choice).toMatchObject({ kind: 'differential', baseBackupId: 'g' });
  });

  it('a full one that is asked for is a full one', () => {
    expect(chooseKind(facts({ wanted: 'full' }))).toMatchObject({ kind: 'full', baseBackupId: null, fromCheckpointId: null, reason: { code: 'kind.asked' } });
  });
});

/** What breaks it; what an incremental backup becomes; the reason, or the first note when an older base bears it. */
const rows: readonly (readonly [string, Partial<ChainFacts>, 'full' | { readonly on: string }, ChainReasonCode])[] = [
  ['first backup', { backups: [], checkpoints: [] }, 'full', 'chain.first'],
  ['no change tracking on any disk', { disks: [disk('a', { tracked: false }), disk('b', { tracked: false })] }, 'full', 'chain.no-tracking'],
  ['chain too long', { policy: { maxChainLength: 3 } }, 'full', 'chain.too-long'],
  ['chain too old', { policy: { maxChainLength: 9, fullEveryMs: 3 * dayMs } }, 'full', 'chain.full-due'],
  ['newest one not sealed', { backups: [f, i1, { ...i2, sealed: false }] }, { on: 'i1' }, 'base.not-sealed'],
  ['newest one expired', { backups: [f, i1, { ...i2, expired: true }] }, { on: 'i1' }, 'base.expired'],
  ['newest one failing verification', { backups: [f, i1, { ...i2, verification: 'failed' }] }, { on: 'i1' }, 'base.failing'],
  ['newest one damaged', { backups: [f, i1, { ...i2, damage: 'its image is missing' }] }, { on: 'i1' }, 'base.damaged'],
  ['the full one damaged', { backups: [{ ...f, damage: 'its image is missing' }, i1, i2] }, 'full', 'base.damaged'],
  ['the host\'s checksum contradicted the last run', { past: { contradictedBy: 'run-1' } }, 'full', 'base.contradicted'],
  ['the full one failing verification', { backups: [{ ...f, verification: 'failed' }, i1, i2] }, 'full', 'base.failing'],
  ['a link missing', { backups: [f, i2] }, { on: 'f' }, 'base.incomplete'],
  ['the full one missing', { backups: [i1, i2] }, 'full', 'base.incomplete'],
  ['a disk without an image below its own', { backups: [{ ...f, disks: f.disks.slice(1) }, i1, i2] }, { on: 'f' }, 'base.incomplete'],
  ['a base without a checkpoint', { backups: [f, i1, { ...i2, checkpointId: null }] }, { on: 'i1' }, 'base.no-checkpoint'],
  ['newest checkpoint missing', { checkpoints: without('cp-i2') }, { on: 'i1' }, 'checkpoint.missing'],
  ['all checkpoints missing', { checkpoints: [] }, 'full', 'checkpoint.missing'],
  ['all checkpoints missing since a disk was detached', { checkpoints: [], past: { detachedAgeMs: hourMs } }, 'full', 'checkpoint.wiped'],
  ['all checkpoints missing although a disk was detached long ago', { checkpoints: [], past: { detachedAgeMs: 9 * dayMs } }, 'full', 'checkpoint.missing'],
  ['newest checkpoint invalid', { checkpoints: [...line('cp-f', 'cp-i1'), checkpoint('cp-i2', 'cp-i1', { state: 'invalid' })] }, 'full', 'checkpoint.invalid'],
  ['a middle checkpoint invalid', { checkpoints: [checkpoint('cp-f', null), checkpoint('cp-i1', 'cp-f', { state: 'invalid' }), checkpoint('cp-i2', 'cp-i1')] }, { on: 'i2' }, 'chain.continued'],
  ['another product\'s invalid checkpoint after ours', { checkpoints: [...line('cp-f', 'cp-i1', 'cp-i2'), checkpoint('theirs', 'cp-i2', { ours: false, state: 'invalid' })] }, 'full', 'checkpoint.invalid'],
  ['newest checkpoint not ours', { checkpoints: [...line('cp-f', 'cp-i1'), checkpoint('cp-i2', 'cp-i1', { ours: false })] }, { on: 'i1' }, 'checkpoint.foreign'],
  ['two newest checkpoints', { checkpoints: [...line('cp-f', 'cp-i1', 'cp-i2'), checkpoint('other', 'cp-f')] }, 'full', 'checkpoint.broken-line'],
  ['checkpoints in a circle', { checkpoints: [checkpoint('cp-f', 'cp-i2'), checkpoint('cp-i1', 'cp-f'), checkpoint('cp-i2', 'cp-i1')] }, 'full', 'checkpoint.broken-line'],
  ['a snapshot restored since the newest one', { past: { snapshotRestoredAgeMs: hourMs } }, 'full', 'snapshot.restored'],
  ['a snapshot restored between two backups', { past: { snapshotRestoredAgeMs: 36 * hourMs } }, { on: 'i2' }, 'chain.continued'],
  ['no disk in the checkpoint', { checkpoints: [...line('cp-f', 'cp-i1').map((each) => ({ ...each, diskIds: [] })), checkpoint('cp-i2', 'cp-i1', { diskIds: [] })] }, 'full', 'chain.nothing-tracked'],
];

describe('wanted incremental', () => {
  it.each(rows)('%s', (_what, more, expected, code) => {
    const choice = chooseKind(facts(more));
    if (expected === 'full') {
      expect(choice).toMatchObject({ kind: 'full', baseBackupId: null, fromCheckpointId: null, reason: { code } });
      return;
    }
    expect(choice).toMatchObject({ kind: 'incremental', baseBackupId: expected.on, fromCheckpointId: `cp-${expected.on}` });
    expect('refused' in choice ? undefined : [...choice.notes, choice.reason][0]?.code).toBe(code);
  });

  it.each(rows.filter(([, , expected]) => expected === 'full'))('strictly: %s refuses, with the same reason', (_what, more, _expected, code) => {
    expect(chooseKind(facts({ ...more, strict: true }))).toMatchObject({ refused: { code } });
    expect(chooseKind(facts({ ...more, strict: true, wanted: 'auto' }))).toMatchObject({ kind: 'full', reason: { code } });
  });

  it('the policy speaks before an older, shorter chain: otherwise no chain would ever end', () => {
    expect(chooseKind(facts({ policy: { maxChainLength: 3 }, backups: [f, i1, i2] }))).toMatchObject({ kind: 'full' });
    expect(chooseKind(facts({ policy: { maxChainLength: 1 }, backups: [f] }))).toMatchObject({ kind: 'full', reason: { code: 'chain.too-long' } });
  });
});

describe('wanted differential', () => {
  it('never lies on an older full backup than the last', () => {
    const g: ChainBackup = { ...backup('g', null, hourMs), verification: 'failed' };
    expect(chooseKind(facts({ wanted: 'differential', backups: [f, g], checkpoints: line('cp-f', 'cp-g') }))).toMatchObject({ kind: 'full', reason: { code: 'base.failing' } });
  });

  it('does not care about the incremental ones between', () => {
    expect(chooseKind(facts({ wanted: 'differential', backups: [f, i1, { ...i2, verification: 'failed' }] }))).toMatchObject({ kind: 'differential', baseBackupId: 'f' });
  });
});

describe('disks', () => {
  const newest = (diskIds: readonly string[]) => [...line('cp-f', 'cp-i1'), checkpoint('cp-i2', 'cp-i1', { diskIds })];
  it.each<readonly [string, Partial<ChainFacts>, ChainReasonCode]>([
    ['without change tracking', { disks: [disk('a'), disk('b', { tracked: false })] }, 'disk.no-tracking'],
    ['added', { disks: [disk('a'), disk('b')], backups: [{ ...f, disks: f.disks.slice(0, 1) }], checkpoints: line('cp-f') }, 'disk.added'],
    ['resized', { disks: [disk('a'), disk('b', { virtualBytes: 2048 })] }, 'disk.resized'],
    ['not in the checkpoint', { checkpoints: newest(['a']) }, 'disk.not-in-checkpoint'],
    ['wiped by a detached attachment', { checkpoints: newest(['a']), past: { detachedAgeMs: hourMs } }, 'disk.wiped'],
  ])('%s: read in full within an incremental backup', (_what, more, code) => {
    const choice = chooseKind(facts(more));
    expect(choice).toMatchObject({ kind: 'incremental', disks: [{ diskId: 'a', mode: 'incremental' }, { diskId: 'b', mode: 'full', reason: { code } }], notes: [{ code }] });
  });

  it('removed: the chain goes on without it', () => {
    expect(chooseKind(facts({ disks: [disk('a')] }))).toMatchObject({ kind: 'incremental', baseBackupId: 'i2', disks: [{ diskId: 'a', mode: 'incremental' }], notes: [{ code: 'disk.removed' }] });
  });
});

it('another product\'s checkpoints in between are told and left alone', () => {
  const checkpoints = [...line('cp-f', 'cp-i1', 'cp-i2'), checkpoint('theirs', 'cp-i2', { ours: false })];
  const choice = chooseKind(facts({ checkpoints }));
  expect(choice).toMatchObject({ kind: 'incremental', fromCheckpointId: 'cp-i2', notes: [{ code: 'checkpoint.others-between' }] });
  expect(choice.removableCheckpointIds).toEqual(['cp-i1', 'cp-i2']);
  expect(choice.removableAfterFullIds).toEqual(['cp-f', 'cp-i1', 'cp-i2']);
});
