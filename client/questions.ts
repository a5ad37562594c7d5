// Short workflows: a question to the engine or the catalog, asked through Temporal so that a client needs no other credentials.
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { z } from 'zod';
import { taskQueues } from '../domain/ids';
import { HoldfastClientError } from './errors';
import type { RunIdentity } from './errors';
import { toHoldfastError } from './failures';
import type { Endpoint } from './failures';
import { flows } from './flows';

export type QuestionName =
  | 'findVms' | 'listBackups' | 'listRuns' | 'rebuildCatalog' | 'listHoldings' | 'listAlerts' | 'acknowledgeAlerts' | 'runDoctor' | 'checkBackupAwareness' | 'showBackupAwareness' | 'setBackupAwareness' | 'listVmAwareness';

export interface Patience {
  /** How long a worker may take to pick a question up before "no worker" is said. */
  readonly pickUpMs: number;
  /** How long an answer may take; undefined: as long as it takes. */
  readonly answerMs?: number;
}

export interface Question<Output> {
  readonly flow: QuestionName;
  readonly workflowId: string;
  readonly input: object;
  readonly output: z.ZodType<Output>;
  readonly patience: Patience;
}

export async function ask<Output>(client: Client, endpoint: Endpoint, question: Question<Output>): Promise<Output> {
  const { workflowId, patience } = question;
  const run: RunIdentity = { flow: question.flow, workflowId };
  const flow = flows[question.flow];
  try {
    const handle = await client.workflow.start(question.flow, {
      workflowId,
      taskQueue: taskQueues.control,
      args: [question.input],
      workflowIdReusePolicy: flow.idReusePolicy,
      // A check that is under way answers whoever asks meanwhile; the ids of all other questions are their own.
      workflowIdConflictPolicy: question.flow === 'checkBackupAwareness' ? 'USE_EXISTING' : 'FAIL',
      staticSummary: flow.summary,
    });
    const raw: unknown = await answerOf(client, handle, run, patience);
    return parseAnswer(run, question.output, raw);
  } catch (error) {
    throw toHoldfastError(error, run, endpoint);
  }
}

async function answerOf(client: Client, handle: WorkflowHandle, run: RunIdentity, patience: Patience): Promise<unknown> {
  const answered = new AbortController();
  const givenUp = new AbortController();
  const result = client.withAbortSignal(givenUp.signal, () => handle.result()).finally(() => answered.abort());
  result.catch(() => undefined);
  try {
    return await Promise.race([result, giveUp(handle, run, patience, answered.signal)]);
  } finally {
    // A poll left hanging would be retried by the SDK after the caller has closed the connection, and throw (client/connect.ts).
    givenUp.abort();
  }
}

/** Rejects when patience ends, and cancels the question: an answer that nobody waits for is work for nothing. */
async function giveUp(handle: WorkflowHandle, run: RunIdentity, patience: Patience, answered: AbortSignal): Promise<never> {
  const never = new Promise<never>(() => undefined);
  const wait = (ms: number): Promise<boolean> => delay(ms, true, { signal: answered }).catch(() => false);
  if (!(await wait(patience.pickUpMs))) return never;
  const { historyLength } = await handle.describe();
  const pickedUp = historyLength > 2;
  if (pickedUp) {
    if (patience.answerMs === undefined) return never;
    if (!(await wait(Math.max(0, patience.answerMs - patience.pickUpMs)))) return never;
  }
  await handle.cancel().catch(() => undefined);
  throw new HoldfastClientError(
    'client.no-answer',
    pickedUp
      ? `No answer to ${run.flow} within ${(patience.answerMs ?? 0) / 1000} s: the worker has it, but what it asks does not answer. Look at ${run.workflowId} in Temporal's UI for the activity that fails.`
      : `No worker picked up ${run.flow} within ${patience.pickUpMs / 1000} s. Start a worker with role "control" on this Temporal namespace (it listens on task queue "${taskQueues.control}").`,
    { ...run },
  );
}

function parseAnswer<Output>(run: RunIdentity, schema: z.ZodType<Output>, raw: unknown): Output {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new HoldfastClientError('client.protocol', `The answer to ${run.flow} is not what this client knows (${parsed.error.issues.map((issue) => issue.path.join('.')).join(', ')}). Use the client of the workers' version.`, { answer: raw });
}
