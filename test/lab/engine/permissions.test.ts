// Users, roles, permits and system permissions: who is logged in leads to what they may do, as clients of a real engine follow it.
import { Lab } from './lab-client';

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
