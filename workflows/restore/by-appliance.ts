// The new disks filled through an appliance: attached, written, proven by reading them back, detached.
import { whileAttached } from '../attached-device';
import type { ArmedUndo } from '../compensation';
import { inParallel } from '../in-parallel';
import type { Filled, Restore, RestorePlan } from './restore';

export async function filledByAppliance(restore: Restore, plan: RestorePlan): Promise<Filled> {
  const attached = await disksAttached(restore, plan);
  const writtenFromMs = Date.now();
  const dataBytes = await disksWritten(restore, plan);
  const seconds = (Date.now() - writtenFromMs) / 1000;
  const roots = await disksProven(restore, plan);
  for (const attachment of [...attached].reverse()) await attachment.now();
  return { seconds, disks: plan.disks.map((_, index) => ({ dataBytes: dataBytes[index] ?? 0, root: roots[index] ?? '' })) };
}

async function disksAttached({ input, run, proxies, settings, applianceId, lockedVmId }: Restore, { disks }: RestorePlan): Promise<readonly ArmedUndo[]> {
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

async function disksWritten({ input, run, proxies, settings, applianceId }: Restore, { savedVmId: vmId, disks }: RestorePlan): Promise<readonly number[]> {
  run.enter('copy');
  const heldDiskIds = await proxies.control.listHeldDisks({ runId: run.runId });
  const { engine, repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source, diskId: targetDiskId, storageDomainId }) => {
    const { diskId, virtualBytes } = source;
    const device = { diskId: targetDiskId, virtualBytes };
    const { dataBytes } = await run.copy({ diskId, storageDomainId }, (bandwidthBytesPerSecond) =>
      whileAttached({ run, proxies, settings, applianceId, diskId, device }, () => {
        run.setDisk(diskId, { state: 'copying' });
        return proxies.applianceCopies(engine, applianceId).restoreDisk({ engine, runId: run.runId, from: run.durablePosition(diskId), repository, vmId, backupId, diskId, targetDiskId, heldDiskIds, virtualBytes, bandwidthBytesPerSecond });
      }),
    );
    run.setDisk(diskId, { state: 'waiting', positionBytes: virtualBytes, dataBytes });
    return dataBytes;
  });
}

async function disksProven({ input, run, proxies, settings, applianceId }: Restore, { savedVmId: vmId, disks }: RestorePlan): Promise<readonly string[]> {
  run.enter('prove');
  const { engine, repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source: { diskId, virtualBytes }, diskId: targetDiskId, storageDomainId }) => {
    const device = { diskId: targetDiskId, virtualBytes };
    const { root } = await run.copy({ diskId, storageDomainId }, (bandwidthBytesPerSecond) =>
      whileAttached({ run, proxies, settings, applianceId, diskId, device }, () => {
        run.setDisk(diskId, { state: 'proving', positionBytes: 0 });
        return proxies.applianceCopies(engine, applianceId).proveDisk({ engine, runId: run.runId, repository, vmId, backupId, diskId, targetDiskId, virtualBytes, bandwidthBytesPerSecond });
      }),
    );
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes });
    return root;
  });
}
