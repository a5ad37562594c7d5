// Chains in a repository: what planning needs to know of a VM's earlier backups, and whether one can bear another. Role mover.
import { HoldfastError } from '../domain/failures';
import type { Manifest } from '../domain/manifest';
import type { Reason } from '../domain/plan/reasons';
import type { MoverDependencies } from './dependencies';
import type { OfRun } from './of-run';

/** A sealed backup of the method `transfer`, as far as its chain goes: small enough that sixty fit into a history. */
export interface VmChainBackup {
  readonly backupId: string;
  readonly kind: Manifest['kind'];
  readonly baseBackupId: string | null;
  readonly createdAt: string;
  readonly checkpointId: string | null;
  readonly disks: readonly { readonly diskId: string; readonly virtualBytes: number; readonly baseBackupId: string | null }[];
  /** The host bore witness for one of its disks at least. */
  readonly witnessed: boolean;
  /** What `checkBase` found: nothing can lie on it. */
  readonly damage?: string | undefined;
}

export interface ChainActivities {
  /** Of the VM on this engine, newest first, at most sixty. */
  readVmChain(input: OfRun & { readonly repository: string; readonly vmId: string }): Promise<readonly VmChainBackup[]>;
  /** Looks at every manifest, image and digest below it. What is damaged, in words; null when another backup may lie on it. */
  checkBase(input: OfRun & { readonly repository: string; readonly vmId: string; readonly backupId: string }): Promise<string | null>;
  /** The same for a restore: why it cannot be read. */
  checkChain(input: OfRun & { readonly repository: string; readonly vmId: string; readonly backupId: string }): Promise<readonly Reason[]>;
}

export function createChainActivities(_: MoverDependencies): ChainActivities {
  const notYet = (): Promise<never> => Promise.reject(new HoldfastError('config.invalid', 'Chains are not built yet.'));
  return { readVmChain: notYet, checkBase: notYet, checkChain: notYet };
}
