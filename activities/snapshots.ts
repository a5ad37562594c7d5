// The snapshot of a backup: both activities look at what the engine has and do what is still missing, so they may be repeated
// any number of times. Idempotency key: the mark (description). Role control.
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import { freezeByEvents, isQuiesced, judgeConsistency, snapshotFailureEvents, snapshotMadeEvent, type Consistency, type QuiesceAsked } from '../domain/consistency';
import type { Engine, Snapshot } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import { atRest, notQuiesced } from './freezes';
import { freezeLimits, thawEarlier } from './thaw';
import { eventsAbout, freezesOfVm } from './vm-events';
import { gone, waitFor } from './waiting';

export interface SnapshotOfRun {
  readonly engine: string;
  readonly runId: string;
  readonly vmId: string;
  readonly backupId: string;
  /** Description; contains the backup id. */
  readonly mark: string;
}

export interface EnsureSnapshotInput extends SnapshotOfRun, QuiesceAsked {
  readonly diskIds: readonly string[];
  readonly vmStatus: string;
  /** Frozen by ourselves around the snapshot. */
  readonly explicitFreeze?: boolean;
}

export interface EnsuredSnapshot {
  readonly snapshotId: string;
  readonly createdAt: string;
  readonly consistency: Consistency;
  /** The guest was asked to freeze, and its agent has not answered the thaw either. */
  readonly mayStillFreeze?: true;
}

export interface SnapshotActivities {
  /** `quiesce.failed` when it was required, frozen by ourselves, and that is not proven. */
  ensureSnapshot(input: EnsureSnapshotInput): Promise<EnsuredSnapshot>;
  /** Removes it and waits until the merge is over. */
  ensureSnapshotGone(input: SnapshotOfRun): Promise<void>;
}

export function createSnapshotActivities({ engineOf, catalog, limits = freezeLimits }: ControlDependencies): SnapshotActivities {
  const idOf = ({ runId, backupId }: SnapshotOfRun): string => holdingId(runId, 'snapshot', backupId);

  /**
   * The id in the holding wins: a list leaves out a snapshot that vanishes while it is made. But the mark decides: when a creation fails, its id goes
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
      const { runId, vmId, mark, explicitFreeze = false } = input;
      const isAnswering = !explicitFreeze || (await thawEarlier({ engine, catalog, limits }, input));
      await catalog.hold({ holdingId: idOf(input), runId, engine: input.engine, kind: 'snapshot', vmId, parentId: vmId, mark });
      const found = await find(engine, input);
      if (!found.snapshot && found.knownId) throw await vanished(engine, input, found.knownId);
      let { snapshot } = found;
      const request = async (): Promise<void> => {
        ({ snapshot } = await engine.createSnapshot({ vmId, description: mark, diskIds: input.diskIds }));
        await catalog.setHoldingObject(idOf(input), snapshot.id);
      };
      const look = (): Promise<Snapshot | string> => state(engine, input, snapshot?.id ?? '');
      if (snapshot) await catalog.setHoldingObject(idOf(input), snapshot.id);
      else if (explicitFreeze) await refuseWhileBusy(engine, vmId);
      const moment = explicitFreeze && !snapshot ? await atRest({ engine, catalog, limits }, input, isAnswering, { request, look, isMade: 'the snapshot was ok' }) : undefined;
      if (!found.snapshot && !moment?.isRequested) await request();
      const ready = moment?.made ?? (await waitFor(look));
      // A failed live snapshot can still end `ok`: only its events tell (engine-rules section 5).
      const events = await eventsAbout(engine, input.backupId);
      const failed = events.find((event) => snapshotFailureEvents.includes(event.code));
      if (failed) throw new HoldfastError('snapshot.failed', `The snapshot of VM ${input.vmId} ended ok but is unusable; the engine reported event ${failed.code}: ${failed.description}`, { snapshotId: ready.id, event: failed.code });
      const ownFreeze = explicitFreeze ? (moment?.freeze ?? freezeByEvents(await freezesOfVm(engine, vmId), events.find(({ code }) => code === snapshotMadeEvent)?.time)) : undefined;
      const consistency = judgeConsistency({ ...input, ownFreeze, eventCodes: events.map((event) => event.code) });
      if (explicitFreeze && input.quiesce === 'required' && !isQuiesced(consistency)) throw notQuiesced(vmId, consistency.evidence);
      return { snapshotId: ready.id, createdAt: ready.createdAt, consistency, ...(!isAnswering || moment?.mayStillFreeze ? { mayStillFreeze: true } : {}) };
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

async function state(engine: Engine, input: SnapshotOfRun, snapshotId: string): Promise<Snapshot | string> {
  const now = await engine.getSnapshot(input.vmId, snapshotId);
  if (now?.description !== input.mark) throw await vanished(engine, input, snapshotId);
  return now.status === 'ok' ? now : `snapshot ${snapshotId} of VM ${input.vmId} is ${now.status}`;
}

/** Rather than freeze a guest for a request that is refused. */
async function refuseWhileBusy(engine: Engine, vmId: string): Promise<void> {
  const busy = (await engine.listSnapshots(vmId)).find(({ status }) => status === 'locked');
  if (busy) throw new HoldfastError('engine.locked', `VM ${vmId} has the snapshot "${busy.description}" that is locked by another operation; its guest is frozen when that has ended.`, { vmId });
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
