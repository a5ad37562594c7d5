// What a backup may say about its consistency, and from which evidence: tables, and that nothing is ever claimed without any.
import fc from 'fast-check';
import { freezeByEvents, isQuiesced, judgeConsistency, judgeVmBackup, snapshotFailureEvents, type SnapshotMoment, type TimedEvent, type VmBackupFacts } from '../../domain/consistency';

const held = { held: true, evidence: 'Holdfast froze the guest' };
const notHeld = { held: false, evidence: 'the agent is missing' };

describe('a snapshot', () => {
  const judge = (changes: Partial<SnapshotMoment>): ReturnType<typeof judgeConsistency> => judgeConsistency({ vmStatus: 'up', quiesce: 'best-effort', eventCodes: [45, 68], ...changes });

  test.each<readonly [string, Partial<SnapshotMoment>, string, RegExp]>([
    ['a VM that is down is as its file systems were left', { vmStatus: 'down' }, 'filesystem', /was down/],
    ['… whatever was asked', { vmStatus: 'down', quiesce: 'off', ownFreeze: notHeld }, 'filesystem', /was down/],
    ['a paused VM is crash-consistent', { vmStatus: 'paused' }, 'crash', /paused/],
    ['a freeze by the engine that failed is crash-consistent', { eventCodes: [45, 10764, 68] }, 'crash', /10764/],
    ['… even if nobody asked for it', { eventCodes: [10764], quiesce: 'off' }, 'crash', /10764/],
    ['… and even if it had begun', { eventCodes: [10766, 10767, 10764] }, 'crash', /10764/],
    ['a freeze by the engine that it reports', { eventCodes: [45, 10766, 10767, 68] }, 'filesystem', /10767/],
    ['one that has only begun proves nothing', { eventCodes: [45, 10766, 68] }, 'unknown', /no outcome/],
    ['asked for nothing, nothing is claimed', { quiesce: 'off' }, 'off', /neither asked/],
    ['a running VM is unknown: the engine does not tell', {}, 'unknown', /no outcome/],
    ['a hook alone proves nothing', { guestHook: true }, 'unknown', /no outcome/],
    ['a freeze of our own that held', { ownFreeze: held }, 'filesystem', /^Holdfast froze the guest$/],
    ['… with a hook in the guest', { ownFreeze: held, guestHook: true }, 'application', /^Holdfast froze the guest; by the request .* hook/],
    ['one that did not hold', { ownFreeze: notHeld }, 'crash', /^the agent is missing$/],
    ['… whatever hook there is', { ownFreeze: notHeld, guestHook: true }, 'crash', /^the agent is missing$/],
  ])('%s', (_what, changes, level, evidence) => {
    expect(judge(changes)).toEqual({ level, evidence: expect.stringMatching(evidence) as string });
  });

  test('without a freeze that somebody reported, nothing but a VM that is down is called quiesced', () => {
    fc.assert(
      fc.property(fc.constantFrom('up', 'paused', 'powering_up', 'other'), fc.constantFrom('required', 'best-effort', 'off'), fc.boolean(), fc.array(fc.constantFrom(45, 68, 10764, 10766)), (vmStatus, quiesce, guestHook, eventCodes) => {
        expect(isQuiesced(judge({ vmStatus, quiesce, guestHook, eventCodes }))).toBe(false);
        expect(isQuiesced(judge({ vmStatus, quiesce, guestHook, eventCodes: [...eventCodes, 10767], ownFreeze: notHeld }))).toBe(false);
      }),
    );
  });

  test('the events of a good snapshot are not those of a failed one', () => {
    for (const code of [45, 68, 10764, 10767]) expect(snapshotFailureEvents).not.toContain(code);
    for (const code of [170, 10774]) expect(snapshotFailureEvents).toContain(code);
  });
});

describe('a VM backup', () => {
  test.each<readonly [string, Partial<VmBackupFacts>, string, RegExp]>([
    ['a cold one', { style: 'cold' }, 'filesystem', /was down/],
    ['a hybrid one of a VM that was down', { style: 'hybrid', wasDown: true }, 'filesystem', /was down/],
    ['a hybrid one of a running VM', { style: 'hybrid' }, 'unknown', /no outcome/],
    ['… that the engine itself froze', { style: 'hybrid', eventCodes: [10767] }, 'filesystem', /10767/],
    ['a live one', {}, 'unknown', /nobody hears/],
    ['… that had to freeze', { requireConsistency: true }, 'filesystem', /require_consistency/],
    ['… with a hook in the guest', { requireConsistency: true, guestHook: true }, 'application', /require_consistency; by the request/],
    ['… for which nobody asked anything', { quiesce: 'off' }, 'off', /neither asked/],
    ['… whose freeze failed', { eventCodes: [10764] }, 'crash', /10764/],
    ['our own freeze around a live one', { ownFreeze: held }, 'filesystem', /^Holdfast/],
    ['… that did not hold', { style: 'hybrid', ownFreeze: notHeld, eventCodes: [10767] }, 'crash', /agent is missing/],
  ])('%s', (_what, changes, level, evidence) => {
    expect(judgeVmBackup({ style: 'live', wasDown: false, requireConsistency: false, quiesce: 'best-effort', eventCodes: [], ...changes })).toEqual({ level, evidence: expect.stringMatching(evidence) as string });
  });
});

describe('what the engine\'s events prove when the worker that froze the guest is gone', () => {
  const at = (seconds: number): string => new Date(1_790_000_000_000 + seconds * 1000).toISOString();
  const event = (code: number, seconds: number): TimedEvent => ({ code, time: at(seconds) });
  const taken = at(10);

  test.each<readonly [string, readonly TimedEvent[], string | undefined, boolean, RegExp]>([
    ['frozen, then the snapshot', [event(10767, 8)], taken, true, /still frozen/],
    ['thawed by the next attempt, but after it', [event(10768, 11), event(10767, 8)], taken, true, /still frozen/],
    ['thawed before it', [event(10768, 9), event(10767, 8)], taken, false, /do not prove/],
    ['thawed at the same instant', [event(10767, 9), event(10768, 9)], taken, false, /do not prove/],
    ['frozen longer than a guest holds still', [event(10767, 1.9)], taken, false, /do not prove/],
    ['frozen only afterwards', [event(10767, 11)], taken, false, /do not prove/],
    ['the engine could not freeze it', [event(10769, 8), event(10767, 7)], taken, false, /event 10769/],
    ['nothing is told', [], taken, false, /do not prove/],
    ['nobody knows when it was made', [event(10767, 8)], undefined, false, /do not prove/],
    ['events without a time', [{ code: 10767 }], taken, false, /do not prove/],
  ])('%s', (_what, events, takenAt, isHeld, evidence) => {
    expect(freezeByEvents(events, takenAt)).toEqual({ held: isHeld, evidence: expect.stringMatching(evidence) as string });
    expect(freezeByEvents([...events].reverse(), takenAt).held).toBe(isHeld);
  });
});
