// Checkpoints of ours: what holds them in the catalog, and how one is removed. Other products' checkpoints lie on the same line and are nobody's
// business here: nothing is removed but what planning or a holding named.
import { HoldfastError } from '../domain/failures';
import { holdingId, type Holding } from '../domain/holdings';
import type { Catalog } from '../adapters/catalog/port';
import type { Engine, VmBackup } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';
import { noneWhenGone } from './none-when-gone';
import { gone, waitFor } from './waiting';

export interface CheckpointOfRun extends OfRun {
  readonly vmId: string;
  readonly checkpointId: string;
}

export interface CheckpointActivities {
  /** Only for what planning named as removable, or a holding as ours. Absent is done. It stays when `insteadId`, which takes its place, is not there (any more). */
  removeCheckpoint(input: CheckpointOfRun & { readonly insteadId?: string | undefined }): Promise<void>;
}

export function createCheckpointActivities({ engineOf, catalog }: ControlDependencies): CheckpointActivities {
  return {
    async removeCheckpoint({ engine, runId, vmId, checkpointId, insteadId }) {
      // The engine takes the new one back when it cannot finalize its backup (event 10795).
      if (insteadId !== undefined && !(await engineOf(engine).listCheckpoints(vmId)).some(({ id }) => id === insteadId)) return;
      await removeCheckpoint(engineOf(engine), vmId, checkpointId);
      const known = (await checkpointHoldings(catalog, engine, vmId)).filter(({ objectId }) => objectId === checkpointId);
      for (const id of new Set([holdingId(runId, 'checkpoint', checkpointId), ...known.map((holding) => holding.holdingId)])) await catalog.releaseHolding(id, 'released');
    },
  };
}

/** Of all runs on the VM that have not let go of them, those of sealed backups included. */
export async function checkpointHoldings(catalog: Catalog, engine: string, vmId: string): Promise<readonly Holding[]> {
  const rows = await Promise.all((['held', 'leftover', 'product'] as const).map((state) => catalog.listHoldings({ engine, vmId, state })));
  return rows.flat().filter(({ kind }) => kind === 'checkpoint');
}

/** By which the holding is found when the engine has forgotten the backup. */
export function checkpointMark(vmBackupId: string): string {
  return `checkpoint of VM backup ${vmBackupId}`;
}

/** A checkpoint's holding begins when the engine tells its id; before that the VM backup's own stands for it. */
export async function holdCheckpoint(catalog: Catalog, { runId, engine, vmId }: OfRun & { readonly vmId: string }, { id: vmBackupId, toCheckpointId, snapshotId }: VmBackup): Promise<void> {
  if (toCheckpointId === undefined) return;
  await catalog.hold({
    holdingId: holdingId(runId, 'checkpoint', toCheckpointId), runId, engine, kind: 'checkpoint', vmId, objectId: toCheckpointId, parentId: vmId, mark: checkpointMark(vmBackupId),
    ...(snapshotId === undefined ? {} : { snapshotId }),
  });
}

const removalFailed = 10_798;

/** The engine answers before it has removed the bitmaps; what it cannot remove stays, `invalid` when the VM was down. */
export async function removeCheckpoint(engine: Engine, vmId: string, checkpointId: string): Promise<void> {
  const isThere = async (): Promise<boolean> => (await noneWhenGone(engine.listCheckpoints(vmId))).some(({ id }) => id === checkpointId);
  const failures = async () => (await engine.listEvents({ search: checkpointId })).filter(({ code }) => code === removalFailed);
  if (!(await isThere())) return;
  const before = new Set((await failures()).map(({ id }) => id));
  await engine.removeCheckpoint(vmId, checkpointId);
  await waitFor(async () => {
    if (!(await isThere())) return gone;
    const failed = (await failures()).find(({ id }) => !before.has(id));
    if (failed) throw new HoldfastError('engine.conflict', `The engine could not remove checkpoint ${checkpointId} of VM ${vmId} (event ${failed.code}: ${failed.description}). It costs space in the disks' images; the next backup of the VM tries again.`, { vmId, checkpointId });
    return `checkpoint ${checkpointId} of VM ${vmId} is being removed`;
  });
}
