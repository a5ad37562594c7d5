// The types of the API that the lab speaks, one description each (names and shapes: api-model 4.6, ovirt-api.md).
// A field that is not listed here is unknown to the lab and refused in a request body.
import { list, object, words, type TypeDescription } from './description';

function type(element: string, collection: string, fields: TypeDescription['fields']): TypeDescription {
  return { element, collection, fields };
}

const named = { name: 'string', description: 'string', comment: 'string' } as const;
const space = { available: 'int', used: 'int', committed: 'int' } as const;

export const types: Readonly<Record<string, TypeDescription>> = {
  api: type('api', 'apis', {
    authenticated_user: object('user'), effective_user: object('user'), product_info: object('product_info'),
    special_objects: object('special_objects'), summary: object('summary'), time: 'date',
  }),
  product_info: type('product_info', 'product_infos', { instance_id: 'string', name: 'string', vendor: 'string', version: object('version') }),
  version: type('version', 'versions', { build: 'int', full_version: 'string', major: 'int', minor: 'int', revision: 'int' }),
  special_objects: type('special_objects', 'special_objects', { blank_template: object('template'), root_tag: object('tag') }),
  summary: type('summary', 'summaries', { hosts: object('count'), storage_domains: object('count'), users: object('count'), vms: object('count') }),
  count: type('count', 'counts', { active: 'int', total: 'int' }),
  user: type('user', 'users', { ...named, user_name: 'string', principal: 'string', namespace: 'string' }),

  data_center: type('data_center', 'data_centers', { ...named, local: 'bool', status: 'string', storage_format: 'string', version: object('version') }),
  cluster: type('cluster', 'clusters', { ...named, bios_type: 'string', cpu: object('cpu'), data_center: object('data_center'), version: object('version') }),
  host: type('host', 'hosts', { ...named, address: 'string', cluster: object('cluster'), memory: 'int', spm: object('spm'), status: 'string', type: 'string' }),
  spm: type('spm', 'spms', { priority: 'int', status: 'string' }),
  storage_domain: type('storage_domain', 'storage_domains', {
    ...named, ...space, backup: 'bool', block_size: 'int', critical_space_action_blocker: 'int', data_center: object('data_center'),
    data_centers: list('data_center'), discard_after_delete: 'bool', external_status: 'string', master: 'bool', status: 'string',
    storage: object('host_storage'), storage_format: 'string', supports_discard: 'bool', type: 'string', warning_low_space_indicator: 'int', wipe_after_delete: 'bool',
  }),
  host_storage: type('storage', 'storages', { address: 'string', logical_units: list('logical_unit'), path: 'string', type: 'string' }),
  logical_unit: type('logical_unit', 'logical_units', { address: 'string', lun_mapping: 'int', port: 'int', portal: 'string', product_id: 'string', serial: 'string', size: 'int', target: 'string', vendor_id: 'string' }),
  network: type('network', 'networks', { ...named, data_center: object('data_center'), mtu: 'int', stp: 'bool', usages: words('usage'), vdsm_name: 'string' }),
  vnic_profile: type('vnic_profile', 'vnic_profiles', { ...named, network: object('network'), port_mirroring: 'bool' }),
  mac: type('mac', 'macs', { address: 'string' }),
  nic: type('nic', 'nics', { ...named, interface: 'string', linked: 'bool', mac: object('mac'), network: object('network'), plugged: 'bool', vm: object('vm'), vnic_profile: object('vnic_profile') }),
  template: type('template', 'templates', { ...named, cluster: object('cluster'), cpu: object('cpu'), creation_time: 'date', memory: 'int', os: object('os'), status: 'string', type: 'string', version: object('template_version') }),
  template_version: type('version', 'versions', { base_template: object('template'), version_name: 'string', version_number: 'int' }),

  vm: type('vm', 'vms', {
    ...named, bios: object('bios'), cluster: object('cluster'), cpu: object('cpu'), creation_time: 'date', delete_protected: 'bool',
    disk_attachments: list('disk_attachment'), high_availability: object('high_availability'), host: object('host'), initialization: object('initialization'),
    memory: 'int', memory_policy: object('memory_policy'), next_run_configuration_exists: 'bool', nics: list('nic'), origin: 'string', original_template: object('template'),
    os: object('os'), run_once: 'bool', snapshots: list('snapshot'), start_time: 'date', stateless: 'bool', status: 'string', status_detail: 'string', stop_reason: 'string',
    stop_time: 'date', tags: list('tag'), template: object('template'), type: 'string',
  }),
  bios: type('bios', 'bioses', { boot_menu: object('boot_menu'), type: 'string' }),
  boot_menu: type('boot_menu', 'boot_menus', { enabled: 'bool' }),
  high_availability: type('high_availability', 'high_availabilities', { enabled: 'bool', priority: 'int' }),
  memory_policy: type('memory_policy', 'memory_policies', { ballooning: 'bool', guaranteed: 'int', max: 'int' }),
  cpu: type('cpu', 'cpus', { architecture: 'string', topology: object('cpu_topology'), type: 'string' }),
  cpu_topology: type('topology', 'topologies', { cores: 'int', sockets: 'int', threads: 'int' }),
  os: type('os', 'oses', { boot: object('boot'), type: 'string' }),
  boot: type('boot', 'boots', { devices: words('device') }),
  initialization: type('initialization', 'initializations', { configuration: object('configuration'), regenerate_ids: 'bool' }),
  configuration: type('configuration', 'configurations', { data: 'string', type: 'string' }),

  disk: type('disk', 'disks', {
    ...named, actual_size: 'int', alias: 'string', backup: 'string', content_type: 'string', disk_snapshots: list('disk_snapshot'), format: 'string', image_id: 'string',
    initial_size: 'int', logical_name: 'string', lun_storage: object('host_storage'), propagate_errors: 'bool', provisioned_size: 'int', qcow_version: 'string', read_only: 'bool', shareable: 'bool',
    snapshot: object('snapshot'), sparse: 'bool', status: 'string', storage_domain: object('storage_domain'), storage_domains: list('storage_domain'), storage_type: 'string',
    total_size: 'int', wipe_after_delete: 'bool',
  }),
  disk_attachment: type('disk_attachment', 'disk_attachments', {
    active: 'bool', bootable: 'bool', disk: object('disk'), interface: 'string', logical_name: 'string', pass_discard: 'bool', read_only: 'bool', uses_scsi_reservation: 'bool', vm: object('vm'),
  }),
  disk_snapshot: type('disk_snapshot', 'disk_snapshots', {
    ...named, actual_size: 'int', alias: 'string', content_type: 'string', disk: object('disk'), format: 'string', image_id: 'string', parent: object('disk_snapshot'), propagate_errors: 'bool', provisioned_size: 'int',
    shareable: 'bool', snapshot: object('snapshot'), sparse: 'bool', status: 'string', storage_domains: list('storage_domain'), storage_type: 'string', wipe_after_delete: 'bool',
  }),
  snapshot: type('snapshot', 'snapshots', {
    ...named, date: 'date', disk_attachments: list('disk_attachment'), disks: list('disk'), initialization: object('initialization'), persist_memorystate: 'bool',
    snapshot_status: 'string', snapshot_type: 'string', vm: object('vm'),
  }),

  job: type('job', 'jobs', { auto_cleared: 'bool', description: 'string', end_time: 'date', external: 'bool', last_updated: 'date', owner: object('user'), start_time: 'date', status: 'string', steps: list('step') }),
  step: type('step', 'steps', { description: 'string', end_time: 'date', external: 'bool', external_type: 'string', job: object('job'), number: 'int', parent_step: object('step'), progress: 'int', start_time: 'date', status: 'string', type: 'string' }),
  event: type('event', 'events', {
    cluster: object('cluster'), code: 'int', correlation_id: 'string', custom_data: 'string', custom_id: 'int', data_center: object('data_center'), description: 'string', flood_rate: 'int', host: object('host'), index: 'int',
    origin: 'string', severity: 'string', storage_domain: object('storage_domain'), template: object('template'), time: 'date', user: object('user'), vm: object('vm'),
  }),
  tag: type('tag', 'tags', { ...named, parent: object('tag'), vm: object('vm') }),
  action: type('action', 'actions', {
    async: 'bool', disks: list('disk'), fault: object('fault'), force: 'bool', job: object('job'), pause: 'bool', restore_memory: 'bool', snapshot: object('snapshot'), status: 'string', vm: object('vm'),
  }),
  fault: type('fault', 'faults', { detail: 'string', reason: 'string' }),
};

export function describe(name: string): TypeDescription {
  const found = types[name];
  if (found === undefined) throw new Error(`the lab has no description of the type "${name}"`);
  return found;
}
