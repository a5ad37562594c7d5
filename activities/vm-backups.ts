// VM backups: the engine keeps the disks of one moment readable until the backup is finalized. Every activity looks at what the engine has and
// does what is still missing. Idempotency key: the flow's key, and the mark (description). Role control.
import type { Engine, EngineEvent, VmBackup } from '../adapters/ovirt/port';
import { freezeByEvents, freezeFailedEvent, frozenEvent, isQuiesced, judgeVmBackup, snapshotFailureEvents, snapshotMadeEvent, type Consistency, type QuiesceAsked } from '../domain/consistency';
import { HoldfastError } from '../domain/failures';
import { judgeBackupEnd } from '../domain/vm-backups';
import { holdCheckpoint } from './checkpoints';
import type { ControlDependencies } from './dependencies';
import { endVmBackup, type EndedVmBackup } from './end-vm-backup';
import { atRest, notQuiesced, type FrozenMoment } from './freezes';
import { keyOf, ownVmBackup, vmBackupHolding, type VmBackupOfRun } from './own-vm-backups';
import { transfersOutside, type Outside } from './own-transfers';
import { freezeLimits, thawEarlier } from './thaw';
import { eventsAbout, eventsOfVm, freezesOfVm } from './vm-events';
import { waitFor } from './waiting';

export interface EnsureVmBackupInput extends VmBackupOfRun, QuiesceAsked {
  readonly diskIds: readonly string[];
  readonly fromCheckpointId: string | null;
  /** As planning saw it. */
  readonly vmStatus: string;
  /** Frozen by ourselves until it is `ready`. */
  readonly explicitFreeze?: boolean;
  /** Also the holding's mark. */
  readonly description: string;
}

export interface ReadyVmBackup {
  /** The engine's. Absent in histories of releases before 0.2.0, where it is the key. */
  readonly vmBackupId?: string;
  /** Where the next incremental backup can begin; null when no disk is tracked. */
  readonly checkpointId: string | null;
  readonly createdAt: string;
  /** Only of a hybrid one. */
  readonly snapshotId: string | null;
  readonly style: 'live' | 'cold' | 'hybrid';
  /** The engine decides the mode, disk by disk. */
  readonly disks: readonly { readonly diskId: string; readonly mode: 'full' | 'incremental' }[];
  readonly consistency: Consistency;
  /** The guest was asked to freeze, and its agent has not answered the thaw either. */
  readonly mayStillFreeze?: true;
}

export type { EndedVmBackup, VmBackupOfRun };

export interface VmBackupActivities {
  /**
   * Started and `ready`. `backup.incremental-refused` when the engine cannot go on from that checkpoint, `quiesce.failed` when it was required and is
   * not proven, `backup.failed` otherwise.
   */
  ensureVmBackup(input: EnsureVmBackupInput): Promise<ReadyVmBackup>;
  /**
   * Finalized and over, the disks free, a hybrid one's snapshot merged. Transfers of its disks that the run left are ended first. Without
   * disk ids those count that the engine names. `keepCheckpoint`: once the backup is sealed; before that its checkpoint goes too.
   */
  ensureVmBackupEnded(input: VmBackupOfRun & { readonly diskIds: readonly string[]; readonly keepCheckpoint: boolean }): Promise<EndedVmBackup>;
}

export function createVmBackupActivities(dependencies: ControlDependencies): VmBackupActivities {
  const { engineOf, catalog, limits = freezeLimits } = dependencies;
  return {
    async ensureVmBackup(input) {
      const outside = { engine: engineOf(input.engine), catalog };
      const { engine } = outside;
      const { runId, engine: name, vmId, description, explicitFreeze = false } = input;
      const isAnswering = !explicitFreeze || (await thawEarlier({ engine, catalog, limits }, input));
      await catalog.hold({ holdingId: vmBackupHolding(input), runId, engine: name, kind: 'vm-backup', vmId, parentId: vmId, mark: description });
      let vmBackupId = await begunEarlier(outside, input);
      const isThere = vmBackupId !== undefined;
      const request = async (): Promise<void> => {
        vmBackupId = await begin(outside, input);
        await catalog.setHoldingObject(vmBackupHolding(input), vmBackupId);
      };
      const look = (): Promise<VmBackup | string> => lookAt(engine, input, vmBackupId ?? '');
      const moment = explicitFreeze && !isThere ? await atRest({ engine, catalog, limits }, input, isAnswering, { request, look, isMade: 'the VM backup was ready' }) : undefined;
      if (!isThere && !moment?.isRequested) await request();
      const ready = moment?.made ?? (await waitFor(look));
      await holdCheckpoint(catalog, input, ready);
      const disks = await disksOf(engine, input, ready);
      const { style, consistency } = await styleOf(engine, input, ready, moment);
      const mayStillFreeze = !isAnswering || moment?.mayStillFreeze;
      return { vmBackupId: ready.id, checkpointId: ready.toCheckpointId ?? null, createdAt: ready.createdAt, snapshotId: ready.snapshotId ?? null, style, disks, consistency, ...(mayStillFreeze ? { mayStillFreeze } : {}) };
    },

    ensureVmBackupEnded: (input) => endVmBackup(transfersOutside(dependencies, input.engine), input),
  };
}

/**
 * A live one on demand: hybrid ones do not hear `require_consistency`. Not of a guest that we freeze: a host cannot freeze it once more, and would
 * fail the backup for that.
 */
const isFreezeDemanded = ({ quiesce, vmStatus, explicitFreeze = false }: EnsureVmBackupInput): boolean => quiesce === 'required' && vmStatus !== 'down' && !explicitFreeze;

/** The events first: what they tell of is listed by then, unless the engine has forgotten it. */
async function begunEarlier(outside: Outside, input: EnsureVmBackupInput): Promise<string | undefined> {
  const events = await outside.engine.listEvents({ correlationId: keyOf(input) });
  const { id } = await ownVmBackup(outside, input);
  if (id === undefined && events.length > 0) throw failedBy(events, input);
  return id;
}

async function begin(outside: Outside, input: EnsureVmBackupInput): Promise<string> {
  const { engine } = outside;
  const { vmId, diskIds, fromCheckpointId, description } = input;
  const demanded = isFreezeDemanded(input);
  const since = fromCheckpointId === null ? {} : { fromCheckpointId };
  try {
    return (await engine.startVmBackup({ vmId, diskIds, requireConsistency: demanded, legacy: demanded, description, correlationId: keyOf(input), ...since })).id;
  } catch (error) {
    const isRefusal = error instanceof HoldfastError && (error.code === 'engine.refused' || (error.code === 'engine.not-found' && /checkpoint/i.test(error.message)));
    if (!isRefusal) throw error;
    // A first request that was only slow.
    const there = await ownVmBackup(outside, input);
    if (there.id !== undefined && there.backup?.phase !== 'failed') return there.id;
    if (fromCheckpointId === null) throw error;
    // Where it failed in the middle the engine answers no reason (`[]`): its events tell.
    const events = await eventsOf(engine, input, there.id);
    const why = events.length === 0 ? '' : ` (${judgeBackupEnd(events, true).why})`;
    throw new HoldfastError('backup.incremental-refused', `The engine refused a backup of VM ${vmId} since checkpoint ${fromCheckpointId}: ${error.message}${why}`, { vmId, fromCheckpointId }, { cause: error });
  }
}

async function lookAt(engine: Engine, input: EnsureVmBackupInput, vmBackupId: string): Promise<VmBackup | string> {
  const { vmId } = input;
  const now = await engine.getVmBackup(vmId, vmBackupId);
  if (!now || now.phase === 'failed') throw failedBy(await eventsOf(engine, input, vmBackupId), input, vmBackupId);
  if (now.phase === 'ready') return now;
  // `finalizing` is also the way of one that fails: the end alone tells.
  if (now.phase === 'succeeded') throw new HoldfastError('backup.failed', `VM backup ${vmBackupId} of VM ${vmId} is ${now.phaseText} before anything was read from it: somebody else has ended it. Find out who on the engine, then start again.`, { vmId, vmBackupId });
  return `VM backup ${vmBackupId} of VM ${vmId} is ${now.phaseText}`;
}

/** Their texts name the backup; those of a request whose backup nobody knows are found by its correlation id. */
function eventsOf(engine: Engine, input: EnsureVmBackupInput, vmBackupId: string | undefined): Promise<readonly EngineEvent[]> {
  return engine.listEvents(vmBackupId === undefined ? { correlationId: keyOf(input) } : { search: vmBackupId });
}

function failedBy(events: readonly EngineEvent[], input: EnsureVmBackupInput, vmBackupId?: string): HoldfastError {
  const { vmId, fromCheckpointId } = input;
  const { code, why } = judgeBackupEnd(events, fromCheckpointId !== null);
  const since = fromCheckpointId === null ? '' : ` since checkpoint ${fromCheckpointId}`;
  const hint = isFreezeDemanded(input) ? ' Without a freeze of the guest it had to fail: see that its agent runs, or ask for best-effort.' : '';
  return new HoldfastError(code, `The engine failed to make ${vmBackupId === undefined ? 'a backup' : `backup ${vmBackupId}`} of VM ${vmId}${since} (${why}). Look at the VM's events on the engine.${hint}`, { vmId, vmBackupId, fromCheckpointId });
}

/** A mode that the engine does not tell is read in full, which is right whatever it is. */
async function disksOf(engine: Engine, { vmId, diskIds }: EnsureVmBackupInput, { id: vmBackupId }: VmBackup): Promise<ReadyVmBackup['disks']> {
  const listed = await engine.listVmBackupDisks(vmId, vmBackupId);
  const missing = diskIds.filter((id) => !listed.some(({ diskId }) => diskId === id));
  if (missing.length > 0) throw new HoldfastError('backup.failed', `The engine left disk ${missing.join(', ')} out of backup ${vmBackupId} of VM ${vmId}. See in the engine whether it has become shareable or was detached.`, { vmId, vmBackupId, missing });
  return diskIds.map((diskId) => ({ diskId, mode: listed.find((disk) => disk.diskId === diskId)?.mode ?? 'full' }));
}

async function styleOf(engine: Engine, input: EnsureVmBackupInput, ready: VmBackup, moment: FrozenMoment<VmBackup> | undefined): Promise<Pick<ReadyVmBackup, 'style' | 'consistency'>> {
  const { vmId, vmStatus, quiesce } = input;
  const vmBackupId = ready.id;
  // A live or cold one locks the VM in its state; beside a hybrid one it may have been started.
  const isDown = (await engine.getVm(vmId))?.status === 'down';
  const style = ready.snapshotId !== undefined ? 'hybrid' : isDown ? 'cold' : 'live';
  const events = await eventsOfVm(engine, [freezeFailedEvent, snapshotMadeEvent, ...snapshotFailureEvents], (event) => event.vmId === vmId, ready.createdAt);
  const spoilt = style === 'hybrid' ? events.find(({ code }) => snapshotFailureEvents.includes(code)) : undefined;
  if (spoilt) throw new HoldfastError('backup.failed', `Backup ${vmBackupId} of VM ${vmId} is ready but its snapshot is unusable; the engine reported event ${spoilt.code}: ${spoilt.description}`, { vmId, vmBackupId, event: spoilt.code });
  const ownFreeze = input.explicitFreeze ? (moment?.freeze ?? freezeByEvents(await freezesOfVm(engine, vmId), style === 'hybrid' ? events.find(({ code }) => code === snapshotMadeEvent)?.time : undefined)) : undefined;
  // By the engine itself, in the command that made the backup.
  const own = (await eventsAbout(engine, vmBackupId)).filter(({ code }) => code === frozenEvent);
  const consistency = judgeVmBackup({ ...input, style, wasDown: vmStatus === 'down' && isDown, requireConsistency: isFreezeDemanded(input), ownFreeze, eventCodes: [...events, ...own].map(({ code }) => code) });
  if (quiesce === 'required' && !isQuiesced(consistency)) throw notQuiesced(vmId, consistency.evidence);
  return { style, consistency };
}
