// A worker that can be told to die: `node dist/test/crash/worker/crash-worker.js --config <file> --faults <directory>`. The production
// composition, compiled by the same compiler into the same dist/, plus one interceptor and short sticky queues. Not the shipped entry.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ApplicationFailure, type Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { composeWorkers } from '../../../worker/compose';
import { loadConfig } from '../../../worker/config';
import { activityLogAttributes, createLog } from '../../../worker/logging';
import { installRuntime } from '../../../worker/runtime';
import { faultFiles, readFault, recordOnce, type Fired } from './fault';

const holdPollMs = 20;

function firedNow(context: Context, moment: string): Fired {
  const { activityType, activityId, attempt } = context.info;
  return { pid: process.pid, activityType, activityId, attempt, moment, atMs: Date.now() };
}

function faultsIn(directory: string): ActivityInterceptorsFactory {
  const files = faultFiles(directory);
  const dieIf = (context: Context, moment: 'before' | 'after'): void => {
    const { workflowExecution, activityType, activityId } = context.info;
    const fault = readFault(directory);
    const kill = fault?.workflowId === workflowExecution?.workflowId ? fault?.kill : undefined;
    if (kill?.moment !== moment || kill.activityType !== activityType || kill.activityId !== activityId) return;
    if (recordOnce(files.fired, firedNow(context, moment))) process.kill(process.pid, 'SIGKILL');
  };
  return (context) => ({
    inbound: {
      async execute(input, next): Promise<unknown> {
        const { activityType, activityId, workflowExecution } = context.info;
        dieIf(context, 'before');
        const fault = readFault(directory);
        const mine = fault?.workflowId === workflowExecution?.workflowId ? fault : undefined;
        if (mine?.hold?.activityType === activityType && (mine.hold.activityId ?? activityId) === activityId) await heldBack(context, files);
        if (mine?.fail?.activityType === activityType) {
          throw ApplicationFailure.create({ type: 'repository.full', message: `the crash harness makes ${activityType} fail`, nonRetryable: true });
        }
        if (mine?.skip?.activityType === activityType) {
          recordOnce(files.fired, firedNow(context, 'skip'));
          return undefined;
        }
        const result = await next(input);
        dieIf(context, 'after');
        return result;
      },
    },
  });
}

/** Heartbeats meanwhile: the harness waits for other runs to come to their places. */
async function heldBack(context: Context, files: ReturnType<typeof faultFiles>): Promise<void> {
  if (!recordOnce(files.held, firedNow(context, 'held'))) return;
  while (!existsSync(files.letGo) && existsSync(files.held) && !context.cancellationSignal.aborted) {
    context.heartbeat();
    await sleep(holdPollMs);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' }, faults: { type: 'string' } } });
  if (!values.config || !values.faults) throw new Error('usage: crash-worker --config <file> --faults <directory>');
  const config = loadConfig(values.config);
  const log = createLog(config.log.level);
  installRuntime(log);
  const interceptors = { activity: [activityLogAttributes, faultsIn(values.faults)] };
  // One run at a time: ten pollers for each queue of each of ten lanes keep Temporal busier than the runs do.
  const pollers = { maxConcurrentActivityTaskPolls: 2, maxConcurrentWorkflowTaskPolls: 2 };
  const composed = await composeWorkers(config, log, { interceptors, stickyQueueScheduleToStartTimeout: '1 second', ...pollers });
  const runs = composed.workers.map((worker) => worker.run());
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid })}\n`);
  await Promise.all(runs);
  await composed.close();
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
