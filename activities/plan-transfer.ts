// Planning a backup by the method `transfer`: what the engine has of VM, disks and checkpoints, what the repository and the catalog have of
// earlier backups; the pure decisions judge. Changes nothing. Role control.
import type { ChainPolicy, KindChoice } from '../domain/chain';
import { HoldfastError } from '../domain/failures';
import type { BackupVmInput } from '../domain/flows/backup-vm';
import type { ControlDependencies } from './dependencies';
import type { BackupPlan } from './plan';
import type { VmChainBackup } from './chains';

export interface PlanTransferInput extends Pick<BackupVmInput, 'engine' | 'vmId' | 'leaveOutDiskIds' | 'quiesce' | 'repository'> {
  readonly runId: string;
  readonly wanted: 'full' | 'incremental' | 'differential' | 'auto';
  readonly strict: boolean;
  readonly policy: ChainPolicy;
  /** As `readVmChain` gave them; `damage` where `checkBase` found any. */
  readonly backups: readonly VmChainBackup[];
}

export interface PlanTransferActivities {
  /** Gives the run in the catalog its VM's name on the way. Without a VM there is no choice. */
  planTransferBackup(input: PlanTransferInput): Promise<BackupPlan & { readonly choice?: KindChoice }>;
}

export function createPlanTransferActivities(_: ControlDependencies): PlanTransferActivities {
  return { planTransferBackup: () => Promise.reject(new HoldfastError('config.invalid', 'Planning for the method transfer is not built yet.')) };
}
