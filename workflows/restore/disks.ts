// The disks of a restore, made under ids of our choice. Filling them is the method's: by-appliance and by-transfer.
import type { ArmedUndo } from '../compensation';
import type { Restore, RestoredDisk, RestorePlan } from './restore';

export async function disksCreated(restore: Restore, { disks }: RestorePlan): Promise<readonly ArmedUndo[]> {
  const { input, run, proxies } = restore;
  run.enter('disks');
  const made: ArmedUndo[] = [];
  for (const disk of disks) {
    const { source, diskId } = disk;
    const of = { engine: input.engine, runId: run.runId, diskId };
    made.push(run.undo.push({ name: `remove the new disk ${source.alias}`, leftover: { kind: 'disk', objectId: diskId, mark: diskId }, run: () => proxies.undo.removeDisk(of) }));
    await diskCreated(restore, disk);
  }
  return made;
}

/** Its undo is on the run's stack. */
export async function diskCreated({ input, run, proxies, settings, lockedVmId }: Restore, { source, diskId, storageDomainId }: RestoredDisk): Promise<void> {
  await proxies.waiting(settings.deadlines.attachSeconds).createDisk({ engine: input.engine, runId: run.runId, diskId, settings: source, storageDomainId, lockedVmId });
}
