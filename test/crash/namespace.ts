// A Temporal namespace for each lane: task queues are per namespace, so lanes with workers of their own never take each other's tasks.
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { until } from '../e2e/support/vms';

const readyLimitMs = 60_000;
/** temporal.api.enums.v1.IndexedValueType, as far as temporal-dev.yml uses it. */
const indexedValueType: Readonly<Record<string, number>> = { Text: 1, Keyword: 2, Int: 3, Double: 4, Bool: 5, Datetime: 6, KeywordList: 7 };

/** Without one of them every run's workflow task would fail for ever. */
async function searchAttributes(): Promise<Record<string, number>> {
  const { readSettings } = await import('../../dev/parts/settings.mjs');
  return Object.fromEntries(readSettings().searchAttributes.map((attribute) => {
    const [name = '', type = ''] = attribute.split('=');
    return [name, indexedValueType[type] ?? 0];
  }));
}

export async function makeNamespace(address: string, namespace: string): Promise<void> {
  const attributes = await searchAttributes();
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
