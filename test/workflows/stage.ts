// The stage on which flows are tested: a real Temporal server and real workers on the real queue names; only the activities are
// scripted, one script per workflow id, so that many flows run side by side on one server.
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { taskQueues } from '../../domain/ids';
import { workflowBundle } from '../../worker/workflow-bundle';
import { startTemporal } from '../support/temporal';
import { applianceId, engine, goodAnswers, repository, settings, type World } from './answers';
import type { ActivityName, Script } from './script';

export interface Stage {
  readonly client: Client;
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Starts a flow under its own script. */
  start(flow: string, workflowId: string, input: unknown, script: Script): Promise<WorkflowHandle>;
  stop(): Promise<void>;
}

export interface Ended {
  readonly status: string;
  readonly output?: unknown;
  /** Of the failure that the workflow ended with. */
  readonly code?: string | undefined;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Queues by what their worker does; no worker runs for any other appliance or repository. */
const served: Record<string, readonly ActivityName[]> = (() => {
  const { control, mover, moverCopies, quick, copies } = activityNames();
  return {
    [taskQueues.control]: control,
    [taskQueues.moverQuick(repository)]: mover,
    [taskQueues.moverCopies(repository)]: moverCopies,
    [taskQueues.applianceQuick(engine, applianceId)]: quick,
    [taskQueues.applianceCopies(engine, applianceId)]: copies,
  };
})();

function activityNames(): Record<'control' | 'mover' | 'moverCopies' | 'quick' | 'copies', readonly ActivityName[]> {
  const mover: readonly ActivityName[] = ['checkRepository', 'saveConfiguration', 'sealBackup', 'dropPartialBackup', 'readBackup', 'createVmFromBackup', 'unmarkVm', 'saveReplacedVm', 'putBackReplacedVm', 'dropReplacedVm', 'scanRepository', 'readVmChain', 'checkBase', 'checkChain'];
  const moverCopies: readonly ActivityName[] = ['backupDiskByTransfer', 'restoreDiskByTransfer', 'witnessTransfer', 'verifyDisk'];
  const quick: readonly ActivityName[] = ['checkAppliance', 'findDevice'];
  const copies: readonly ActivityName[] = ['backupDisk', 'restoreDisk', 'proveDisk'];
  const elsewhere = new Set([...mover, ...moverCopies, ...quick, ...copies]);
  const all = Object.keys(goodAnswers({ vmId: randomUUID(), disks: [], settings })) as ActivityName[];
  return { mover, moverCopies, quick, copies, control: all.filter((name) => !elsewhere.has(name)) };
}

export async function openStage(): Promise<Stage> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const temporal = await startTemporal();
  const { address, namespace } = temporal;
  const connection = await NativeConnection.connect({ address });
  const clientConnection = await Connection.connect({ address });
  const client = new Client({ connection: clientConnection, namespace });
  const scripts = new Map<string, Script>();
  const performing = (name: ActivityName) => (input: unknown): Promise<unknown> => {
    const workflowId = Context.current().info.workflowExecution?.workflowId ?? '';
    const script = scripts.get(workflowId);
    if (!script) throw new Error(`no script for ${workflowId}`);
    return script.perform(name, input);
  };
  const common: Partial<WorkerOptions> = { connection, namespace, maxHeartbeatThrottleInterval: '50 milliseconds', defaultHeartbeatThrottleInterval: '50 milliseconds' };
  const bundle = await workflowBundle();
  const workers: Worker[] = [];
  for (const [taskQueue, names] of Object.entries(served)) {
    const activities = Object.fromEntries(names.map((name) => [name, performing(name)]));
    workers.push(await Worker.create({ ...common, taskQueue, activities, ...(taskQueue === taskQueues.control ? { workflowBundle: bundle } : {}) }));
  }
  const running = Promise.all(workers.map((worker) => worker.run()));
  return {
    client,
    connection,
    namespace,
    start(flow, workflowId, input, script) {
      scripts.set(workflowId, script);
      return client.workflow.start(flow, { workflowId, taskQueue: taskQueues.control, args: [input] });
    },
    async stop() {
      for (const worker of workers) worker.shutdown();
      await running;
      await clientConnection.close();
      await connection.close();
      await temporal.stop();
    },
  };
}

let shared: (() => Stage) | undefined;

/** For a whole suite, or for the suites of a file that shares one; opened before its first test. */
export function useStage(): () => Stage {
  return shared ?? openForFile();
}

/** For a file of several suites: every flow has its own script, and a server, workers and their modules cost four seconds of a core. */
export function shareStage(): void {
  shared = openForFile();
}

function openForFile(): () => Stage {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await openStage();
  }, 120_000);
  afterAll(() => stage?.stop());
  return () => {
    if (!stage) throw new Error('the stage did not open');
    return stage;
  };
}

export function world(changes: Partial<Omit<World, 'settings'>> & { readonly settings?: Partial<Omit<World['settings'], 'deadlines'>>; readonly deadlines?: Partial<World['settings']['deadlines']> } = {}): World {
  return {
    vmId: changes.vmId ?? randomUUID(),
    disks: changes.disks ?? [],
    settings: { ...settings, ...changes.settings, deadlines: { ...settings.deadlines, ...changes.deadlines } },
  };
}

export async function ending(handle: WorkflowHandle): Promise<Ended> {
  let ended: Omit<Ended, 'status'>;
  try {
    ended = { output: await handle.result() };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    const details = cause instanceof ApplicationFailure ? (cause.details?.[0] as Record<string, unknown> | undefined) : undefined;
    ended = { code: cause instanceof ApplicationFailure ? (cause.type ?? undefined) : cause?.name, message: cause?.message ?? '', ...(details ? { details } : {}) };
  }
  return { ...ended, status: (await handle.describe()).status.name };
}
