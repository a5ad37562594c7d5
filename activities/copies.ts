// Hour-long work beside the disks: copying, restoring, proving. Role appliance. Heartbeats carry liveness and figures; what a new
// attempt goes on from is the durable position, never a heartbeat that lags. Cancel, pause and a new bandwidth arrive as a cancel of
// the attempt.
import { Context } from '@temporalio/activity';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { copyBlocks, digestBlocks, openDevice, type Transport } from '../adapters/blocks';
import { HoldfastError } from '../domain/failures';
import { reason, type Reason } from '../domain/plan/reasons';
import type { ApplianceDependencies } from './dependencies';
import { CopyReporter } from './copy-reporter';
import type { OfRun } from './of-run';

export interface ImageOfRun extends OfRun {
  readonly repository: string;
  readonly vmId: string;
  readonly backupId: string;
  /** The disk in the backup. */
  readonly diskId: string;
  readonly virtualBytes: number;
  readonly bandwidthBytesPerSecond?: number | undefined;
}

export interface TargetOfRun extends ImageOfRun {
  readonly targetDiskId: string;
}

/** Everything below is durable in the target. */
export interface RestorePosition {
  readonly positionBytes: number;
  readonly dataBytes: number;
}

export interface CopyActivities {
  backupDisk(input: ImageOfRun): Promise<{ readonly dataBytes: number; readonly transport: Transport }>;
  /**
   * `heldDiskIds`: the disks that the catalog says this run created; any other device is refused. `from`: where an earlier, steered
   * copy of the same disk got to.
   */
  restoreDisk(input: TargetOfRun & { readonly heldDiskIds: readonly string[]; readonly from: RestorePosition }): Promise<{ readonly dataBytes: number }>;
  /** Reopens the restored disk, reads all of it and compares every digest with the backup's. */
  proveDisk(input: TargetOfRun): Promise<{ readonly root: string }>;
}

export interface ApplianceCheckActivities {
  checkAppliance(input: OfRun & { readonly repository: string }): Promise<readonly Reason[]>;
  /** Finds the attached disk by its serial: never guessed, never by order. Retried until the guest has seen it. */
  findDevice(input: OfRun & { readonly diskId: string; readonly virtualBytes: number }): Promise<{ readonly transport: Transport }>;
}

const restorePositionSchema = z.object({ restored: z.object({ positionBytes: z.number(), dataBytes: z.number() }) });

export function createApplianceCheckActivities({ devices, repositoryOf }: ApplianceDependencies): ApplianceCheckActivities {
  return {
    async checkAppliance({ repository }) {
      const reasons: Reason[] = [];
      const directory = await stat(devices).catch(() => undefined);
      if (!directory?.isDirectory()) reasons.push(reason('appliance.devices', devices, `The appliance's worker finds no directory ${devices}, where its disks should appear by serial. Correct appliance.devices in its configuration.`));
      try {
        await repositoryOf(repository).check();
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        reasons.push(reason('appliance.repository', repository, `The appliance's worker cannot write to repository ${repository}: ${error.message}`));
      }
      return reasons;
    },

    async findDevice({ diskId, virtualBytes }) {
      const device = await openDevice({ directory: devices, diskId, mode: 'read' });
      try {
        if (device.sizeBytes !== virtualBytes) throw new HoldfastError('device.foreign', `The device with the serial ${diskId} has ${device.sizeBytes} bytes, disk ${diskId} has ${virtualBytes}: it is not that disk.`, { diskId });
        return { transport: device.transport };
      } finally {
        await device.close();
      }
    },
  };
}

export function createCopyActivities({ devices, repositoryOf, heartbeatMs }: ApplianceDependencies): CopyActivities {
  return {
    async backupDisk(input) {
      const context = Context.current();
      const ref = { vmId: input.vmId, backupId: input.backupId };
      const image = await repositoryOf(input.repository).openPartialImage(ref, input.diskId, input.virtualBytes, { owner: attemptOf(context) });
      const reporter = new CopyReporter(context, input.diskId, image.dataBytes, heartbeatMs, () => image.renewLease());
      try {
        const reader = await openDevice({ directory: devices, diskId: input.diskId, mode: 'read', signal: context.cancellationSignal });
        try {
          const done = await reporter.during((signal) =>
            copyBlocks({
              reader,
              writer: image.writer,
              sink: image.sink,
              fromBytes: image.positionBytes,
              dataBytesBefore: image.dataBytes,
              onDurable: (figures) => image.recordDurable(figures.positionBytes, figures.dataBytes),
              onProgress: (figures) => reporter.note(figures),
              ...bandwidthOf(input),
              signal,
            }),
          );
          reporter.note(done);
          return { dataBytes: done.dataBytes, transport: reader.transport };
        } finally {
          await reader.close();
        }
      } finally {
        await image.close();
      }
    },

    async restoreDisk(input) {
      const context = Context.current();
      if (!input.heldDiskIds.includes(input.targetDiskId)) throw new HoldfastError('device.foreign', `Disk ${input.targetDiskId} is not among the disks that this run created, so nothing is written to it.`, { diskId: input.targetDiskId });
      const store = repositoryOf(input.repository);
      const ref = { vmId: input.vmId, backupId: input.backupId };
      const expected = await store.openDigests(ref, input.diskId);
      const from = durableRestorePosition(context, input.from);
      let durable: RestorePosition = from;
      const reporter = new CopyReporter(context, input.diskId, from.dataBytes, heartbeatMs, () => Promise.resolve(), () => ({ restored: { positionBytes: durable.positionBytes, dataBytes: durable.dataBytes } }));
      const reader = await store.openImage(ref, input.diskId);
      try {
        const writer = await openDevice({ directory: devices, diskId: input.targetDiskId, mode: 'write', sizeBytes: input.virtualBytes, signal: context.cancellationSignal });
        try {
          const done = await reporter.during((signal) =>
            copyBlocks({
              reader,
              writer,
              expected,
              fromBytes: from.positionBytes,
              dataBytesBefore: from.dataBytes,
              onDurable: (figures) => {
                durable = figures;
                return Promise.resolve();
              },
              onProgress: (figures) => reporter.note(figures),
              ...bandwidthOf(input),
              signal,
            }),
          );
          reporter.note(done);
          return { dataBytes: done.dataBytes };
        } finally {
          await writer.close();
        }
      } finally {
        await reader.close();
      }
    },

    async proveDisk(input) {
      const context = Context.current();
      const expected = await repositoryOf(input.repository).openDigests({ vmId: input.vmId, backupId: input.backupId }, input.diskId);
      const reporter = new CopyReporter(context, input.diskId, 0, heartbeatMs, () => Promise.resolve());
      const reader = await openDevice({ directory: devices, diskId: input.targetDiskId, mode: 'read', signal: context.cancellationSignal });
      try {
        return await reporter.during((signal) => digestBlocks(reader, { expected, signal, onProgress: (figures) => reporter.note(figures), ...bandwidthOf(input) }));
      } finally {
        await reader.close();
      }
    },
  };
}

function attemptOf(context: Context): string {
  const { workflowExecution, activityId, attempt } = context.info;
  return `${workflowExecution?.workflowId ?? 'no workflow'} ${workflowExecution?.runId ?? ''} activity ${activityId} attempt ${attempt}`;
}

/** A restore's position may lag: blocks below it are durable, blocks above it are written again, at the same place. */
function durableRestorePosition(context: Context, from: RestorePosition): RestorePosition {
  const parsed = restorePositionSchema.safeParse(context.info.heartbeatDetails);
  return parsed.success && parsed.data.restored.positionBytes > from.positionBytes ? parsed.data.restored : from;
}

function bandwidthOf({ bandwidthBytesPerSecond }: ImageOfRun): { bytesPerSecond?: number } {
  return bandwidthBytesPerSecond === undefined ? {} : { bytesPerSecond: bandwidthBytesPerSecond };
}
