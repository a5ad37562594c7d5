// Checkpoints that no chain needs any more go when the new backup is sealed and the engine is done with it: never before, and never one that
// is not ours (domain/chain/removable-checkpoints).
import { failureText } from '../failures';
import type { Backup } from './backup';

/** Oldest first, as planning named them. Without a new one, chains still go on from the old ones. What does not go is a warning; the next backup tries again. */
export async function checkpointsRemoved({ input, run, proxies, settings }: Backup, checkpointIds: readonly string[], newCheckpointId: string | null): Promise<void> {
  if (newCheckpointId === null) return;
  // The engine removes none while a backup of the VM is open.
  if (run.leftovers.some(({ kind }) => kind === 'vm-backup')) return;
  const { engine, vmId } = input;
  for (const checkpointId of checkpointIds) {
    try {
      await proxies.waiting(settings.deadlines.attachSeconds).removeCheckpoint({ engine, runId: run.runId, vmId, checkpointId, insteadId: newCheckpointId });
    } catch (error) {
      run.warn(`checkpoint ${checkpointId}, which no backup needs any more, was not removed, and the next backup of the VM tries again: ${failureText(error)}`);
    }
  }
}
