// What a run is waiting for as Temporal knows it: the last failure of an activity that is going to be tried again.
import { Client, Connection } from '@temporalio/client';
import type { BackupHandle, RestoreHandle } from '../../../client';
import type { Stack } from './stack';
import { until } from './vms';

/** Until an attempt has failed with this code; its message. */
export async function untilTriedAgain({ parts }: Stack, { workflowId }: BackupHandle | RestoreHandle, code: string): Promise<string> {
  const connection = await Connection.connect({ address: parts.temporal.address });
  try {
    const handle = new Client({ connection, namespace: parts.temporal.namespace }).workflow.getHandle(workflowId);
    return await until(`an attempt has failed with ${code}`, async () => {
      const { raw } = await handle.describe();
      const failures = (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure);
      return failures.find((failure) => failure?.applicationFailureInfo?.type === code)?.message ?? undefined;
    });
  } finally {
    await connection.close();
  }
}
