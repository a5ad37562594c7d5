// What the engine's events say about a VM backup that is no more, and how consistent one is that is ready.
import { isQuiesced, judgeVmBackup, type VmBackupFacts } from '../../domain/consistency';
import { judgeBackupEnd, type BackupEvent } from '../../domain/vm-backups';

const event = (code: number, severity: BackupEvent['severity'] = 'error', description = `event ${code} of backup x`): BackupEvent => ({ code, severity, description });
const started = event(10_790, 'normal');

describe('one that failed', () => {
  test.each<[string, readonly BackupEvent[], boolean, string, RegExp]>([
    ['the engine asks for a full one', [event(10_792), event(10_791), started], true, 'backup.incremental-refused', /10791/],
    ['the words speak of a bitmap', [event(10_792, 'error', 'Bitmap cp-1 is inconsistent'), started], true, 'backup.incremental-refused', /Bitmap cp-1/],
    ['no word while it was incremental', [started], true, 'backup.incremental-refused', /do not say why/],
    ['no word while it was full', [started], false, 'backup.failed', /do not say why/],
    ['no room for a scratch disk, told before the failure', [event(10_792), event(10_806), started], true, 'backup.failed', /10806/],
    ['nobody watched it any more', [event(10_814), started], false, 'backup.failed', /10814/],
    ['it failed, and nothing else is told', [event(10_792), started], true, 'backup.failed', /10792/],
    ['a full one cannot be refused for a checkpoint', [event(10_791), started], false, 'backup.failed', /10791/],
  ])('%s', (_what, events, isIncremental, code, why) => {
    expect(judgeBackupEnd(events, isIncremental)).toEqual({ code, why: expect.stringMatching(why) as string });
  });
});

describe('one that is ready', () => {
  const facts = (changes: Partial<VmBackupFacts>): VmBackupFacts => ({ style: 'hybrid', wasDown: false, requireConsistency: false, quiesce: 'best-effort', eventCodes: [], ...changes });
  test.each<[string, Partial<VmBackupFacts>, string, RegExp]>([
    ['live, and it would have failed without a freeze', { style: 'live', requireConsistency: true, quiesce: 'required' }, 'filesystem', /require_consistency/],
    ['live, but the engine says that the freeze failed', { style: 'live', requireConsistency: true, eventCodes: [10_764] }, 'crash', /10764/],
    ['live, and nobody asked', { style: 'live' }, 'unknown', /nobody hears/],
    ['hybrid', {}, 'unknown', /no outcome/],
    ['hybrid does not hear require_consistency', { requireConsistency: true }, 'unknown', /no outcome/],
    ['hybrid, and the engine says that the freeze failed', { eventCodes: [10_764] }, 'crash', /10764/],
    ['hybrid of a VM that was down', { wasDown: true }, 'filesystem', /down/],
    ['cold', { style: 'cold', quiesce: 'off' }, 'filesystem', /down/],
    ['quiescing was not asked for', { quiesce: 'off' }, 'off', /neither/],
  ])('%s', (_what, changes, level, evidence) => {
    const judged = judgeVmBackup(facts(changes));
    expect(judged).toEqual({ level, evidence: expect.stringMatching(evidence) as string });
    expect(isQuiesced(judged)).toBe(level === 'filesystem');
  });
});
