// The disks of a restore, made under ids of our choice. Filling them is the method's: by-appliance and by-transfer.
import type { ArmedUndo } from '../compensation';
import type { Restore, RestorePlan } from './restore';

export async function disksCreated({ input, run, proxies, settings, lockedVmId }: Restore, { disks }: RestorePlan): Promise<readonly ArmedUndo[]> {
  run.enter('disks');
  const made: ArmedUndo[] = [];
  for (const { source, diskId, storageDomainId } of disks) {
    const of = { engine: input.engine, runId: run.runId, diskId };
    made.push(run.undo.push({ name: `remove the new disk ${source.alias}`, leftover: { kind: 'disk', objectId: diskId, mark: diskId }, run: () => proxies.undo.removeDisk(of) }));
    await proxies.waiting(settings.deadlines.attachSeconds).createDisk({ ...of, settings: source, storageDomainId, lockedVmId });
  }
  return made;
}
