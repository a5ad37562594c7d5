// Chains in a repository: what planning needs to know of a VM's earlier backups, and whether one can bear another. Role mover.
import type { BackupRef, Repository } from '../adapters/repository/port';
import { HoldfastError, type FailureCode } from '../domain/failures';
import type { Manifest } from '../domain/manifest';
import { reason, type Reason } from '../domain/plan/reasons';
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

interface OfBackup extends OfRun {
  readonly repository: string;
  readonly vmId: string;
  readonly backupId: string;
}

export interface ChainActivities {
  /** Of the VM on this engine, newest first: sixty, and what these depend on. */
  readVmChain(input: OfRun & { readonly repository: string; readonly vmId: string }): Promise<readonly VmChainBackup[]>;
  /** Looks at every manifest, image and digest below it. What is damaged, in words; null when another backup may lie on it. */
  checkBase(input: OfBackup): Promise<string | null>;
  /** The same for a restore: why it cannot be read. */
  checkChain(input: OfBackup): Promise<readonly Reason[]>;
}

const newest = 60;
const damages: readonly FailureCode[] = ['chain.broken', 'repository.corrupt', 'backup.not-found', 'backup.not-sealed'];

export function createChainActivities({ repositoryOf }: MoverDependencies): ChainActivities {
  const damageOf = async ({ repository, vmId, backupId }: OfBackup): Promise<string | null> => {
    try {
      await checkAll(repositoryOf(repository), { vmId, backupId });
      return null;
    } catch (error) {
      if (error instanceof HoldfastError && damages.includes(error.code)) return error.message;
      throw error;
    }
  };
  return {
    async readVmChain({ repository, vmId, engine }) {
      const manifests: Manifest[] = [];
      for await (const entry of repositoryOf(repository).listVm(vmId)) {
        // One that cannot be read is one that is missing: what depends on it says so.
        if ('manifest' in entry && entry.manifest.method === 'transfer' && entry.manifest.engine.name === engine) manifests.push(entry.manifest);
      }
      const ordered = manifests.map(chainBackupOf).sort((one, other) => (one.createdAt < other.createdAt ? 1 : -1));
      return withBases(ordered.slice(0, newest), ordered);
    },

    checkBase: damageOf,

    async checkChain(input) {
      const damage = await damageOf(input);
      return damage === null ? [] : [reason('backup.chain', input.backupId, damage)];
    },
  };
}

/** What the images hold, only reading them tells; that they are there, whole, and lie on each other, can be seen at once. */
async function checkAll(store: Repository, ref: BackupRef): Promise<void> {
  await store.checkChain(ref);
  const { manifest } = await store.readManifest(ref);
  for (const { settings } of manifest.disks) await store.openDigests(ref, settings.diskId);
}

function chainBackupOf(manifest: Manifest): VmChainBackup {
  return {
    backupId: manifest.backupId,
    kind: manifest.kind,
    baseBackupId: manifest.base?.backupId ?? null,
    createdAt: (manifest.snapshot ?? manifest.vmBackup)?.createdAt ?? manifest.startedAt,
    checkpointId: manifest.checkpoint?.id ?? null,
    disks: manifest.disks.map(({ settings, image }) => ({ diskId: settings.diskId, virtualBytes: settings.virtualBytes, baseBackupId: image.base?.backupId ?? null })),
    witnessed: manifest.disks.some(({ witnessed }) => witnessed),
  };
}

/** A chain without its full backup would look broken. */
function withBases(kept: readonly VmChainBackup[], all: readonly VmChainBackup[]): VmChainBackup[] {
  const found = [...kept];
  for (const { baseBackupId } of found) {
    const base = all.find((each) => each.backupId === baseBackupId);
    if (base !== undefined && !found.includes(base)) found.push(base);
  }
  return found;
}
