// How consistent is what a snapshot holds, and from which evidence? Pure. In the method `appliance` the HOST freezes the guest around a
// live snapshot and the engine reports no outcome (facts: engine-rules section 5), so a running guest's level is honestly `unknown`.
import type { consistencyLevels } from './manifest';

export interface Consistency {
  readonly level: (typeof consistencyLevels)[number];
  readonly evidence: string;
}

/** Events that say a snapshot is unusable although it may end `ok` (engine-rules section 5: "Live part failed"). */
export const snapshotFailureEvents: readonly number[] = [69, 117, 170, 10774];

const freezeFailed = 10764;

export function judgeConsistency(facts: { readonly vmStatus: string; readonly quiesce: 'required' | 'best-effort' | 'off'; readonly eventCodes: readonly number[] }): Consistency {
  if (facts.vmStatus === 'down') return { level: 'filesystem', evidence: 'the VM was down when the snapshot was taken' };
  if (facts.vmStatus === 'paused') return { level: 'crash', evidence: 'the VM was paused when the snapshot was taken: its agent could not freeze anything' };
  if (facts.eventCodes.includes(freezeFailed)) return { level: 'crash', evidence: `the engine reported event ${freezeFailed}: freezing the guest failed` };
  if (facts.quiesce === 'off') return { level: 'off', evidence: 'quiescing was neither asked for nor proven; the host may have frozen the guest all the same' };
  return { level: 'unknown', evidence: 'the host freezes a running guest around a snapshot by itself, but the engine reports no outcome of that freeze' };
}
