// What operators read in the Temporal UI, as text: a run's page, its row in the list, the sentence beside each activity. Pure tables.
import { Estimator } from '../../domain/estimate';
import type { DiskProgress, Progress } from '../../domain/flows/progress';
import { describeRun, progressLine, type RunView } from '../../workflows/details';
import { summaryOf } from '../../workflows/summaries';

const GiB = 1024 ** 3;
const MiB = 1024 ** 2;
const diskId = '11111111-0000-4000-8000-111111111111';
const runId = '22222222-0000-4000-8000-222222222222';
const startedAtMs = Date.parse('2026-11-21T08:00:00Z');

const disk = (change: Partial<DiskProgress> = {}): DiskProgress => ({ diskId, alias: 'web_Disk1', virtualBytes: 10 * GiB, positionBytes: 0, dataBytes: 0, bytesPerSecond: 0, state: 'waiting', waitingFor: null, ...change });
const progress = (change: Partial<Progress> = {}): Progress => ({ runId, vmName: 'web', phase: 'planning', paused: false, bandwidthBytesPerSecond: null, disks: [], notes: [], consistency: null, trouble: null, warnings: [], undone: [], leftovers: [], ...change });

function view(change: Partial<Progress> = {}, more: Partial<RunView> = {}): RunView {
  const of = progress(change);
  const estimator = new Estimator();
  estimator.add({ ...of, disks: of.disks.map((each) => ({ ...each, positionBytes: 0, state: 'copying' })) }, startedAtMs);
  const atMs = startedAtMs + 100_000;
  return { progress: of, estimate: estimator.add(of, atMs), what: 'backup', engine: 'prod', repository: 'vault', startedAtMs, atMs, holds: [], ...more };
}

const copying: Partial<Progress> = { phase: 'copy', disks: [disk({ state: 'copying', positionBytes: 4 * GiB, dataBytes: GiB, bytesPerSecond: 18 * MiB })] };
const left = { kind: 'snapshot', objectId: diskId, mark: 'Holdfast backup 6f1c', reason: 'remove the snapshot: the engine gave up merging [wait.deadline]' } as const;
const full = { outcome: 'failed', failure: { code: 'repository.full', message: 'Repository vault has no room left.' } } as const;

describe('the row in the list', () => {
  test.each<[string, RunView, string]>([
    ['a phase without figures', view({ phase: 'snapshot' }), 'snapshot'],
    ['how far, how fast, how long', view(copying), 'copy 40 %, 18.0 MiB/s, about 2 min 30 s left'],
    ['a proof', view({ ...copying, phase: 'prove' }), 'prove 40 %, 18.0 MiB/s, about 2 min 30 s left'],
    ['a copy that has told no rate yet', view({ phase: 'copy', disks: [disk()] }), 'copy 0 %'],
    ['a wait for a turn', view({ phase: 'copy', disks: [disk({ waitingFor: 'engine prod copies 4 at once' })] }), 'copy 0 %, waits for a copy slot'],
    ['a pause', view({ ...copying, paused: true }), 'paused at 40 %'],
    ['a pause before the copy', view({ paused: true }), 'paused'],
    ['what an undo waits for', view({ phase: 'cleanup', trouble: 'detach disk web_Disk1 is tried again: it is in use [engine.conflict]' }), 'cleanup, waiting: detach disk web_Disk1 is tried again: it is in use [engine.conflict]'],
    ['a good end', view({ phase: 'done' }, { end: { outcome: 'completed' } }), 'completed, nothing left behind'],
    ['a failure', view({ phase: 'cleanup' }, { end: full }), 'failed [repository.full], nothing left behind'],
    ['a failure with a leftover', view({ phase: 'cleanup', leftovers: [left] }, { end: full }), 'failed [repository.full], 1 left behind'],
    ['a cancel', view({ phase: 'cleanup' }, { end: { outcome: 'cancelled' } }), 'cancelled, nothing left behind'],
  ])('%s', (_what, of, line) => expect(progressLine(of)).toBe(line));

  test('is one line that a visibility store takes as a keyword, however long what it tells', () => {
    const line = progressLine(view({ phase: 'cleanup', trouble: `first\nsecond ${'ü'.repeat(500)}` }));
    expect(line).toMatch(/^cleanup, waiting: first second ü+…$/);
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(120);
    expect(Buffer.byteLength(line)).toBeGreaterThan(116);
  });
});

describe('the page of a run', () => {
  const lines = (of: RunView): readonly string[] => describeRun(of).split('\n').filter((line) => line !== '');

  test('that copies says first which VM, how far, how fast and how long; then each disk; then what it holds', () => {
    expect(lines(view(copying, { holds: [{ kind: 'attachment', objectId: diskId, mark: `disk ${diskId} at VM a` }, { kind: 'snapshot', mark: 'Holdfast backup 6f1c' }] }))).toEqual([
      '**web**: backup, **copying** · **40 %** of 10.0 GiB · 18.0 MiB/s · about 2 min 30 s left',
      '| disk | state | done | size | data moved | rate |',
      '|---|---|---|---|---|---|',
      '| web_Disk1 | copying | 40 % | 10.0 GiB | 1.0 GiB | 18.0 MiB/s |',
      '**Holds now, and releases at its end**',
      `- attachment "disk ${diskId} at VM a"`,
      '- snapshot "Holdfast backup 6f1c"',
      `backup of engine prod, repository vault · as of 2026-11-21 08:01:40 UTC · Holdfast run ${runId}`,
      '\u2800',
    ]);
  });

  test('that is paused shows no rate and promises no end', () => {
    const [head, , , row] = lines(view({ ...copying, paused: true, bandwidthBytesPerSecond: 20 * MiB }));
    expect(head).toBe('**web**: backup, **paused**, phase **copying** · **40 %** of 10.0 GiB · at most 20.0 MiB/s a disk');
    expect(row).toBe('| web_Disk1 | paused | 40 % | 10.0 GiB | 1.0 GiB |  |');
  });

  test('that waits for its turn says for which limit', () => {
    const text = describeRun(view({ phase: 'copy', disks: [disk({ waitingFor: 'engine prod copies 4 at once' })] }));
    expect(text).toContain('**Waiting for a copy slot**\n\n- web_Disk1: engine prod copies 4 at once');
  });

  test('by image transfers says what was decided, and why', () => {
    const notes = [{ code: 'chain.continued', text: 'It continues the chain of backup 6f1c.' }, { code: 'disk.added', text: 'Disk *new* is not in it.' }];
    const text = describeRun(view({ phase: 'vm-backup', notes }));
    expect(text).toContain('**web**: backup, **starting the VM backup**');
    expect(text).toContain('**Decided**\n\n- It continues the chain of backup 6f1c. (chain.continued)\n- Disk \\*new\\* is not in it. (disk.added)');
    expect(describeRun(view({ phase: 'snapshot' }))).not.toContain('Decided');
  });

  test('of a verification shows how far it is', () => {
    const reading = { ...copying, phase: 'verify' } as const;
    const [head] = lines(view(reading, { what: 'verification of backup 6f1c' }));
    expect(head).toMatch(/^\*\*web\*\*: verification of backup 6f1c, \*\*reading again what was sealed\*\* · \*\*40 %\*\* of 10\.0 GiB · 18\.0 MiB\/s/);
    expect(progressLine(view(reading))).toMatch(/^verify 40 %, 18\.0 MiB\/s/);
  });

  test('that undoes says what is undone already, and what it waits for', () => {
    const text = describeRun(view({ ...copying, phase: 'cleanup', undone: ['detach disk web_Disk1 from the appliance'], trouble: 'remove the snapshot is tried again: a migration runs [engine.conflict]' }));
    expect(text).toContain('**web**: backup, **cleaning up**\n\n**Waiting:** remove the snapshot is tried again: a migration runs \\[engine.conflict\\]');
    expect(text).toContain('| web_Disk1 | stopped | 40 % | 10.0 GiB | 1.0 GiB |  |');
    expect(text).toContain('**Undone, newest first**\n\n- detach disk web_Disk1 from the appliance');
  });

  test('that failed says why, what to do, how far it came, what was undone, and what is left and what to do about it', () => {
    const failed = view({ ...copying, phase: 'cleanup', undone: ['drop the partial backup'], leftovers: [left], warnings: ['left behind: snapshot 1111 (told above)', 'a warning of another kind'] }, { end: full, holds: [] });
    expect(lines(failed)).toEqual([
      '**web**: backup **failed** after 1 min 40 s, **1 left behind**',
      '**Failure** `repository.full`: Repository vault has no room left.',
      '**What to do:** Free or add space, then start again; a partial backup was dropped by the undo.',
      '**Left behind**',
      expect.stringMatching(/^- snapshot 1{8}-.* "Holdfast backup 6f1c": remove the snapshot: the engine gave up merging \\\[wait\.deadline\\\] \*\*What to do:\*\* the next backup of the VM tries again to remove it/) as string,
      '| disk | state | done | size | data moved | rate |',
      '|---|---|---|---|---|---|',
      '| web_Disk1 | stopped | 40 % | 10.0 GiB | 1.0 GiB |  |',
      '**Undone, newest first**',
      '- drop the partial backup',
      '**Warnings**',
      '- a warning of another kind',
      `backup of engine prod, repository vault · as of 2026-11-21 08:01:40 UTC · Holdfast run ${runId}`,
      '\u2800',
    ]);
  });

  test('that was cancelled blames nobody, and says that nothing is left', () => {
    const text = describeRun(view({ phase: 'cleanup', undone: ['remove the snapshot'] }, { end: { outcome: 'cancelled', failure: { code: 'cancelled', message: 'cancelled' } } }));
    expect(text).toMatch(/^\*\*web\*\*: backup \*\*cancelled\*\* after 1 min 40 s, \*\*nothing left behind\*\*/);
    expect(text).not.toMatch(/Failure|What to do/);
  });

  test('that completed says what it made', () => {
    const text = describeRun(view({ phase: 'done', undone: ['remove the snapshot'] }, { end: { outcome: 'completed', product: 'Backup 6f1c is sealed in repository vault.' } }));
    expect(text).toContain('\n\nBackup 6f1c is sealed in repository vault.\n\n');
    expect(text).toContain('**Cleaned up**');
  });

  test('of a refusal keeps one reason a line', () => {
    const text = describeRun(view({}, { end: { outcome: 'failed', failure: { code: 'plan.refused', message: 'refused, for 2 reasons:\n- disk a is locked [disk.locked]\n- too full [repository.full]' } } }));
    expect(text).toContain('**Failure** `plan.refused`: refused, for 2 reasons:\n- disk a is locked \\[disk.locked\\]\n- too full \\[repository.full\\]');
  });

  test('is not broken by names that are Markdown', () => {
    const text = describeRun(view({ ...copying, vmName: '**web**', disks: [disk({ alias: 'a|b\n<i>' })] }));
    expect(text).toContain('**\\*\\*web\\*\\***: backup');
    expect(text).toContain('| a\\|b \\<i\\> | waiting |');
  });
});

describe('the sentence beside an activity', () => {
  const nameOf = (id: string): string | undefined => ({ [diskId]: 'disk web_Disk1' })[id];

  test.each([
    ['backupDisk', { diskId, bandwidthBytesPerSecond: 20 * MiB }, 'copy disk web_Disk1 into the repository, at most 20.0 MiB/s'],
    ['backupDiskByTransfer', { diskId, baseBackupId: runId }, 'copy what changed of disk web_Disk1 into the repository'],
    ['backupDiskByTransfer', { diskId, baseBackupId: null }, 'copy disk web_Disk1 into the repository'],
    ['ensureTransferEnded', { diskId, direction: 'download', outcome: 'finalize' }, 'finalize the download of disk web_Disk1'],
    ['ensureVmBackup', { vmId: runId, fromCheckpointId: runId }, `VM backup of ${runId}, what changed`],
    ['recordVerification', { backupId: runId, failure: null }, `write down that backup ${runId} is what was sealed`],
    ['detachDisk', { diskId }, 'detach disk web_Disk1 from the appliance'],
    ['detachDisk', { diskId: runId }, `detach ${runId} from the appliance`],
    ['ensureSnapshotGone', { vmId: runId }, `remove the snapshot of ${runId} and wait for the merge`],
    ['closeRun', { outcome: 'failed', leftovers: [left] }, 'close the run in the catalog: failed, 1 left behind'],
    ['findVmsOnEngine', {}, undefined],
  ])('%s %p', (activity, input, summary) => expect(summaryOf(activity, input, nameOf)).toBe(summary));

  test('fits into what Temporal takes', () => {
    expect(Buffer.byteLength(summaryOf('planRestore', { name: '名'.repeat(255) }, nameOf) ?? '')).toBeLessThanOrEqual(150);
  });
});
