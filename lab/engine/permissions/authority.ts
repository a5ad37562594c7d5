// Who may do what: users, roles and permissions as rows, and the question that every command asks. A permission counts on the object that it
// names and on all that lies in it, as fn_get_entity_parents of the engine's database has it. Which command asks what is in rules.ts.
import { createHash } from 'node:crypto';
import type { Context } from '../context';
import type { PermissionRecord, RoleRecord, UserRecord } from '../state/model';
import { allPermits, type Permit } from './permits';
import type { Scope } from './scopes';

/** What a command demands: a permit on an object, or on System. */
export type Subject = { readonly permit: Permit; readonly on: 'system' } | { readonly permit: Permit; readonly on: Scope; readonly id: string };

export const superUserId = '00000000-0000-0000-0000-000000000001';

/** Stable over restarts, different in every lab. */
export function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

export function userId({ store }: Context, userName: string): string {
  return uuidOf(`${store.tables.installation.get('installation')?.instanceId ?? ''} user ${userName}`);
}

/** On the first start: the roles that no engine is without, the administrator, and two who may do less. */
export function furnishPermissions(context: Context): void {
  const { users, roles, permissions } = context.store.tables;
  const readOnly = { id: 'def00028-0000-0000-0000-def000000028', name: 'ReadOnlyAdmin', description: 'Read Only Administrator Role', mutable: false, permits: ['login'] } as const;
  const superUser = { id: superUserId, name: 'SuperUser', description: 'Roles management administrator', mutable: false, permits: allPermits } as const;
  for (const role of [superUser, readOnly]) if (roles.get(role.id) === undefined) roles.put(role);
  for (const [userName, role] of [['admin@internal', superUser], ['reader@internal', readOnly], ['nobody@internal', undefined]] as const) {
    const user: UserRecord = { id: userId(context, userName), userName };
    // What was taken from a user stays taken: only who is new gets the permission of the beginning.
    if (users.get(user.id) !== undefined) continue;
    users.put(user);
    if (role !== undefined) permissions.put(permissionOf(user.id, role.id, { on: 'system' }));
  }
}

/** Its id follows from what it says: giving the same permission twice is one permission, as on the engine. */
export function permissionOf(user: string, roleId: string, object: { readonly on: 'system' } | { readonly on: Scope; readonly id: string }): PermissionRecord {
  const objectId = object.on === 'system' ? '' : object.id;
  return { id: uuidOf(`permission ${user} ${roleId} ${objectId}`), userId: user, roleId, on: object.on, objectId };
}

export function permissionsOfUser({ store }: Context, userName: string): PermissionRecord[] {
  const user = store.tables.users.where((each) => each.userName === userName)[0];
  return user === undefined ? [] : store.tables.permissions.where((permission) => permission.userId === user.id);
}

/** LOGIN is asked of the lowest object there is: a permission anywhere will do (VdcObjectType.Bottom). */
export function mayLogIn(context: Context, userName: string): boolean {
  return permissionsOfUser(context, userName).some((permission) => roleOf(context, permission)?.permits.includes('login') === true);
}

export function isSuperUser(context: Context, userName: string): boolean {
  return permissionsOfUser(context, userName).some(({ roleId, on }) => roleId === superUserId && on === 'system');
}

export function may(context: Context, userName: string, subject: Subject): boolean {
  const objects = subject.on === 'system' ? [] : [subject.id, ...parents(context, subject.on, subject.id)];
  return permissionsOfUser(context, userName).some(
    (permission) => roleOf(context, permission)?.permits.includes(subject.permit) === true && (permission.on === 'system' || objects.includes(permission.objectId)),
  );
}

function roleOf({ store }: Context, { roleId }: PermissionRecord): RoleRecord | undefined {
  return store.tables.roles.get(roleId);
}

/** What lies above an object, System left out: there every permission counts. An object that is not there has nothing above it. */
export function parents(context: Context, on: Scope, id: string): readonly string[] {
  const { vms, disks, places, templates } = context.store.tables;
  const above = (placeId: string | undefined): readonly string[] => {
    const place = places.get(placeId);
    return place === undefined ? [] : [place.id, ...above(place.parentId)];
  };
  switch (on) {
    case 'vm':
      return above(vms.get(id)?.clusterId);
    case 'storage_domain':
      return dataCenterOf(context, id);
    case 'disk': {
      const domainId = disks.get(id)?.domainId;
      const owners = context.store.tables.attachments.where(({ diskId }) => diskId === id).map(({ vmId }) => vmId);
      return [...(domainId === undefined ? [] : [domainId, ...dataCenterOf(context, domainId)]), ...owners.flatMap((vmId) => [vmId, ...above(vms.get(vmId)?.clusterId)])];
    }
    case 'template':
      return (templates.get(id)?.disks ?? []).slice(0, 1).flatMap(({ diskId }) => dataCenterOf(context, disks.get(diskId)?.domainId));
    case 'cluster':
    case 'data_center':
    case 'vnic_profile':
      return above(id).slice(1);
  }
}

/** The lab's storage domains all belong to its one data center. */
function dataCenterOf({ store }: Context, domainId: string | undefined): readonly string[] {
  if (store.tables.domains.get(domainId) === undefined) return [];
  return store.tables.places.where(({ kind }) => kind === 'data_center').map(({ id }) => id);
}
