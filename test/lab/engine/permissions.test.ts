// Users, roles, permits and system permissions: who is logged in leads to what they may do, as clients of a real engine follow it.
import { rules } from '../../../lab/engine/permissions/rules';
import { allRoutes } from '../../../lab/engine/resources';
import { Lab, newDisk, newSnapshot } from './lab-client';
import { newRole, permitted } from './permitted';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.remove();
});

interface Reference {
  readonly id: string;
}
const get = async <T>(path: string): Promise<T> => (await lab.json('GET', path)) as T;

test("the API's root names the logged-in user, whose permission on System names no object and leads to a role", async () => {
  const { authenticated_user: user } = await get<{ authenticated_user: Reference & { href: string; name: string } }>('');
  expect(user).toMatchObject({ href: `/ovirt-engine/api/users/${user.id}`, name: 'admin@internal' });
  expect(await get(`/users/${user.id}`)).toMatchObject({ user_name: 'admin@internal-authz', principal: 'admin' });
  const { permission } = await get<{ permission: readonly { role: Reference; user: Reference }[] }>(`/users/${user.id}/permissions`);
  expect(permission).toHaveLength(1);
  expect(Object.keys(permission[0] ?? {}).sort()).toEqual(['href', 'id', 'role', 'user']);
  expect(permission[0]?.user.id).toBe(user.id);
  expect(await get(`/roles/${permission[0]?.role.id ?? ''}`)).toMatchObject({
    name: 'SuperUser',
    administrative: 'true',
    mutable: 'false',
  });
});

test("a role's permits are the engine's action groups in lower case", async () => {
  const { role } = await get<{ role: readonly (Reference & { name: string })[] }>('/roles');
  const permitsOf = async (name: string): Promise<readonly string[]> =>
    (await get<{ permit: readonly { name: string }[] }>(`/roles/${role.find((each) => each.name === name)?.id ?? ''}/permits`)).permit.map(
      (permit) => permit.name,
    );
  expect(await permitsOf('SuperUser')).toEqual(
    expect.arrayContaining(['create_disk', 'backup_disk', 'manipulate_vm_snapshots', 'create_vm', 'import_export_vm']),
  );
  expect(await permitsOf('ReadOnlyAdmin')).toEqual(['login']);
});

test('a user without any permission has none; unknown users and roles are 404 without a body', async () => {
  const { user } = await get<{ user: readonly (Reference & { principal: string })[] }>('/users');
  expect(user.map(({ principal }) => principal).sort()).toEqual(['admin', 'nobody', 'reader']);
  const nobody = user.find(({ principal }) => principal === 'nobody')?.id ?? '';
  expect(await get(`/users/${nobody}/permissions`)).toEqual({});
  expect(await get<{ permission: readonly unknown[] }>('/permissions')).toMatchObject({ permission: [{}, {}] });
  for (const path of ['users', 'roles'])
    expect(await lab.api('GET', `/${path}/11111111-2222-4333-8444-555555555555`)).toMatchObject({ status: 404, text: '' });
});

test('All-Content tells that a VM has VirtIO-SCSI; without it nothing is said', async () => {
  const { vmId } = await lab.vmWithDisk('scsi');
  expect(await get(`/vms/${vmId}?all_content=true`)).toMatchObject({ virtio_scsi: { enabled: 'true' } });
  expect(await get(`/vms/${vmId}`)).not.toHaveProperty('virtio_scsi');
});

describe('roles and permissions of an administrator\'s own', () => {
  test('the engine hears of a user when it is added; who is not in the directory is refused in plain words', async () => {
    const body = (name: string): string => `<user><user_name>${name}</user_name><domain><name>internal-authz</name></domain></user>`;
    expect(await lab.api('POST', '/users', { body: body('stranger@internal-authz') })).toMatchObject({ status: 400, text: 'No such user: stranger@internal-authz in domain internal-authz' });
    const id = await lab.post('/users', body('holdfast'));
    expect(await lab.post('/users', body('holdfast@internal-authz'))).toBe(id);
    expect(await get(`/users/${id}`)).toMatchObject({ user_name: 'holdfast@internal-authz', principal: 'holdfast' });
    // In the directory, in the engine, and still without any permission.
    expect((await lab.api('GET', '/vms', { headers: { Authorization: `Bearer ${await lab.logIn('holdfast@internal')}` } })).status).toBe(401);
    expect((await lab.api('POST', `/users/${id}/permissions`, { body: '<permission><role><name>SuperUser</name></role></permission>' })).status).toBe(405);
    expect((await lab.api('DELETE', `/users/${id}`)).status).toBe(200);
  });

  test('a role has the permits that it was given, by the engine\'s numbers; what is not one is refused', async () => {
    const id = await lab.post('/roles', newRole('Holdfast', ['login', 'create_disk']));
    expect(await get(`/roles/${id}`)).toMatchObject({ name: 'Holdfast', administrative: 'true', mutable: 'true' });
    expect(await get(`/roles/${id}/permits`)).toMatchObject({ permit: [{ id: '1300', name: 'login' }, { id: '1100', name: 'create_disk' }] });
    expect(await lab.api('POST', '/roles', { body: '<role><name>x</name><administrative>true</administrative><permits><permit id="4711"/></permits></role>' })).toMatchObject({ status: 400, text: '4711 is not a valid permit ID.' });
    expect((await lab.api('POST', '/roles', { body: '<role><name>x</name></role>' })).text).toContain('Role [name, permits.id] required for add');
    expect((await lab.api('DELETE', `/roles/${id}/permits/1100`)).status).toBe(200);
    expect((await lab.api('DELETE', `/roles/${id}/permits/1100`)).status).toBe(404);
    expect(await get(`/roles/${id}/permits`)).toMatchObject({ permit: [{ name: 'login' }] });
  });
});

describe('a permission counts on its object and on what lies in it', () => {
  const cases: readonly { readonly where: string; readonly path: (ids: Ids) => string; readonly snapshots: boolean; readonly disks: boolean }[] = [
    { where: 'System', path: () => '', snapshots: true, disks: true },
    { where: 'the data center', path: ({ center }) => `/datacenters/${center}`, snapshots: true, disks: true },
    { where: 'the cluster', path: ({ cluster }) => `/clusters/${cluster}`, snapshots: true, disks: false },
    { where: 'the VM', path: ({ vmId }) => `/vms/${vmId}`, snapshots: true, disks: false },
    { where: 'another VM', path: ({ otherId }) => `/vms/${otherId}`, snapshots: false, disks: false },
    { where: 'the storage domain', path: ({ domain }) => `/storagedomains/${domain}`, snapshots: false, disks: true },
  ];
  interface Ids {
    readonly vmId: string;
    readonly otherId: string;
    readonly cluster: string;
    readonly center: string;
    readonly domain: string;
  }

  test.each(cases)('given on $where: snapshots of the VM $snapshots, new disks $disks', async ({ path, snapshots, disks }) => {
    const own = await Lab.start();
    try {
      const first = async (what: string, key: string): Promise<string> => ((await own.json('GET', what))[key] as { id: string; name: string }[]).find(({ name }) => ['Default', 'data-1'].includes(name))?.id ?? '';
      const { vmId } = await own.vmWithDisk('a');
      const ids: Ids = { vmId, otherId: await own.vm('b'), cluster: await first('/clusters', 'cluster'), center: await first('/datacenters', 'data_center'), domain: await first('/storagedomains', 'storage_domain') };
      const user = await permitted(own, ['login', 'manipulate_vm_snapshots', 'create_disk'], path(ids));
      expect((await user.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') })).status).toBe(snapshots ? 201 : 403);
      expect((await user.api('POST', '/disks', { body: newDisk('d') })).status).toBe(disks ? 201 : 403);
      // Reading is every administrative role's right, and what nobody has looked up is the SuperUser's alone.
      expect((await user.api('GET', `/vms/${vmId}`)).status).toBe(200);
      expect((await user.api('POST', '/tags', { body: '<tag><name>t</name></tag>' })).status).toBe(403);
      const listed = (await own.json('GET', `/users/${user.id}/permissions`))['permission'];
      expect(listed).toHaveLength(1);
      await own.idle();
    } finally {
      await own.remove();
    }
  });
});

test('a disk is not changed through its attachment by one who may only plug it', async () => {
  const own = await Lab.start();
  try {
    const { vmId, diskId } = await own.vmWithDisk('a');
    const user = await permitted(own, ['login', 'configure_vm_storage'], `/vms/${vmId}`);
    const grow = '<disk_attachment><disk><provisioned_size>2147483648</provisioned_size></disk></disk_attachment>';
    expect((await user.api('PUT', `/vms/${vmId}/diskattachments/${diskId}`, { body: grow })).status).toBe(403);
  } finally {
    await own.remove();
  }
});

test('taking an event away asks for AUDIT_LOG_MANAGEMENT of an alert alone, of any other for what posting it asked for', async () => {
  const own = await Lab.start();
  try {
    const user = await permitted(own, ['login', 'inject_external_events']);
    const removed = async (severity: string, customId: number): Promise<number> => {
      const body = `<event><origin>test</origin><severity>${severity}</severity><custom_id>${customId}</custom_id><description>d</description></event>`;
      return (await user.api('DELETE', `/events/${await own.post('/events', body)}`)).status;
    };
    expect([await removed('warning', 1), await removed('alert', 2)]).toEqual([200, 403]);
    expect((await user.api('DELETE', '/events/99999')).status).toBe(404);
  } finally {
    await own.remove();
  }
});

test('every rule is about a route that the lab has', () => {
  const routes = new Set(allRoutes(lab.engine.context, { transfers: true }).map(({ method, path }) => `${method} ${path}`));
  expect(Object.keys(rules).filter((route) => !routes.has(route))).toEqual([]);
});
