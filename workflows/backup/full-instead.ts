// When what was planned as an incremental backup turns out not to be one: what becomes of it, and why.
import { ApplicationFailure } from '@temporalio/workflow';
import type { ReadyVmBackup } from '../../activities/vm-backups';
import type { ChainReasonCode, Chosen, Removable } from '../../domain/chain';
import { fail, failureText, readFailure, wasCancelled } from '../failures';
import type { Backup } from './backup';

type KindChosen = Chosen & Removable;

/** Failures of the way that a full backup goes round: the engine, a host, or our own repository cannot say what changed. */
const reasons: Readonly<Record<string, readonly [ChainReasonCode, string]>> = {
  'backup.incremental-refused': ['checkpoint.refused', 'The engine does not go on from the checkpoint'],
  'imageio.no-changes': ['checkpoint.unusable', 'The host has no list of what changed since the checkpoint'],
  'transfer.failed': ['checkpoint.unusable', 'The engine could not transfer what changed since the checkpoint'],
  'chain.broken': ['base.damaged', 'The backup that this one was to lie on is damaged'],
  'repository.corrupt': ['base.damaged', 'The backup that this one was to lie on is damaged'],
};

/** Undefined: it stays a failure. */
export function fullInstead({ input, run }: Pick<Backup, 'input' | 'run'>, choice: KindChosen, error: unknown): KindChosen | undefined {
  const { code } = readFailure(error);
  const reason = Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  if (choice.kind === 'full' || !reason || insists(input)) return undefined;
  const [reasonCode, sentence] = reason;
  if (reasonCode === 'base.damaged') run.warn(`backup ${choice.baseBackupId ?? ''} cannot bear another one: ${failureText(error)}. Verify it: holdfast verify ${choice.baseBackupId ?? ''} --chain`);
  return asFull(choice, reasonCode, `${sentence}: ${failureText(error)}`);
}

/** The host's NBD server did not start (TransferDiskImageCommand; its sentence speaks of the ticket): a hybrid or cold backup finds out only then that the host has lost a disk's bitmap. */
const notPreparedEvent = 1068;

/** Not of any transfer that ended early: the checkpoint may be as good as ever, and the full backup fail for the same cause. */
export function hostHasLostBitmaps(error: unknown): boolean {
  const { code, details } = readFailure(error);
  return code === 'imageio.no-changes' || (code === 'transfer.failed' && details['eventCode'] === notPreparedEvent);
}

/** What went wrong first is mostly what is to be mended. */
export function ofFullInstead(error: unknown, { reason }: KindChosen): unknown {
  if (wasCancelled(error)) return error;
  const { code, message, details } = readFailure(error);
  const told = `${message} This was a full backup in the place of one that failed before: ${reason.text}`;
  return ApplicationFailure.create({ type: code, message: told, nonRetryable: true, details: [details], ...(error instanceof Error ? { cause: error } : {}) });
}

/** The engine decides the mode of each disk when the VM backup is ready; one without a single incremental disk stands alone. */
export function asFullBackup({ input }: Pick<Backup, 'input'>, choice: KindChosen, { disks }: Pick<ReadyVmBackup, 'disks'>): KindChosen {
  if (choice.kind === 'full') return choice;
  const engineFull = new Set(disks.filter(({ mode }) => mode === 'full').map(({ diskId }) => diskId));
  const decided = choice.disks.map((disk) => (disk.mode === 'incremental' && engineFull.has(disk.diskId) ? { ...disk, mode: 'full' as const, reason: { code: 'disk.engine-full' as const, text: `Disk ${disk.diskId} is read in full: the engine decided so.` } } : disk));
  const notes = [...choice.notes, ...decided.flatMap(({ reason }) => (reason?.code === 'disk.engine-full' ? [reason] : []))];
  if (decided.some(({ mode }) => mode === 'incremental')) return { ...choice, disks: decided, notes };
  const text = 'The engine reads every disk in full, although it was asked for what changed.';
  if (insists(input)) throw fail('backup.incremental-refused', `${text} The ${choice.kind} backup is insisted on, so none is made.`);
  return { ...asFull(choice, 'chain.nothing-tracked', text), notes };
}

const insists = ({ strict, kind }: Backup['input']): boolean => strict && kind !== 'auto';

/** What was worth knowing about the base is nothing to a backup that stands alone; why no newer one was taken still is. */
function asFull(choice: KindChosen, code: ChainReasonCode, text: string): KindChosen {
  const notes = choice.notes.filter((note) => !note.code.startsWith('disk.') && note.code !== 'checkpoint.others-between');
  return { ...choice, kind: 'full', removableCheckpointIds: choice.removableAfterFullIds, baseBackupId: null, fromCheckpointId: null, disks: choice.disks.map(({ diskId }) => ({ diskId, mode: 'full' })), reason: { code, text }, notes };
}
