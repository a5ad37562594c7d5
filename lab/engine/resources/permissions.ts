// Who may do what: the users, their system permissions, and the predefined roles with their permits. Read-only: the lab's accounts are
// fixed (furnish.ts). Names of permits are the engine's action groups in lower case; ids of roles are those of a fresh oVirt.
import { createHash } from 'node:crypto';
import type { Context } from '../context';
import { notFound } from '../faults';
import { accounts } from '../furnish';
import { many, one, param, type Call, type Route } from '../http/call';
import type { Account } from '../http/sessions';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly administrative: boolean;
  readonly permits: readonly string[];
}

/** Those of the engine's action groups that the lab's operations are about; SuperUser has them all. */
const actionGroups = [
  'create_vm',
  'delete_vm',
  'edit_vm_properties',
  'run_vm',
  'stop_vm',
  'shut_down_vm',
  'reboot_vm',
  'manipulate_vm_snapshots',
  'configure_vm_network',
  'configure_vm_storage',
  'import_export_vm',
  'create_template',
  'edit_template_properties',
  'delete_template',
  'create_host',
  'manipulate_host',
  'create_storage_domain',
  'edit_storage_domain_configuration',
  'delete_storage_domain',
  'manipulate_storage_domain',
  'create_storage_pool',
  'manipulate_permissions',
  'manipulate_roles',
  'manipulate_users',
  'configure_engine',
  'create_disk',
  'attach_disk',
  'edit_disk_properties',
  'configure_disk_storage',
  'delete_disk',
  'backup_disk',
  'login',
  'tag_management',
  'bookmark_management',
  'event_notification_management',
  'audit_log_management',
  'inject_external_events',
  'inject_external_tasks',
] as const;

const roles: Readonly<Record<Exclude<Account['role'], 'none'>, Role>> = {
  superuser: {
    id: '00000000-0000-0000-0000-000000000001',
    name: 'SuperUser',
    description: 'Roles management administrator',
    administrative: true,
    permits: actionGroups,
  },
  reader: {
    id: 'def00028-0000-0000-0000-def000000028',
    name: 'ReadOnlyAdmin',
    description: 'Read Only Administrator Role',
    administrative: true,
    permits: ['login'],
  },
};

/** Stable over restarts, different in every lab. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

export function userId({ store }: Context, userName: string): string {
  return uuidOf(`${store.tables.installation.get('installation')?.instanceId ?? ''} user ${userName}`);
}

function userView(context: Context, { userName }: Account): Wire {
  const id = userId(context, userName);
  const [name = '', domain = ''] = userName.split('@');
  return wire(
    'user',
    { ...ref('users', id), name, user_name: `${name}@${domain}-authz`, principal: name, namespace: '*' },
    links(['users', id], ['permissions']),
  );
}

function roleView(role: Role): Wire {
  return wire(
    'role',
    { ...ref('roles', role.id), name: role.name, description: role.description, administrative: role.administrative, mutable: false },
    links(['roles', role.id], ['permits']),
  );
}

function permitView(role: Role, permit: string): Wire {
  const id = String(actionGroups.findIndex((group) => group === permit) + 1);
  return wire('permit', {
    ...ref('roles', role.id, 'permits', id),
    name: permit,
    administrative: role.administrative,
    role: ref('roles', role.id),
  });
}

/** On System: no object is named. */
function permissionView(context: Context, { userName }: Account, role: Role): Wire {
  const user = userId(context, userName);
  return wire('permission', {
    ...ref('permissions', uuidOf(`permission ${user} ${role.id}`)),
    role: ref('roles', role.id),
    user: ref('users', user),
  });
}

export function permissionRoutes(context: Context): Route[] {
  const known = accounts(context);
  const wantedUser = (call: Call): Account => {
    const account = known.find(({ userName }) => userId(context, userName) === param(call, 'user'));
    if (account === undefined) throw notFound();
    return account;
  };
  const wantedRole = (call: Call): Role => {
    const role = Object.values(roles).find(({ id }) => id === param(call, 'role'));
    if (role === undefined) throw notFound();
    return role;
  };
  const permissionsOf = (account: Account): Wire[] =>
    account.role === 'none' ? [] : [permissionView(context, account, roles[account.role])];
  return [
    {
      method: 'GET',
      path: '/users',
      query: ['max'],
      handle: () =>
        many(
          'user',
          known.map((account) => userView(context, account)),
        ),
    },
    { method: 'GET', path: '/users/:user', handle: (call) => one(userView(context, wantedUser(call))) },
    {
      method: 'GET',
      path: '/users/:user/permissions',
      query: ['max'],
      handle: (call) => many('permission', permissionsOf(wantedUser(call))),
    },
    { method: 'GET', path: '/permissions', query: ['max'], handle: () => many('permission', known.flatMap(permissionsOf)) },
    { method: 'GET', path: '/roles', query: ['max'], handle: () => many('role', Object.values(roles).map(roleView)) },
    { method: 'GET', path: '/roles/:role', handle: (call) => one(roleView(wantedRole(call))) },
    {
      method: 'GET',
      path: '/roles/:role/permits',
      query: ['max'],
      handle: (call) => {
        const role = wantedRole(call);
        return many(
          'permit',
          role.permits.map((permit) => permitView(role, permit)),
        );
      },
    },
  ];
}
