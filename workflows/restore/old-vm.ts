// `replace`: the VM that is there goes, with its disks kept, only when the new disks are proven; its configuration lies in the repository
// until the new VM stands. Only then do its disks go. What fails before that puts it back.
import { replacedMark } from '../../domain/ids';
import type { ArmedUndo } from '../compensation';
import type { Restore, RestorePlan } from './restore';

export async function oldVmTakenAway({ input, run, proxies, settings, vmId, mark }: Restore, { old }: RestorePlan): Promise<readonly ArmedUndo[]> {
  if (!old) return [];
  run.enter('replace');
  const { engine, repository } = input;
  const of = { engine, runId: run.runId, vmId };
  const removedDiskIds = old.removed.map(({ diskId }) => diskId);
  const back = run.undo.push({
    name: `put the old VM ${old.name} back`,
    leftover: { kind: 'replaced-vm', objectId: vmId, mark: replacedMark(repository, run.runId) },
    run: async () => {
      await proxies.moverLong(repository).putBackReplacedVm({ ...of, repository, mark });
      await proxies.undo.releaseReplacedVm({ ...of, fate: 'back' });
    },
  });
  await proxies.control.holdReplacedVm({ ...of, mark: replacedMark(repository, run.runId), removedDiskIds });
  await proxies.mover(repository).saveReplacedVm({ ...of, repository });
  await proxies.waiting(settings.deadlines.attachSeconds).removeReplacedVm({ ...of, diskIds: [...removedDiskIds, ...old.kept.map(({ diskId }) => diskId)] });
  return [back];
}

/** From here on the new VM stands: what does not go is a leftover, and no reason to fail. Gives the disks that are gone. */
export async function oldDisksGone({ input, run, proxies, vmId }: Restore, { old }: RestorePlan): Promise<string[]> {
  run.enter('cleanup');
  const { engine, repository } = input;
  const of = { engine, runId: run.runId };
  if (old) {
    run.undo.push({
      name: `forget the configuration of the old VM ${old.name}`,
      leftover: { kind: 'replaced-vm', objectId: vmId, mark: replacedMark(repository, run.runId) },
      run: async () => {
        await proxies.moverLong(repository).dropReplacedVm({ ...of, repository, vmId });
        await proxies.undo.releaseReplacedVm({ ...of, vmId, fate: 'replaced' });
      },
    });
  }
  for (const { diskId, alias } of old?.removed ?? []) {
    run.undo.push({ name: `remove the old disk ${alias}`, leftover: { kind: 'replaced-disk', objectId: diskId, mark: diskId }, run: () => proxies.undo.removeReplacedDisk({ ...of, diskId }) });
  }
  await run.cleanUp();
  return (old?.removed ?? []).map(({ diskId }) => diskId).filter((diskId) => !run.leftovers.some(({ objectId }) => objectId === diskId));
}
