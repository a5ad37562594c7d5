// Checkpoints of ours that no chain needs, oldest first; and when the host bears witness.
import { defaultWitness, removableCheckpoints, witnessDue, witnessPolicySchema } from '../../../domain/chain';
import { backup, checkpoint, dayMs, f, facts, i1, i2, line } from './samples';

const removable = (more: Partial<Parameters<typeof removableCheckpoints>[0]> = {}) => removableCheckpoints({ checkpoints: facts().checkpoints, repositories: [facts().backups], past: {}, ...more });

describe('removableCheckpoints', () => {
  it('keeps the newest backup\'s and the last full one\'s', () => {
    expect(removable()).toEqual(['cp-i1']);
  });

  it('once the next one is sealed, the newest of now is not needed any more', () => {
    for (const sealing of ['incremental', 'differential'] as const) expect(removable({ sealing })).toEqual(['cp-i1', 'cp-i2']);
    expect(removable({ sealing: 'full' })).toEqual(['cp-f', 'cp-i1', 'cp-i2']);
    const other = [backup('o', null, 2 * dayMs, { checkpointId: 'cp-i1' })];
    expect(removable({ sealing: 'full', repositories: [facts().backups, other] })).toEqual(['cp-f', 'cp-i2']);
  });

  it('a contradiction in one repository is none in another', () => {
    const other = [backup('o', null, 2 * dayMs, { checkpointId: 'cp-i1' })];
    expect(removable({ past: { contradictedBy: 'run-1' }, repositories: [facts().backups, other] })).toEqual(['cp-f', 'cp-i2']);
  });

  it('after a new full backup the whole old chain\'s go, oldest first', () => {
    const g = backup('g', null, 0);
    expect(removable({ repositories: [[f, i1, i2, g]], checkpoints: line('cp-f', 'cp-i1', 'cp-i2', 'cp-g') })).toEqual(['cp-f', 'cp-i1', 'cp-i2']);
  });

  it('those that no backup names go too (a run that failed)', () => {
    expect(removable({ checkpoints: line('cp-f', 'cp-i1', 'cp-i2', 'cp-failed') })).toEqual(['cp-i1', 'cp-failed']);
  });

  it('what is not ours stays, whatever it is', () => {
    const checkpoints = [...line('cp-f', 'cp-i1', 'cp-i2'), checkpoint('theirs', 'cp-i2', { ours: false, state: 'invalid' })];
    expect(removable({ checkpoints })).not.toContain('theirs');
  });

  it('invalid ones of ours go: the engine refuses to start from them', () => {
    expect(removable({ checkpoints: [...line('cp-f', 'cp-i1'), checkpoint('cp-i2', 'cp-i1', { state: 'invalid' })] })).toEqual(['cp-f', 'cp-i1', 'cp-i2']);
  });

  it('a chain in another repository keeps its own', () => {
    const other = backup('o', null, 2 * dayMs, { checkpointId: 'cp-i1' });
    expect(removable({ repositories: [facts().backups, [other]] })).toEqual([]);
  });
});

describe('witness', () => {
  it.each([
    ['never', [], false],
    ['never', [false, false, false, false, false, false, false, false], false],
    ['always', [true], true],
    [{ every: 1 }, [true], true],
    [{ every: 7 }, [], false],
    [{ every: 7 }, [false, false, false, false, false], false],
    [{ every: 7 }, [false, false, false, false, false, false], true],
    [{ every: 7 }, [false, true, false, false, false, false, false, false], false],
    [{ every: 2 }, [true, false], false],
    [{ every: 2 }, [false, true], true],
  ] as const)('%j after %j', (policy, witnessed, due) => {
    expect(witnessDue(policy, witnessed)).toBe(due);
  });

  it('is every seventh backup by default, and takes no nonsense', () => {
    expect(defaultWitness).toEqual({ every: 7 });
    expect(witnessPolicySchema.safeParse({ every: 0 }).success).toBe(false);
    expect(witnessPolicySchema.safeParse('sometimes').success).toBe(false);
  });
});
