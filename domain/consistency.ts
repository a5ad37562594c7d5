// How consistent is what a backup holds, and from which evidence? Pure. In the method `appliance`, and in hybrid VM backups, the HOST freezes the
// guest around a live snapshot and the engine reports no outcome (facts: engine-rules section 5), so a running guest's level is honestly `unknown`
// unless somebody who can tell froze it: the engine (event 10767), a live VM backup that had to, or Holdfast itself (`explicitFreeze`).
import type { consistencyLevels } from './manifest';

export interface Consistency {
  readonly level: (typeof consistencyLevels)[number];
  readonly evidence: string;
}

export interface QuiesceAsked {
  readonly quiesce: 'required' | 'best-effort' | 'off';
  /** The guest's agent runs a hook that brings its applications to rest: nobody but the caller knows, no engine passes it on. */
  readonly guestHook?: boolean | undefined;
}

/** Events that say a snapshot is unusable although it may end `ok` (engine-rules section 5: "Live part failed"). */
export const snapshotFailureEvents: readonly number[] = [69, 117, 170, 10774];
export const snapshotMadeEvent = 68;
/** By the engine itself, around a snapshot. */
export const freezeFailedEvent = 10764;
/** On request; the first one around a snapshot too, where the engine and not the host freezes. */
export const frozenEvent = 10767;
export const thawedEvent = 10768;
export const freezeRefusedEvent = 10769;

/** A guest stands still no longer: Windows holds its writes for ten seconds, and applications wait for them. */
export const frozenAtMostMs = 8_000;

/** What became of the freeze that Holdfast asked for, around the moment that the backup holds. */
export interface OwnFreeze {
  readonly held: boolean;
  readonly evidence: string;
}

const down = (what: string): Consistency => ({ level: 'filesystem', evidence: `the VM was down when ${what}` });
const freezeFailed: Consistency = { level: 'crash', evidence: `the engine reported event ${freezeFailedEvent}: freezing the guest failed` };
const neitherAskedNorProven: Consistency = { level: 'off', evidence: 'quiescing was neither asked for nor proven; the host may have frozen the guest all the same' };

/** A hook that fails makes the agent refuse the freeze, so where there is one, a freeze is its success too. */
function frozen(evidence: string, { guestHook = false }: QuiesceAsked): Consistency {
  if (!guestHook) return { level: 'filesystem', evidence };
  return { level: 'application', evidence: `${evidence}; by the request the guest's agent runs a hook first, and refuses the freeze when that fails` };
}

const judgeOwn = ({ held, evidence }: OwnFreeze, asked: QuiesceAsked): Consistency => (held ? frozen(evidence, asked) : { level: 'crash', evidence });

export interface SnapshotMoment extends QuiesceAsked {
  readonly vmStatus: string;
  /** Of the snapshot, by its mark and by its correlation id. */
  readonly eventCodes: readonly number[];
  readonly ownFreeze?: OwnFreeze | undefined;
}

export function judgeConsistency(facts: SnapshotMoment): Consistency {
  if (facts.vmStatus === 'down') return down('the snapshot was taken');
  if (facts.vmStatus === 'paused') return { level: 'crash', evidence: 'the VM was paused when the snapshot was taken: its agent could not freeze anything' };
  if (facts.ownFreeze) return judgeOwn(facts.ownFreeze, facts);
  if (facts.eventCodes.includes(freezeFailedEvent)) return freezeFailed;
  if (facts.eventCodes.includes(frozenEvent)) return frozen(`the engine froze the guest around the snapshot: event ${frozenEvent}`, facts);
  if (facts.quiesce === 'off') return neitherAskedNorProven;
  return { level: 'unknown', evidence: 'the host freezes a running guest around a snapshot by itself, but the engine reports no outcome of that freeze' };
}

export interface VmBackupFacts extends QuiesceAsked {
  readonly style: 'live' | 'cold' | 'hybrid';
  /** Before it began and once it was ready. */
  readonly wasDown: boolean;
  /** A live one became ready although the engine was told to fail without a freeze; no other style knows the word. */
  readonly requireConsistency: boolean;
  readonly eventCodes: readonly number[];
  readonly ownFreeze?: OwnFreeze | undefined;
}

export function judgeVmBackup(facts: VmBackupFacts): Consistency {
  const { style, wasDown, requireConsistency, eventCodes } = facts;
  if (style === 'cold' || wasDown) return down('the engine made the VM backup');
  if (facts.ownFreeze) return judgeOwn(facts.ownFreeze, facts);
  if (eventCodes.includes(freezeFailedEvent)) return freezeFailed;
  if (style === 'live' && requireConsistency) return frozen('the engine froze the guest: require_consistency', facts);
  if (eventCodes.includes(frozenEvent)) return frozen(`the engine froze the guest around the VM backup's snapshot: event ${frozenEvent}`, facts);
  if (facts.quiesce === 'off') return neitherAskedNorProven;
  if (style === 'hybrid') return { level: 'unknown', evidence: 'the host freezes a running guest around the snapshot of a hybrid VM backup by itself, but the engine reports no outcome of that freeze' };
  return { level: 'unknown', evidence: 'the host freezes a running guest when a live VM backup begins, but without require_consistency nobody hears whether it could' };
}

/** `required` means before the first byte is copied. */
export function isQuiesced({ level }: Consistency): boolean {
  return level === 'filesystem' || level === 'application';
}

export interface TimedEvent {
  readonly code: number;
  /** ISO 8601, by the engine's clock. */
  readonly time?: string | undefined;
}

/**
 * Whoever froze the guest is gone (its worker died): what the engine's events still prove. `events`: freezes and thaws of the VM on request;
 * `takenAt`: when the engine says that the snapshot was made, if it does.
 */
export function freezeByEvents(events: readonly TimedEvent[], takenAt: string | undefined): OwnFreeze {
  const lost: OwnFreeze = { held: false, evidence: 'the worker that had asked for the freeze is gone, and the engine\'s events do not prove that the guest was frozen at the moment of the snapshot' };
  if (takenAt === undefined) return lost;
  const takenAtMs = Date.parse(takenAt);
  const before = events.flatMap(({ code, time }) => (time === undefined || Date.parse(time) > takenAtMs ? [] : [{ code, atMs: Date.parse(time) }]));
  const [last] = before.sort((a, b) => b.atMs - a.atMs || b.code - a.code);
  if (last?.code === freezeRefusedEvent) return { held: false, evidence: `the engine could not freeze the guest: event ${freezeRefusedEvent}` };
  if (last?.code !== frozenEvent || takenAtMs - last.atMs > frozenAtMostMs) return lost;
  return { held: true, evidence: `Holdfast froze the guest, and by the engine's events it was still frozen (${frozenEvent}) when the snapshot was made (${snapshotMadeEvent})` };
}
