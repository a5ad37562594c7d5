// How consistent is what a backup holds, and from which evidence? Pure. In the method `appliance`, and in hybrid VM backups, the HOST freezes the
// guest around a live snapshot and the engine reports no outcome (facts: engine-rules section 5), so a running guest's level is honestly `unknown`.
// `application` would need the word of the guest's own fsfreeze hook, which no engine passes on: it is never claimed here.
import type { consistencyLevels } from './manifest';

export interface Consistency {
  readonly level: (typeof consistencyLevels)[number];
  readonly evidence: string;
}

type Quiesce = 'required' | 'best-effort' | 'off';

/** Events that say a snapshot is unusable although it may end `ok` (engine-rules section 5: "Live part failed"). */
export const snapshotFailureEvents: readonly number[] = [69, 117, 170, 10774];

export const freezeFailedEvent = 10764;
const freezeFailed: Consistency = { level: 'crash', evidence: `the engine reported event ${freezeFailedEvent}: freezing the guest failed` };
const neitherAskedNorProven: Consistency = { level: 'off', evidence: 'quiescing was neither asked for nor proven; the host may have frozen the guest all the same' };

export function judgeConsistency(facts: { readonly vmStatus: string; readonly quiesce: Quiesce; readonly eventCodes: readonly number[] }): Consistency {
  if (facts.vmStatus === 'down') return { level: 'filesystem', evidence: 'the VM was down when the snapshot was taken' };
  if (facts.vmStatus === 'paused') return { level: 'crash', evidence: 'the VM was paused when the snapshot was taken: its agent could not freeze anything' };
  if (facts.eventCodes.includes(freezeFailedEvent)) return freezeFailed;
  if (facts.quiesce === 'off') return neitherAskedNorProven;
  return { level: 'unknown', evidence: 'the host freezes a running guest around a snapshot by itself, but the engine reports no outcome of that freeze' };
}

export interface VmBackupFacts {
  readonly style: 'live' | 'cold' | 'hybrid';
  /** Before it began and once it was ready. */
  readonly wasDown: boolean;
  /** A live one became ready although the engine was told to fail without a freeze; no other style knows the word. */
  readonly requireConsistency: boolean;
  readonly quiesce: Quiesce;
  readonly eventCodes: readonly number[];
}

export function judgeVmBackup({ style, wasDown, requireConsistency, quiesce, eventCodes }: VmBackupFacts): Consistency {
  if (style === 'cold' || wasDown) return { level: 'filesystem', evidence: 'the VM was down when the engine made the VM backup' };
  if (eventCodes.includes(freezeFailedEvent)) return freezeFailed;
  if (style === 'live' && requireConsistency) return { level: 'filesystem', evidence: 'the engine froze the guest: require_consistency' };
  if (quiesce === 'off') return neitherAskedNorProven;
  if (style === 'hybrid') return { level: 'unknown', evidence: 'the host freezes a running guest around the snapshot of a hybrid VM backup by itself, but the engine reports no outcome of that freeze' };
  return { level: 'unknown', evidence: 'the host freezes a running guest when a live VM backup begins, but without require_consistency nobody hears whether it could' };
}

/** `required` means before the first byte is copied. */
export function isQuiesced({ level }: Consistency): boolean {
  return level === 'filesystem' || level === 'application';
}
