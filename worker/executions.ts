// Asks Temporal whether an execution still runs. A terminated one closes nothing in the catalog, so only Temporal knows.
import { isGrpcServiceError } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';

const callDeadlineMs = 10_000;
/** temporal.api.enums.v1.WorkflowExecutionStatus: completed, failed, cancelled, terminated, continued as new, timed out. */
const ended: readonly number[] = [2, 3, 4, 5, 6, 7];
/** gRPC's NOT_FOUND: over, and its retention too. */
const notFound = 5;

/** While Temporal does not answer it counts as running: whoever asks takes nothing from it then. */
export async function isExecutionRunning(connection: NativeConnection, namespace: string, { workflowId, executionId = '' }: { readonly workflowId: string; readonly executionId?: string }): Promise<boolean> {
  try {
    const request = { namespace, execution: { workflowId, runId: executionId } };
    const { workflowExecutionInfo } = await connection.withDeadline(Date.now() + callDeadlineMs, () => connection.workflowService.describeWorkflowExecution(request));
    return !ended.includes(workflowExecutionInfo?.status ?? 0);
  } catch (error) {
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    return code !== notFound;
  }
}
