// What the doctor's activities need of this worker: its connection to Temporal, and what its configuration says that there is.
import type { NativeConnection } from '@temporalio/worker';
import type { ControlExamination, TemporalExamination } from '../activities/doctor';
import type { NamespaceFacts } from '../domain/doctor/judge-workers';
import { searchAttributes, typeNames } from '../workflows/messages';
import type { WorkerConfig } from './config';

/** Numbers of Temporal's API: temporal.api.enums.v1.NamespaceState and IndexedValueType. */
const namespaceStates: Readonly<Record<number, NamespaceFacts['state']>> = { 1: 'registered', 2: 'deprecated', 3: 'deleted' };
const valueTypes: Readonly<Record<number, string>> = { 1: 'Text', 2: 'Keyword', 3: 'Int', 4: 'Double', 5: 'Bool', 6: 'Datetime', 7: 'KeywordList' };
const daySeconds = 24 * 3600;
const callDeadlineMs = 10_000;

export function controlExamination(config: WorkerConfig, connection: NativeConnection): Pick<ControlExamination, 'temporal' | 'installation' | 'usernameOf'> {
  return {
    temporal: temporalExamination(connection, config.temporal.namespace),
    installation: {
      engines: Object.entries(config.engines).map(([name, { appliances }]) => ({ name, applianceIds: appliances })),
      repositories: Object.keys(config.repositories),
    },
    usernameOf: (engine) => config.engines[engine]?.username ?? 'nobody',
  };
}

export function temporalExamination(connection: NativeConnection, namespace: string): TemporalExamination {
  const soon = <T>(call: () => Promise<T>): Promise<T> => connection.withDeadline(Date.now() + callDeadlineMs, call);
  return {
    expectedSearchAttributes: Object.fromEntries(Object.values(searchAttributes).map(({ name, type }) => [name, typeNames[type]])),
    async namespace() {
      const { namespaceInfo, config } = await soon(() => connection.workflowService.describeNamespace({ namespace }));
      const retentionSeconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
      return { name: namespace, state: namespaceStates[namespaceInfo?.state ?? 0] ?? 'unknown', retentionDays: Math.floor(retentionSeconds / daySeconds) };
    },
    async searchAttributes() {
      const { customAttributes } = await soon(() => connection.operatorService.listSearchAttributes({ namespace }));
      return Object.fromEntries(Object.entries(customAttributes).map(([name, type]) => [name, valueTypes[type] ?? String(type)]));
    },
  };
}
