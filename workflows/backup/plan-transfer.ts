// Planning a backup by the method `transfer`: asks the repository for earlier backups, the engine for what they are still worth, and the
// repository again whether the chosen base can bear one more. Refuses nothing by itself: another method may be possible.
import type { VmChainBackup } from '../../activities/chains';
import type { BackupPlan } from '../../activities/plan';
import type { KindChoice } from '../../domain/chain';
import { defaultChainPolicy } from '../../domain/flows/settings';
import { reason, type Reason } from '../../domain/plan/reasons';
import { fail } from '../failures';
import { asked, ifServed, noMoverWorker } from '../planning';
import type { Backup } from './backup';

export interface TransferPlan extends BackupPlan {
  readonly choice?: KindChoice;
  /** Of the VM in this repository, newest first. */
  readonly backups: readonly VmChainBackup[];
}

export async function transferPlanned({ input, run, proxies, settings }: Backup): Promise<TransferPlan> {
  const { engine, repository, vmId, leaveOutDiskIds, quiesce, explicitFreeze, kind, strict } = input;
  const of = { engine, runId: run.runId, repository, vmId };
  const chain = await ifServed(() => proxies.mover(repository).readVmChain(of));
  let backups = chain?.answer ?? [];
  for (;;) {
    const plan = await proxies.control.planTransferBackup({ ...of, leaveOutDiskIds, quiesce, explicitFreeze, wanted: kind, strict, policy: settings.chain ?? defaultChainPolicy, backups });
    run.name(plan.vm?.name ?? '');
    run.setDisks(plan.disks);
    const reasons = [...plan.reasons, ...insistence(plan.choice, vmId, kind)];
    if (!chain) return { ...plan, backups, reasons: [...reasons, noMoverWorker(repository)] };
    const baseId = plan.choice && 'kind' in plan.choice ? plan.choice.baseBackupId : null;
    const damage = baseId === null || reasons.length > 0 ? null : await proxies.moverLong(repository).checkBase({ ...of, backupId: baseId });
    if (damage === null) {
      const space = await asked(() => proxies.mover(repository).checkRepository({ engine, runId: run.runId, repository, neededBytes: plan.neededBytes }), noMoverWorker(repository));
      return { ...plan, backups, reasons: [...reasons, ...space] };
    }
    if (backups.some((each) => each.backupId === baseId && each.damage !== undefined)) throw fail('chain.broken', damage, { backupId: baseId });
    // Known now, and so not chosen again: the next plan has another base or none.
    backups = backups.map((each) => (each.backupId === baseId ? { ...each, damage } : each));
  }
}

/** The caller would rather have no backup than one of another kind. */
function insistence(choice: KindChoice | undefined, vmId: string, kind: string): readonly Reason[] {
  return choice && 'refused' in choice ? [reason('kind.impossible', vmId, `A backup of the kind "${kind}" is insisted on and is not possible: ${choice.refused.text} [${choice.refused.code}] Ask for a full one, or do not insist.`)] : [];
}
