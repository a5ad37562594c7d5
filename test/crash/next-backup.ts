// The next backup of a lane's VM, after a run that legitimately left something: it must complete and take away whatever was left. Its own
// backup is removed again, so that the cell's look finds only what should not be.
import { rm } from 'node:fs/promises';
import { checkpointRemoved } from './by-hand';
import { endOf } from './ending';
import type { Lane } from './lane';
import { backupsOf, manifestOf } from './outside';
import { plannedRun, type Method } from './runs';

/** `releases`: kinds that its warnings must name as released. */
export async function nextBackup(lane: Lane, method: Method, releases: readonly string[] = []): Promise<readonly string[]> {
  const before = await backupsOf(lane, lane.vm.id);
  const end = await endOf(await plannedRun(lane, { flow: 'backupVm', method }).start());
  const made = (await backupsOf(lane, lane.vm.id)).filter(({ backupId }) => !before.some((each) => each.backupId === backupId));
  for (const backup of made) {
    const checkpointId = (await manifestOf(backup)).checkpoint?.id;
    await rm(backup.directory, { recursive: true, force: true });
    if (checkpointId !== undefined) await checkpointRemoved(lane, checkpointId);
  }
  const unnamed = releases.filter((kind) => !end.warnings.some((warning) => warning.startsWith('released what an earlier run') && warning.includes(`had left: ${kind} `)));
  return [
    ...end.against({ outcome: 'completed' }).map((problem) => `the next backup of the VM: ${problem}`),
    ...unnamed.map((kind) => `the next backup of the VM does not say that it released the ${kind} (its warnings: ${end.warnings.join('; ') || 'none'})`),
  ];
}
