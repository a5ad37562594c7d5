// The only proxyActivities calls, grouped by timeout profile. Retries are Temporal's; what is worth a retry says domain/failures.
import { ActivityCancellationType, proxyActivities, type ActivityInterfaceFor, type ActivityOptions } from '@temporalio/workflow';
import type { ApplianceCopyActivities, ApplianceQuickActivities, AwarenessControl, ControlActivities, MoverCopyActivities, MoverQuickActivities } from '../activities';
import type { ApplianceDoctor, ControlDoctor, MoverDoctor, QueueActivities } from '../activities/doctor';
import type { FailureCode } from '../domain/failures';
import { taskQueues } from '../domain/ids';
import type { RunSettings } from '../domain/flows/settings';
import { summarizedActivities, type NameOf } from './summaries';

const retry = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' } as const;
/** A cancelled step is over before its undo begins: otherwise the undo races it. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** A guest that Holdfast froze is thawed within ten seconds of any worker being alive. */
const frozenHeartbeatSeconds = 4;

export interface Proxies {
  /** One call, no waiting. Every call heartbeats by timer, so that a dead worker is noticed whatever it was at. */
  readonly control: ActivityInterfaceFor<ControlActivities>;
  /** Calls that wait for the engine until `seconds` are over. */
  waiting(seconds: number): ActivityInterfaceFor<ControlActivities>;
  /**
   * Where a guest stands still: the worker's death is noticed within seconds, and the next attempt, whose first act is the thaw, begins at once.
   */
  freezing(seconds: number): ActivityInterfaceFor<ControlActivities>;
  /** The undo of a freeze. */
  readonly thawing: ActivityInterfaceFor<ControlActivities>;
  /** An undo: tried until its own deadline. */
  readonly undo: ActivityInterfaceFor<ControlActivities>;
  mover(repository: string): ActivityInterfaceFor<MoverQuickActivities>;
  /** Undoes, and what may take as long as an image is big: checking and hashing at the seal. */
  moverLong(repository: string): ActivityInterfaceFor<MoverQuickActivities>;
  /** Copies through image transfers, and re-reading of backups. */
  moverCopies(repository: string): ActivityInterfaceFor<MoverCopyActivities>;
  applianceQuick(engine: string, applianceId: string): ActivityInterfaceFor<ApplianceQuickActivities>;
  applianceCopies(engine: string, applianceId: string): ActivityInterfaceFor<ApplianceCopyActivities>;
}

/** Before the settings are known: opening a run. */
export const opening = summarizedActivities<ControlActivities>({ taskQueue: taskQueues.control, startToCloseTimeout: '1 minute', heartbeatTimeout: '10 seconds', scheduleToCloseTimeout: '15 minutes', cancellationType, retry }, () => undefined);

/** Judging and asking: no answer within the deadline is an answer too. */
export const awareness = proxyActivities<AwarenessControl>({ taskQueue: taskQueues.control, startToCloseTimeout: '2 minutes', heartbeatTimeout: '30 seconds', scheduleToCloseTimeout: '15 minutes', cancellationType, retry });

/** All VMs of an engine: minutes for a hundred thousand. */
export const inventory = proxyActivities<ControlActivities>({ taskQueue: taskQueues.control, startToCloseTimeout: '1 hour', heartbeatTimeout: '30 seconds', scheduleToCloseTimeout: '2 hours', cancellationType, retry: { ...retry, maximumInterval: '2 minutes' } });

/** A sink may be away for long; its own workflow waits for it, and is started again while something is left to tell. */
export const delivery = proxyActivities<AwarenessControl>({ taskQueue: taskQueues.control, startToCloseTimeout: '10 minutes', heartbeatTimeout: '30 seconds', scheduleToCloseTimeout: '1 hour', cancellationType, retry: { ...retry, maximumInterval: '2 minutes' } });

/** `nameOf`: how the run calls its objects, for the summaries. */
export function proxiesFor(settings: RunSettings, nameOf: NameOf): Proxies {
  const { deadlines, callSeconds, heartbeatSeconds } = settings;
  const proxy = <Activities extends object>(options: ActivityOptions): ActivityInterfaceFor<Activities> => summarizedActivities<Activities>(options, nameOf);
  const call = (taskQueue: string, more: Partial<ActivityOptions>): ActivityOptions => ({ taskQueue, startToCloseTimeout: `${callSeconds} seconds`, heartbeatTimeout: `${heartbeatSeconds} seconds`, cancellationType, retry, ...more });
  const waiting = (seconds: number): ActivityOptions => call(taskQueues.control, { scheduleToCloseTimeout: `${seconds} seconds` });
  const freezing = (seconds: number): ActivityOptions => ({ ...waiting(seconds), heartbeatTimeout: `${Math.min(heartbeatSeconds, frozenHeartbeatSeconds)} seconds`, retry: { ...retry, initialInterval: '100 milliseconds' } });
  const copies = (taskQueue: string): ActivityOptions => ({
    taskQueue,
    scheduleToStartTimeout: `${deadlines.queueSeconds} seconds`,
    startToCloseTimeout: '7 days',
    heartbeatTimeout: `${heartbeatSeconds} seconds`,
    cancellationType,
    // A device that is away is waited for by the flow (workflows/attached-device), with a deadline.
    retry: { ...retry, maximumAttempts: 50, nonRetryableErrorTypes: ['device.not-found' satisfies FailureCode] },
  });
  const quickDeadline = { scheduleToCloseTimeout: `${deadlines.attachSeconds} seconds` } as const;
  const undoDeadline = { scheduleToCloseTimeout: `${deadlines.undoSeconds} seconds` } as const;
  const workerDeadline = { scheduleToStartTimeout: `${deadlines.workerSeconds} seconds` } as const;
  return {
    control: proxy<ControlActivities>(call(taskQueues.control, quickDeadline)),
    waiting: (seconds) => proxy<ControlActivities>(waiting(seconds)),
    freezing: (seconds) => proxy<ControlActivities>(freezing(seconds)),
    thawing: proxy<ControlActivities>(freezing(deadlines.undoSeconds)),
    undo: proxy<ControlActivities>(waiting(deadlines.undoSeconds)),
    mover: (repository) => proxy<MoverQuickActivities>(call(taskQueues.moverQuick(repository), { ...quickDeadline, ...workerDeadline })),
    moverLong: (repository) => proxy<MoverQuickActivities>(call(taskQueues.moverQuick(repository), { ...undoDeadline, startToCloseTimeout: `${deadlines.undoSeconds} seconds` })),
    applianceQuick: (engine, applianceId) => proxy<ApplianceQuickActivities>(call(taskQueues.applianceQuick(engine, applianceId), { ...quickDeadline, ...workerDeadline })),
    moverCopies: (repository) => proxy<MoverCopyActivities>(copies(taskQueues.moverCopies(repository))),
    applianceCopies: (engine, applianceId) => proxy<ApplianceCopyActivities>(copies(taskQueues.applianceCopies(engine, applianceId))),
  };
}

export interface DoctorProxies {
  queue(taskQueue: string): ActivityInterfaceFor<QueueActivities>;
  readonly control: ActivityInterfaceFor<ControlDoctor>;
  mover(repository: string): ActivityInterfaceFor<MoverDoctor>;
  appliance(engine: string, applianceId: string): ActivityInterfaceFor<ApplianceDoctor>;
}

/** The doctor asks once more at most, and takes nobody's answer for an answer. A look has its own deadlines (activities/doctor). */
export function doctorProxies(answerSeconds: number): DoctorProxies {
  const options = (taskQueue: string): ActivityOptions => ({
    taskQueue, scheduleToStartTimeout: `${answerSeconds} seconds`, startToCloseTimeout: '3 minutes', cancellationType: ActivityCancellationType.TRY_CANCEL, retry: { ...retry, maximumAttempts: 2 },
  });
  return {
    queue: (taskQueue) => proxyActivities<QueueActivities>({ ...options(taskQueue), startToCloseTimeout: `${answerSeconds} seconds`, retry: { maximumAttempts: 1 } }),
    control: proxyActivities<ControlDoctor>(options(taskQueues.control)),
    mover: (repository) => proxyActivities<MoverDoctor>(options(taskQueues.moverQuick(repository))),
    appliance: (engine, applianceId) => proxyActivities<ApplianceDoctor>(options(taskQueues.applianceQuick(engine, applianceId))),
  };
}
