// Planning a restore: asks repository, appliance and engine, and refuses with everything that any of them has against it.
import { uuid4 } from '@temporalio/workflow';
import type { OfRun } from '../../activities/of-run';
import type { BackupContents } from '../../activities/repository';
import { nameOf, type SavedVm } from '../../domain/plan/restore';
import { nobodyServes, refuse } from '../failures';
import { asked, noApplianceWorker, noMoverWorker } from '../planning';
import type { Proxies } from '../proxies';
import type { Restore, RestorePlan } from './restore';

export async function planned({ input, run, proxies, settings, applianceId }: Restore): Promise<RestorePlan> {
  const { engine, repository, backupId } = input;
  const [contents, appliance] = await Promise.all([
    contentsRead(proxies, { engine, runId: run.runId, repository, backupId }),
    applianceId ? asked(() => proxies.applianceQuick(engine, applianceId).checkAppliance({ engine, runId: run.runId, repository }), noApplianceWorker(engine, applianceId)) : [],
  ]);
  const saved = contents && savedVmOf(contents);
  const name = nameOf(input, saved);
  if (name !== '' && input.name === undefined) run.name(name);
  const plan = await proxies.control.planRestore({ ...input, runId: run.runId, saved, applianceId: applianceId || undefined, applianceIds: settings.applianceIds });
  refuse(`The restore of backup ${backupId} ${wordsOf[input.as]} ${name || (input.vmId ?? '')}`, [...(contents ? [] : [noMoverWorker(repository)]), ...plan.reasons, ...appliance]);
  if (!contents || !saved) throw new Error('nobody read the backup, and that was no reason');
  const sources = contents.disks.filter(({ diskId }) => input.diskIds === undefined || input.diskIds.includes(diskId));
  run.setDisks(sources);
  return {
    name,
    savedVmId: saved.vmId,
    clusterId: plan.clusterId ?? '',
    disks: sources.map((source) => ({ source, diskId: plan.sameDiskIds.includes(source.diskId) ? source.diskId : uuid4(), storageDomainId: plan.domainOfDisk[source.diskId] ?? '' })),
    nics: plan.nics,
    leftOut: plan.leftOut,
    old: plan.old,
  };
}

const wordsOf = { new: 'as', original: 'as the original', replace: 'in the place of' } as const;

function savedVmOf({ backup, origin, disks, leftOut, nics }: BackupContents): SavedVm {
  return { vmId: backup.vmId, name: backup.vmName, ...origin, disks, leftOut, nics };
}

/** Undefined when no worker serves the repository: one more reason, not the end of planning. */
async function contentsRead(proxies: Proxies, of: OfRun & { readonly repository: string; readonly backupId: string }): Promise<BackupContents | undefined> {
  try {
    return await proxies.mover(of.repository).readBackup(of);
  } catch (error) {
    if (nobodyServes(error)) return undefined;
    throw error;
  }
}
