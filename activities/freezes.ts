// A guest whose file systems Holdfast freezes by itself around the moment that a backup holds. The rule above all others: it is thawed again. The
// holding is written first, the guest stands still for eight seconds at most, and whoever finds such a holding later thaws before it does
// anything else: the next attempt, the undo, the next run on the VM, and every control worker (activities/forgotten-freezes). Role control.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { OwnFreeze, QuiesceAsked } from '../domain/consistency';
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import { freezeMark } from '../domain/ids';
import { tell } from './alive';
import type { ControlDependencies } from './dependencies';
import { Asked, freezeLimits, frozen, thaw, thawEarlier, type FreezeLimits, type FreezeOfRun, type GuestsOutside, type Thaw } from './thaw';

export type { FreezeOfRun };

export interface FreezeActivities {
  /** What this run has frozen stands still no longer. A guest whose agent never answers is `guest.frozen`, and stays held. */
  ensureThawed(of: FreezeOfRun): Promise<void>;
}

const lookEveryMs = 50;

export function createFreezeActivities({ engineOf, catalog, limits = freezeLimits }: ControlDependencies): FreezeActivities {
  return {
    async ensureThawed(of) {
      if (!(await thawEarlier({ engine: engineOf(of.engine), catalog, limits }, of, limits.patienceMs.undo))) throw frozen(of.vmId, 'It was asked to freeze, and may do so when its agent wakes up.');
    },
  };
}

export interface Moment<T extends object> {
  /** Asks for what is to be made while the guest stands still. */
  request(): Promise<unknown>;
  /** What was made, or a sentence that says what is missing. */
  look(): Promise<T | string>;
  /** Such as "the snapshot was ok". */
  readonly isMade: string;
}

export interface FrozenMoment<T extends object> {
  /** False: the guest was not frozen, and nothing was asked for. */
  readonly isRequested: boolean;
  /** When it was there in time. */
  readonly made?: T | undefined;
  readonly freeze: OwnFreeze;
  /** Its agent has answered neither freeze nor thaw: the holding stays. */
  readonly mayStillFreeze: boolean;
}

/** When it returns, or throws anything but `guest.frozen`, the guest is thawed; or it `mayStillFreeze`. */
export async function frozenMoment<T extends object>(outside: GuestsOutside, of: FreezeOfRun, moment: Moment<T>): Promise<FrozenMoment<T>> {
  const { engine, catalog, limits } = outside;
  const { runId, engine: name, vmId } = of;
  const id = holdingId(runId, 'freeze', randomUUID());
  await catalog.hold({ holdingId: id, runId, engine: name, kind: 'freeze', vmId, parentId: vmId, mark: freezeMark(vmId) });
  tell({ waiting: `the guest of VM ${vmId} is being frozen` });
  const freeze = new Asked(engine.freezeVm(vmId));
  let isOver = false;
  const step: Step = { isRequested: false, isOver: () => isOver };
  const work = makeFrozen(moment, freeze, step, () => catalog.setHoldingObject(id, vmId));
  const inTime = await outcomeWithin(limits.frozenMs, work);
  isOver = true;
  // Only an answered refusal has frozen nothing. After a cancel too.
  const end: Thaw = freeze.answer?.kind === 'refused' ? 'thawed' : await thaw(outside, vmId, limits.patienceMs.after, freeze);
  if (end !== 'mute') await catalog.releaseHolding(id, 'released');
  else if (freeze.answer?.kind === 'done') throw frozen(vmId, 'It is frozen.');
  if ('error' in inTime) throw inTime.error;
  // When time was over, what became of the request has yet to be heard; while the freeze is out there is none.
  const result = inTime.value ?? (step.isRequested ? await work : undefined);
  return { isRequested: step.isRequested, made: result?.made, freeze: spoilt(end, limits) ?? result?.freeze ?? tooLate(step, moment, limits), mayStillFreeze: end === 'mute' };
}

/**
 * At rest as far as it was asked for: what is `required` and cannot be had any more ends the attempt. `isAnswering`: the guest's agent, to the thaw that
 * comes first.
 */
export async function atRest<T extends object>(outside: GuestsOutside, of: FreezeOfRun & QuiesceAsked, isAnswering: boolean, moment: Moment<T>): Promise<FrozenMoment<T>> {
  const found: FrozenMoment<T> = isAnswering ? await frozenMoment(outside, of, moment) : { isRequested: false, freeze: { held: false, evidence: 'the guest\'s agent does not answer' }, mayStillFreeze: true };
  if (!found.freeze.held && of.quiesce === 'required') throw notQuiesced(of.vmId, found.freeze.evidence);
  return found;
}

export function notQuiesced(vmId: string, evidence: string): HoldfastError {
  return new HoldfastError('quiesce.failed', `VM ${vmId} is not at rest as it is required to be: ${evidence}. See that its guest's agent runs and that its hook is quick, then start again, or ask for best-effort.`, { vmId });
}

interface Step {
  isRequested: boolean;
  /** The guest is being thawed: what is not made by now is not at rest. */
  readonly isOver: () => boolean;
}
type Made<T> = { readonly freeze?: OwnFreeze; readonly made?: T };

async function makeFrozen<T extends object>(moment: Moment<T>, freeze: Asked, step: Step, noteFrozen: () => Promise<void>): Promise<Made<T>> {
  const answer = await freeze.settled;
  if (answer.kind === 'refused') return { freeze: { held: false, evidence: `the engine could not freeze the guest (${answer.words})` } };
  if (answer.kind === 'unknown') throw answer.error;
  const frozenAtMs = Date.now();
  await noteFrozen();
  if (step.isOver()) return {};
  step.isRequested = true;
  await moment.request();
  while (!step.isOver()) {
    const found = await moment.look();
    if (step.isOver()) break;
    if (typeof found !== 'string') return { made: found, freeze: { held: true, evidence: `Holdfast froze the guest, and ${moment.isMade} ${((Date.now() - frozenAtMs) / 1000).toFixed(1)} s later, before it was thawed` } };
    tell({ waiting: `${found}; its guest is frozen` });
    await sleep(lookEveryMs);
  }
  return {};
}

/** What a guest's agent says when it thaws may take back what it said when it froze. */
function spoilt(end: Thaw, { frozenMs }: FreezeLimits): OwnFreeze | undefined {
  if (end === 'mute') return { held: false, evidence: `the guest's agent answered neither the freeze within ${frozenMs / 1000} s nor the thaw` };
  if (end === 'stopped') return { held: false, evidence: 'the VM stopped while its guest was frozen' };
  return end === 'refused-first' ? { held: false, evidence: 'the guest\'s agent refused the thaw at first, as that of Windows does when its writes were not held any longer' } : undefined;
}

function tooLate({ isRequested }: Step, { isMade }: Moment<object>, { frozenMs }: FreezeLimits): OwnFreeze {
  const limit = `${frozenMs / 1000} s`;
  return { held: false, evidence: isRequested ? `the guest was thawed after ${limit}, before ${isMade}` : `the guest's agent did not answer the freeze within ${limit}` };
}

/** Without a value: time is over, or the attempt was cancelled, which is an error. */
async function outcomeWithin<T>(ms: number, work: Promise<T>): Promise<{ readonly value?: T } | { readonly error: unknown }> {
  const ended = new AbortController();
  const late = sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined);
  try {
    const value = await Promise.race([work, late, Context.current().cancelled]);
    return value === undefined ? {} : { value };
  } catch (error) {
    return { error };
  } finally {
    ended.abort();
  }
}
