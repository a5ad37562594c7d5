// Provocations of the refusals about permissions, users and roles. See refusals.test.ts.
import type { permissionRefusals } from '../../../lab/engine/refusals-permissions';
import { newDisk } from './lab-client';
import { addHoldfast, newRole, permitted } from './permitted';
import type { Provocations } from './provocation';

const nowhere = '11111111-2222-4333-8444-555555555555';

export const permissionProvocations: Provocations<typeof permissionRefusals> = {
  'any/not-authorized': async (lab) => (await permitted(lab, ['login', 'delete_disk'])).api('POST', '/disks', { body: newDisk('d') }),
  'role/name-used': async (lab) => {
    await lab.post('/roles', newRole('backup', ['login']));
    return lab.api('POST', '/roles', { body: newRole('backup', ['login']) });
  },
  'permission/role-unknown': async (lab) =>
    lab.api('POST', '/permissions', { body: `<permission><role><name>nobody's</name></role><user id="${await addHoldfast(lab)}"/></permission>` }),
  'permission/object-unknown': async (lab) =>
    lab.api('POST', `/vms/${nowhere}/permissions`, { body: `<permission><role><name>SuperUser</name></role><user id="${await addHoldfast(lab)}"/></permission>` }),
  'permission/not-super-user': async (lab) => {
    const user = await permitted(lab, ['login', 'manipulate_permissions']);
    return user.api('POST', '/permissions', { body: `<permission><role><name>SuperUser</name></role><user id="${user.id}"/></permission>` });
  },
};
