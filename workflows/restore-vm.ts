// restoreVm: plan → create disks → fill and prove them, which is the method's (restore/by-appliance, restore/by-transfer) → (replace: take the
// old VM away) → create the VM from the saved configuration → attach the disks → start if asked → (replace: remove the old disks). Until the
// VM stands, a failure or cancel removes all that was made and puts the old VM back; nothing else is touched. The steps are in workflows/restore.
import { CancellationScope, uuid4 } from '@temporalio/workflow';
import { restoreVmInputSchema, type RestoreVmInput, type RestoreVmOutput, type RestoreVmRequest } from '../domain/flows/restore-vm';
import { vmMark, workflowIds } from '../domain/ids';
import { obeyCancel, parseInput, requireWorkflowId } from './failures';
import type { FlowStart } from './flow-run';
import { inRun } from './in-run';
import { releaseEarlierRuns } from './release-earlier-runs';
import { filledByAppliance } from './restore/by-appliance';
import { filledByTransfer } from './restore/by-transfer';
import { disksCreated } from './restore/disks';
import { methodChosen, planned } from './restore/plan';
import { oldDisksGone, oldVmTakenAway } from './restore/old-vm';
import { productsKept, vmCreated, vmStarted, vmUnmarked } from './restore/vm';
import type { Restore } from './restore/restore';

export async function restoreVm(request: RestoreVmRequest): Promise<RestoreVmOutput> {
  const input = parseInput(restoreVmInputSchema, request);
  const lockedVmId = input.as === 'new' ? undefined : input.vmId;
  requireWorkflowId(lockedVmId === undefined ? workflowIds.restore(input.requestId ?? '') : workflowIds.vm(input.engine, lockedVmId));
  return inRun(startOf(input, lockedVmId), async (run, proxies, settings) => {
    const asked = { input, run, proxies, settings, lockedVmId, vmId: lockedVmId ?? uuid4(), mark: vmMark(run.runId), applianceId: input.applianceId ?? settings.applianceIds[0] ?? '' };
    if (input.name !== undefined) run.name(input.name);
    if (lockedVmId !== undefined) await releaseEarlierRuns(run, proxies, input.engine, lockedVmId);
    const method = await methodChosen(asked);
    const restore: Restore = { ...asked, method, applianceId: method === 'appliance' ? asked.applianceId : '' };
    const plan = await planned(restore);
    const made = await disksCreated(restore, plan);
    const filled = await (method === 'transfer' ? filledByTransfer(restore, plan) : filledByAppliance(restore, plan));
    const old = await oldVmTakenAway(restore, plan);
    const vm = await vmCreated(restore, plan);
    const started = input.start && (await vmStarted(restore, plan));
    obeyCancel();
    return CancellationScope.nonCancellable(async () => {
      for (const product of [...made, ...old, vm]) product.disarm();
      run.made(`VM ${plan.name} (${restore.vmId}) stands, its disks proven${started ? ', and was started' : ''}.`);
      await productsKept(restore);
      await vmUnmarked(restore, plan);
      const removedDiskIds = await oldDisksGone(restore, plan);
      return {
        runId: run.runId,
        backupId: input.backupId,
        vmId: restore.vmId,
        vmName: plan.name,
        disks: plan.disks.map(({ source, diskId }, index) => ({ sourceDiskId: source.diskId, diskId, alias: source.alias, virtualBytes: source.virtualBytes, dataBytes: filled.disks[index]?.dataBytes ?? 0, root: filled.disks[index]?.root ?? '' })),
        leftOut: [...plan.leftOut],
        keptDisks: [...(plan.old?.kept ?? [])],
        removedDiskIds,
        started,
        seconds: (Date.now() - run.startedAtMs) / 1000,
        bytesPerSecond: Math.round(filled.disks.reduce((sum, { dataBytes }) => sum + dataBytes, 0) / Math.max(filled.seconds, 0.001)),
        warnings: [...run.warnings],
        leftovers: [...run.leftovers],
      };
    });
  });
}

function startOf({ engine, method, repository, backupId, name, requestId, bandwidthBytesPerSecond }: RestoreVmInput, lockedVmId: string | undefined): FlowStart {
  return {
    engine, method, repository, backupId, bandwidthBytesPerSecond, kind: 'restore', vmName: name ?? '',
    ...(requestId === undefined ? {} : { requestId }),
    ...(lockedVmId === undefined ? {} : { vmId: lockedVmId }),
  };
}
