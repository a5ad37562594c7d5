// A backup by the method `appliance`: snapshot → configuration → attach → copy. Whole disks, so every backup is a full one.
import type { DiskSettings } from '../../domain/disks';
import { snapshotMark } from '../../domain/ids';
import type { Note } from '../../domain/manifest';
import type { EnsuredSnapshot } from '../../activities/snapshots';
import { whileAttached } from '../attached-device';
import { refuse } from '../failures';
import { inParallel } from '../in-parallel';
import { asked, noApplianceWorker, noMoverWorker } from '../planning';
import type { Backup, CopiedBackup, CopiedDisk, PlannedBackup } from './backup';
import { frozenIfAsked } from './freeze';
import { configurationSaved } from './steps';

export async function copiedByAppliance(backup: Backup, notes: readonly Note[]): Promise<CopiedBackup> {
  const plan = await planned(backup);
  const snapshot = await snapshotTaken(backup, plan);
  const partial = await configurationSaved(backup, plan.disks, snapshot.snapshotId);
  await disksAttached(backup, plan.disks, snapshot);
  const copiedFromMs = Date.now();
  const disks = await disksCopied(backup, plan.disks);
  return {
    plan,
    disks,
    seconds: (Date.now() - copiedFromMs) / 1000,
    consistency: snapshot.consistency,
    made: {
      method: 'appliance',
      kind: 'full',
      base: null,
      reason: { code: 'method.full-only', text: 'the method "appliance" reads whole disks, so every backup is a full one' },
      notes,
      checkpoint: null,
      snapshot: { id: snapshot.snapshotId, description: markOf(backup), createdAt: snapshot.createdAt },
      vmBackup: null,
    },
    keep: () => partial.disarm(),
  };
}

const markOf = ({ settings, backupId }: Backup): string => snapshotMark(settings.snapshotPrefix, backupId);

/** Asks engine, appliance and repository, and refuses with everything that any of them has against it. */
async function planned({ input, run, proxies, applianceId }: Backup): Promise<PlannedBackup> {
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

async function snapshotTaken(backup: Backup, plan: PlannedBackup): Promise<EnsuredSnapshot> {
  const { input, run, proxies, backupId } = backup;
  run.enter('snapshot');
  const { engine, vmId, quiesce, guestHook } = input;
  const of = { engine, vmId, runId: run.runId, backupId, mark: markOf(backup) };
  run.undo.push({ name: 'remove the snapshot', leftover: { kind: 'snapshot', mark: of.mark }, run: () => proxies.undo.ensureSnapshotGone(of) });
  const snapshot = await frozenIfAsked(backup, plan.vm, (explicitFreeze, calls) => calls.ensureSnapshot({ ...of, quiesce, guestHook, explicitFreeze, vmStatus: plan.vm.status, diskIds: plan.disks.map((disk) => disk.diskId) }));
  run.reached(snapshot.consistency);
  return snapshot;
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
    const copied = await run.copy(disk, (bandwidthBytesPerSecond) =>
      whileAttached({ run, proxies, settings, applianceId, diskId, device: { diskId, virtualBytes } }, () => {
        run.setDisk(diskId, { state: 'copying' });
        return proxies.applianceCopies(engine, applianceId).backupDisk({ engine, runId: run.runId, repository, vmId, backupId, diskId, virtualBytes, bandwidthBytesPerSecond });
      }),
    );
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes, dataBytes: copied.dataBytes });
    return { settings: disk, ...copied, seconds: (Date.now() - startedMs) / 1000 };
  });
}
