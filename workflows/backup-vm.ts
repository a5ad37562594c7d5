// backupVm: plan → hold the source still → save the configuration → copy → seal → clean up. What holds it still, and which way the data goes,
// is the method's: workflows/backup/appliance and workflows/backup/transfer, each a runbook of its own.
// Up to the seal a failure or cancel undoes everything; from the seal on the backup exists whatever happens next, and what cannot be
// cleaned up is a warning with a leftover. The workflow id is the VM's lock.
import { CancellationScope, uuid4 } from '@temporalio/workflow';
import { backupVmInputSchema, type BackupVmOutput, type BackupVmRequest } from '../domain/flows/backup-vm';
import { workflowIds } from '../domain/ids';
import { copiedByAppliance } from './backup/appliance';
import type { Backup } from './backup/backup';
import { methodChosen } from './backup/method';
import { backupSealed, indexed } from './backup/steps';
import { copiedByTransfer } from './backup/transfer';
import { obeyCancel, parseInput, requireWorkflowId } from './failures';
import { inRun } from './in-run';
import { releaseEarlierRuns } from './release-earlier-runs';

export async function backupVm(request: BackupVmRequest): Promise<BackupVmOutput> {
  const input = parseInput(backupVmInputSchema, request);
  requireWorkflowId(workflowIds.vm(input.engine, input.vmId));
  const backupId = uuid4();
  return inRun({ ...input, kind: input.method === 'appliance' ? 'full' : input.kind, backupId }, async (run, proxies, settings) => {
    const backup: Backup = { input, run, proxies, settings, backupId, applianceId: input.applianceId ?? settings.applianceIds[0] ?? '' };
    await releaseEarlierRuns(run, proxies, input.engine, input.vmId);
    const way = await methodChosen(backup);
    const copied = way.method === 'transfer' ? await copiedByTransfer(backup, way) : await copiedByAppliance(backup, way.notes);
    obeyCancel();
    return CancellationScope.nonCancellable(async () => {
      const sealed = await backupSealed(backup, copied);
      copied.keep();
      run.made(`Backup ${backupId} is sealed in repository ${input.repository}.`);
      await indexed(backup, sealed);
      run.enter('cleanup');
      await run.cleanUp();
      await copied.afterCleanUp?.();
      return {
        runId: run.runId,
        backup: sealed,
        consistencyEvidence: copied.consistency.evidence,
        notes: [...copied.made.notes],
        witnessedDiskIds: copied.disks.filter(({ witnessed }) => witnessed).map(({ settings: { diskId } }) => diskId),
        seconds: (Date.now() - run.startedAtMs) / 1000,
        bytesPerSecond: Math.round(sealed.dataBytes / Math.max(copied.seconds, 0.001)),
        warnings: [...run.warnings],
        leftovers: [...run.leftovers],
      };
    });
  });
}
