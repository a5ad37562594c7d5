// backupVm, method `appliance`: snapshot → configuration → attach → copy → seal → detach → remove the snapshot.
// Up to the seal a failure or cancel undoes everything; from the seal on the backup exists whatever happens next, and what cannot be
// cleaned up is a warning with a leftover. The workflow id is the VM's lock.
import { CancellationScope, uuid4 } from '@temporalio/workflow';
import type { BackupPlan } from '../activities/plan';
import { backupVmInputSchema, type BackupVmInput, type BackupVmOutput, type BackupVmRequest } from '../domain/flows/backup-vm';
import type { RunSettings } from '../domain/flows/settings';
import { snapshotMark, workflowIds } from '../domain/ids';
import { repositoryFormatVersion, type BackupSummary } from '../domain/manifest';
import type { DiskSettings } from '../domain/disks';
import type { EnsuredSnapshot } from '../activities/snapshots';
import type { SealInput } from '../activities/repository';
import { failureText, parseInput, refuse, requireWorkflowId } from './failures';
import { inRun, type FlowRun } from './flow-run';
import { inParallel } from './in-parallel';
import { asked, noApplianceWorker, noMoverWorker } from './planning';
import type { Proxies } from './proxies';
import { releaseEarlierRuns } from './release-earlier-runs';

type CopiedDisk = SealInput['disks'][number];

interface Backup {
  readonly input: BackupVmInput;
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  readonly applianceId: string;
  readonly backupId: string;
}

export async function backupVm(request: BackupVmRequest): Promise<BackupVmOutput> {
  const input = parseInput(backupVmInputSchema, request);
  requireWorkflowId(workflowIds.vm(input.engine, input.vmId));
  const backupId = uuid4();
  return inRun({ ...input, backupId }, async (run, proxies, settings) => {
    const backup = { input, run, proxies, settings, backupId, applianceId: input.applianceId ?? settings.applianceIds[0] ?? '' };
    await releaseEarlierRuns(run, proxies, input.engine, input.vmId);
    const plan = await planned(backup);
    const snapshot = await snapshotTaken(backup, plan);
    const partial = await configurationSaved(backup, plan, snapshot);
    await disksAttached(backup, plan.disks, snapshot);
    const copiedFromMs = Date.now();
    const disks = await disksCopied(backup, plan.disks);
    const copySeconds = (Date.now() - copiedFromMs) / 1000;
    return CancellationScope.nonCancellable(async () => {
      const sealed = await backupSealed(backup, plan, snapshot, disks);
      partial.disarm();
      run.made(`Backup ${backupId} is sealed in repository ${input.repository}.`);
      await indexed(backup, sealed);
      run.enter('cleanup');
      await run.cleanUp();
      return {
        runId: run.runId,
        backup: sealed,
        consistencyEvidence: snapshot.consistency.evidence,
        seconds: (Date.now() - run.startedAtMs) / 1000,
        bytesPerSecond: Math.round(sealed.dataBytes / Math.max(copySeconds, 0.001)),
        warnings: [...run.warnings],
        leftovers: [...run.leftovers],
      };
    });
  });
}

/** Asks engine, appliance and repository, and refuses with everything that any of them has against it. */
async function planned({ input, run, proxies, applianceId }: Backup): Promise<BackupPlan & { vm: NonNullable<BackupPlan['vm']> }> {
  const { engine, repository } = input;
  const plan = await proxies.control.planBackup({ ...input, runId: run.runId, applianceId: applianceId || undefined });
  run.name(plan.vm?.name ?? '');
  run.setDisks(plan.disks);
  const [appliance, space] = await Promise.all([
    applianceId ? asked(() => proxies.applianceQuick(engine, applianceId).checkAppliance({ engine, runId: run.runId, repository }), noApplianceWorker(engine, applianceId)) : [],
    asked(() => proxies.mover(repository).checkRepository({ engine, runId: run.runId, repository, neededBytes: plan.neededBytes }), noMoverWorker(repository)),
  ]);
  refuse(`The backup of VM ${plan.vm?.name ?? input.vmId}`, [...plan.reasons, ...appliance, ...space]);
  if (!plan.vm) throw new Error('planning named no VM and no reason');
  return { ...plan, vm: plan.vm };
}

async function snapshotTaken({ input, run, proxies, settings, backupId }: Backup, plan: BackupPlan & { vm: NonNullable<BackupPlan['vm']> }): Promise<EnsuredSnapshot> {
  run.enter('snapshot');
  const { engine, vmId, quiesce } = input;
  const of = { engine, vmId, runId: run.runId, backupId, mark: snapshotMark(settings.snapshotPrefix, backupId) };
  run.undo.push({ name: 'remove the snapshot', leftover: { kind: 'snapshot', mark: of.mark }, run: () => proxies.undo.ensureSnapshotGone(of) });
  return proxies.waiting(settings.deadlines.snapshotSeconds).ensureSnapshot({ ...of, quiesce, vmStatus: plan.vm.status, diskIds: plan.disks.map((disk) => disk.diskId) });
}

async function configurationSaved({ input, run, proxies, backupId }: Backup, plan: BackupPlan, snapshot: EnsuredSnapshot) {
  run.enter('configuration');
  const { engine, vmId, repository } = input;
  const of = { engine, runId: run.runId, repository, vmId, backupId };
  const partial = run.undo.push({
    name: 'drop the partial backup',
    leftover: { kind: 'partial-backup', mark: `${repository}: vms/${vmId}/${backupId}` },
    run: () => proxies.moverLong(repository).dropPartialBackup(of),
  });
  await proxies.mover(repository).saveConfiguration({ ...of, snapshotId: snapshot.snapshotId, disks: plan.disks });
  return partial;
}

async function disksAttached({ input, run, proxies, settings, applianceId }: Backup, disks: readonly DiskSettings[], snapshot: EnsuredSnapshot): Promise<void> {
  run.enter('attach');
  for (const { diskId, alias, virtualBytes } of disks) {
    const of = { engine: input.engine, runId: run.runId, toVmId: applianceId, diskId, snapshotId: snapshot.snapshotId };
    run.undo.push({ name: `detach disk ${alias} from the appliance`, leftover: { kind: 'attachment', objectId: diskId, mark: `disk ${diskId} at VM ${applianceId}` }, run: () => proxies.undo.detachDisk(of) });
    await proxies.waiting(settings.deadlines.attachSeconds).attachSnapshotDisk({ ...of, sourceVmId: input.vmId });
    await proxies.applianceQuick(input.engine, applianceId).findDevice({ engine: input.engine, runId: run.runId, diskId, virtualBytes });
  }
}

async function disksCopied({ input, run, proxies, settings, applianceId, backupId }: Backup, disks: readonly DiskSettings[]): Promise<readonly CopiedDisk[]> {
  run.enter('copy');
  const { engine, vmId, repository } = input;
  return inParallel(disks, settings.disksAtOnce, async (disk) => {
    const { diskId, virtualBytes } = disk;
    const startedMs = Date.now();
    const copied = await run.copy({ ...disk, device: { applianceId, diskId, virtualBytes } }, (bandwidthBytesPerSecond) => {
      run.setDisk(diskId, { state: 'copying' });
      return proxies.applianceCopies(engine, applianceId).backupDisk({ engine, runId: run.runId, repository, vmId, backupId, diskId, virtualBytes, bandwidthBytesPerSecond });
    });
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes, dataBytes: copied.dataBytes });
    return { settings: disk, ...copied, seconds: (Date.now() - startedMs) / 1000 };
  });
}

async function backupSealed({ input, run, proxies, settings, backupId }: Backup, plan: BackupPlan & { vm: NonNullable<BackupPlan['vm']> }, snapshot: EnsuredSnapshot, disks: readonly CopiedDisk[]): Promise<BackupSummary> {
  run.enter('seal');
  const { engine, vmId, repository, method, kind } = input;
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
      method,
      kind,
      base: null,
      reason: { code: 'method.full-only', text: 'the method "appliance" reads whole disks, so every backup is a full one' },
      consistency: snapshot.consistency,
      checkpoint: null,
      snapshot: { id: snapshot.snapshotId, description: snapshotMark(settings.snapshotPrefix, backupId), createdAt: snapshot.createdAt },
      leftOut: [...plan.leftOut],
      startedAt: new Date(run.startedAtMs).toISOString(),
    },
  });
}

/** The manifest is the truth; a catalog that misses a backup is a warning, and rebuilt from the manifests. */
async function indexed({ input, run, proxies }: Backup, sealed: BackupSummary): Promise<void> {
  try {
    await proxies.undo.indexBackup(sealed);
  } catch (error) {
    run.warn(`the backup is sealed but missing from the catalog, rebuild it with "holdfast catalog rebuild --repository ${input.repository}": ${failureText(error)}`);
  }
}
