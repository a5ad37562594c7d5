// Creates VMs: from Blank or another template, and from a saved configuration (an OVF) whose disks are attached by their ids.
// The order of checks and what becomes of broken OVFs follow engine-rules.md sections 6 and 7 and ovf.md section 6.
import { thePlace, placesOf, type Context } from '../context';
import { newId, type Actor } from '../events';
import { HttpFault } from '../faults';
import { blankDevices } from '../ovf/hardware';
import { OvfError, readOvf, type OvfDisk, type OvfNic, type OvfVm } from '../ovf/reader';
import { initialGeneral } from '../ovf/words';
import { refuse } from '../refusals';
import type { NicRecord, TemplateRecord, VmRecord } from '../state/model';
import { attachDisk } from './attach-disk';
import { copyTemplate } from './copy-template';
import { freeMac } from './nics';

export interface NewVm {
  readonly name: string;
  readonly description: string;
  readonly comment: string;
  readonly clusterId: string | undefined;
  readonly memoryBytes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly osType: string;
  readonly vmType: number;
  readonly deleteProtected: boolean;
}

/** What a body may override when the VM comes from an OVF. */
export interface ImportRequest {
  readonly data: string;
  readonly clusterId: string | undefined;
  readonly regenerateIds: boolean;
  readonly overrides: Partial<Pick<NewVm, 'name' | 'description' | 'comment' | 'memoryBytes'>>;
}

function nameUsed({ store }: Context, name: string): boolean {
  return store.tables.vms.all().some((vm) => vm.name === name);
}

export function addVm(context: Context, wanted: NewVm, actor: Actor, template?: TemplateRecord): VmRecord {
  const { store } = context;
  const { clusterId } = wanted;
  if (clusterId === undefined) throw refuse('add-vm/cluster-unknown');
  if (nameUsed(context, wanted.name)) throw refuse('add-vm/name-used');
  const vm: VmRecord = {
    ...wanted,
    clusterId,
    id: newId(),
    ...(template === undefined ? {} : { templateId: template.id }),
    status: template === undefined ? 'down' : 'image_locked',
    guaranteedBytes: wanted.memoryBytes,
    maxMemoryBytes: wanted.memoryBytes * 4,
    biosType: 2,
    createdMs: Date.now(),
    generation: 1,
    general: initialGeneral,
    devices: blankDevices(newId),
  };
  store.write(() => {
    putVm(context, vm);
    context.events.record(template === undefined ? 'vmCreated' : 'vmImportAsked', actor, { vm });
    if (template !== undefined) copyTemplate(context, vm, template, actor);
  });
  return vm;
}

/** A VM always has its Active snapshot. */
function putVm({ store }: Context, vm: VmRecord): void {
  store.tables.vms.put(vm);
  store.tables.snapshots.put({ id: newId(), vmId: vm.id, description: 'Active VM', type: 'active', status: 'ok', createdMs: vm.createdMs });
}

export async function importVm(context: Context, request: ImportRequest, actor: Actor): Promise<VmRecord> {
  const ovf = parse(request.data);
  const { clusterId } = request;
  if (clusterId === undefined) throw refuse('import-vm/cluster-unknown');
  const name = request.overrides.name ?? ovf.name;
  const id = request.regenerateIds ? newId() : ovf.vmId;
  const { store } = context;
  if (!request.regenerateIds) refuseUsedMacs(context, ovf.nics, clusterId);
  if (nameUsed(context, name)) throw refuse('import-vm/name-used');
  const same = store.tables.vms.get(id);
  if (same !== undefined) throw refuse('import-vm/id-used', { vm: same.name });
  if (!request.regenerateIds && ovf.nics.some((nic) => store.tables.nics.get(nic.id) !== undefined)) throw refuse('import-vm/nic-id-used');
  const vm = vmFromOvf(ovf, id, name, clusterId, request);
  const jobId = store.write(() => {
    putVm(context, vm);
    for (const nic of ovf.nics) store.tables.nics.put(nicFromOvf(context, nic, vm, request.regenerateIds));
    return context.jobs.open(`Importing VM ${name} from configuration to Cluster ${store.tables.places.get(clusterId)?.name ?? ''}`, actor)
      .jobId;
  });
  // The disks go to the VM that the OVF names, whatever the new one's id is: the engine's own mistake (observed).
  const failed: string[] = [];
  for (const disk of ovf.disks) if (!(await isAttachedFromOvf(context, vm, ovf.vmId, disk, actor))) failed.push(context.store.tables.disks.get(disk.diskId)?.alias ?? disk.diskId);
  store.write(() => {
    // Of the import itself nothing is told, only of the disks that it attaches (ImportVmFromConfigurationCommand: setCommandShouldBeLogged).
    if (ovf.disks.length > 0) context.events.record(failed.length === 0 ? 'vmImported' : 'vmImportedInPart', actor, { vm, disk: failed.join(',') });
    context.jobs.end(jobId, 'finished');
  });
  return vm;
}

function parse(data: string): OvfVm {
  try {
    return readOvf(data);
  } catch (error) {
    if (error instanceof OvfError)
      throw refuse('import-vm/ovf', { error: `failed to parse a given ovf configuration: ${error.message}`.toLowerCase() });
    throw error;
  }
}

/** Each MAC pool knows only the addresses of its own clusters' VMs (macs are looked up by pool), and none of these pools allows duplicates. */
function refuseUsedMacs({ store }: Context, nics: readonly OvfNic[], clusterId: string): void {
  const { nics: known, vms, places } = store.tables;
  const poolOf = (id: string | undefined): string | undefined => places.get(id)?.macPoolId;
  const taken = known.all().filter(({ vmId }) => poolOf(vms.get(vmId)?.clusterId) === poolOf(clusterId)).map(({ mac }) => mac);
  const wanted = nics.map(({ mac }) => mac.toLowerCase()).filter((mac) => mac !== '');
  const used = wanted.filter((mac, index) => taken.includes(mac) || wanted.indexOf(mac) < index);
  if (used.length > 0) throw refuse('import-vm/mac-used', { macs: used.join(', ') });
}

const mib = 1024 ** 2;

function vmFromOvf(ovf: OvfVm, id: string, name: string, clusterId: string, { overrides }: ImportRequest): VmRecord {
  const memoryBytes = overrides.memoryBytes ?? ovf.memoryMib * mib;
  return {
    id,
    name,
    clusterId,
    status: 'down',
    description: overrides.description ?? ovf.description,
    comment: overrides.comment ?? ovf.comment,
    memoryBytes,
    guaranteedBytes: ovf.minMemoryMib === undefined ? memoryBytes : ovf.minMemoryMib * mib,
    maxMemoryBytes: ovf.maxMemoryMib === undefined ? memoryBytes * 4 : ovf.maxMemoryMib * mib,
    sockets: ovf.sockets,
    cores: ovf.cores,
    threads: ovf.threads,
    osType: ovf.osType,
    biosType: ovf.biosType,
    vmType: ovf.vmType,
    deleteProtected: ovf.deleteProtected,
    // The date of creation is the import's (ovf.md section 6); the generation starts where the OVF was.
    createdMs: Date.now(),
    generation: Number(ovf.general['Generation'] ?? 1),
    general: ovf.general,
    devices: ovf.devices,
  };
}

/** An unknown profile on a known network gets that network's profile; an unknown network gets none (observed). */
function nicFromOvf(context: Context, nic: OvfNic, vm: VmRecord, regenerate: boolean): NicRecord {
  const network = placesOf(context, 'network').find((candidate) => candidate.name === nic.network);
  const profiles = placesOf(context, 'vnic_profile').filter((candidate) => network !== undefined && candidate.parentId === network.id);
  const profile = profiles.find((candidate) => candidate.name === nic.profile) ?? profiles[0];
  return {
    id: regenerate ? newId() : nic.id,
    vmId: vm.id,
    name: nic.name,
    interface: nic.model,
    linked: nic.linked,
    plugged: nic.plugged,
    mac: regenerate || nic.mac === '' ? freeMac(context, vm.clusterId, 'Cannot import VM') : nic.mac.toLowerCase(),
    ...(profile === undefined ? {} : { profileId: profile.id }),
  };
}

async function isAttachedFromOvf(context: Context, created: VmRecord, targetId: string, disk: OvfDisk, actor: Actor): Promise<boolean> {
  try {
    if (context.store.tables.vms.get(targetId) === undefined) throw new HttpFault(404, 'empty', 'Not Found', `VM ${targetId}`);
    await attachDisk(
      context,
      {
        vmId: targetId,
        diskId: disk.diskId,
        interface: disk.interface,
        bootable: disk.bootable,
        active: disk.plugged,
        readOnly: disk.readOnly,
        passDiscard: disk.passDiscard,
      },
      actor,
    );
    return true;
  } catch (error) {
    if (!(error instanceof HttpFault)) throw error;
    context.log(`VM ${created.name} from configuration: disk ${disk.diskId}: ${error.message}`);
    return false;
  }
}

export function updateVm(
  context: Context,
  vm: VmRecord,
  change: Partial<Pick<VmRecord, 'name' | 'description' | 'comment' | 'deleteProtected'>>,
  actor: Actor,
): VmRecord {
  if (change.name !== undefined && change.name !== vm.name && nameUsed(context, change.name)) throw refuse('update-vm/name-used');
  const updated = { ...vm, ...change, generation: vm.generation + 1 };
  context.store.write(() => {
    context.store.tables.vms.put(updated);
    context.events.record('vmUpdated', actor, { vm: updated });
  });
  return updated;
}

/** A reference by id or by name, as bodies give it. */
export function findCluster(context: Context, id: string | undefined, name: string | undefined): string | undefined {
  if (id === undefined && name === undefined) return thePlace(context, 'cluster').id;
  return placesOf(context, 'cluster').find((cluster) => cluster.id === id || (id === undefined && cluster.name === name))?.id;
}
