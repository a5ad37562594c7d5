// The disks of a restore: made under ids of our choice, attached to the appliance, written, and proven by reading them back.
import type { ArmedUndo } from '../compensation';
import { inParallel } from '../in-parallel';
import type { Restore, RestorePlan } from './restore';

export async function disksCreated({ input, run, proxies, settings, lockedVmId }: Restore, { disks }: RestorePlan): Promise<readonly ArmedUndo[]> {
  run.enter('disks');
  const made: ArmedUndo[] = [];
  for (const { source, diskId, storageDomainId } of disks) {
    const of = { engine: input.engine, runId: run.runId, diskId };
    made.push(run.undo.push({ name: `remove the new disk ${source.alias}`, leftover: { kind: 'disk', objectId: diskId, mark: diskId }, run: () => proxies.undo.removeDisk(of) }));
    await proxies.waiting(settings.deadlines.attachSeconds).createDisk({ ...of, settings: source, storageDomainId, lockedVmId });
  }
  return made;
}

export async function disksAttached({ input, run, proxies, settings, applianceId, lockedVmId }: Restore, { disks }: RestorePlan): Promise<readonly ArmedUndo[]> {
  run.enter('attach');
  const attached: ArmedUndo[] = [];
  for (const { source, diskId } of disks) {
    const of = { engine: input.engine, runId: run.runId, toVmId: applianceId, diskId };
    attached.push(run.undo.push({ name: `detach the new disk ${source.alias} from the appliance`, leftover: { kind: 'attachment', objectId: diskId, mark: `disk ${diskId} at VM ${applianceId}` }, run: () => proxies.undo.detachDisk(of) }));
    await proxies.waiting(settings.deadlines.attachSeconds).attachToAppliance({ ...of, lockedVmId });
    await proxies.applianceQuick(input.engine, applianceId).findDevice({ engine: input.engine, runId: run.runId, diskId, virtualBytes: source.virtualBytes });
  }
  return attached;
}

export async function disksWritten({ input, run, proxies, settings, applianceId }: Restore, { savedVmId: vmId, disks }: RestorePlan): Promise<readonly number[]> {
  run.enter('copy');
  const heldDiskIds = await proxies.control.listHeldDisks({ runId: run.runId });
  const { engine, repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source, diskId: targetDiskId, storageDomainId }) => {
    const { diskId, virtualBytes } = source;
    const { dataBytes } = await run.copy({ diskId, storageDomainId, device: { applianceId, diskId: targetDiskId, virtualBytes } }, (bandwidthBytesPerSecond) => {
      run.setDisk(diskId, { state: 'copying' });
      return proxies.applianceCopies(engine, applianceId).restoreDisk({ engine, runId: run.runId, from: run.durablePosition(diskId), repository, vmId, backupId, diskId, targetDiskId, heldDiskIds, virtualBytes, bandwidthBytesPerSecond });
    });
    run.setDisk(diskId, { state: 'waiting', positionBytes: virtualBytes, dataBytes });
    return dataBytes;
  });
}

export async function disksProven({ input, run, proxies, settings, applianceId }: Restore, { savedVmId: vmId, disks }: RestorePlan): Promise<readonly string[]> {
  run.enter('prove');
  const { engine, repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source: { diskId, virtualBytes }, diskId: targetDiskId, storageDomainId }) => {
    const { root } = await run.copy({ diskId, storageDomainId, device: { applianceId, diskId: targetDiskId, virtualBytes } }, (bandwidthBytesPerSecond) => {
      run.setDisk(diskId, { state: 'proving', positionBytes: 0 });
      return proxies.applianceCopies(engine, applianceId).proveDisk({ engine, runId: run.runId, repository, vmId, backupId, diskId, targetDiskId, virtualBytes, bandwidthBytesPerSecond });
    });
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes });
    return root;
  });
}
