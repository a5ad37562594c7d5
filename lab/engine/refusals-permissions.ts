// Refusals about who may do what, and about users, roles and permissions themselves. See refusals.ts.
import type { Refusal } from './refusal';

export const permissionRefusals = {
  'any/not-authorized': {
    operation: 'any change',
    condition: 'the user lacks the permit on the object and on all that it lies in',
    http: 403,
    text: 'User is not authorized to perform this action.',
    source: 'engine-rules 1, CommandBase.checkPermissions; which permit on what: permissions/rules.ts',
  },
  'role/name-used': {
    operation: 'add role',
    condition: 'a role of this name is there',
    http: 409,
    text: 'Cannot add Role. The Role name is already in use, please choose a unique name and try again.',
    source: 'AddRoleWithActionGroupsCommand.validate, ACTION_TYPE_FAILED_NAME_ALREADY_USED',
  },
  'permission/role-unknown': {
    operation: 'add permission',
    condition: 'no role has this id or name',
    http: 400,
    text: 'Cannot add permission, invalid Role id',
    source: 'AddPermissionCommand.validate, PERMISSION_ADD_FAILED_INVALID_ROLE_ID',
  },
  'permission/object-unknown': {
    operation: 'add permission',
    condition: 'the object is not there',
    http: 400,
    text: 'Cannot add permission, invalid object ID or type',
    source: 'AddPermissionCommand.validate, PERMISSION_ADD_FAILED_INVALID_OBJECT_ID',
  },
  'permission/not-super-user': {
    operation: 'add permission',
    condition: 'an administrative role is given by somebody who is not SuperUser on System',
    http: 403,
    text: 'Cannot add permission, only system super user can give permissions with admin Role',
    source: 'AddPermissionCommand.validate, PERMISSION_ADD_FAILED_ONLY_SYSTEM_SUPER_USER_CAN_GIVE_ADMIN_ROLES',
  },
} as const satisfies Readonly<Record<string, Refusal>>;
