// Virtual machines: find, read, create from a saved configuration, remove, start and stop.
import { HoldfastError } from '../../domain/failures';
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import type { Engine, Nic, Vm } from './port';
import { zeroUuid } from '../../domain/ids';
import { configurationSchema, listOf, parseAnswer, vmSchema, vmStatus, vmWithNicsSchema } from './wire';

type VmCalls = Pick<Engine, 'listVms' | 'getVm' | 'findVmByName' | 'listNics' | 'getVmConfiguration' | 'createVmFromConfiguration' | 'changeVm' | 'removeVm' | 'removeVmWithoutDisks' | 'startVm' | 'stopVm' | 'shutdownVm' | 'freezeVm' | 'thawVm'>;

const vmAnswer = vmSchema.transform(
  (vm): Vm => ({
    id: vm.id,
    name: vm.name,
    status: vmStatus.parse(vm.status),
    statusText: vm.status,
    comment: vm.comment,
    clusterId: vm.cluster.id,
    ...(vm.cluster.name === undefined ? {} : { clusterName: vm.cluster.name }),
    deleteProtected: vm.delete_protected,
    ...(vm.vm_pool === undefined ? {} : { poolId: vm.vm_pool.id }),
    ...(vm.template === undefined || vm.template.id === zeroUuid ? {} : { templateId: vm.template.id }),
    ...(vm.origin !== undefined && /^(managed_)?hosted_engine$/.test(vm.origin) ? { isHostedEngine: true } : {}),
  }),
);

export function vmCalls(engine: Connection): VmCalls {
  const act = async (vmId: string, action: 'start' | 'stop' | 'shutdown' | 'freezefilesystems' | 'thawfilesystems', what = `the ${action}`): Promise<void> => {
    await engine.call({ method: 'POST', path: pathOf('vms', vmId, action), body: {}, what: `${what} of VM ${vmId}` });
  };
  const listVms: Engine['listVms'] = async ({ search, max, page }) => {
    const what = search === undefined ? 'listing VMs' : `listing VMs by "${search}"`;
    const path = pathOf('vms') + queryOf({ search: searchPage(search, page), max: String(max) });
    const { body } = await engine.call({ method: 'GET', path, what });
    return parseAnswer(listOf('vm', vmAnswer), body, what, engine.engineName);
  };
  return {
    listVms,
    findVmByName: (name) => findByName(listVms, name, engine.engineName),
    async getVm(vmId) {
      const what = `reading VM ${vmId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('vms', vmId), what }));
      return answer && parseAnswer(vmAnswer, answer.body, what, engine.engineName);
    },
    async listNics() {
      const found: Nic[] = [];
      const max = 100;
      for (let page = 1, full = true; full; page += 1) {
        const what = `listing the NICs of all VMs, page ${page}`;
        const path = pathOf('vms') + queryOf({ search: searchPage(undefined, page), max: String(max), follow: 'nics' });
        const { body } = await engine.call({ method: 'GET', path, what });
        const vms = parseAnswer(listOf('vm', vmWithNicsSchema), body, what, engine.engineName);
        for (const vm of vms) found.push(...(vm.nics?.nic ?? []).map(({ mac }) => ({ vmId: vm.id, vmName: vm.name, clusterId: vm.cluster.id, mac: mac?.address ?? '' })));
        full = vms.length === max;
      }
      return found;
    },
    async getVmConfiguration(vmId) {
      const what = `reading the configuration of VM ${vmId}`;
      const path = pathOf('vms', vmId) + queryOf({ all_content: 'true' });
      const { body } = await engine.call({ method: 'GET', path, headers: { 'all-content': 'true' }, what });
      return parseAnswer(configurationSchema, body, what, engine.engineName).initialization.configuration.data;
    },
    async createVmFromConfiguration({ name, clusterId, comment, ovf }) {
      const what = `creating VM "${name}" from its configuration`;
      // No `id` (links inside the OVF would keep the old one) and no `regenerate_ids` (disks would be attached to the VM that
      // the OVF names): the caller's rewritten OVF has fresh ids and no disks (domain/ovf).
      const body = { name, comment, cluster: { id: clusterId }, initialization: { configuration: { type: 'ovf', data: ovf } } };
      const answer = await engine.call({ method: 'POST', path: pathOf('vms'), body, what });
      return parseAnswer(vmAnswer, answer.body, what, engine.engineName);
    },
    async changeVm({ vmId, comment, deleteProtected }) {
      const body = { ...(comment === undefined ? {} : { comment }), ...(deleteProtected === undefined ? {} : { delete_protected: String(deleteProtected) }) };
      await engine.call({ method: 'PUT', path: pathOf('vms', vmId), body, what: `changing VM ${vmId}` });
    },
    async removeVm(vmId) {
      const path = pathOf('vms', vmId) + queryOf({ detach_only: 'true' });
      await unlessAbsent(engine.call({ method: 'DELETE', path, what: `removing VM ${vmId}` }));
    },
    async removeVmWithoutDisks(vmId) {
      await unlessAbsent(engine.call({ method: 'DELETE', path: pathOf('vms', vmId), what: `removing VM ${vmId}, which has no disks` }));
    },
    startVm: (vmId) => act(vmId, 'start'),
    stopVm: (vmId) => act(vmId, 'stop'),
    shutdownVm: (vmId) => act(vmId, 'shutdown'),
    freezeVm: (vmId) => act(vmId, 'freezefilesystems', 'freezing the file systems'),
    thawVm: (vmId) => act(vmId, 'thawfilesystems', 'thawing the file systems'),
  };
}

/** The page is part of the search text; the engine documents paging only together with `sortby`. */
function searchPage(search: string | undefined, page: number): string {
  const wanted = search?.trim() ?? '';
  if (/\bpage\s+\d+\s*$/i.test(wanted)) {
    throw new HoldfastError('input.invalid', `Leave the page out of the search "${wanted}": results are paged by themselves.`);
  }
  return `${sorted(wanted)} page ${page}`.trimStart();
}

/** Only a direction may stand between `sortby` and `page` (SyntaxChecker), and a search that is none finds nothing, without a word. */
function sorted(search: string): string {
  if (!/\bsortby\b/i.test(search)) return `${search} sortby name asc`;
  return /\bsortby\s+\S+$/i.test(search) ? `${search} asc` : search;
}

/** A search ignores case and knows wildcards: the exact name is picked from its results. */
async function findByName(listVms: Engine['listVms'], name: string, engineName: string): Promise<Vm | undefined> {
  if (name === '' || name.includes('"')) return undefined;
  const max = 100;
  const found: Vm[] = [];
  for (let page = 1, full = true; full; page += 1) {
    const vms = await listVms({ search: `name=${/^[\w.-]+$/.test(name) ? name : `"${name}"`}`, max, page });
    found.push(...vms.filter((vm) => vm.name === name));
    full = vms.length === max;
  }
  if (found.length > 1) {
    throw new HoldfastError('engine.conflict', `Engine "${engineName}" has ${found.length} VMs named "${name}" (${found.map((vm) => vm.id).join(', ')}): name the VM by its id.`, { engine: engineName, name });
  }
  return found[0];
}
