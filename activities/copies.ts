// Hour-long work beside the disks: copying, restoring, proving. Role appliance. Heartbeats carry liveness and figures; what a new
// attempt goes on from is the durable position, never a heartbeat that lags. Cancel, pause and a new bandwidth arrive as a cancel of
// the attempt.
import { Context } from '@temporalio/activity';
import { stat } from 'node:fs/promises';
import { openDevice, type Transport } from '../adapters/blocks';
import { HoldfastError } from '../domain/failures';
import { reason, type Reason } from '../domain/plan/reasons';
import type { ApplianceDependencies } from './dependencies';
import { copyFromImage, copyToImage, proveBlocks, refOf } from './copy-work';
import type { ImageOfRun, OfRun, RestorePosition, TargetOfRun } from './of-run';

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

export function createApplianceCheckActivities({ devices, repositoryOf }: ApplianceDependencies): ApplianceCheckActivities {
  return {
    async checkAppliance({ runId, repository }) {
      const reasons: Reason[] = [];
      const directory = await stat(devices).catch(() => undefined);
      if (!directory?.isDirectory()) reasons.push(reason('appliance.devices', devices, `The appliance's worker finds no directory ${devices}, where its disks should appear by serial. Correct appliance.devices in its configuration.`));
      try {
        await repositoryOf(repository).check(`${runId}-appliance`);
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
  const workOf = ({ repository }: ImageOfRun) => ({ context: Context.current(), store: repositoryOf(repository), heartbeatMs });
  const deviceOf = <Mode extends 'read' | 'write'>(diskId: string, mode: Mode) => ({ directory: devices, diskId, mode, signal: Context.current().cancellationSignal });
  return {
    backupDisk: (input) => copyToImage(workOf(input), input, {}, () => openDevice(deviceOf(input.diskId, 'read'))),

    restoreDisk: (input) => copyFromImage(workOf(input), input, () => openDevice({ ...deviceOf(input.targetDiskId, 'write'), sizeBytes: input.virtualBytes })),

    async proveDisk(input) {
      const work = workOf(input);
      const { root } = await proveBlocks(work, input, await work.store.openDigests(refOf(input), input.diskId), () => openDevice(deviceOf(input.targetDiskId, 'read')));
      return { root };
    },
  };
}
