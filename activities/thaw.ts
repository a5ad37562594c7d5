// Thawing a guest that Holdfast froze, or may have frozen, through the engine: asked again until the guest's agent has answered. A host speaks to
// an agent one request at a time, so that a thaw that is answered came after the freeze before it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../adapters/catalog/port';
import type { Engine } from '../adapters/ovirt/port';
import { frozenAtMostMs } from '../domain/consistency';
import { HoldfastError } from '../domain/failures';
import type { OfRun } from './of-run';

export interface FreezeOfRun extends OfRun {
  readonly vmId: string;
}

export interface GuestsOutside {
  readonly engine: Engine;
  readonly catalog: Catalog;
  readonly limits: FreezeLimits;
}

export interface FreezeLimits {
  /** A guest stands still no longer. */
  readonly frozenMs: number;
  /** Longer than an agent takes that lives: asking once more does no harm. */
  readonly callMs: number;
  /** Of a thaw: first thing in an attempt, after a freeze (its agent may be busy with its hook), and as an undo. */
  readonly patienceMs: { readonly before: number; readonly after: number; readonly undo: number };
}
export const freezeLimits: FreezeLimits = { frozenMs: frozenAtMostMs, callMs: 5_000, patienceMs: { before: 10_000, after: 20_000, undo: 60_000 } };
/** Each refusal is an event in the engine's log. */
const firstPauseMs = 250;
const longestPauseMs = 4_000;

/** `refused`: by an answer of the engine, so that nothing happened. `unknown`: it may have happened all the same. */
type Answer = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly words: string } | { readonly kind: 'unknown'; readonly error: unknown };

/** A freeze or thaw that may be under way still. */
export class Asked {
  answer: Answer | undefined;
  /** Never rejects. */
  readonly settled: Promise<Answer>;
  constructor(call: Promise<void>) {
    this.settled = call.then((): Answer => ({ kind: 'done' }), readRefusal).then((answer) => (this.answer = answer));
  }
}

const refusals: readonly string[] = ['engine.refused', 'engine.conflict', 'engine.locked', 'engine.forbidden', 'engine.not-found'];

function readRefusal(error: unknown): Answer {
  if (!(error instanceof HoldfastError)) return { kind: 'unknown', error };
  const { code, message, details } = error;
  // What a host could not do is a 400 without words, which is `engine.unavailable` elsewhere.
  if (refusals.includes(code) || details['httpStatus'] === 400) return { kind: 'refused', words: wordsOf(error) };
  // Sooner than elsewhere: a guest may be standing still.
  return { kind: 'unknown', error: new HoldfastError(code, message, details, { cause: error, retryAfterMs: firstPauseMs }) };
}

/** The engine's own, which say no more than they do; what our message adds is for those who wait for another try. */
function wordsOf({ message, details: { httpStatus, reason, detail } }: HoldfastError): string {
  if (typeof httpStatus !== 'number') return message;
  return [`HTTP ${httpStatus}`, ...[reason, detail].filter((text) => typeof text === 'string' && !['', '[]'].includes(text.trim()))].join(', ');
}

/** `refused-first`: thawed, but not by the first answer. `stopped`: the VM does not run any more. `mute`: its agent has not answered for so long. */
export type Thaw = 'thawed' | 'refused-first' | 'stopped' | 'mute';

/** `freeze`: a thaw counts once that has been answered, too. An engine that is away is an error. */
export async function thaw({ engine, limits: { callMs } }: Pick<GuestsOutside, 'engine' | 'limits'>, vmId: string, forMs: number, freeze?: Asked): Promise<Thaw> {
  const endsAtMs = Date.now() + forMs;
  for (let isRefused = false, pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const comesAfter = freeze === undefined || freeze.answer !== undefined;
    const answer = await Promise.race([new Asked(engine.thawVm(vmId)).settled, sleep(callMs, undefined, { ref: false })]);
    if (answer?.kind === 'done' && comesAfter) return isRefused ? 'refused-first' : 'thawed';
    if (answer?.kind === 'refused' && (await isStopped(engine, vmId))) return 'stopped';
    isRefused ||= answer?.kind === 'refused';
    if (Date.now() >= endsAtMs) {
      if (answer?.kind === 'unknown') throw answer.error;
      return 'mute';
    }
    if (answer?.kind === 'done') await Promise.race([freeze?.settled, sleep(callMs, undefined, { ref: false })]);
    else await sleep(pauseMs);
  }
}

async function isStopped(engine: Engine, vmId: string): Promise<boolean> {
  const vm = await engine.getVm(vmId);
  return vm === undefined || vm.status === 'down';
}

/** What this run has asked to freeze is thawed before anything else. False: its agent is mute, and was not known to have frozen. */
export async function thawEarlier(outside: GuestsOutside, { runId, vmId }: FreezeOfRun, forMs = outside.limits.patienceMs.before): Promise<boolean> {
  const { catalog } = outside;
  const held = (await catalog.listHoldings({ runId })).filter(({ kind, state }) => kind === 'freeze' && (state === 'held' || state === 'leftover'));
  if (held.length === 0) return true;
  if ((await thaw(outside, vmId, forMs)) === 'mute') {
    // The guest has said so; without an object it was only asked.
    if (held.some(({ objectId }) => objectId !== undefined)) throw frozen(vmId, 'It is frozen.');
    return false;
  }
  for (const { holdingId } of held) await catalog.releaseHolding(holdingId, 'released');
  return true;
}

export function frozen(vmId: string, so: string): HoldfastError {
  return new HoldfastError('guest.frozen', `The agent of VM ${vmId}'s guest does not answer the thaw. ${so} Thaw it by hand: REST API vms/${vmId}/thawfilesystems, on its host "virsh domfsthaw", in the guest "fsfreeze -u"; or restart its agent.`, { vmId });
}
