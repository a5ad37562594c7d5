// From what Temporal's client throws to the errors of client/errors.ts. No decisions about exit codes or texts for terminals.
import { isGrpcDeadlineError, isGrpcServiceError, QueryNotRegisteredError, QueryRejectedError, ServiceError, WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  NamespaceNotFoundError,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { HoldfastCancelledError, HoldfastClientError, HoldfastRunError, runFailureDetailsSchema } from './errors';
import type { RunFailureDetails, RunIdentity } from './errors';

/** Where a call went, for messages. */
export interface Endpoint {
  readonly address: string;
  readonly namespace: string;
}

const grpcUnavailable = 14;
const grpcFailedPrecondition = 9;

export function unreachable(endpoint: Endpoint, cause: unknown): HoldfastClientError {
  const why = cause instanceof Error ? firstLine(cause) : String(cause);
  return new HoldfastClientError(
    'client.unreachable',
    `Cannot reach Temporal at ${endpoint.address}: ${why}. Check the address (--address or HOLDFAST_TEMPORAL_ADDRESS) and that the server runs; \`holdfast up\` starts an embedded one.`,
    { ...endpoint },
    { cause },
  );
}

export function unknownNamespace(endpoint: Endpoint, cause: unknown): HoldfastClientError {
  return new HoldfastClientError(
    'client.namespace',
    `Temporal at ${endpoint.address} has no namespace "${endpoint.namespace}". Name another with --namespace or HOLDFAST_TEMPORAL_NAMESPACE, or create it.`,
    { ...endpoint },
    { cause },
  );
}

/** A call about one run failed; `run` is what was called. Errors of ours pass through. */
export function toHoldfastError(error: unknown, run: RunIdentity, endpoint: Endpoint): Error {
  if (error instanceof HoldfastClientError || error instanceof HoldfastRunError) return error;
  if (error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError) return fromFailure(error.cause, run, error);
  if (error instanceof WorkflowNotFoundError) {
    return new HoldfastClientError('client.not-found', `Temporal knows no open or kept run ${run.workflowId}. Look at \`holdfast list runs\`.`, { ...run }, { cause: error });
  }
  if (error instanceof NamespaceNotFoundError) return unknownNamespace(endpoint, error);
  if (error instanceof QueryNotRegisteredError || error instanceof QueryRejectedError) {
    return new HoldfastClientError('client.protocol', `Run ${run.workflowId} does not answer this query: ${error.message}. Is it a backup or restore of Holdfast?`, { ...run }, { cause: error });
  }
  return fromService(error, run, endpoint);
}

function fromService(error: unknown, run: RunIdentity, endpoint: Endpoint): Error {
  const grpc = error instanceof ServiceError ? error.cause : error;
  if (isGrpcDeadlineError(grpc) || (isGrpcServiceError(grpc) && (grpc.code as number) === grpcFailedPrecondition)) {
    return new HoldfastClientError('client.no-answer', `No worker answered for run ${run.workflowId}. The run goes on by itself once a worker with role "control" is up.`, { ...run }, { cause: error });
  }
  if (isGrpcServiceError(grpc) && (grpc.code as number) === grpcUnavailable) return unreachable(endpoint, grpc);
  return error instanceof Error ? error : new Error(String(error));
}

function fromFailure(failure: Error | undefined, run: RunIdentity, cause: unknown): HoldfastRunError {
  if (failure instanceof CancelledFailure) {
    return new HoldfastCancelledError(run, `Run ${run.workflowId} was cancelled; what it had done was undone.`, detailsOf(failure.details), { cause });
  }
  if (failure instanceof TerminatedFailure) {
    const message = `Run ${run.workflowId} was terminated in Temporal, so nothing was undone: ${firstLine(failure)}. The next run on the same VM first releases what this one held. Cancel runs instead of terminating them.`;
    return new HoldfastRunError(run, 'run.terminated', message, detailsOf([]), { cause });
  }
  if (failure instanceof TimeoutFailure) {
    return new HoldfastRunError(run, 'run.timed-out', `Run ${run.workflowId} hit a Temporal timeout, so nothing was undone: start flows without execution and run timeouts.`, detailsOf([]), { cause });
  }
  // A flow that lets an activity's failure through unwrapped still has the code in the innermost application failure.
  if ((failure instanceof ActivityFailure || failure instanceof ChildWorkflowFailure) && failure.cause) return fromFailure(failure.cause, run, cause);
  if (failure instanceof ApplicationFailure) return fromApplicationFailure(failure, run, cause);
  return new HoldfastRunError(run, 'unexpected', failure ? failure.message : `Run ${run.workflowId} failed without saying why.`, detailsOf([]), { cause });
}

function fromApplicationFailure(failure: ApplicationFailure, run: RunIdentity, cause: unknown): HoldfastRunError {
  const details = detailsOf(failure.details);
  return new HoldfastRunError(run, failure.type ?? 'unexpected', failure.message, details, { cause });
}

function detailsOf(details: readonly unknown[] | null | undefined): RunFailureDetails {
  const parsed = runFailureDetailsSchema.safeParse(details?.[0] ?? {});
  return parsed.success ? parsed.data : runFailureDetailsSchema.parse({ unread: details?.[0] });
}

function firstLine(error: Error): string {
  return (error.message.split('\n')[0] ?? '').replace(/[.\s]+$/, '');
}
