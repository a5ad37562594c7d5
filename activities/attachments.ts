// Disks attached to the appliance or to a restored VM. Every activity looks first and does what is still missing.
// Idempotency key: VM and disk. Role control.
import type { DiskSettings } from '../domain/disks';
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import type { Engine } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import { createUnlessThere } from './unless-there';
import { gone, waitFor } from './waiting';

export interface AttachmentOfRun {
  readonly engine: string;
  readonly runId: string;
  /** The VM that gets the disk. */
  readonly toVmId: string;
  readonly diskId: string;
  /** Set for a snapshot's disk. */
  readonly snapshotId?: string | undefined;
}

export interface AttachmentActivities {
  attachSnapshotDisk(input: AttachmentOfRun & { readonly snapshotId: string; readonly sourceVmId: string }): Promise<void>;
  /** A disk of our own to the appliance, writable and plugged. */
  attachToAppliance(input: AttachmentOfRun & { readonly lockedVmId?: string | undefined }): Promise<void>;
  /** A restored disk to the restored VM, with the settings it had. Not a holding: it goes with the VM. */
  attachRestoredDisk(input: { readonly engine: string; readonly vmId: string; readonly diskId: string; readonly settings: DiskSettings }): Promise<void>;
  /** Detaches and waits until it is gone; releases the holding. */
  detachDisk(input: AttachmentOfRun): Promise<void>;
}

export function createAttachmentActivities({ engineOf, catalog }: ControlDependencies): AttachmentActivities {
  const idOf = ({ runId, toVmId, diskId, snapshotId }: AttachmentOfRun): string => holdingId(runId, 'attachment', `${toVmId}/${diskId}/${snapshotId ?? 'disk'}`);
  const hold = async (input: AttachmentOfRun, vmId?: string): Promise<void> =>
    catalog.hold({
      holdingId: idOf(input),
      runId: input.runId,
      engine: input.engine,
      kind: 'attachment',
      objectId: input.diskId,
      parentId: input.toVmId,
      mark: `disk ${input.diskId} at VM ${input.toVmId}`,
      ...(input.snapshotId ? { snapshotId: input.snapshotId } : {}),
      ...(vmId ? { vmId } : {}),
    });

  return {
    async attachSnapshotDisk(input) {
      const engine = engineOf(input.engine);
      await hold(input, input.sourceVmId);
      const { toVmId, diskId, snapshotId } = input;
      const now = await engine.getAttachment(toVmId, diskId);
      if (now?.snapshotId && now.snapshotId !== snapshotId) throw new HoldfastError('engine.conflict', `Another snapshot (${now.snapshotId}) of disk ${diskId} is attached to the appliance ${toVmId}; the engine allows one at a time. Detach it there.`, { diskId, toVmId });
      if (!now) await createUnlessThere(() => engine.getAttachment(toVmId, diskId), () => engine.attachSnapshotDisk({ vmId: toVmId, diskId, snapshotId }));
      await waitUntilPlugged(engine, toVmId, diskId);
    },

    async attachToAppliance(input) {
      const engine = engineOf(input.engine);
      await hold(input, input.lockedVmId);
      const { toVmId, diskId } = input;
      await createUnlessThere(
        () => engine.getAttachment(toVmId, diskId),
        () => engine.attachDisk({ vmId: toVmId, diskId, interface: 'virtio_scsi', bootable: false, active: true, readOnly: false, passDiscard: false }),
      );
      await waitUntilPlugged(engine, toVmId, diskId);
    },

    async attachRestoredDisk({ engine: name, vmId, diskId, settings }) {
      const engine = engineOf(name);
      const { interface: diskInterface, bootable, active, readOnly, passDiscard } = settings;
      await createUnlessThere(() => engine.getAttachment(vmId, diskId), () => engine.attachDisk({ vmId, diskId, interface: diskInterface, bootable, active, readOnly, passDiscard }));
    },

    async detachDisk(input) {
      const engine = engineOf(input.engine);
      const now = await engine.getAttachment(input.toVmId, input.diskId);
      // Another snapshot of the same disk is not ours to detach.
      const foreign = input.snapshotId !== undefined && now?.snapshotId !== undefined && now.snapshotId !== input.snapshotId;
      if (now && !foreign) {
        await engine.detachDisk(input.toVmId, input.diskId);
        await waitFor(async () => ((await engine.getAttachment(input.toVmId, input.diskId)) ? `disk ${input.diskId} is still attached to VM ${input.toVmId}` : gone));
      }
      await catalog.releaseHolding(idOf(input), 'released');
    },
  };
}

async function waitUntilPlugged(engine: Engine, vmId: string, diskId: string): Promise<void> {
  const attachment = await engine.getAttachment(vmId, diskId);
  if (attachment && !attachment.active) await engine.activateAttachment(vmId, diskId);
  await waitFor(async () => {
    const now = await engine.getAttachment(vmId, diskId);
    return now?.active ? now : `disk ${diskId} is not plugged into VM ${vmId} yet`;
  });
}
