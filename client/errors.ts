// The errors that a caller of the client meets: what went wrong before or beside a run (HoldfastClientError), how a run failed
// (HoldfastRunError), and that it was cancelled (HoldfastCancelledError). What each code means: client/failure-guide.ts.
import { z } from 'zod';
import type { FailureCode } from '../domain/failures';
import { leftoverSchema } from '../domain/holdings';

/** Codes that arise in the client, beside the codes of domain/failures.ts that arrive from a run. */
export const clientErrorCodes = [
  'client.unreachable',
  'client.namespace',
  'client.no-answer',
  'client.already-running',
  'client.not-found',
  'client.ambiguous',
  'client.protocol',
  'client.engine-backup',
] as const;
export type ClientErrorCode = (typeof clientErrorCodes)[number];

/** How a run ends without a code of domain/failures.ts. */
export const runEndCodes = ['run.cancelled', 'run.terminated', 'run.timed-out', 'unexpected'] as const;
export type RunEndCode = (typeof runEndCodes)[number];

export class HoldfastClientError extends Error {
  constructor(
    readonly code: ClientErrorCode | Extract<FailureCode, 'input.invalid' | 'config.invalid'>,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.name = 'HoldfastClientError';
  }
}

/** As domain/plan/reasons.ts, but open: a newer worker may know more reasons. */
const reasonSchema = z.looseObject({ code: z.string(), object: z.string(), text: z.string() });

/** First detail of a flow's failure. Unknown keys are kept: a newer worker may say more than this client knows. */
export const runFailureDetailsSchema = z.looseObject({
  /** Why planning refused, all reasons at once. */
  reasons: z.array(reasonSchema).default([]),
  /** Steps that were undone, newest first. */
  undone: z.array(z.string()).default([]),
  leftovers: z.array(leftoverSchema).default([]),
  warnings: z.array(z.string()).default([]),
});
export type RunFailureDetails = z.output<typeof runFailureDetailsSchema>;

export interface RunIdentity {
  readonly flow: string;
  readonly workflowId: string;
}

export class HoldfastRunError extends Error {
  constructor(
    readonly run: RunIdentity,
    /** A code of domain/failures.ts or one of `runEndCodes`; open, because workers may be newer than this client. */
    readonly code: string,
    message: string,
    readonly details: RunFailureDetails,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.name = 'HoldfastRunError';
  }

  withDetails(details: RunFailureDetails): HoldfastRunError {
    return new HoldfastRunError(this.run, this.code, this.message, details, { cause: this.cause });
  }
}

export class HoldfastCancelledError extends HoldfastRunError {
  constructor(run: RunIdentity, message: string, details: RunFailureDetails, options?: { readonly cause?: unknown }) {
    super(run, 'run.cancelled', message, details, options);
    this.name = 'HoldfastCancelledError';
  }

  override withDetails(details: RunFailureDetails): HoldfastCancelledError {
    return new HoldfastCancelledError(this.run, this.message, details, { cause: this.cause });
  }
}
