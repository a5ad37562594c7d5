// Checkpoints that no chain needs any more go when the new backup is sealed and the engine is done with it: never before, but for those that
// are of no use to anybody, and never one that is not ours (domain/chain/removable-checkpoints).
import { patched } from '@temporalio/workflow';
import type { Removable } from '../../domain/chain';
import { failureText, wasCancelled } from '../failures';
import { unusableCheckpointsFirst } from '../patches';
import type { Backup } from './backup';

/** Oldest first, as planning named them. Without a new one, chains still go on from the old ones. */
export async function checkpointsRemoved(backup: Backup, checkpointIds: readonly string[], newCheckpointId: string | null): Promise<void> {
  if (newCheckpointId !== null) await eachRemoved(backup, checkpointIds, newCheckpointId);
}

/**
 * Before the full backup that takes the place of one for which a host had lost the bitmaps. To remove a checkpoint of a running VM, the engine redefines it
 * on the host, and where that fails for a lost bitmap, all checkpoints of the VM go (event 10791): the new one would, too, and the chain with it.
 */
export async function unusableCheckpointsRemoved<Choice extends Removable>(backup: Backup, choice: Choice): Promise<Choice> {
  if (!patched(unusableCheckpointsFirst)) return choice;
  await eachRemoved(backup, choice.removableCheckpointIds);
  return { ...choice, removableCheckpointIds: [] };
}

/** What does not go is a warning; the next backup tries again. */
async function eachRemoved({ input, run, proxies, settings }: Backup, checkpointIds: readonly string[], insteadId?: string): Promise<void> {
  // The engine removes none while a backup of the VM is open.
  if (run.leftovers.some(({ kind }) => kind === 'vm-backup')) return;
  const { engine, vmId } = input;
  for (const checkpointId of checkpointIds) {
    try {
      await proxies.waiting(settings.deadlines.attachSeconds).removeCheckpoint({ engine, runId: run.runId, vmId, checkpointId, insteadId });
    } catch (error) {
      if (wasCancelled(error)) throw error;
      run.warn(`checkpoint ${checkpointId}, which no backup needs any more, was not removed, and the next backup of the VM tries again: ${failureText(error)}`);
    }
  }
}
