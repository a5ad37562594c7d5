// Users that the engine has heard of. Adding one looks it up in the directory, which is fixed (furnish.ts); permissions are given elsewhere.
import type { Context } from '../context';
import { HttpFault, incomplete, notFound } from '../faults';
import { accounts } from '../furnish';
import { done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { userId } from '../permissions/authority';
import type { UserRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

/** The directory `internal` answers as the authorization provider `internal-authz`. */
const provider = 'internal-authz';

function view({ id, userName }: UserRecord): Wire {
  const [name = ''] = userName.split('@');
  const fields = { ...ref('users', id), name, user_name: `${name}@${provider}`, principal: name, namespace: '*' };
  return wire('user', fields, links(['users', id], ['permissions']));
}

export function needUser({ store }: Context, id: string): UserRecord {
  const user = store.tables.users.get(id);
  if (user === undefined) throw notFound();
  return user;
}

function create(context: Context, { body }: Call): Answer {
  const wanted = body.word('user_name');
  if (wanted === undefined) throw incomplete('User', ['userName']);
  const [, name = wanted, suffix] = /^(.*)@([^@]*)$/.exec(wanted) ?? [];
  const domain = suffix ?? body.word('domain.name') ?? body.word('domain.id');
  if (domain === undefined) throw incomplete('User', ['domain.id|name']);
  const account = accounts(context).find(({ userName }) => userName === `${name}@internal`);
  // No Fault, just the words (BackendUsersResource.add).
  if (account === undefined || domain !== provider) throw new HttpFault(400, 'plain', 'Bad Request', `No such user: ${wanted} in domain ${domain}`);
  const { users } = context.store.tables;
  const id = userId(context, account.userName);
  if (users.get(id) === undefined) {
    context.store.write(() => {
      users.put({ id, userName: account.userName });
    });
  }
  return { kind: 'created', item: view(needUser(context, id)) };
}

function remove(context: Context, call: Call): Answer {
  const { users, permissions } = context.store.tables;
  const user = needUser(context, param(call, 'user'));
  context.store.write(() => {
    for (const permission of permissions.where(({ userId: owner }) => owner === user.id)) permissions.delete(permission.id);
    users.delete(user.id);
  });
  return done();
}

export function userRoutes(context: Context): Route[] {
  const { users } = context.store.tables;
  return [
    { method: 'GET', path: '/users', query: ['max'], handle: () => many('user', users.all().map(view)) },
    { method: 'POST', path: '/users', body: { type: 'user', accepts: ['user_name', 'domain.name', 'domain.id', 'principal'] }, handle: (call) => create(context, call) },
    { method: 'GET', path: '/users/:user', handle: (call) => one(view(needUser(context, param(call, 'user')))) },
    { method: 'DELETE', path: '/users/:user', query: ['async'], handle: (call) => remove(context, call) },
  ];
}
