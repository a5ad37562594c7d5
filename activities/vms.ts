// VMs: finding them, and starting or removing the one that a restore made. Idempotency key: the VM id. Role control.
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import { uuidSchema } from '../domain/ids';
import type { FindVmsInput, FindVmsOutput } from '../domain/flows/queries';
import type { Engine, Vm } from '../adapters/ovirt/port';
import type { ControlDependencies } from './dependencies';
import { gone, waitFor } from './waiting';

export interface VmActivities {
  findVmsOnEngine(input: FindVmsInput): Promise<FindVmsOutput>;
  startVm(input: { readonly engine: string; readonly vmId: string }): Promise<void>;
  /** Undo of a restore: removes the VM (never its disks) if it carries our mark; refuses any other. */
  removeRestoredVm(input: { readonly engine: string; readonly runId: string; readonly vmId: string; readonly mark: string }): Promise<void>;
}

export function createVmActivities({ engineOf, catalog }: ControlDependencies): VmActivities {
  return {
    async findVmsOnEngine({ engine: name, vms, search, page }) {
      const engine = engineOf(name);
      const found = vms.length > 0 ? await byNameOrId(engine, vms) : await allPages(engine, search, page.offset + page.limit + 1);
      const slice = found.slice(page.offset, page.offset + page.limit);
      return {
        vms: slice.map((vm) => ({ id: vm.id, name: vm.name, status: vm.statusText, ...(vm.clusterName === undefined ? {} : { cluster: vm.clusterName }) })),
        more: found.length > page.offset + page.limit,
      };
    },

    async startVm({ engine: name, vmId }) {
      const engine = engineOf(name);
      const vm = await engine.getVm(vmId);
      if (vm?.status === 'down') await engine.startVm(vmId);
      let left = false;
      await waitFor(async () => {
        const now = await engine.getVm(vmId);
        if (!now) throw new HoldfastError('vm.failed', `VM ${vmId} was to be started but is gone. Look at the engine's events for who removed it.`, { vmId });
        left ||= now.status !== 'down';
        if (left && now.status === 'down') throw new HoldfastError('vm.failed', `VM ${vmId} was started but went down again. Look at its events on the engine.`, { vmId });
        return now.status === 'up' ? now : `VM ${vmId} is ${now.statusText}`;
      });
    },

    async removeRestoredVm({ engine: name, runId, vmId, mark }) {
      const engine = engineOf(name);
      const vm = await engine.getVm(vmId);
      if (vm && vm.comment !== mark) throw new HoldfastError('engine.foreign', `VM ${vm.name} (${vmId}) does not carry the mark "${mark}" of this run, so it is not removed. Remove it by hand if it is a leftover.`, { vmId });
      if (vm) {
        // The protection that it was backed up with: as long as the restore is not done it protects nothing.
        if (vm.deleteProtected) await engine.changeVm({ vmId, deleteProtected: false });
        // A VM that is still being made is locked, and cannot be stopped: it will be down by itself.
        if (vm.status !== 'down' && vm.status !== 'image_locked') await engine.stopVm(vmId);
        await waitFor(async () => {
          const now = await engine.getVm(vmId);
          return !now || now.status === 'down' ? gone : `VM ${vmId} is still ${now.statusText}`;
        });
        await engine.removeVm(vmId);
        await waitFor(async () => ((await engine.getVm(vmId)) ? `VM ${vmId} is still being removed` : gone));
      }
      await catalog.releaseHolding(holdingId(runId, 'vm', vmId), 'released');
    },
  };
}

async function byNameOrId(engine: Engine, wanted: readonly string[]): Promise<readonly Vm[]> {
  const found = await Promise.all(wanted.map(async (each) => (uuidSchema.safeParse(each).success ? engine.getVm(each) : engine.findVmByName(each))));
  const missing = wanted.filter((_, index) => !found[index]);
  if (missing.length > 0) throw new HoldfastError('engine.not-found', `Engine ${engine.name} knows no VM ${missing.map((each) => `"${each}"`).join(', ')}. List what it has with: holdfast list vms`, { missing });
  return found.filter((vm) => vm !== undefined);
}

async function allPages(engine: Engine, search: string | undefined, wanted: number): Promise<readonly Vm[]> {
  const max = 100;
  const vms: Vm[] = [];
  for (let page = 1; vms.length < wanted; page += 1) {
    const next = await engine.listVms({ ...(search === undefined ? {} : { search }), max, page });
    vms.push(...next);
    if (next.length < max) break;
  }
  return vms;
}
