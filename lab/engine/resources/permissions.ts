// Permissions on System and on objects: listed, given, taken. Whether a call is allowed is asked before any route (permissions/authority.ts).
import type { Context } from '../context';
import { incomplete, notFound } from '../faults';
import { bodyId, done, many, param, type Answer, type Call, type Route } from '../http/call';
import { isSuperUser, parents, permissionOf } from '../permissions/authority';
import { scopePaths, scopes, type Scope } from '../permissions/scopes';
import { refuse } from '../refusals';
import type { PermissionRecord, RoleRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { ref } from './links';
import { needUser } from './users';

type Place = { readonly on: 'system' } | { readonly on: Scope; readonly id: string };

/** On System no object is named. In an object's own list every permission names that object, where ever it was given. */
function view({ id, userId, roleId, on, objectId }: PermissionRecord, shown: Place = on === 'system' ? { on } : { on, id: objectId }): Wire {
  const object = shown.on === 'system' ? {} : { [shown.on]: ref(scopePaths[shown.on], shown.id) };
  return wire('permission', { ...ref('permissions', id), role: ref('roles', roleId), user: ref('users', userId), ...object });
}

function isThere({ store: { tables } }: Context, { on, id }: { readonly on: Scope; readonly id: string }): boolean {
  const rows: Readonly<Record<Scope, object | undefined>> = {
    vm: tables.vms.get(id),
    disk: tables.disks.get(id),
    storage_domain: tables.domains.get(id),
    template: tables.templates.get(id),
    cluster: tables.places.get(id),
    data_center: tables.places.get(id),
    vnic_profile: tables.places.get(id),
  };
  return rows[on] !== undefined;
}

function roleOf({ store }: Context, call: Call): RoleRecord {
  const [id, name] = [bodyId(call, 'role.id'), call.body.word('role.name')];
  const role = store.tables.roles.where((each) => (id === undefined ? each.name === name : each.id === id))[0];
  if (role === undefined) throw refuse('permission/role-unknown');
  return role;
}

function give(context: Context, call: Call, place: Place): Answer {
  const { body } = call;
  if (!(body.has('role.id') || body.has('role.name')) || !body.has('user.id')) throw incomplete('Permission', ['role.id|name', 'user|group.id']);
  const role = roleOf(context, call);
  if (place.on !== 'system' && !isThere(context, place)) throw refuse('permission/object-unknown');
  if (!isSuperUser(context, call.actor.user)) throw refuse('permission/not-super-user');
  const permission = permissionOf(needUser(context, bodyId(call, 'user.id') ?? '').id, role.id, place);
  context.store.write(() => {
    context.store.tables.permissions.put(permission);
  });
  return { kind: 'created', item: view(permission) };
}

export function permissionRoutes(context: Context): Route[] {
  const { permissions } = context.store.tables;
  const body = { type: 'permission', accepts: ['role.id', 'role.name', 'user.id'] };
  const take = (call: Call): Answer => {
    const permission = permissions.get(param(call, 'permission'));
    if (permission === undefined) throw notFound();
    context.store.write(() => {
      permissions.delete(permission.id);
    });
    return done();
  };
  const ofUser = (call: Call): Answer => {
    const user = needUser(context, param(call, 'user'));
    return many('permission', permissions.where(({ userId }) => userId === user.id).map((permission) => view(permission)));
  };
  return [
    { method: 'GET', path: '/permissions', query: ['max'], handle: () => many('permission', permissions.where(({ on }) => on === 'system').map((permission) => view(permission))) },
    { method: 'POST', path: '/permissions', body, handle: (call) => give(context, call, { on: 'system' }) },
    { method: 'DELETE', path: '/permissions/:permission', query: ['async'], handle: take },
    { method: 'GET', path: '/users/:user/permissions', query: ['max'], handle: ofUser },
    ...scopes.flatMap((on) => objectRoutes(context, on, body)),
  ];
}

function objectRoutes(context: Context, on: Scope, body: NonNullable<Route['body']>): Route[] {
  const path = `/${scopePaths[on]}/:object/permissions`;
  const list = (call: Call): Answer => {
    const place = { on, id: param(call, 'object') };
    if (!isThere(context, place)) throw notFound();
    const above = ['', place.id, ...parents(context, on, place.id)];
    return many('permission', context.store.tables.permissions.where(({ objectId }) => above.includes(objectId)).map((permission) => view(permission, place)));
  };
  return [
    { method: 'GET', path, query: ['max'], handle: list },
    { method: 'POST', path, body, handle: (call) => give(context, call, { on, id: param(call, 'object') }) },
  ];
}
