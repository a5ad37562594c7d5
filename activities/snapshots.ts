// The snapshot of a backup: both activities look at what the engine has and do what is still missing, so they may be repeated
// any number of times. Idempotency key: the mark (description). Role control.
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import { judgeConsistency, snapshotFailureEvents, type Consistency } from '../domain/consistency';
import type { Engine, Snapshot } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import { gone, waitFor } from './waiting';

export interface SnapshotOfRun {
  readonly engine: string;
  readonly runId: string;
  readonly vmId: string;
  readonly backupId: string;
  /** Description; contains the backup id. */
  readonly mark: string;
}

export interface EnsureSnapshotInput extends SnapshotOfRun {
  readonly diskIds: readonly string[];
  readonly vmStatus: string;
  readonly quiesce: 'required' | 'best-effort' | 'off';
}

export interface EnsuredSnapshot {
  readonly snapshotId: string;
  readonly createdAt: string;
  readonly consistency: Consistency;
}

export interface SnapshotActivities {
  ensureSnapshot(input: EnsureSnapshotInput): Promise<EnsuredSnapshot>;
  /** Removes it and waits until the merge is over. */
  ensureSnapshotGone(input: SnapshotOfRun): Promise<void>;
}

export function createSnapshotActivities({ engineOf, catalog }: ControlDependencies): SnapshotActivities {
  const idOf = ({ runId, backupId }: SnapshotOfRun): string => holdingId(runId, 'snapshot', backupId);

  /**
   * The id in the holding wins: lists leave out snapshots that are being removed. But the mark decides: when a creation fails, its id goes
   * back to the "Active VM", which nobody may remove.
   */
  const find = async (engine: Engine, of: SnapshotOfRun): Promise<{ snapshot?: Snapshot; knownId?: string }> => {
    const known = (await catalog.listHoldings({ runId: of.runId })).find((holding) => holding.holdingId === idOf(of))?.objectId;
    const byId = known ? await engine.getSnapshot(of.vmId, known) : undefined;
    const snapshot = byId?.description === of.mark ? byId : (await engine.listSnapshots(of.vmId)).find((each) => each.description === of.mark);
    return { ...(snapshot ? { snapshot } : {}), ...(known ? { knownId: known } : {}) };
  };

  return {
    async ensureSnapshot(input) {
      const engine = engineOf(input.engine);
      await catalog.hold({ holdingId: idOf(input), runId: input.runId, engine: input.engine, kind: 'snapshot', vmId: input.vmId, parentId: input.vmId, mark: input.mark });
      const found = await find(engine, input);
      if (!found.snapshot && found.knownId) throw await vanished(engine, input, found.knownId);
      const created = found.snapshot ?? (await engine.createSnapshot({ vmId: input.vmId, description: input.mark, diskIds: input.diskIds })).snapshot;
      await catalog.setHoldingObject(idOf(input), created.id);
      const ready = await waitFor(async () => {
        const now = await engine.getSnapshot(input.vmId, created.id);
        if (now?.description !== input.mark) throw await vanished(engine, input, created.id);
        return now.status === 'ok' ? now : `snapshot ${created.id} of VM ${input.vmId} is ${now.status}`;
      });
      // A failed live snapshot can still end `ok`: only its events tell (engine-rules section 5).
      const events = await engine.listEvents({ search: input.backupId });
      const failed = events.find((event) => snapshotFailureEvents.includes(event.code));
      if (failed) throw new HoldfastError('snapshot.failed', `The snapshot of VM ${input.vmId} ended ok but is unusable; the engine reported event ${failed.code}: ${failed.description}`, { snapshotId: ready.id, event: failed.code });
      return { snapshotId: ready.id, createdAt: ready.createdAt, consistency: judgeConsistency({ ...input, eventCodes: events.map((event) => event.code) }) };
    },

    async ensureSnapshotGone(input) {
      const engine = engineOf(input.engine);
      const { snapshot } = await find(engine, input);
      if (snapshot?.status === 'ok') await engine.removeSnapshot(input.vmId, snapshot.id);
      if (snapshot) await waitUntilMerged(engine, input, snapshot.id);
      await catalog.releaseHolding(idOf(input), 'released');
    },
  };
}

/** The engine locks the snapshot before it answers. One that is `ok` for so long is not being merged any more: that failed before we looked. */
const mergeBeginsMs = 3_000;

async function waitUntilMerged(engine: Engine, input: SnapshotOfRun, snapshotId: string): Promise<void> {
  const sinceMs = Date.now();
  let seenLocked = false;
  await waitFor(async () => {
    const now = await engine.getSnapshot(input.vmId, snapshotId);
    if (now?.description !== input.mark) return gone;
    // Locked and then ok again: the merge failed. The engine's retry path is to remove it once more, which the next attempt does.
    if (now.status === 'ok' && (seenLocked || Date.now() - sinceMs > mergeBeginsMs)) throw new HoldfastError('wait.pending', `The engine gave up merging snapshot ${snapshotId} of VM ${input.vmId}; it is tried again. Events 357 and 359 on the engine tell why.`);
    seenLocked ||= now.status === 'locked';
    return `snapshot ${snapshotId} of VM ${input.vmId} is being merged (${now.status})`;
  });
}

async function vanished(engine: Engine, input: SnapshotOfRun, snapshotId: string): Promise<HoldfastError> {
  const events = await engine.listEvents({ search: input.backupId });
  const told = events.find((event) => snapshotFailureEvents.includes(event.code));
  return new HoldfastError('snapshot.failed', `The engine dropped snapshot ${snapshotId} of VM ${input.vmId} while creating it${told ? ` (event ${told.code}: ${told.description})` : ''}. Look at the engine's events for the host's reason.`, { snapshotId });
}
