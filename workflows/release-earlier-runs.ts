// A run that was terminated (not cancelled) undid nothing. With the VM's lock in hand its holdings have no owner: the next run on the VM
// releases them before anything else.
import type { Holding } from '../domain/holdings';
import { failureText, wasCancelled } from './failures';
import type { FlowRun } from './flow-run';
import type { Proxies } from './proxies';

/** All that a flow on an existing VM holds; attachments before the snapshots they hold on to. */
const order = ['attachment', 'snapshot'] as const;

export async function releaseEarlierRuns(run: FlowRun, proxies: Proxies, engine: string, vmId: string): Promise<void> {
  const holdings = await proxies.control.listEarlierHoldings({ engine, vmId, runId: run.runId });
  for (const kind of order) {
    for (const holding of holdings.filter((each) => each.kind === kind)) {
      try {
        await release(proxies, holding);
        await proxies.undo.forgetLeftover({ runId: holding.runId, kind, mark: holding.mark });
        run.warn(`released what an earlier run (${holding.runId}) had left: ${holding.kind} ${holding.mark}`);
      } catch (error) {
        if (wasCancelled(error)) throw error;
        run.warn(`an earlier run (${holding.runId}) left ${holding.kind} ${holding.mark}, and it could not be released: ${failureText(error)}`);
      }
    }
  }
}

async function release(proxies: Proxies, { kind, engine, runId, vmId, objectId, parentId, snapshotId, mark, holdingId }: Holding): Promise<void> {
  if (kind === 'attachment' && objectId && parentId) return proxies.undo.detachDisk({ engine, runId, toVmId: parentId, diskId: objectId, snapshotId });
  if (kind === 'snapshot' && vmId) return proxies.undo.ensureSnapshotGone({ engine, runId, vmId, mark, backupId: holdingId.split('/').at(-1) ?? '' });
  return undefined;
}
