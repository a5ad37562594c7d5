// The types of the API about who may do what. See types.ts.
import { list, named, object, type, type TypeDescription } from './description';

export const accessTypes = {
  user: type('user', 'users', { ...named, user_name: 'string', principal: 'string', namespace: 'string', domain: object('domain') }),
  domain: type('domain', 'domains', named),
  role: type('role', 'roles', { ...named, administrative: 'bool', mutable: 'bool', permits: list('permit') }),
  permit: type('permit', 'permits', { ...named, administrative: 'bool', role: object('role') }),
  permission: type('permission', 'permissions', {
    role: object('role'),
    user: object('user'),
    vm: object('vm'),
    disk: object('disk'),
    storage_domain: object('storage_domain'),
    cluster: object('cluster'),
    data_center: object('data_center'),
    template: object('template'),
    vnic_profile: object('vnic_profile'),
  }),
} as const satisfies Readonly<Record<string, TypeDescription>>;
