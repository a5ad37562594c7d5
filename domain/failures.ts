// Every failure that leaves an adapter or an activity has one of these codes; this table is the only place that says
// whether Temporal tries again and after how long. Nobody else retries.

interface FailureRule {
  readonly retry: boolean;
  /** Delay before the next attempt; without it the activity's own backoff counts. */
  readonly delayMs?: number;
}

const retryAfter = (delayMs: number): FailureRule => ({ retry: true, delayMs });
const retry: FailureRule = { retry: true };
const final: FailureRule = { retry: false };

export const failureRules = {
  'input.invalid': final,
  /** One or more reasons why a run may not start; `details` lists all of them. */
  'plan.refused': final,

  'engine.unreachable': retryAfter(5_000),
  'engine.unavailable': retryAfter(5_000),
  /** 409 whose text says locked or busy: passes by itself. */
  'engine.locked': retryAfter(5_000),
  'engine.conflict': final,
  'engine.refused': final,
  /** An object that is not ours stands where ours should be: it is left alone. */
  'engine.foreign': final,
  'engine.unauthorized': final,
  'engine.forbidden': final,
  'engine.certificate': final,
  'engine.not-found': final,
  /** The answer is not what the REST API promises (HTML, missing fields). */
  'engine.protocol': retryAfter(10_000),

  /** The ticket expired, was cancelled, or the host does not know it (any more): the engine gives a new one, nobody else. */
  'imageio.ticket-gone': final,
  'imageio.unreachable': retryAfter(5_000),
  'imageio.certificate': final,
  /** The host rejects the request itself, such as a range beyond the ticket's size. */
  'imageio.refused': final,
  /** The host has no list of what changed for this transfer: a full backup of the disk is possible all the same. */
  'imageio.no-changes': final,
  /** The connection broke, the host failed, or its answer is not what imageio promises. */
  'imageio.io': retryAfter(2_000),

  /** "Not yet": an activity that waits ends its attempt with this after about a minute. */
  'wait.pending': retryAfter(2_000),
  'wait.deadline': final,

  'snapshot.failed': final,
  /** It was required, and nothing proves that the guest was frozen. */
  'quiesce.failed': final,
  /** Of a thaw; trying again is the undo's and the control workers' business. */
  'guest.frozen': final,
  'backup.failed': final,
  /** The engine cannot go on from the checkpoint: a full backup is possible all the same. */
  'backup.incremental-refused': final,
  /** It has ended and did not end well. */
  'transfer.failed': final,
  'disk.illegal': final,
  'vm.failed': final,

  'device.not-found': retryAfter(2_000),
  'device.foreign': final,
  'device.changed': final,

  'appliance.unavailable': final,

  'repository.not-writable': final,
  'repository.full': final,
  'repository.corrupt': final,
  'repository.unknown': final,
  'repository.io': retryAfter(5_000),
  /** Another attempt holds the image's lock and its lease has not lapsed. */
  'repository.held': retryAfter(3_000),
  /** Another attempt took the image over: this one must stop writing. */
  'repository.fenced': retry,

  'backup.not-found': final,
  'backup.not-sealed': final,
  /** A backup that this one depends on is missing, or is not the one that it was made on. */
  'chain.broken': final,
  'digest.mismatch': final,

  'blocks.server': retryAfter(2_000),
  'blocks.io': retryAfter(2_000),

  'catalog.unavailable': retryAfter(2_000),
  'catalog.conflict': final,

  /** A receiver of alerts that is away. */
  'webhook.failed': retryAfter(10_000),

  'config.invalid': final,
} as const satisfies Record<string, FailureRule>;

export type FailureCode = keyof typeof failureRules;

export function ruleOf(code: FailureCode): FailureRule {
  return failureRules[code];
}

/**
 * The one error class of the adapters. The message says what failed, on which object, and what to do; `details` carries ids
 * (never secrets) for programs.
 */
export class HoldfastError extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, options);
    this.name = 'HoldfastError';
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }

  /** Where the thrower knows better than the table when it is worth another attempt. */
  readonly retryAfterMs?: number;
}
