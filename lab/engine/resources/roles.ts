// Roles and their permits: the predefined ones, which nobody changes, and an administrator's own.
import type { Context } from '../context';
import { newId } from '../events';
import { HttpFault, incomplete, notFound, unsupported } from '../faults';
import { done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { isPermit, permitNumbers, type Permit } from '../permissions/permits';
import { refuse } from '../refusals';
import type { RoleRecord } from '../state/model';
import type { Body } from '../wire/body';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

function view(role: RoleRecord): Wire {
  const { id, name, description, mutable } = role;
  return wire('role', { ...ref('roles', id), name, description, administrative: true, mutable }, links(['roles', id], ['permits']));
}

function permitView(role: RoleRecord, permit: Permit): Wire {
  const fields = { ...ref('roles', role.id, 'permits', String(permitNumbers[permit])), name: permit, administrative: true, role: ref('roles', role.id) };
  return wire('permit', fields);
}

/** By the engine's own number; a name will do beside it, as the mapper has it. */
function permitOf(body: Body): Permit {
  const [id, name] = [body.word('id'), body.word('name')];
  const found = Object.keys(permitNumbers).filter(isPermit).find((permit) => (id === undefined ? permit === name?.toLowerCase() : String(permitNumbers[permit]) === id));
  if (found === undefined) throw new HttpFault(400, 'plain', 'Bad Request', `${id ?? name ?? ''} is not a valid permit ID.`);
  return found;
}

function create({ store }: Context, { body }: Call): Answer {
  const name = body.word('name');
  const permits = body.list('permits');
  if (name === undefined || permits.length === 0 || permits.some((permit) => !permit.has('id'))) throw incomplete('Role', ['name', 'permits.id']);
  if (body.flag('administrative') !== true) throw unsupported('a role that is not administrative: its users read through filters');
  const role: RoleRecord = { id: newId(), name, description: body.text('description') ?? '', mutable: true, permits: [...new Set(permits.map(permitOf))] };
  if (store.tables.roles.where((other) => other.name === name).length > 0) throw refuse('role/name-used');
  store.write(() => {
    store.tables.roles.put(role);
  });
  return { kind: 'created', item: view(role) };
}

export function roleRoutes(context: Context): Route[] {
  const { roles } = context.store.tables;
  const need = (call: Call): RoleRecord => {
    const role = roles.get(param(call, 'role'));
    if (role === undefined) throw notFound();
    return role;
  };
  const change = (call: Call, permitsOf: (role: RoleRecord) => readonly Permit[]): RoleRecord => {
    const role = need(call);
    if (!role.mutable) throw unsupported(`a change of the predefined role ${role.name}`);
    const changed = { ...role, permits: permitsOf(role) };
    context.store.write(() => {
      roles.put(changed);
    });
    return changed;
  };
  const add = (call: Call): Answer => {
    const permit = permitOf(call.body);
    return { kind: 'created', item: permitView(change(call, ({ permits }) => [...new Set([...permits, permit])]), permit) };
  };
  const take = (call: Call): Answer => {
    const has = ({ permits }: RoleRecord): boolean => permits.some((permit) => String(permitNumbers[permit]) === param(call, 'permit'));
    if (!has(need(call))) throw notFound();
    change(call, ({ permits }) => permits.filter((permit) => String(permitNumbers[permit]) !== param(call, 'permit')));
    return done();
  };
  const path = '/roles/:role/permits';
  return [
    { method: 'GET', path: '/roles', query: ['max'], handle: () => many('role', roles.all().map(view)) },
    { method: 'POST', path: '/roles', body: { type: 'role', accepts: ['name', 'description', 'administrative', 'permits'] }, handle: (call) => create(context, call) },
    { method: 'GET', path: '/roles/:role', handle: (call) => one(view(need(call))) },
    { method: 'GET', path, query: ['max'], handle: (call) => many('permit', need(call).permits.map((permit) => permitView(need(call), permit))) },
    { method: 'POST', path, body: { type: 'permit', accepts: ['id', 'name'] }, handle: add },
    { method: 'DELETE', path: `${path}/:permit`, query: ['async'], handle: take },
  ];
}
