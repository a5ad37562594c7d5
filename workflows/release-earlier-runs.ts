// A run that was terminated (not cancelled) undid nothing. With the VM's lock in hand its holdings have no owner: the next run on the VM
// releases them before anything else, drops its half-written backup, and closes it.
import type { EarlierRun } from '../activities/runs';
import type { Holding } from '../domain/holdings';
import { failureText, wasCancelled } from './failures';
import type { FlowRun } from './flow-run';
import type { Proxies } from './proxies';

/** All that a flow on an existing VM holds; attachments before the snapshots they hold on to. */
const order = ['attachment', 'snapshot'] as const;

export async function releaseEarlierRuns(run: FlowRun, proxies: Proxies, engine: string, vmId: string): Promise<void> {
  const of = { engine, vmId, runId: run.runId };
  const holdings = await proxies.control.listEarlierHoldings(of);
  for (const kind of order) {
    for (const holding of holdings.filter((each) => each.kind === kind)) {
      await told(run, holding.runId, `${holding.kind} ${holding.mark}`, async () => {
        await release(proxies, holding);
        await proxies.undo.forgetLeftover({ runId: holding.runId, kind, mark: holding.mark });
        return `released what an earlier run (${holding.runId}) had left: ${holding.kind} ${holding.mark}`;
      });
    }
  }
  for (const earlier of await proxies.control.listEarlierRuns(of)) {
    await told(run, earlier.runId, 'its run open', async () => closeEarlier(proxies, engine, vmId, earlier));
  }
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

async function release(proxies: Proxies, { kind, engine, runId, vmId, objectId, parentId, snapshotId, mark, holdingId }: Holding): Promise<void> {
  if (kind === 'attachment' && objectId && parentId) return proxies.undo.detachDisk({ engine, runId, toVmId: parentId, diskId: objectId, snapshotId });
  if (kind === 'snapshot' && vmId) return proxies.undo.ensureSnapshotGone({ engine, runId, vmId, mark, backupId: holdingId.split('/').at(-1) ?? '' });
  return undefined;
}

async function closeEarlier(proxies: Proxies, engine: string, vmId: string, { runId, backupId, repository }: EarlierRun): Promise<string> {
  const fate = backupId && repository ? await proxies.mover(repository).dropPartialBackup({ engine, runId, repository, vmId, backupId }) : 'dropped';
  if (fate === 'sealed' && backupId && repository) await proxies.control.indexBackup((await proxies.mover(repository).readBackup({ engine, runId, repository, backupId })).backup);
  const failure = { code: 'run.terminated', message: 'the run was terminated from outside; the next run on its VM released what it held' };
  await proxies.undo.closeRun({ runId, engine, vmId, outcome: 'failed', failure, warnings: [], leftovers: [] });
  return fate === 'sealed' ? `an earlier run (${runId}) was terminated after its backup ${backupId ?? ''} was sealed: the backup is kept` : `an earlier run (${runId}) was terminated: its partial backup is dropped`;
}
