// Virtual machines: reading, creating, changing, removing.
import { hostOf, needVm, placesOf, thePlace, type Context } from '../context';
import { addVm, findCluster, importVm, updateVm } from '../commands/add-vm';
import { vmConfiguration } from '../commands/configuration';
import { removeVm } from '../commands/remove-vm';
import { incomplete, invalidValue } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import { biosTypes, blankId, vmTypes } from '../ovf/words';
import { refuse } from '../refusals';
import type { VmRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { href, links, ref } from './links';

const gib = 1024 ** 3;
const vmLinks = ['diskattachments', 'nics', 'snapshots', 'tags'];
const vmActions = [
  'start',
  'stop',
  'shutdown',
  'freezefilesystems',
  'thawfilesystems',
  'previewsnapshot',
  'commitsnapshot',
  'undosnapshot',
];

export async function vmView(context: Context, vm: VmRecord, allContent: boolean): Promise<Wire> {
  const running = vm.status !== 'down' && vm.status !== 'image_locked';
  // Every VM of the lab's host has the controller (host/qemu-command.ts).
  const configuration = allContent
    ? { initialization: { configuration: { type: 'ovf', data: await vmConfiguration(context, vm) } }, virtio_scsi: { enabled: true } }
    : {};
  return wire(
    'vm',
    {
      ...ref('vms', vm.id),
      name: vm.name,
      description: vm.description,
      comment: vm.comment,
      bios: { boot_menu: { enabled: false }, type: biosTypes[vm.biosType] ?? 'cluster_default' },
      cluster: ref('clusters', vm.clusterId),
      cpu: { architecture: 'x86_64', topology: { cores: vm.cores, sockets: vm.sockets, threads: vm.threads } },
      creation_time: new Date(vm.createdMs),
      delete_protected: vm.deleteProtected,
      high_availability: { enabled: false, priority: 1 },
      ...(running ? { host: ref('hosts', hostOf(context, vm).id) } : {}),
      ...configuration,
      memory: vm.memoryBytes,
      memory_policy: { ballooning: true, guaranteed: vm.guaranteedBytes, max: vm.maxMemoryBytes },
      next_run_configuration_exists: false,
      origin: 'ovirt',
      original_template: ref('templates', vm.templateId ?? blankId),
      os: { boot: { devices: ['hd'] }, type: vm.osType },
      run_once: false,
      ...(running && vm.startedMs !== undefined ? { start_time: new Date(vm.startedMs) } : {}),
      stateless: false,
      status: vm.status,
      ...(vm.stopReason === undefined ? {} : { stop_reason: vm.stopReason }),
      ...(vm.stoppedMs === undefined || running ? {} : { stop_time: new Date(vm.stoppedMs) }),
      template: ref('templates', vm.templateId ?? blankId),
      type: vmTypes[vm.vmType] ?? 'server',
    },
    links(['vms', vm.id], vmLinks),
    vmActions.map((rel) => ({ rel, href: href('vms', vm.id, rel) })),
  );
}

function searchFields(context: Context): SearchFields<VmRecord> {
  const { tags, taggedVms } = context.store.tables;
  return {
    id: (vm) => vm.id,
    name: (vm) => vm.name,
    status: (vm) => vm.status.replace(/_/g, ''),
    description: (vm) => vm.description,
    comment: (vm) => vm.comment,
    os: (vm) => vm.osType,
    cluster: (vm) => placesOf(context, 'cluster').find((cluster) => cluster.id === vm.clusterId)?.name,
    datacenter: () => thePlace(context, 'data_center').name,
    tag: (vm) => taggedVms.where((tagged) => tagged.vmId === vm.id).flatMap((tagged) => tags.get(tagged.tagId)?.name ?? []),
    creationdate: (vm) => vm.createdMs,
  };
}

/** The default sort of the engine's search, which pages lie in. */
function byName(vms: readonly VmRecord[]): VmRecord[] {
  return [...vms].sort((left, right) => left.name.localeCompare(right.name));
}

async function create(context: Context, call: Call): Promise<Answer> {
  const { body } = call;
  if (!body.has('cluster.id') && !body.has('cluster.name')) throw incomplete('VirtualMachine', ['cluster.id|name']);
  const clusterId = findCluster(context, bodyId(call, 'cluster.id'), body.word('cluster.name'));
  const vm = body.has('initialization.configuration')
    ? await createFromConfiguration(context, call, clusterId)
    : createFromTemplate(context, call, clusterId);
  return { kind: 'created', item: await vmView(context, vm, call.allContent) };
}

function createFromConfiguration(context: Context, call: Call, clusterId: string | undefined): Promise<VmRecord> {
  const { body } = call;
  const type = body.word('initialization.configuration.type');
  const data = body.text('initialization.configuration.data');
  if (type === undefined || data === undefined) throw incomplete('Initialization', ['configuration.type', 'configuration.data']);
  if (type.toLowerCase() !== 'ovf') throw invalidValue(type, 'ConfigurationType (the lab reads ovf only)');
  const [name, description, comment, memoryBytes] = [body.word('name'), body.text('description'), body.text('comment'), body.int('memory')];
  return importVm(
    context,
    {
      data,
      clusterId,
      regenerateIds: body.flag('initialization.regenerate_ids') ?? false,
      overrides: {
        ...(name === undefined ? {} : { name }),
        ...(description === undefined ? {} : { description }),
        ...(comment === undefined ? {} : { comment }),
        ...(memoryBytes === undefined ? {} : { memoryBytes }),
      },
    },
    call.actor,
  );
}

function createFromTemplate(context: Context, call: Call, clusterId: string | undefined): VmRecord {
  const { body } = call;
  const name = body.word('name');
  if (name === undefined) throw incomplete('VirtualMachine', ['name']);
  if (!body.has('template.id') && !body.has('template.name')) throw incomplete('VirtualMachine', ['template.id|name']);
  const [templateId, templateName] = [bodyId(call, 'template.id'), body.word('template.name')];
  const template = context.store.tables.templates.where(
    ({ id, name: own }) => id === templateId || (templateId === undefined && own === templateName),
  )[0];
  if (template === undefined && (templateId ?? templateName) !== blankId && (templateId !== undefined || templateName !== 'Blank'))
    throw refuse('add-vm/template-unknown');
  return addVm(
    context,
    {
      name,
      clusterId,
      description: body.text('description') ?? '',
      comment: body.text('comment') ?? '',
      memoryBytes: body.int('memory') ?? template?.memoryBytes ?? gib,
      sockets: body.int('cpu.topology.sockets') ?? 1,
      cores: body.int('cpu.topology.cores') ?? 1,
      threads: body.int('cpu.topology.threads') ?? 1,
      osType: body.word('os.type') ?? template?.osType ?? 'other',
      vmType: vmTypeNumber(body.word('type')),
      deleteProtected: body.flag('delete_protected') ?? false,
    },
    call.actor,
    template,
  );
}

function vmTypeNumber(word: string | undefined): number {
  if (word === undefined) return 1;
  const number = vmTypes.findIndex((type) => type === word);
  if (number < 0) throw invalidValue(word, 'VmType');
  return number;
}

async function update(context: Context, call: Call): Promise<Answer> {
  const vm = needVm(context, param(call, 'vm'));
  const { body } = call;
  const [name, description, comment, deleteProtected] = [
    body.word('name'),
    body.text('description'),
    body.text('comment'),
    body.flag('delete_protected'),
  ];
  const updated = updateVm(
    context,
    vm,
    {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
      ...(comment === undefined ? {} : { comment }),
      ...(deleteProtected === undefined ? {} : { deleteProtected }),
    },
    call.actor,
  );
  return one(await vmView(context, updated, call.allContent));
}

const createAccepts = [
  'name',
  'description',
  'comment',
  'cluster.id',
  'cluster.name',
  'template.id',
  'template.name',
  'memory',
  'cpu.topology',
  'os.type',
  'type',
  'delete_protected',
  'initialization.configuration',
  'initialization.regenerate_ids',
];

export function vmRoutes(context: Context): Route[] {
  const { vms } = context.store.tables;
  return [
    {
      method: 'GET',
      path: '/vms',
      query: ['search', 'max', 'case_sensitive'],
      handle: async (call) =>
        many('vm', await Promise.all(select(byName(vms.all()), call, searchFields(context)).map((vm) => vmView(context, vm, call.allContent)))),
    },
    {
      method: 'GET',
      path: '/vms/:vm',
      handle: async (call) => one(await vmView(context, needVm(context, param(call, 'vm')), call.allContent)),
    },
    { method: 'POST', path: '/vms', body: { type: 'vm', accepts: createAccepts }, handle: (call) => create(context, call) },
    {
      method: 'PUT',
      path: '/vms/:vm',
      body: { type: 'vm', accepts: ['id', 'name', 'description', 'comment', 'delete_protected'] },
      handle: (call) => update(context, call),
    },
    {
      method: 'DELETE',
      path: '/vms/:vm',
      query: ['detach_only', 'async'],
      handle: (call) => done(removeVm(context, param(call, 'vm'), call.query.flag('detach_only'), call.actor)),
    },
  ];
}
