// What each change demands of its user, from getPermissionCheckSubjects and ActionType.java of the engine. A change without a row here is
// the SuperUser's alone: what nobody has looked up is not given to anybody.
import { findCluster } from '../commands/add-vm';
import type { Context } from '../context';
import { param, type Call, type Route } from '../http/call';
import { hasCustomProperties } from '../ovf/reader';
import type { Body } from '../wire/body';
import { isSuperUser, may, type Subject } from './authority';
import type { Permit } from './permits';
import { scopePaths, scopes, type Scope } from './scopes';

type Rule = (call: Call, context: Context) => readonly Subject[];

const onSystem = (permit: Permit): Rule => () => [{ permit, on: 'system' }];
const onPath = (permit: Permit, on: Scope, parameter: string): Rule => (call) => [{ permit, on, id: param(call, parameter) }];
const onVm = (permit: Permit): Rule => onPath(permit, 'vm', 'vm');

/** Where a new disk is to lie. Without a domain the engine asks on System. */
function newDisk(body: Body, { store }: Context): Subject {
  const [given] = body.list('storage_domains');
  const [id, name] = [given?.word('id'), given?.word('name')];
  const domain = store.tables.domains.all().find((row) => (id === undefined ? row.name === name : row.id === id.toLowerCase()));
  return domain === undefined ? { permit: 'create_disk', on: 'system' } : { permit: 'create_disk', on: 'storage_domain', id: domain.id };
}

const attach: Rule = (call, context) => {
  const vm = param(call, 'vm');
  const diskId = (call.body.word('disk.id') ?? call.body.word('id'))?.toLowerCase();
  const disk = call.body.child('disk');
  const needsDisk: readonly Subject[] = diskId !== undefined ? [{ permit: 'attach_disk', on: 'disk', id: diskId }] : disk === undefined ? [] : [newDisk(disk, context)];
  return [{ permit: 'configure_vm_storage', on: 'vm', id: vm }, ...needsDisk];
};

const newVm: Rule = (call, context) => {
  const { body } = call;
  const cluster = findCluster(context, body.word('cluster.id')?.toLowerCase(), body.word('cluster.name')) ?? '';
  const create: Subject = { permit: 'create_vm', on: 'cluster', id: cluster };
  const data = body.text('initialization.configuration.data');
  if (data === undefined) {
    const templateId = body.word('template.id')?.toLowerCase();
    const template = context.store.tables.templates.all().find(({ id, name }) => id === templateId || name === body.word('template.name'));
    return [create, ...(template === undefined ? [] : [{ permit: 'create_vm', on: 'template', id: template.id } as const])];
  }
  // The command asks on the storage domain that the VM comes from. A configuration comes from none (Guid.Empty), and above that is System alone.
  const properties: readonly Subject[] = hasCustomProperties(data) ? [{ permit: 'change_vm_custom_properties', on: 'cluster', id: cluster }] : [];
  return [create, { permit: 'import_export_vm', on: 'system' }, ...properties];
};

function injecting(objects: Readonly<Partial<Record<Scope, string | undefined>>>, ofUser = false): readonly Subject[] {
  const subjects = scopes.flatMap((on): Subject[] => {
    const id = objects[on]?.toLowerCase();
    return id === undefined ? [] : [{ permit: 'inject_external_events', on, id }];
  });
  return subjects.length > 0 && !ofUser ? subjects : [...subjects, { permit: 'inject_external_events', on: 'system' }];
}

const newEvent: Rule = ({ body }) => injecting({ vm: body.word('vm.id'), storage_domain: body.word('storage_domain.id') });

/**
 * RemoveAuditLogByIdCommand: AUDIT_LOG_MANAGEMENT is asked of alerts alone, of all others what posting them would have asked, and of the engine's own the
 * user's object as well, above which is System alone.
 */
const removeEvent: Rule = (call, { store }) => {
  const event = store.tables.events.get(param(call, 'event'));
  if (event === undefined) return [];
  if (event.severity === 'alert') return [{ permit: 'audit_log_management', on: 'system' }];
  return injecting({ vm: event.vmId, storage_domain: event.domainId }, event.user !== undefined);
};

const newNic: Rule = (call, context) => {
  const profile = call.body.word('vnic_profile.id')?.toLowerCase();
  return [...onVm('configure_vm_network')(call, context), ...(profile === undefined ? [] : [{ permit: 'configure_vm_network', on: 'vnic_profile', id: profile } as const])];
};

/** Plugging is a command of its own beside the change of the attachment's settings. */
const changeAttachment: Rule = (call) => {
  const ofDisk = Object.keys(call.body.child('disk')?.value ?? {}).some((field) => field !== 'id' && field !== 'href');
  const settings = ofDisk || ['interface', 'bootable', 'read_only', 'pass_discard'].some((field) => call.body.has(field));
  return [
    ...(call.body.has('active') ? [{ permit: 'configure_vm_storage', on: 'vm', id: param(call, 'vm') } as const] : []),
    ...(settings ? [{ permit: 'edit_disk_properties', on: 'disk', id: param(call, 'disk') } as const] : []),
  ];
};

const removeAttachment: Rule = (call, context) =>
  call.query.flag('detach_only', true) ? onVm('configure_vm_storage')(call, context) : [{ permit: 'delete_disk', on: 'disk', id: param(call, 'disk') }];

const startBackup: Rule = (call, context) => [
  ...onVm('backup_disk')(call, context),
  ...call.body.list('disks').flatMap((disk): Subject[] => {
    const id = disk.word('id')?.toLowerCase();
    return id === undefined ? [] : [{ permit: 'backup_disk', on: 'disk', id }];
  }),
];

/** By disk (or its old name `image`), or by the volume of a snapshot. */
const startTransfer: Rule = ({ body }, { store }) => {
  const volume = store.tables.images.get(body.word('snapshot.id')?.toLowerCase());
  const id = (body.word('disk.id') ?? body.word('image.id'))?.toLowerCase() ?? volume?.diskId;
  return [id === undefined ? { permit: 'edit_disk_properties', on: 'system' } : { permit: 'edit_disk_properties', on: 'disk', id }];
};

export const rules: Readonly<Record<string, Rule>> = {
  'POST /vms': newVm,
  'PUT /vms/:vm': onVm('edit_vm_properties'),
  'DELETE /vms/:vm': onVm('delete_vm'),
  'POST /vms/:vm/start': onVm('run_vm'),
  'POST /vms/:vm/stop': onVm('stop_vm'),
  'POST /vms/:vm/shutdown': onVm('shut_down_vm'),
  'POST /vms/:vm/freezefilesystems': onVm('configure_vm_storage'),
  'POST /vms/:vm/thawfilesystems': onVm('configure_vm_storage'),
  'POST /vms/:vm/previewsnapshot': onVm('manipulate_vm_snapshots'),
  'POST /vms/:vm/commitsnapshot': onVm('manipulate_vm_snapshots'),
  'POST /vms/:vm/undosnapshot': onVm('manipulate_vm_snapshots'),
  'POST /vms/:vm/snapshots': onVm('manipulate_vm_snapshots'),
  'DELETE /vms/:vm/snapshots/:snapshot': onVm('manipulate_vm_snapshots'),
  'POST /vms/:vm/snapshots/:snapshot/restore': onVm('manipulate_vm_snapshots'),
  'POST /vms/:vm/diskattachments': attach,
  'PUT /vms/:vm/diskattachments/:disk': changeAttachment,
  'DELETE /vms/:vm/diskattachments/:disk': removeAttachment,
  'POST /vms/:vm/nics': newNic,
  'DELETE /vms/:vm/nics/:nic': onVm('configure_vm_network'),
  'POST /disks': (call, context) => [newDisk(call.body, context)],
  'PUT /disks/:disk': onPath('edit_disk_properties', 'disk', 'disk'),
  'DELETE /disks/:disk': onPath('delete_disk', 'disk', 'disk'),
  'POST /vms/:vm/backups': startBackup,
  'POST /vms/:vm/backups/:backup/finalize': onVm('backup_disk'),
  'DELETE /vms/:vm/checkpoints/:checkpoint': onVm('backup_disk'),
  'POST /imagetransfers': startTransfer,
  // TransferImageStatus asks on System, whatever the transfer is of.
  ...Object.fromEntries(['finalize', 'cancel', 'pause', 'resume', 'extend'].map((action) => [`POST /imagetransfers/:transfer/${action}`, onSystem('create_disk')])),
  'POST /events': newEvent,
  'DELETE /events/:event': removeEvent,
  'POST /tags': onSystem('tag_management'),
  'DELETE /tags/:tag': onSystem('tag_management'),
  'POST /vms/:vm/tags': onSystem('tag_management'),
  'DELETE /vms/:vm/tags/:tag': onSystem('tag_management'),
  'PUT /storagedomains/:domain': onPath('edit_storage_domain_configuration', 'storage_domain', 'domain'),
  'POST /datacenters/:dc/storagedomains/:domain/activate': onPath('manipulate_storage_domain', 'storage_domain', 'domain'),
  'POST /datacenters/:dc/storagedomains/:domain/deactivate': onPath('manipulate_storage_domain', 'storage_domain', 'domain'),
  'POST /users': onSystem('manipulate_users'),
  'DELETE /users/:user': onSystem('manipulate_users'),
  'POST /roles': onSystem('manipulate_roles'),
  'POST /roles/:role/permits': onSystem('manipulate_roles'),
  'DELETE /roles/:role/permits/:permit': onSystem('manipulate_roles'),
  'POST /permissions': onSystem('manipulate_permissions'),
  'DELETE /permissions/:permission': onSystem('manipulate_permissions'),
  ...Object.fromEntries(scopes.map((scope) => [`POST /${scopePaths[scope]}/:object/permissions`, onPath('manipulate_permissions', scope, 'object')])),
};

/** The first thing that the user lacks; undefined: go ahead. */
export function lacking(context: Context, route: Route, call: Call): Subject | 'SuperUser' | undefined {
  if (route.method === 'GET') return undefined;
  const rule = rules[`${route.method} ${route.path}`];
  if (rule === undefined) return isSuperUser(context, call.actor.user) ? undefined : 'SuperUser';
  return rule(call, context).find((subject) => !may(context, call.actor.user, subject));
}
