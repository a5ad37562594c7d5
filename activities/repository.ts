// Short work in a repository: checks, the configuration, the seal, reading back. Role mover. Idempotency key: the backup id.
import { randomUUID } from 'node:crypto';
import type { BackupRef, Repository, SealedDiskFacts, UnsealedManifest } from '../adapters/repository/port';
import type { DiskSettings } from '../domain/disks';
import { HoldfastError } from '../domain/failures';
import type { NamedDisk } from '../domain/flows/restore-vm';
import { summarize, type BackupSummary } from '../domain/manifest';
import { readOvf, rewriteOvf } from '../domain/ovf';
import { spaceReasons } from '../domain/plan/backup';
import { reason, type Reason } from '../domain/plan/reasons';
import type { NicChoice, SavedNic } from '../domain/plan/restore-nics';
import type { MoverDependencies } from './dependencies';
import type { OfRun } from './of-run';

export interface BackupInRepository extends OfRun {
  readonly repository: string;
  readonly vmId: string;
  readonly backupId: string;
}

export interface SealInput extends BackupInRepository {
  readonly manifest: Omit<UnsealedManifest, 'holdfast'>;
  readonly disks: readonly SealedDiskFacts[];
}

export interface BackupContents {
  readonly backup: BackupSummary;
  readonly origin: { readonly clusterId?: string | undefined; readonly clusterName?: string | undefined };
  readonly leftOut: readonly NamedDisk[];
  readonly nics: readonly SavedNic[];
  readonly disks: readonly (DiskSettings & { readonly dataBytes: number; readonly root: string })[];
}

export interface CreateVmInput extends BackupInRepository {
  readonly newVmId: string;
  readonly name: string;
  readonly clusterId: string;
  readonly mark: string;
  /** By the NIC's place. */
  readonly nics: readonly NicChoice[];
  /** `same`: the VM's own ids of NICs, because the VM they belonged to is gone. */
  readonly nicIds: 'same' | 'new';
}

export interface RepositoryActivities {
  /** Proves that it can be written to and has room; the answer is a list of reasons, not a failure. */
  checkRepository(input: OfRun & { readonly repository: string; readonly neededBytes: number }): Promise<readonly Reason[]>;
  /** Fetches the OVF from the engine, the snapshot's or the VM's own, and saves it unchanged, with the disks' settings. The OVF never enters a history. */
  saveConfiguration(input: BackupInRepository & { readonly snapshotId?: string | undefined; readonly disks: readonly DiskSettings[] }): Promise<void>;
  sealBackup(input: SealInput): Promise<BackupSummary>;
  /** A backup that turns out to be sealed stays: its seal's answer was lost, or its run was terminated after it. */
  dropPartialBackup(input: BackupInRepository): Promise<'dropped' | 'sealed'>;
  /** `backup.not-found`, `backup.not-sealed`, `repository.corrupt`. */
  readBackup(input: OfRun & { readonly repository: string; readonly backupId: string }): Promise<BackupContents>;
  /** Makes the VM from the saved configuration, its disks stripped. Found again by its id and our mark; another VM of that id is `engine.foreign`. */
  createVmFromBackup(input: CreateVmInput): Promise<void>;
  /** Takes our mark off a VM that has its own identity back: it gets the comment that it was backed up with. */
  unmarkVm(input: BackupInRepository & { readonly mark: string }): Promise<void>;
}

export function createRepositoryActivities({ repositoryOf, engineOf, now, version }: MoverDependencies): RepositoryActivities {
  return {
    async checkRepository({ runId, repository, neededBytes }) {
      try {
        const { availableBytes } = await repositoryOf(repository).check(runId);
        return spaceReasons(repository, neededBytes, availableBytes);
      } catch (error) {
        if (error instanceof HoldfastError && error.code === 'repository.not-writable') return [reason('repository.not-writable', repository, error.message)];
        if (error instanceof HoldfastError && error.code === 'repository.full') return [reason('repository.full', repository, error.message)];
        throw error;
      }
    },

    async saveConfiguration({ repository, engine, vmId, backupId, snapshotId, disks }) {
      const ovf = await (snapshotId === undefined ? engineOf(engine).getVmConfiguration(vmId) : engineOf(engine).getSnapshotConfiguration(vmId, snapshotId));
      // A configuration that we could not restore from is found out now, not on the day of the restore.
      readOvf(ovf);
      await repositoryOf(repository).saveConfiguration({ vmId, backupId }, ovf, disks);
    },

    async sealBackup({ repository, vmId, backupId, manifest, disks }) {
      const sealed = await repositoryOf(repository).seal({ vmId, backupId }, { ...manifest, holdfast: version }, disks, now().toISOString());
      return summarize(sealed.manifest, repository, sealed.manifestSha256);
    },

    async dropPartialBackup({ repository, vmId, backupId }) {
      const store = repositoryOf(repository);
      const ref = { vmId, backupId };
      if (await isSealed(store, ref)) return 'sealed';
      await store.dropPartial(ref);
      return 'dropped';
    },

    async readBackup({ repository, backupId }) {
      const store = repositoryOf(repository);
      const ref = await store.findBackup(backupId);
      if (!ref) throw new HoldfastError('backup.not-found', `Repository ${repository} has no backup ${backupId}. List what it has with: holdfast list backups`, { repository, backupId });
      const { manifest, manifestSha256 } = await store.readManifest(ref);
      const ovf = readOvf(await store.readConfiguration(ref));
      return {
        backup: summarize(manifest, repository, manifestSha256),
        origin: { clusterId: manifest.vm.clusterId, clusterName: manifest.vm.clusterName },
        leftOut: manifest.leftOut,
        nics: ovf.nics.map(({ name, mac, network, profile }) => ({ name, mac, network, profile })),
        disks: manifest.disks.map((disk) => ({ ...disk.settings, dataBytes: disk.dataBytes, root: disk.digests.root })),
      };
    },

    async createVmFromBackup({ repository, engine: name, vmId, backupId, newVmId, name: vmName, clusterId, mark, nics, nicIds }) {
      const engine = engineOf(name);
      const there = await engine.getVm(newVmId);
      if (there && there.comment !== mark) throw new HoldfastError('engine.foreign', `VM ${there.name} (${newVmId}) was to be made, but there is one of that id that this run did not make. Nothing is done to it. Look who made it; to put the backup in its place use replace.`, { vmId: newVmId });
      if (there) return;
      const saved = await repositoryOf(repository).readConfiguration({ vmId, backupId });
      const ovf = rewriteOvf(saved, { vmId: newVmId, name: vmName, ...(nicIds === 'same' ? { nics: 'keep' } : { nics: 'new', newIds: randomUUID }), nicChanges: nics, stripDisks: true });
      await engine.createVmFromConfiguration({ name: vmName, clusterId, comment: mark, ovf });
    },

    async unmarkVm({ repository, engine: name, vmId, backupId, mark }) {
      const engine = engineOf(name);
      const { comment } = readOvf(await repositoryOf(repository).readConfiguration({ vmId, backupId }));
      if ((await engine.getVm(vmId))?.comment === mark) await engine.changeVm({ vmId, comment });
    },
  };
}

async function isSealed(store: Repository, ref: BackupRef): Promise<boolean> {
  try {
    await store.readManifest(ref);
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && (error.code === 'backup.not-sealed' || error.code === 'backup.not-found')) return false;
    throw error;
  }
}
