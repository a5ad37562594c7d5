// One running (or ended) backup, restore or verification, as its starter holds it: result, progress, pause, bandwidth, cancel. Bound to one execution,
// so that a later run of the same VM, which has the same workflow id, is never mistaken for this one.
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { z } from 'zod';
import type { BackupVmOutput } from '../domain/flows/backup-vm';
import { bandwidthSchema, progressSchema } from '../domain/flows/progress';
import type { Progress } from '../domain/flows/progress';
import type { RestoreVmOutput } from '../domain/flows/restore-vm';
import type { VerifyBackupOutput } from '../domain/flows/verify-backup';
import { pauseSignal, progressQuery, resumeSignal, setBandwidthUpdate } from '../workflows/messages';
import { HoldfastClientError, HoldfastRunError } from './errors';
import type { RunIdentity } from './errors';
import { toHoldfastError } from './failures';
import type { Endpoint } from './failures';
import { flows } from './flows';
import { parseRequest } from './validate';

export const runFlows = ['backupVm', 'restoreVm', 'verifyBackup'] as const;
export type RunFlow = (typeof runFlows)[number];
export type RunOutput = BackupVmOutput | RestoreVmOutput | VerifyBackupOutput;

export interface WatchOptions {
  readonly intervalMs?: number;
  /** Ends the watching, not the run: `watch` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The run could not be asked just now; it goes on by itself, and so does the watching. */
  readonly onTrouble?: (error: Error) => void;
}

export interface RunStatus {
  readonly status: 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'TIMED_OUT' | 'OTHER';
  readonly startedAt: string;
  readonly endedAt: string | undefined;
  /** False while no worker has taken the run's first task. */
  readonly pickedUp: boolean;
}

const queryDeadlineMs = 10_000;
const reconnectPauseMs = 1_000;
const traceAttempts = 3;
const longestRefusalMs = 30_000;
const statuses: readonly RunStatus['status'][] = ['RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

export class RunHandle<Output = RunOutput> {
  readonly #handle: WorkflowHandle;
  readonly #run: RunIdentity;

  constructor(
    private readonly client: Client,
    private readonly endpoint: Endpoint,
    readonly flow: RunFlow,
    readonly workflowId: string,
    /** Temporal's id of this execution. */
    readonly temporalRunId: string,
    private readonly outputSchema: z.ZodType<Output>,
    /** Address of this run in Temporal's UI, when the UI's address is known. */
    readonly runUrl: string | undefined,
    private readonly reconnectMs: number,
  ) {
    this.#handle = client.workflow.getHandle(workflowId, temporalRunId);
    this.#run = { flow, workflowId };
  }

  /** Waits for the end, however long. Rejects with HoldfastRunError, HoldfastCancelledError or HoldfastClientError. */
  result(): Promise<Output> {
    return this.#resultUntil(undefined);
  }

  async #resultUntil(signal: AbortSignal | undefined): Promise<Output> {
    const raw: unknown = await this.#awaitEnd(signal).catch(async (error: unknown) => {
      throw error instanceof HoldfastRunError ? await this.#withTraces(error) : error;
    });
    const parsed = this.outputSchema.safeParse(raw);
    if (parsed.success) return parsed.data;
    throw new HoldfastClientError('client.protocol', `Run ${this.workflowId} ended well, but its result is not what this client knows (${parsed.error.issues.map((issue) => issue.path.join('.')).join(', ')}). Use the client of the workers' version.`, { result: raw });
  }

  /** The run does not end with the connection: Temporal may be away for a while, as in a restart. */
  async #awaitEnd(signal: AbortSignal | undefined): Promise<unknown> {
    const poll = (): Promise<unknown> => this.#handle.result();
    let awaySinceMs: number | undefined;
    for (;;) {
      const askedAtMs = Date.now();
      try {
        return await this.#call(() => (signal ? this.client.withAbortSignal(derived(signal), poll) : poll()));
      } catch (error) {
        if (signal?.aborted || !(error instanceof HoldfastClientError && error.code === 'client.unreachable')) throw error;
        // It was there in between when this attempt hung on for longer than a refused connection can.
        if (awaySinceMs === undefined || Date.now() - askedAtMs > longestRefusalMs) awaySinceMs = Date.now();
        if (Date.now() - awaySinceMs >= this.reconnectMs) throw error;
        await delay(reconnectPauseMs);
      }
    }
  }

  progress(): Promise<Progress> {
    return this.#progressUntil(undefined);
  }

  async #progressUntil(signal: AbortSignal | undefined): Promise<Progress> {
    const query = (): Promise<unknown> => this.client.withDeadline(Date.now() + queryDeadlineMs, () => this.#handle.query(progressQuery));
    // Closing a connection waits for its calls: a query that no worker answers would hold a Ctrl-C up until its deadline.
    const raw: unknown = await this.#call(() => (signal ? this.client.withAbortSignal(derived(signal), query) : query()));
    const parsed = progressSchema.safeParse(raw);
    if (parsed.success) return parsed.data;
    throw new HoldfastClientError('client.protocol', `The progress of run ${this.workflowId} is not what this client knows. Use the client of the workers' version.`, { progress: raw });
  }

  /** Copies stop at their durable position and go on there after `resume`. */
  async pause(): Promise<void> {
    await this.#call(() => this.#handle.signal(pauseSignal));
  }

  async resume(): Promise<void> {
    await this.#call(() => this.#handle.signal(resumeSignal));
  }

  /** `null` takes the limit away. */
  async setBandwidth(bytesPerSecond: number | null): Promise<void> {
    const bandwidth = parseRequest('setBandwidth', bandwidthSchema, { bytesPerSecond });
    await this.#call(() => this.#handle.executeUpdate(setBandwidthUpdate, { args: [bandwidth] }));
  }

  /** Asks the run to undo itself and end. It answers at once; `result` rejects with HoldfastCancelledError when the undoing is done. */
  async cancel(): Promise<void> {
    // Temporal takes a cancel of an ended run without a word; whoever asks for one should hear that it came too late.
    const { status, endedAt } = await this.status();
    if (status !== 'RUNNING') throw new HoldfastClientError('client.not-found', `Run ${this.workflowId} has ended already (${status.toLowerCase()}${endedAt === undefined ? '' : ` at ${endedAt}`}); there is nothing to cancel.`, { ...this.#run, status });
    await this.#call(() => this.#handle.cancel());
  }

  async status(): Promise<RunStatus> {
    const description = await this.#call(() => this.#handle.describe());
    return {
      status: statuses.find((status) => status === description.status.name) ?? 'OTHER',
      startedAt: description.startTime.toISOString(),
      endedAt: description.closeTime?.toISOString(),
      pickedUp: description.historyLength > 2,
    };
  }

  /** Asks for progress about every second and hands it on until the run has ended; then gives its result. */
  async watch(onProgress: (progress: Progress) => void, options: WatchOptions = {}): Promise<Output> {
    const ended = new AbortController();
    const result = this.#resultUntil(options.signal).finally(() => ended.abort());
    const polling = this.#poll(onProgress, ended.signal, options);
    polling.catch(() => undefined);
    result.catch(() => undefined);
    const output = await Promise.race([result, rejectOnAbort(options.signal, ended.signal)]);
    await polling;
    return output;
  }

  async #poll(onProgress: (progress: Progress) => void, ended: AbortSignal, options: WatchOptions): Promise<void> {
    const stop = options.signal ? AbortSignal.any([ended, options.signal]) : ended;
    const stopped = (): boolean => stop.aborted;
    while (!stopped()) {
      try {
        const progress = await this.#progressUntil(stop);
        if (!options.signal?.aborted) onProgress(progress);
      } catch (error) {
        if (!stopped()) options.onTrouble?.(error as Error);
      }
      await delay(options.intervalMs ?? 1_000, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  /** A cancelled run's failure carries no details: what was undone and what is left is asked for, if a worker can still tell. */
  async #withTraces(error: HoldfastRunError): Promise<HoldfastRunError> {
    for (let attempt = 1; attempt <= traceAttempts; attempt += 1) {
      try {
        const { undone, warnings, leftovers } = await this.progress();
        return error.withDetails({ ...error.details, undone, warnings, leftovers });
      } catch (asking) {
        // A busy server refuses a query now and then. The first question goes to the worker that ran the flow and waits ten seconds for it, dead or alive;
        // the next goes to any, and a worker that is missing then will still be missing.
        if (attempt > 1 && asking instanceof HoldfastClientError && asking.code === 'client.no-answer') return error;
        await delay(reconnectPauseMs / 2);
      }
    }
    return error;
  }

  async #call<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw toHoldfastError(error, this.#run, this.endpoint);
    }
  }
}

export type BackupHandle = RunHandle<BackupVmOutput>;
export type RestoreHandle = RunHandle<RestoreVmOutput>;
export type VerifyHandle = RunHandle<VerifyBackupOutput>;

export function outputSchemaOf(flow: RunFlow): z.ZodType<RunOutput> {
  return flows[flow].output;
}

/** The SDK never takes its listener off a signal: a signal of each call's own keeps a day of polling from piling them up. */
function derived(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal]);
}

/** Never resolves: it only lets an abort by the caller end the race. Lets go of the signal when the run has ended. */
function rejectOnAbort(signal: AbortSignal | undefined, ended: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (!signal) return;
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true, signal: ended });
  });
}
