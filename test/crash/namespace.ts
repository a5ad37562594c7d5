// A Temporal namespace for each lane: task queues are per namespace, so lanes with workers of their own never take each other's tasks.
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { until } from '../e2e/support/vms';

const readyLimitMs = 60_000;
/** temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD */
const keyword = 2;
const attributes = Object.fromEntries(['Engine', 'Vm', 'VmName', 'Method', 'Kind', 'Phase', 'Outcome'].map((name) => [`Holdfast${name}`, keyword]));

export async function makeNamespace(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('1 day') });
    await until(`namespace ${namespace} takes the search attributes`, async () => {
      try {
        await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: attributes });
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
        return Object.keys(attributes).every((name) => name in customAttributes);
      } catch {
        return false; // The server's list of namespaces is a little older than its table.
      }
    }, readyLimitMs, 250);
  } finally {
    await connection.close();
  }
}
