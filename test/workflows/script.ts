// A scripted stand-in for all activities of one workflow: answers well by default, records every call, and fails, holds or answers
// otherwise where a test says so. Failures go through the real mapping, so that retries are the real ones.
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { ApplianceCopyActivities, ApplianceQuickActivities, ControlActivities, MoverCopyActivities, MoverQuickActivities } from '../../activities';
import { toFailure } from '../../activities/to-failure';
import { HoldfastError, type FailureCode } from '../../domain/failures';

export type AllActivities = ControlActivities & MoverQuickActivities & MoverCopyActivities & ApplianceQuickActivities & ApplianceCopyActivities;
export type ActivityName = keyof AllActivities;
type Input<Name extends ActivityName> = Parameters<AllActivities[Name]> extends [infer First, ...unknown[]] ? First : undefined;
type Answer<Name extends ActivityName> = Awaited<ReturnType<AllActivities[Name]>>;
type Handler<Name extends ActivityName> = (input: Input<Name>, answer: () => Promise<Answer<Name>>, call: Call) => Promise<Answer<Name>>;
type AnyHandler = (input: never, answer: () => Promise<unknown>, call: Call) => Promise<unknown>;

export interface Call {
  readonly activity: ActivityName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly attempt: number;
  readonly queue: string;
  /** Position among all beginnings and ends of the workflow's calls. */
  readonly begunAt: number;
  endedAt?: number;
  outcome?: 'completed' | 'failed' | 'cancelled';
}

/** A place where the activity waits until it is released or cancelled. */
export interface Hold {
  readonly begun: Promise<void>;
  release(): void;
}

/** A hold that is there before the test has it in hand. */
export class Holding {
  private hold: Hold | undefined;
  /** To be called while the script is prepared. */
  place(script: Script, activity: ActivityName, match?: Match): void {
    this.hold = script.hold(activity, match);
  }
  async begun(): Promise<void> {
    await this.hold?.begun;
  }
  release(): void {
    this.hold?.release();
  }
}

/** Which calls are meant; all of them when left out. */
export type Match = (call: Call) => boolean;

export class Script {
  readonly calls: Call[] = [];
  private readonly handlers: { readonly activity: ActivityName; readonly match: Match; readonly handler: AnyHandler }[] = [];
  private clock = 0;

  constructor(private readonly answers: AllActivities) {}

  on<Name extends ActivityName>(activity: Name, handler: Handler<Name>, match: Match = () => true): this {
    this.handlers.push({ activity, match, handler: handler as unknown as AnyHandler });
    return this;
  }

  fail(activity: ActivityName, code: FailureCode, match?: Match, details: Readonly<Record<string, unknown>> = {}): this {
    return this.on(activity, () => Promise.reject(new HoldfastError(code, `${activity} was told to fail`, { told: true, ...details })), match);
  }

  hold(activity: ActivityName, match?: Match): Hold {
    const begun = signal();
    const released = signal();
    this.on(
      activity,
      async (_input, answer) => {
        begun.fire();
        await heartbeatUntil(released.fired);
        return answer();
      },
      match,
    );
    return { begun: begun.fired, release: released.fire };
  }

  names(): readonly ActivityName[] {
    return this.calls.map((call) => call.activity);
  }

  of(...activities: readonly ActivityName[]): readonly Call[] {
    return this.calls.filter((call) => activities.includes(call.activity));
  }

  async perform(activity: ActivityName, input: unknown): Promise<unknown> {
    const { attempt, taskQueue } = Context.current().info;
    const call: Call = { activity, input: (input ?? {}) as Record<string, unknown>, attempt, queue: taskQueue, begunAt: this.clock++ };
    this.calls.push(call);
    const answer = (): Promise<unknown> => (this.answers[activity] as (given: unknown) => Promise<unknown>)(input);
    const handler = this.handlers.find((each) => each.activity === activity && each.match(call))?.handler;
    try {
      const result = await (handler ? handler(input as never, answer, call) : answer());
      call.outcome = 'completed';
      return result;
    } catch (error) {
      call.outcome = error instanceof CancelledFailure ? 'cancelled' : 'failed';
      throw toFailure(error);
    } finally {
      call.endedAt = this.clock++;
    }
  }
}

export function signal(): { readonly fired: Promise<void>; fire(): void } {
  let fire = (): void => undefined;
  const fired = new Promise<void>((resolve) => (fire = resolve));
  return { fired, fire: () => fire() };
}

/** A cancel arrives with a heartbeat's answer, so what waits must heartbeat. */
export async function heartbeatUntil(done: Promise<unknown>): Promise<void> {
  const context = Context.current();
  const over = done.then(() => true);
  for (let waiting = true; waiting; ) {
    context.heartbeat();
    waiting = !(await Promise.race([over, context.sleep(100).then(() => false)]));
  }
}

/** An activity that answers its cancel with a failure, as one does whose connection breaks at that moment. */
export async function failWhenCancelled(): Promise<never> {
  await heartbeatUntil(new Promise(() => undefined)).catch(() => undefined);
  throw new HoldfastError('blocks.io', 'the device went away');
}

/** Until the activity has been called `times` times. */
export async function untilCalled(script: Script, activity: ActivityName, times = 1): Promise<void> {
  await until(() => script.of(activity).length >= times, () => `${activity} to be called ${times} times; calls: ${script.names().join(', ')}`);
}

export async function until(reached: () => boolean | Promise<boolean>, what: () => string, withinMs = 20_000): Promise<void> {
  for (const endsAt = Date.now() + withinMs; !(await reached()); ) {
    if (Date.now() > endsAt) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
