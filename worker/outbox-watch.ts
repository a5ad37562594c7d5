// Looks whether some sink has something to be told, and starts the delivery to it (workflows/awareness: forwardEvents). Workflows only when there is
// something to do: what engine-backup logs comes from psql, which starts none.
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Catalog } from '../adapters/catalog/port';
import type { ForwardEventsInput, SinkName } from '../domain/flows/alerts';
import { taskQueues, workflowIds } from '../domain/ids';
import type { Log } from './logging';

export const outboxEveryMs = 5_000;

export interface OutboxWatch {
  readonly catalog: Pick<Catalog, 'adoptEngineBackupEvents' | 'listDueSinks'>;
  /** Engines whose own event log is told what engine-backup has logged in our catalog. */
  readonly loggedHere: readonly { readonly engine: string; readonly fqdn: string }[];
  /** Sinks that this configuration has: what waits for another one waits on. */
  readonly sinksOf: (engine: string) => readonly SinkName[];
  readonly deliver: (input: ForwardEventsInput) => Promise<void>;
}

export async function lookIntoOutbox({ catalog, loggedHere, sinksOf, deliver }: OutboxWatch): Promise<void> {
  for (const engine of loggedHere) await catalog.adoptEngineBackupEvents(engine);
  for (const { engine, sink } of await catalog.listDueSinks()) {
    const known = sinksOf(engine).find((name) => name === sink);
    if (known) await deliver({ engine, sink: known });
  }
}

export function watchOutbox(watch: OutboxWatch, log: Pick<Log, 'warn'>, everyMs = outboxEveryMs): { stop(): Promise<void> } {
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= lookIntoOutbox(watch)
      .catch((error: unknown) => log.warn({ reason: String(error) }, 'whether alerts wait to be told could not be looked up'))
      .finally(() => (looking = undefined));
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}

/** One at a time for each sink: a delivery that is under way takes this one's notices along, or the next look starts another. */
export function startsDeliveries(connection: NativeConnection, namespace: string): OutboxWatch['deliver'] {
  const client = new Client({ connection, namespace });
  return async (input) => {
    await client.workflow.start('forwardEvents', {
      workflowId: workflowIds.events(input.engine, input.sink),
      taskQueue: taskQueues.control,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `Tell ${input.sink} what is wrong at engine ${input.engine}`,
    });
  };
}
