// The steps of a backup that are the same for both methods: the saved configuration, the seal, the index.
import type { DiskSettings } from '../../domain/disks';
import { repositoryFormatVersion, type BackupSummary } from '../../domain/manifest';
import type { ArmedUndo } from '../compensation';
import { failureText } from '../failures';
import type { Backup, CopiedBackup } from './backup';

/** `snapshotId`: whose configuration it is; without one it is the VM's of now. */
export async function configurationSaved({ input, run, proxies, backupId }: Backup, disks: readonly DiskSettings[], snapshotId: string | undefined): Promise<ArmedUndo> {
  run.enter('configuration');
  const { engine, vmId, repository } = input;
  const of = { engine, runId: run.runId, repository, vmId, backupId };
  const partial = run.undo.push({
    name: 'drop the partial backup',
    leftover: { kind: 'partial-backup', mark: `${repository}: vms/${vmId}/${backupId}` },
    run: () => proxies.moverLong(repository).dropPartialBackup(of),
  });
  await proxies.mover(repository).saveConfiguration({ ...of, snapshotId, disks });
  return partial;
}

export async function backupSealed({ input, run, proxies, backupId }: Backup, { plan, disks, consistency, made }: CopiedBackup): Promise<BackupSummary> {
  run.enter('seal');
  const { engine, vmId, repository } = input;
  const { id, name, clusterId, clusterName } = plan.vm;
  return proxies.moverLong(repository).sealBackup({
    engine,
    runId: run.runId,
    repository,
    vmId,
    backupId,
    disks,
    manifest: {
      format: 'holdfast-backup',
      version: repositoryFormatVersion,
      backupId,
      runId: run.runId,
      engine: { name: engine, product: plan.product, version: plan.version },
      vm: { id, name, clusterId, ...(clusterName === undefined ? {} : { clusterName }) },
      ...made,
      notes: [...made.notes],
      consistency,
      leftOut: [...plan.leftOut],
      startedAt: new Date(run.startedAtMs).toISOString(),
    },
  });
}

/** The manifest is the truth; a catalog that misses a backup is a warning, and rebuilt from the manifests. */
export async function indexed({ input, run, proxies }: Backup, sealed: BackupSummary): Promise<void> {
  try {
    await proxies.undo.indexBackup(sealed);
  } catch (error) {
    run.warn(`the backup is sealed but missing from the catalog, rebuild it with "holdfast catalog rebuild --repository ${input.repository}": ${failureText(error)}`);
  }
}
