// Image transfers: the right to read or write one disk at its host's data daemon. The ticket's URL never gets into an answer: it is a secret.
// Idempotency key: the transfer's key, which is its holding's and the correlation id of the request. Role control.
import type { Engine, ImageTransfer } from '../adapters/ovirt/port';
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import { transferIdleSeconds, transferMark } from '../domain/ids';
import { judgeBackupEnd } from '../domain/vm-backups';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';
import { endTransfer, ownTransfers, transfersOutside, type OwnTransfers, type TransfersOutside } from './own-transfers';
import { gone, waitFor } from './waiting';

export interface TransferOfRun extends OfRun {
  readonly diskId: string;
  /** A uuid of the flow's, a fresh one for each transfer. */
  readonly transferKey: string;
  /** The VM whose lock protects it. */
  readonly vmId?: string | undefined;
  readonly vmBackupId?: string | undefined;
  readonly direction: 'download' | 'upload';
}

export interface TransferActivities {
  /** Created and `transferring`; one that the system paused is resumed. `transfer.failed` when it has ended: then another key is needed. */
  ensureTransfer(input: TransferOfRun): Promise<{ readonly transferId: string }>;
  /**
   * `finalize`: waits until it is over; an upload that did not end well is `transfer.failed`. `cancel`: waits until it is over; of an upload the
   * engine removes the disk. Absent is done.
   */
  ensureTransferEnded(input: TransferOfRun & { readonly outcome: 'finalize' | 'cancel' }): Promise<void>;
}

export function createTransferActivities(dependencies: ControlDependencies): TransferActivities {
  const { engineOf, catalog, stillbornMs = 120_000 } = dependencies;
  const idOf = ({ runId, transferKey }: TransferOfRun): string => holdingId(runId, 'transfer', transferKey);
  const own = (input: TransferOfRun): Promise<OwnTransfers> => ownTransfers(transfersOutside(dependencies, input.engine), input);

  const begun = async (input: TransferOfRun): Promise<ImageTransfer> => {
    const found = await own(input);
    if (found.known) return found.known;
    const [lost, another] = found.lost;
    // Two requests of ours, whose replies were both lost: either serves, the other goes when this one does.
    if (lost) return another === undefined ? lost : latest(found.lost, lost);
    if (found.wasBegun && found.foreign.length > 0) throw elsewhere(input, found.foreign);
    if (found.wasBegun) throw await failure(engineOf(input.engine), input, 'is over, and the engine has forgotten it');
    try {
      return await create(transfersOutside(dependencies, input.engine), input, found.foreign);
    } catch (error) {
      return carriedOutInVain(input, error);
    }
  };

  // An engine that finds no host, bitmap or ticket answers a 400 without a message, and has a transfer all the same, which goes on to its end
  // (TransferDiskImageCommand.executeCommand): asked for once more, it would be another one.
  const carriedOutInVain = async (input: TransferOfRun, error: unknown): Promise<ImageTransfer> => {
    if (!(error instanceof HoldfastError) || error.code !== 'engine.unavailable') throw error;
    const { wasBegun, lost: [transfer] } = await own(input);
    if (transfer) return transfer;
    throw wasBegun ? await failure(engineOf(input.engine), input, 'could not be begun') : error;
  };

  return {
    async ensureTransfer(input) {
      const engine = engineOf(input.engine);
      const { runId, engine: name, diskId, transferKey, vmId } = input;
      await catalog.hold({ holdingId: idOf(input), runId, engine: name, kind: 'transfer', parentId: diskId, mark: transferMark(diskId, transferKey), ...(vmId === undefined ? {} : { vmId }) });
      const { id } = await begun(input);
      await catalog.setHoldingObject(idOf(input), id);
      const untilMs = Date.now() + stillbornMs;
      await waitFor(() => lookAt(engine, input, id, untilMs));
      return { transferId: id };
    },

    async ensureTransferEnded({ outcome, ...input }) {
      const engine = engineOf(input.engine);
      const { known, knownId, lost } = await own(input);
      for (const transfer of lost) await endTransfer(engine, transfer, 'cancel');
      const end = known ? await endTransfer(engine, known, outcome) : 'gone';
      // A disk that is read in a VM backup stays locked until that backup is over; one that somebody else's transfer has is his.
      const wasOurs = input.direction === 'upload' && (knownId !== undefined || lost.length > 0);
      if (wasOurs) await waitUntilFree(engine, input.diskId);
      if (wasOurs && outcome === 'finalize') await proveUploaded(engine, input, end);
      await catalog.releaseHolding(idOf(input), 'released');
    },
  };
}

function latest(transfers: readonly ImageTransfer[], first: ImageTransfer): ImageTransfer {
  return transfers.find(({ phase }) => phase === 'transferring') ?? first;
}

async function create({ engine, inactivityTimeoutSeconds }: TransfersOutside, input: TransferOfRun, foreign: readonly ImageTransfer[]): Promise<ImageTransfer> {
  const { diskId, direction, vmBackupId, transferKey } = input;
  try {
    // `legacy`: when nobody is at it a download is cancelled, and an upload only paused, so that the disk stays.
    return await engine.createTransfer({ diskId, direction, inactivityTimeoutSeconds: transferIdleSeconds(transferKey, inactivityTimeoutSeconds), timeoutPolicy: 'legacy', correlationId: transferKey, ...(vmBackupId === undefined ? {} : { vmBackupId }) });
  } catch (error) {
    const over = await lostVmBackup(engine, input);
    if (over) throw over;
    const isInTheWay = error instanceof HoldfastError && (error.code === 'engine.locked' || error.code === 'engine.conflict') && foreign.length > 0;
    throw isInTheWay ? elsewhere(input, foreign, error) : error;
  }
}

/** A VM backup that ended by itself takes what it showed with it: no other request of ours will be answered better. */
async function lostVmBackup(engine: Engine, { diskId, vmId, vmBackupId }: TransferOfRun): Promise<HoldfastError | undefined> {
  if (vmId === undefined || vmBackupId === undefined) return undefined;
  const now = await engine.getVmBackup(vmId, vmBackupId);
  if (now && now.phase !== 'failed' && now.phase !== 'succeeded') return undefined;
  const { why } = judgeBackupEnd(await engine.listEvents({ search: vmBackupId }), false);
  return new HoldfastError('backup.failed', `Disk ${diskId} cannot be read any more: VM backup ${vmBackupId} of VM ${vmId} is ${now?.phaseText ?? 'gone'} (${why}). Look at the VM's events on the engine, then start again.`, { vmId, vmBackupId, diskId });
}

function elsewhere({ diskId }: TransferOfRun, foreign: readonly ImageTransfer[], cause?: HoldfastError): HoldfastError {
  const names = foreign.map(({ id, direction, phaseText }) => `${direction} ${id}, ${phaseText}`).join('; ');
  return new HoldfastError('engine.locked', `Disk ${diskId} has an image transfer that this run did not begin (${names}): another product's or a person's. It is left alone, and waited for; if it never ends, cancel it in the engine (Storage → Disks).${cause ? ` ${cause.message}` : ''}`, { diskId, transferIds: foreign.map(({ id }) => id) }, cause === undefined ? {} : { cause });
}

async function lookAt(engine: Engine, input: TransferOfRun, id: string, untilMs: number): Promise<ImageTransfer | string> {
  const now = await engine.getTransfer(id);
  const name = `image transfer ${id} of disk ${input.diskId}`;
  switch (now?.phase) {
    case 'transferring':
      return now.transferUrl === undefined ? `${name} has no ticket yet` : now;
    case 'paused_system':
      await engine.resumeTransfer(id);
      return `${name} was paused by the system and is being resumed`;
    case 'paused_user':
      return `${name} was paused by somebody: resume it in the engine (Storage → Disks)`;
    case 'initializing':
      // Begun within its request: nobody goes on with one whose engine died in it (TransferDiskImageCommand.handleInitializing).
      if (Date.now() > untilMs) throw new HoldfastError('imageio.ticket-gone', `The ${name} is still initializing: the engine that began it has died, and gives no ticket to it any more.`, { transferId: id });
      return `${name} is ${now.phaseText}`;
    case 'resuming':
    case 'other':
      return `${name} is ${now.phaseText}`;
    case 'cancelled_system':
    case 'cancelled_user':
    case 'finalizing_success':
    case 'finalizing_failure':
    case 'finalizing_cleanup':
    case 'finished_success':
    case 'finished_failure':
    case 'finished_cleanup':
    case undefined:
      throw await failure(engine, input, now ? `is ${now.phaseText}` : 'is over, and the engine has forgotten it', id);
  }
}

/** Says that it failed, and not why. */
const failedEvent = 1034;

/** Events of an upload's or download's end by the system come under its own correlation id, or under none. */
async function failure(engine: Engine, { diskId, direction, transferKey }: TransferOfRun, state: string, transferId?: string): Promise<HoldfastError> {
  const troubles = (await engine.listEvents({ correlationId: transferKey })).filter(({ severity }) => severity !== 'normal');
  const told = troubles.find(({ code }) => code !== failedEvent) ?? troubles[0];
  const why = told ? `event ${told.code}: ${told.description}` : 'look at the engine\'s events 1033 to 1077 for the disk';
  return new HoldfastError('transfer.failed', `The ${direction} of disk ${diskId}${transferId === undefined ? '' : ` (image transfer ${transferId})`} ${state} (${why}).`, { diskId, transferId, eventCode: told?.code });
}

async function waitUntilFree(engine: Engine, diskId: string): Promise<void> {
  await waitFor(async () => {
    const disk = await engine.getDisk(diskId);
    return disk?.status === 'locked' ? `disk ${disk.alias} (${diskId}) is still locked` : gone;
  });
}

/** The engine forgets transfers: then the disk says how it ended, for an upload that fails takes its disk with it. */
async function proveUploaded(engine: Engine, input: TransferOfRun, end: Awaited<ReturnType<typeof endTransfer>>): Promise<void> {
  const disk = end === 'finished_failure' ? undefined : await engine.getDisk(input.diskId);
  if (!disk) throw await failure(engine, input, 'ended badly, and the engine removed the disk');
  if (disk.status === 'illegal') throw new HoldfastError('disk.illegal', `The upload of disk ${disk.alias} (${disk.id}) is over, but the engine calls the disk illegal. Look at its events; the storage domain may be failing.`, { diskId: disk.id });
}
