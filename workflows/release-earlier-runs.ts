// A run that was terminated (not cancelled) undid nothing. With the VM's lock in hand its holdings have no owner: the next run on the VM
// releases them before anything else, puts back or finishes a replacement, drops a half-written backup, and closes the run.
import type { EarlierRun } from '../activities/runs';
import type { EarlierHolding } from '../domain/holdings';
import { backupIdInMark, readTransferMark, vmMark } from '../domain/ids';
import { fail, failureText, wasCancelled } from './failures';
import type { FlowRun } from './flow-run';
import { ifServed } from './planning';
import type { Proxies } from './proxies';

/**
 * A guest that stands still first of all. Attachments before the snapshots and disks they hold on to; transfers before the VM backup or the disks that they read or write; a new VM
 * before the old one whose id it has, and before its disks.
 */
const order = ['freeze', 'attachment', 'transfer', 'vm-backup', 'checkpoint', 'snapshot', 'vm', 'replaced-vm', 'disk', 'replaced-disk'] as const;

export async function releaseEarlierRuns(run: FlowRun, proxies: Proxies, engine: string, vmId: string): Promise<void> {
  const of = { engine, vmId, runId: run.runId };
  const holdings = await proxies.control.listEarlierHoldings(of);
  for (const runId of new Set(holdings.filter(({ committed }) => committed).map((holding) => holding.runId))) {
    await told(run, runId, 'its restored VM unmarked as a product', async () => {
      await proxies.undo.keepProducts({ runId });
      return `an earlier run (${runId}) was cut when its restored VM stood already: the VM is kept`;
    });
  }
  for (const kind of order) {
    for (const holding of holdings.filter((each) => each.kind === kind && !isSettled(each, holdings))) {
      const what = holding.mark.startsWith(holding.kind) ? holding.mark : `${holding.kind} ${holding.mark}`;
      await told(run, holding.runId, what, async () => {
        await release(proxies, holding, holdings);
        await proxies.undo.forgetLeftover({ runId: holding.runId, kind, mark: holding.mark });
        return `${holding.kind === 'replaced-vm' && !holding.committed ? 'put back' : 'released'} what an earlier run (${holding.runId}) had left: ${what}`;
      });
    }
  }
  for (const earlier of await proxies.control.listEarlierRuns(of)) {
    await told(run, earlier.runId, 'its run open', async () => closeEarlier(proxies, engine, vmId, earlier));
  }
}

/** Products of a restore that stands; disks of a VM that is put back, and a checkpoint of a VM backup that is ended, which are released with those. */
function isSettled({ kind, committed, runId }: EarlierHolding, all: readonly EarlierHolding[]): boolean {
  if (kind === 'checkpoint') return all.some((other) => other.kind === 'vm-backup' && other.runId === runId);
  return committed ? kind === 'vm' || kind === 'disk' : kind === 'replaced-disk';
}

/** What cannot be released now is no reason to make no backup: it is a warning, and stays what it was. */
async function told(run: FlowRun, earlierRunId: string, what: string, work: () => Promise<string>): Promise<void> {
  try {
    run.warn(await work());
  } catch (error) {
    if (wasCancelled(error)) throw error;
    run.warn(`an earlier run (${earlierRunId}) left ${what}, and it could not be released: ${failureText(error)}`);
  }
}

async function release(proxies: Proxies, holding: EarlierHolding, all: readonly EarlierHolding[]): Promise<unknown> {
  const { kind, engine, runId, vmId, objectId, parentId, snapshotId, mark, holdingId } = holding;
  if (kind === 'freeze' && vmId) return proxies.thawing.ensureThawed({ engine, runId, vmId });
  if (kind === 'replaced-vm') return releaseReplaced(proxies, holding);
  if (kind === 'attachment' && objectId && parentId) return proxies.undo.detachDisk({ engine, runId, toVmId: parentId, diskId: objectId, snapshotId });
  if (kind === 'transfer') return releaseTransfer(proxies, holding, all);
  if (kind === 'vm-backup' && vmId) return proxies.undo.ensureVmBackupEnded({ engine, runId, vmId, vmBackupKey: keyIn(holdingId), description: mark, diskIds: [], keepCheckpoint: await isSealed(proxies, holding) });
  if (kind === 'checkpoint' && objectId && vmId) return proxies.undo.removeCheckpoint({ engine, runId, vmId, checkpointId: objectId });
  if (kind === 'snapshot' && vmId) return proxies.undo.ensureSnapshotGone({ engine, runId, vmId, mark, backupId: keyIn(holdingId) });
  if (kind === 'vm' && objectId) return proxies.undo.removeRestoredVm({ engine, runId, vmId: objectId, mark });
  if (kind === 'disk' && objectId) return proxies.undo.removeDisk({ engine, runId, diskId: objectId });
  if (kind === 'replaced-disk' && objectId) return proxies.undo.removeReplacedDisk({ engine, runId, diskId: objectId });
  return undefined;
}

/** Only a run that backs up has a VM backup, and only it reads. */
async function releaseTransfer(proxies: Proxies, { engine, runId, vmId, mark }: EarlierHolding, all: readonly EarlierHolding[]): Promise<void> {
  const of = readTransferMark(mark);
  if (!of) throw fail('engine.foreign', `The mark "${mark}" of run ${runId} names no transfer of ours.`);
  const direction = all.some((other) => other.kind === 'vm-backup' && other.runId === runId) ? 'download' : 'upload';
  await proxies.undo.ensureTransferEnded({ ...of, engine, runId, vmId, direction, outcome: 'cancel' });
}

/**
 * From the checkpoint of a sealed backup the next one goes on; that of a half-written backup, which is dropped on the way as it is below, is
 * good for nothing. Where nobody can tell, it stays.
 */
async function isSealed(proxies: Proxies, { engine, runId, vmId, repository, mark }: EarlierHolding): Promise<boolean> {
  const backupId = backupIdInMark(mark);
  if (!backupId || !vmId || !repository) return true;
  const fate = await ifServed(() => proxies.mover(repository).dropPartialBackup({ engine, runId, repository, vmId, backupId }));
  return fate?.answer !== 'dropped';
}

const keyIn = (holdingId: string): string => holdingId.split('/').at(-1) ?? '';

async function releaseReplaced(proxies: Proxies, { engine, runId, objectId, repository, committed }: EarlierHolding): Promise<void> {
  if (!objectId || !repository) throw fail('repository.unknown', `The catalog does not say in which repository run ${runId} saved the VM that it replaced.`);
  const of = { engine, runId, vmId: objectId };
  if (committed) await proxies.moverLong(repository).dropReplacedVm({ ...of, repository });
  else await proxies.moverLong(repository).putBackReplacedVm({ ...of, repository, mark: vmMark(runId) });
  await proxies.undo.releaseReplacedVm({ ...of, fate: committed ? 'replaced' : 'back' });
}

async function closeEarlier(proxies: Proxies, engine: string, vmId: string, { runId, workflowType, backupId, repository }: EarlierRun): Promise<string> {
  const failure = { code: 'run.terminated', message: 'the run was terminated from outside; the next run on its VM released what it held' };
  const isBackup = workflowType === 'backupVm';
  const fate = isBackup && backupId && repository ? await proxies.mover(repository).dropPartialBackup({ engine, runId, repository, vmId, backupId }) : 'dropped';
  if (fate === 'sealed' && backupId && repository) await proxies.control.indexBackup((await proxies.mover(repository).readBackup({ engine, runId, repository, backupId })).backup);
  await proxies.undo.closeRun({ runId, engine, vmId, outcome: 'failed', failure, warnings: [], leftovers: [] });
  if (!isBackup) return `an earlier run (${runId}) of ${workflowType} was terminated`;
  return fate === 'sealed' ? `an earlier run (${runId}) was terminated after its backup ${backupId ?? ''} was sealed: the backup is kept` : `an earlier run (${runId}) was terminated: its partial backup is dropped`;
}
