// verifyBackup: reads a sealed backup again, through the chain that it lies on, and compares every block with its digest; with `chain` each
// backup below it, too. It holds nothing and changes nothing but the catalog, which remembers the outcome. What is not as it was sealed does not
// end the run before the rest has been looked at: whoever has to choose another backup wants to know all of it.
import { verifyBackupInputSchema, type VerifiedBackup, type VerifyBackupInput, type VerifyBackupOutput, type VerifyBackupRequest } from '../domain/flows/verify-backup';
import type { FailureCode } from '../domain/failures';
import type { RunSettings } from '../domain/flows/settings';
import { workflowIds } from '../domain/ids';
import type { BackupContents } from '../activities/repository';
import { fail, failureText, parseInput, readFailure, refuse, requireWorkflowId, wasCancelled } from './failures';
import type { FlowRun } from './flow-run';
import { inRun } from './in-run';
import { inParallel } from './in-parallel';
import { ifServed, noMoverWorker } from './planning';
import type { Proxies } from './proxies';

interface Verification {
  readonly input: VerifyBackupInput;
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
}

type Failure = NonNullable<VerifiedBackup['failure']>;

export async function verifyBackup(request: VerifyBackupRequest): Promise<VerifyBackupOutput> {
  const input = parseInput(verifyBackupInputSchema, request);
  requireWorkflowId(workflowIds.verify(input.backupId));
  return inRun({ ...input, kind: 'verify' }, async (run, proxies, settings) => {
    const verification: Verification = { input, run, proxies, settings };
    const named = await namedRead(verification);
    const readFromMs = Date.now();
    const backups = await eachReread(verification, named);
    const readBytes = backups.flatMap(({ disks }) => disks).reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    refuseWhatFailed(named, backups);
    run.made(`Backup ${input.backupId} is what was sealed${backups.length > 1 ? `, and so are the ${backups.length - 1} that it lies on` : ''}.`);
    return {
      runId: run.runId,
      backupId: input.backupId,
      vmName: vmOf(named).vmName ?? '',
      backups: [...backups],
      seconds: (Date.now() - run.startedAtMs) / 1000,
      bytesPerSecond: Math.round(readBytes / Math.max((Date.now() - readFromMs) / 1000, 0.001)),
      warnings: [...run.warnings],
      leftovers: [...run.leftovers],
    };
  });
}

/** A backup as far as it can be read: what it holds, or what is wrong with the whole of it. */
type Readable = { readonly contents: BackupContents } | { readonly backupId: string; readonly failure: Failure };

const vmOf = (named: Readable): { readonly vmId?: string; readonly vmName?: string } => ('contents' in named ? { vmId: named.contents.backup.vmId, vmName: named.contents.backup.vmName } : {});

const notThere: readonly string[] = ['backup.not-found', 'backup.not-sealed'] satisfies FailureCode[];

/** A backup that is not there, or never was one, is no verification that failed: the request is wrong. */
async function namedRead(verification: Verification): Promise<Readable> {
  const { input: { engine, repository, backupId }, run, proxies } = verification;
  const served = await ifServed(() => backupRead(verification, backupId));
  if (!served) refuse(`The verification of backup ${backupId}`, [noMoverWorker(repository)]);
  if (!served) throw new Error('nobody read the backup, and that was no reason');
  const { answer } = served;
  if ('failure' in answer && notThere.includes(answer.failure.code)) throw fail(answer.failure.code as FailureCode, answer.failure.message);
  const { vmName } = vmOf(answer);
  if (vmName === undefined) return answer;
  run.name(vmName);
  await proxies.control.nameRun({ engine, runId: run.runId, vmName });
  return answer;
}

async function backupRead({ input: { engine, repository }, run, proxies }: Verification, backupId: string): Promise<Readable> {
  const read = await orFailure(() => proxies.mover(repository).readBackup({ engine, runId: run.runId, repository, backupId }));
  return 'failure' in read ? { backupId, failure: read.failure } : { contents: read.answer };
}

/** One that is not there any more is a fault of the chain, and no mistake of the caller's. */
async function belowRead(verification: Verification, backupId: string): Promise<Readable> {
  const read = await backupRead(verification, backupId);
  return 'failure' in read && notThere.includes(read.failure.code) ? { backupId, failure: { ...read.failure, code: 'chain.broken' satisfies FailureCode } } : read;
}

/** The named one first, then what it lies on; each is recorded as soon as it is known. */
async function eachReread(verification: Verification, named: Readable): Promise<readonly VerifiedBackup[]> {
  const { input, run } = verification;
  const verified: VerifiedBackup[] = [];
  for (let next: Readable | undefined = named; next; ) {
    run.enter('verify');
    const now: Readable = next;
    const result = 'contents' in now ? await reread(verification, now.contents) : missing(now);
    await recorded(verification, named, result);
    verified.push(result);
    const baseBackupId: string | null = 'contents' in now ? now.contents.backup.baseBackupId : null;
    next = input.chain && baseBackupId !== null ? await belowRead(verification, baseBackupId) : undefined;
  }
  return verified;
}

const missing = ({ backupId, failure }: Extract<Readable, { failure: Failure }>): VerifiedBackup => ({ backupId, kind: null, outcome: 'failed', failure, disks: [] });

async function reread({ input, run, proxies, settings }: Verification, { backup, disks }: BackupContents): Promise<VerifiedBackup> {
  const { engine, repository } = input;
  const { backupId, vmId, kind } = backup;
  const of = { engine, runId: run.runId, repository, vmId, backupId };
  // Below the named one names alone would say nothing: a disk has the same in each backup of the chain.
  run.setDisks(disks.map((disk) => (backupId === input.backupId ? disk : { ...disk, alias: `${disk.alias} in ${backupId}` })));
  const reasons = await proxies.moverLong(repository).checkChain(of);
  if (reasons.length > 0) return { backupId, kind, outcome: 'failed', failure: { code: 'chain.broken', message: reasons.map(({ text }) => text).join(' ') }, disks: [] };
  const read = await inParallel(disks, settings.disksAtOnce, async ({ diskId, alias, virtualBytes }) => {
    const result = await orFailure(() =>
      run.copy({ diskId }, (bandwidthBytesPerSecond) => {
        run.setDisk(diskId, { state: 'proving' });
        return proxies.moverCopies(repository).verifyDisk({ ...of, diskId, virtualBytes, bandwidthBytesPerSecond, from: run.durablePosition(diskId) });
      }),
    );
    if ('failure' in result) return { diskId, alias, virtualBytes, dataBytes: 0, root: null, failure: result.failure };
    const { root, dataBytes } = result.answer;
    run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes, dataBytes });
    return { diskId, alias, virtualBytes, dataBytes, root, failure: null };
  });
  return { backupId, kind, outcome: read.some(({ failure }) => failure) ? 'failed' : 'passed', failure: null, disks: read };
}

/** What says that the backup is bad; anything else says that it could not be read now. */
const findings: readonly FailureCode[] = ['digest.mismatch', 'repository.corrupt', 'chain.broken', 'backup.not-found', 'backup.not-sealed'];

async function orFailure<T>(question: () => Promise<T>): Promise<{ readonly answer: T } | { readonly failure: Failure }> {
  try {
    return { answer: await question() };
  } catch (error) {
    const { code, message } = readFailure(error);
    if (wasCancelled(error) || !findings.includes(code as FailureCode)) throw error;
    return { failure: { code, message } };
  }
}

const firstFailure = ({ failure, disks }: VerifiedBackup): Failure | null => failure ?? disks.find((disk) => disk.failure)?.failure ?? null;

/** Everything was read: a catalog that does not take it costs a warning. */
async function recorded({ input: { engine, repository }, run, proxies }: Verification, named: Readable, verified: VerifiedBackup): Promise<void> {
  const dataBytes = verified.disks.reduce((sum, disk) => sum + disk.dataBytes, 0);
  try {
    await proxies.control.recordVerification({ engine, runId: run.runId, repository, backupId: verified.backupId, ...vmOf(named), dataBytes, failure: firstFailure(verified) });
  } catch (error) {
    if (wasCancelled(error)) throw error;
    run.warn(`the verification of backup ${verified.backupId} (${verified.outcome}) is missing in the catalog: ${failureText(error)}`);
  }
}

function refuseWhatFailed(named: Readable, backups: readonly VerifiedBackup[]): void {
  const failed = backups.filter(({ outcome }) => outcome === 'failed');
  const [first] = failed;
  const failure = first && firstFailure(first);
  if (!failure) return;
  const told = failed.map(({ backupId, failure: whole, disks }) => `backup ${backupId}: ${[...(whole ? [whole.message] : []), ...disks.flatMap((disk) => (disk.failure ? [`disk ${disk.alias}: ${disk.failure.message}`] : []))].join('; ')}`);
  const { vmName } = vmOf(named);
  const count = failed.length === 1 ? 'A backup' : `${failed.length} backups`;
  throw fail(failure.code as FailureCode, `${count}${vmName === undefined ? '' : ` of VM ${vmName}`} ${failed.length === 1 ? 'is' : 'are'} not what was sealed. ${told.join(' · ')} · Restore from another one.`, { backups });
}
