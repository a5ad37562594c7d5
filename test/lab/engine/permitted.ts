// Users of the lab with narrow roles: made by the administrator over the API, as an operator would make them.
import { permitNumbers, type Permit } from '../../../lab/engine/permissions/permits';
import type { Ask, Lab, Reply } from './lab-client';

export interface PermittedUser {
  readonly id: string;
  readonly roleId: string;
  /** A call as this user. */
  api(method: string, path: string, ask?: Ask): Promise<Reply>;
}

export function newRole(name: string, permits: readonly Permit[]): string {
  return `<role><name>${name}</name><administrative>true</administrative><permits>${permits.map((permit) => `<permit id="${permitNumbers[permit]}"/>`).join('')}</permits></role>`;
}

export const addHoldfast = (lab: Lab): Promise<string> => lab.post('/users', '<user><user_name>holdfast@internal-authz</user_name><domain><name>internal-authz</name></domain></user>');

/** `where`: the path of an object, such as `/vms/<id>`; nothing: System. */
export async function permitted(lab: Lab, permits: readonly Permit[], where = ''): Promise<PermittedUser> {
  const id = await addHoldfast(lab);
  const roleId = await lab.post('/roles', newRole(`role of ${permits.join(' ')}`.slice(0, 200), permits));
  await give(lab, id, roleId, where);
  const token = await lab.logIn('holdfast@internal');
  return { id, roleId, api: (method, path, ask = {}) => lab.api(method, path, { ...ask, headers: { ...ask.headers, Authorization: `Bearer ${token}` } }) };
}

export function give(lab: Lab, userId: string, roleId: string, where = ''): Promise<string> {
  return lab.post(`${where}/permissions`, `<permission><role id="${roleId}"/><user id="${userId}"/></permission>`);
}
