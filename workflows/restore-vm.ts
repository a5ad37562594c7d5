// restoreVm as a new VM, method `appliance`: plan → create disks → attach to the appliance → write → prove → detach → create the VM from the
// saved configuration → attach the disks → start if asked. It touches only what it made itself; until the VM stands, a failure or cancel removes all of it.
import { CancellationScope, uuid4 } from '@temporalio/workflow';
import type { OfRun } from '../activities/of-run';
import type { BackupContents } from '../activities/repository';
import { restoreVmInputSchema, type RestoreVmInput, type RestoreVmOutput, type RestoreVmRequest } from '../domain/flows/restore-vm';
import type { RunSettings } from '../domain/flows/settings';
import { vmMark, workflowIds } from '../domain/ids';
import type { ArmedUndo } from './compensation';
import { failureText, nobodyServes, parseInput, refuse, requireWorkflowId, wasCancelled } from './failures';
import { inRun, type FlowRun } from './flow-run';
import { inParallel } from './in-parallel';
import { asked, noApplianceWorker, noMoverWorker } from './planning';
import type { Proxies } from './proxies';

/** A disk of the backup and the one that is made from it. */
interface RestoredDisk {
  readonly source: BackupContents['disks'][number];
  readonly diskId: string;
  readonly storageDomainId: string;
}

interface Restore {
  readonly input: RestoreVmInput;
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  readonly applianceId: string;
  readonly newVmId: string;
}

export async function restoreVm(request: RestoreVmRequest): Promise<RestoreVmOutput> {
  const input = parseInput(restoreVmInputSchema, request);
  requireWorkflowId(workflowIds.restore(input.requestId));
  return inRun({ ...input, vmName: input.name, kind: 'restore' }, async (run, proxies, settings) => {
    const restore = { input, run, proxies, settings, newVmId: uuid4(), applianceId: input.applianceId ?? settings.applianceIds[0] ?? '' };
    run.name(input.name);
    const { contents, clusterId, disks } = await planned(restore);
    const made = await disksCreated(restore, disks);
    const attached = await disksAttached(restore, disks);
    const writtenFromMs = Date.now();
    const dataBytes = await disksWritten(restore, contents, disks);
    const writeSeconds = (Date.now() - writtenFromMs) / 1000;
    const roots = await disksProven(restore, contents, disks);
    for (const attachment of [...attached].reverse()) await attachment.now();
    const vm = await vmCreated(restore, contents, clusterId, disks);
    const started = input.start && (await vmStarted(restore));
    return CancellationScope.nonCancellable(async () => {
      for (const product of [...made, vm]) product.disarm();
      run.made(`VM ${input.name} (${restore.newVmId}) stands, its disks proven${started ? ', and was started' : ''}.`);
      await productsKept(restore);
      await run.cleanUp();
      return {
        runId: run.runId,
        backupId: input.backupId,
        vmId: restore.newVmId,
        vmName: input.name,
        disks: disks.map(({ source, diskId }, index) => ({ sourceDiskId: source.diskId, diskId, alias: source.alias, virtualBytes: source.virtualBytes, dataBytes: dataBytes[index] ?? 0, root: roots[index] ?? '' })),
        started,
        seconds: (Date.now() - run.startedAtMs) / 1000,
        bytesPerSecond: Math.round(dataBytes.reduce((sum, bytes) => sum + bytes, 0) / Math.max(writeSeconds, 0.001)),
        warnings: [...run.warnings],
        leftovers: [...run.leftovers],
      };
    });
  });
}

async function planned({ input, run, proxies, applianceId }: Restore): Promise<{ contents: BackupContents; clusterId: string; disks: readonly RestoredDisk[] }> {
  const { engine, repository, backupId } = input;
  const [contents, appliance] = await Promise.all([
    contentsRead(proxies, { engine, runId: run.runId, repository, backupId }),
    applianceId ? asked(() => proxies.applianceQuick(engine, applianceId).checkAppliance({ engine, runId: run.runId, repository }), noApplianceWorker(engine, applianceId)) : [],
  ]);
  const plan = await proxies.control.planRestore({ ...input, disks: contents?.disks ?? [], origin: contents?.origin ?? {}, applianceId: applianceId || undefined });
  // Which cluster the VM came from only the backup tells: while nobody can read it, that is no reason.
  const reasons = contents || input.clusterId ? plan.reasons : plan.reasons.filter(({ code }) => code !== 'cluster.unknown');
  refuse(`The restore of backup ${backupId} as ${input.name}`, [...(contents ? [] : [noMoverWorker(repository)]), ...reasons, ...appliance]);
  if (!contents) throw new Error('nobody read the backup, and that was no reason');
  run.setDisks(contents.disks);
  const disks = contents.disks.map((source) => ({ source, diskId: uuid4(), storageDomainId: plan.domainOfDisk[source.diskId] ?? '' }));
  return { contents, clusterId: plan.clusterId ?? '', disks };
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

async function disksCreated({ input, run, proxies, settings }: Restore, disks: readonly RestoredDisk[]): Promise<readonly ArmedUndo[]> {
  run.enter('disks');
  const made: ArmedUndo[] = [];
  for (const { source, diskId, storageDomainId } of disks) {
    const of = { engine: input.engine, runId: run.runId, diskId };
    made.push(run.undo.push({ name: `remove the new disk ${source.alias}`, leftover: { kind: 'disk', objectId: diskId, mark: diskId }, run: () => proxies.undo.removeDisk(of) }));
    await proxies.waiting(settings.deadlines.attachSeconds).createDisk({ ...of, settings: source, storageDomainId });
  }
  return made;
}

async function disksAttached({ input, run, proxies, settings, applianceId }: Restore, disks: readonly RestoredDisk[]): Promise<readonly ArmedUndo[]> {
  run.enter('attach');
  const attached: ArmedUndo[] = [];
  for (const { source, diskId } of disks) {
    const of = { engine: input.engine, runId: run.runId, toVmId: applianceId, diskId };
    attached.push(run.undo.push({ name: `detach the new disk ${source.alias} from the appliance`, leftover: { kind: 'attachment', objectId: diskId, mark: `disk ${diskId} at VM ${applianceId}` }, run: () => proxies.undo.detachDisk(of) }));
    await proxies.waiting(settings.deadlines.attachSeconds).attachToAppliance(of);
    await proxies.applianceQuick(input.engine, applianceId).findDevice({ engine: input.engine, runId: run.runId, diskId, virtualBytes: source.virtualBytes });
  }
  return attached;
}

async function disksWritten({ input, run, proxies, settings, applianceId }: Restore, { backup }: BackupContents, disks: readonly RestoredDisk[]): Promise<readonly number[]> {
  run.enter('copy');
  const heldDiskIds = await proxies.control.listHeldDisks({ runId: run.runId });
  const { repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source, diskId: targetDiskId, storageDomainId }) => {
    const { diskId, virtualBytes } = source;
    const { dataBytes } = await run.copy({ diskId, storageDomainId, device: { applianceId, diskId: targetDiskId, virtualBytes } }, (bandwidthBytesPerSecond) => {
      run.setDisk(diskId, { state: 'copying' });
      return proxies.applianceCopies(input.engine, applianceId).restoreDisk({ engine: input.engine, runId: run.runId, from: run.durablePosition(diskId), repository, vmId: backup.vmId, backupId, diskId, targetDiskId, heldDiskIds, virtualBytes, bandwidthBytesPerSecond });
    });
    run.setDisk(diskId, { state: 'waiting', positionBytes: virtualBytes, dataBytes });
    return dataBytes;
  });
}

async function disksProven({ input, run, proxies, settings, applianceId }: Restore, { backup }: BackupContents, disks: readonly RestoredDisk[]): Promise<readonly string[]> {
  run.enter('prove');
  const { repository, backupId } = input;
  return inParallel(disks, settings.disksAtOnce, async ({ source: { diskId, virtualBytes }, diskId: targetDiskId, storageDomainId }) => {
    const { root } = await run.copy({ diskId, storageDomainId, device: { applianceId, diskId: targetDiskId, virtualBytes } }, (bandwidthBytesPerSecond) => {
      run.setDisk(diskId, { state: 'proving', positionBytes: 0 });
      return proxies.applianceCopies(input.engine, applianceId).proveDisk({ engine: input.engine, runId: run.runId, repository, vmId: backup.vmId, backupId, diskId, targetDiskId, virtualBytes, bandwidthBytesPerSecond });
    });
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes });
    return root;
  });
}

async function vmCreated({ input, run, proxies, newVmId }: Restore, { backup }: BackupContents, clusterId: string, disks: readonly RestoredDisk[]): Promise<ArmedUndo> {
  run.enter('create-vm');
  const { engine, repository, backupId, name } = input;
  const of = { engine, runId: run.runId, vmId: newVmId, mark: vmMark(run.runId) };
  const vm = run.undo.push({ name: `remove the new VM ${name}`, leftover: { kind: 'vm', objectId: newVmId, mark: of.mark }, run: () => proxies.undo.removeRestoredVm(of) });
  await proxies.control.holdVm(of);
  await proxies.mover(repository).createVmFromBackup({ repository, engine, runId: run.runId, vmId: backup.vmId, backupId, newVmId, name, clusterId, mark: of.mark });
  for (const { source, diskId } of disks) await proxies.control.attachRestoredDisk({ engine, vmId: newVmId, diskId, settings: source });
  return vm;
}

/** The VM stands and its disks are proven: a start that fails is a warning, and no reason to throw hours of writing away. */
async function vmStarted({ input, run, proxies, settings, newVmId }: Restore): Promise<boolean> {
  try {
    await proxies.waiting(settings.deadlines.attachSeconds).startVm({ engine: input.engine, vmId: newVmId });
    return true;
  } catch (error) {
    if (wasCancelled(error)) throw error;
    run.warn(`VM ${input.name} (${newVmId}) is restored but did not start: ${failureText(error)}`);
    return false;
  }
}

async function productsKept({ run, proxies }: Restore): Promise<void> {
  try {
    await proxies.undo.keepProducts({ runId: run.runId });
  } catch (error) {
    run.warn(`the VM is restored, but the catalog still calls it and its disks things to be released: ${failureText(error)}`);
  }
}
