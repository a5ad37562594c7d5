// Looks whether some sink has something to be told, and starts the delivery to it (workflows/awareness: forwardEvents). Workflows only when there is
// something to do: what engine-backup logs comes from psql, which starts none.
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Catalog } from '../adapters/catalog/port';
import type { ForwardEventsInput, SinkName } from '../domain/flows/alerts';
import { taskQueues, workflowIds } from '../domain/ids';
import { lookRegularly } from './gauges';
import type { Log } from './logging';

const outboxEveryMs = 5_000;

export interface OutboxWatch {
  readonly catalog: Pick<Catalog, 'adoptEngineBackupEvents' | 'listDueSinks'>;
  /** Engines whose own event log is told what engine-backup has logged in our catalog. */
  readonly loggedHere: readonly { readonly engine: string; readonly fqdn: string }[];
  /** Sinks that this configuration has: what waits for another one waits on. */
  readonly sinksOf: (engine: string) => readonly SinkName[];
  readonly deliver: (input: ForwardEventsInput) => Promise<void>;
}

/** A delivery that came to nothing is begun again ever later: a refusal stays one until somebody mends it. */
const longestPauseMs = 300_000;

/** When each sink that something waits for was last begun with. */
export type Begun = Map<string, { readonly pauseMs: number; readonly nextAtMs: number }>;

export async function lookIntoOutbox({ catalog, loggedHere, sinksOf, deliver }: OutboxWatch, begun: Begun, nowMs: number): Promise<void> {
  for (const engine of loggedHere) await catalog.adoptEngineBackupEvents(engine);
  const due = (await catalog.listDueSinks()).flatMap(({ engine, sink }) => sinksOf(engine).flatMap((known) => (known === sink ? [{ engine, sink: known, key: workflowIds.events(engine, sink) }] : [])));
  for (const key of begun.keys()) if (!due.some((each) => each.key === key)) begun.delete(key);
  for (const { engine, sink, key } of due) {
    const last = begun.get(key);
    if (last && last.nextAtMs > nowMs) continue;
    const pauseMs = Math.min((last?.pauseMs ?? outboxEveryMs / 2) * 2, longestPauseMs);
    begun.set(key, { pauseMs, nextAtMs: nowMs + pauseMs });
    await deliver({ engine, sink });
  }
}

export function watchOutbox(watch: OutboxWatch, log: Pick<Log, 'warn'>): { stop(): Promise<void> } {
  const begun: Begun = new Map();
  return lookRegularly(() => lookIntoOutbox(watch, begun, Date.now()), outboxEveryMs, (error) => log.warn({ reason: String(error) }, 'whether alerts wait to be told could not be looked up'), { atOnce: false });
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
