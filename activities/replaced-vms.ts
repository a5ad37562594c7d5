// The VM that a restore replaces, seen from the engine and the catalog: held, taken away with its disks left behind, and its disks removed
// once the new VM stands. Putting it back is in replaced-configurations.ts. Idempotency key: run and VM. Role control.
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import type { Engine } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';
import { gone, waitFor } from './waiting';

export interface ReplacedVmOfRun extends OfRun {
  readonly vmId: string;
}

export interface ReplacedVmActivities {
  /** Written before anything is done to the VM: itself, and those of its disks that are to go in the end. */
  holdReplacedVm(input: ReplacedVmOfRun & { readonly mark: string; readonly removedDiskIds: readonly string[] }): Promise<void>;
  /** Removes the VM and keeps every disk. `diskIds`: all that it may have; one more, and it is not the VM that was planned with. */
  removeReplacedVm(input: ReplacedVmOfRun & { readonly diskIds: readonly string[] }): Promise<void>;
  /** The VM is back, or its successor stands: nothing to put back any more. */
  releaseReplacedVm(input: ReplacedVmOfRun & { readonly fate: 'back' | 'replaced' }): Promise<void>;
  /** Refuses while the catalog does not say that the new VM stands. */
  removeReplacedDisk(input: OfRun & { readonly diskId: string }): Promise<void>;
}

export function createReplacedVmActivities({ engineOf, catalog }: ControlDependencies): ReplacedVmActivities {
  return {
    async holdReplacedVm({ engine, runId, vmId, mark, removedDiskIds }) {
      await catalog.hold({ holdingId: holdingId(runId, 'replaced-vm', vmId), runId, engine, kind: 'replaced-vm', vmId, objectId: vmId, mark });
      for (const diskId of removedDiskIds) await catalog.hold({ holdingId: holdingId(runId, 'replaced-disk', diskId), runId, engine, kind: 'replaced-disk', vmId, objectId: diskId, parentId: vmId, mark: diskId });
    },

    async removeReplacedVm({ engine: name, vmId, diskIds }) {
      const engine = engineOf(name);
      const vm = await engine.getVm(vmId);
      if (vm && vm.status !== 'image_locked') {
        if (vm.status !== 'down') throw new HoldfastError('engine.conflict', `VM ${vm.name} (${vmId}) is ${vm.statusText}: it was down when its replacement was planned. Shut it down and start again.`, { vmId });
        const attached = (await engine.listAttachments(vmId)).map(({ diskId }) => diskId);
        const added = attached.filter((diskId) => !diskIds.includes(diskId));
        if (added.length > 0) throw new HoldfastError('engine.conflict', `VM ${vm.name} (${vmId}) got disk ${added.join(', ')} after its replacement was planned. Start again.`, { vmId });
        await (vm.templateId === undefined ? engine.removeVm(vmId) : removeBare(engine, vmId, attached));
      }
      await waitFor(async () => ((await engine.getVm(vmId)) ? `VM ${vmId} is still being removed` : gone));
    },

    async releaseReplacedVm({ runId, vmId, fate }) {
      const held = (await catalog.listHoldings({ runId })).filter(({ kind, state }) => (state === 'held' || state === 'leftover') && kind === 'replaced-disk');
      if (fate === 'back') for (const disk of held) await catalog.releaseHolding(disk.holdingId, 'released');
      await catalog.releaseHolding(holdingId(runId, 'replaced-vm', vmId), 'released');
    },

    async removeReplacedDisk({ engine: name, runId, diskId }) {
      const engine = engineOf(name);
      const holdings = await catalog.listHoldings({ runId });
      const held = holdings.find(({ holdingId: id, state }) => id === holdingId(runId, 'replaced-disk', diskId) && (state === 'held' || state === 'leftover'));
      if (!held) return;
      if (!holdings.some(({ kind, state }) => kind === 'vm' && state === 'product')) throw new HoldfastError('engine.foreign', `Disk ${diskId} of the VM that was replaced is not removed: the catalog does not say that the new VM stands. The next run on the VM removes it.`, { diskId });
      if (await engine.getDisk(diskId)) {
        await engine.removeDisk(diskId);
        await waitFor(async () => ((await engine.getDisk(diskId)) ? `disk ${diskId} is still being removed` : gone));
      }
      await catalog.releaseHolding(held.holdingId, 'released');
    },
  };
}

/** The engine refuses detach_only for a VM from a template: so its disks are detached one by one, and it goes when it has none. */
async function removeBare(engine: Engine, vmId: string, attached: readonly string[]): Promise<void> {
  for (const diskId of attached) await engine.detachDisk(vmId, diskId);
  await waitFor(async () => ((await engine.listAttachments(vmId)).length > 0 ? `VM ${vmId} still has disks` : gone));
  await engine.removeVmWithoutDisks(vmId);
}
