// Temporal Schedules of backup awareness: one for each engine, which starts the launcher (workflows/awareness).
import { ScheduleAlreadyRunning, ScheduleClient, ScheduleNotFoundError, ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Schedules } from '../activities/dependencies';
import { disabledPeriod } from '../domain/awareness/engine-backup';
import type { LaunchScheduledInput } from '../domain/flows/awareness';
import { scheduleIds, taskQueues, workflowIds } from '../domain/ids';

/** By this an operator's own pause is told from ours: theirs stays. */
const disabledNote = 'disabled: BackupCheckPeriodInHours is -1';
const noteOf = (isDisabled: boolean): string => (isDisabled ? disabledNote : 'made by Holdfast');
const hourMs = 3_600_000;
/** After Temporal was away: checks that were missed longer ago than this are not made up for. */
const catchupWindowMs = 600_000;
/** A disabled schedule keeps a period, which it does not use. */
const idlePeriodHours = 24;

export function createSchedules(connection: NativeConnection, namespace: string): Schedules {
  const client = new ScheduleClient({ connection, namespace });
  return {
    async ensureAwareness(engine, { checkPeriodHours, checkNow }) {
      const isDisabled = checkPeriodHours === disabledPeriod;
      const { scheduleId, ...wanted } = scheduleOf(engine, isDisabled ? idlePeriodHours : checkPeriodHours);
      const handle = client.getHandle(scheduleId);
      const create = async (): Promise<void> => {
        await client.create({ scheduleId, ...wanted, state: { paused: isDisabled, note: noteOf(isDisabled), triggerImmediately: true } });
      };
      try {
        let wasDisabled = false;
        await handle.update(({ state, ...previous }) => {
          wasDisabled = state.paused && state.note === disabledNote;
          const isTheirPause = state.paused && !wasDisabled && !isDisabled;
          return { ...previous, ...wanted, state: { ...state, paused: isDisabled || isTheirPause, note: isTheirPause ? state.note : noteOf(isDisabled) } };
        });
        // A schedule that is paused is triggered all the same: the last check of one that was disabled clears its alert.
        if (checkNow || wasDisabled !== isDisabled) await handle.trigger(ScheduleOverlapPolicy.BUFFER_ONE);
      } catch (error) {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
        // Made meanwhile by another worker: then it is what it should be.
        await create().catch((failure: unknown) => {
          if (!(failure instanceof ScheduleAlreadyRunning)) throw failure;
        });
      }
    },

    async describe(id) {
      try {
        const { state, info } = await client.getHandle(id).describe();
        const [next] = info.nextActionTimes;
        const last = info.recentActions.at(-1)?.takenAt;
        return { id, exists: true, paused: state.paused, ...(next === undefined ? {} : { nextCheckAt: next.toISOString() }), ...(last === undefined ? {} : { lastCheckAt: last.toISOString() }) };
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return { id, exists: false, paused: false };
        throw error;
      }
    },
  };
}

function scheduleOf(engine: string, everyHours: number): Pick<ScheduleOptions, 'scheduleId' | 'spec' | 'policies' | 'action'> & { readonly action: { readonly workflowId: string } } {
  const everyMs = Math.round(everyHours * hourMs);
  const workflowId = workflowIds.awareness(engine);
  const launch: LaunchScheduledInput = { flow: 'checkBackupAwareness', workflowId, input: { engine } };
  return {
    scheduleId: scheduleIds.awareness(engine),
    // Engines of one installation are not all looked at in the same second.
    spec: { intervals: [{ every: everyMs }], jitter: Math.min(everyMs / 20, 600_000) },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: catchupWindowMs },
    action: { type: 'startWorkflow', workflowType: 'launchScheduled', workflowId: workflowIds.launch(workflowId), taskQueue: taskQueues.control, args: [launch], staticSummary: `Is engine ${engine} backed up?` },
  };
}
