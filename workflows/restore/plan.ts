// Planning a restore: asks repository, appliance and engine, and refuses with everything that any of them has against it.
import { uuid4 } from '@temporalio/workflow';
import type { OfRun } from '../../activities/of-run';
import type { BackupContents } from '../../activities/repository';
import { nameOf, type SavedVm } from '../../domain/plan/restore';
import { chooseRestoreMethod } from '../../domain/choose-method';
import { refuse } from '../failures';
import { applianceAnswer, asked, ifServed, noApplianceWorker, noMoverWorker } from '../planning';
import type { Proxies } from '../proxies';
import type { Restore, RestorePlan } from './restore';

/** `auto`: before anything is acquired, with the reason. */
export async function methodChosen({ input, run, proxies, applianceId }: Omit<Restore, 'method'>): Promise<Restore['method']> {
  if (input.method !== 'auto') return input.method;
  const { method, reason } = chooseRestoreMethod(await applianceAnswer(proxies, { engine: input.engine, runId: run.runId, repository: input.repository, applianceId }));
  run.decided({ method, kind: 'restore', notes: [reason] });
  return method;
}

export async function planned({ input, run, proxies, settings, method, applianceId }: Restore): Promise<RestorePlan> {
  const { engine, repository, backupId } = input;
  const [contents, appliance] = await Promise.all([
    contentsRead(proxies, { engine, runId: run.runId, repository, backupId }),
    applianceId ? asked(() => proxies.applianceQuick(engine, applianceId).checkAppliance({ engine, runId: run.runId, repository }), noApplianceWorker(engine, applianceId)) : [],
  ]);
  const saved = contents && savedVmOf(contents);
  const name = nameOf(input, saved);
  if (name !== '' && input.name === undefined) run.name(name);
  // Only of a backup that lies on others there is more to ask.
  const chain = !contents || contents.backup.baseBackupId === null ? [] : await proxies.moverLong(repository).checkChain({ engine, runId: run.runId, repository, vmId: contents.backup.vmId, backupId });
  const plan = await proxies.control.planRestore({ ...input, method, runId: run.runId, saved, applianceId: applianceId || undefined, applianceIds: settings.applianceIds });
  refuse(`The restore of backup ${backupId} ${wordsOf[input.as]} ${name || (input.vmId ?? '')}`, [...(contents ? [] : [noMoverWorker(repository)]), ...chain, ...plan.reasons, ...appliance]);
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
  return (await ifServed(() => proxies.mover(of.repository).readBackup(of)))?.answer;
}
