// What the doctor reads of an engine: whose permissions, by which roles and on what; the clock in its spellings; VirtIO-SCSI.
import { judgePermissions } from '../../../domain/doctor/judge-engine';
import { clientOf, failureOf, type ScriptedEngine, startScriptedEngine, username, vmId } from './scripted-engine';

const userId = 'e0000000-0000-4000-8000-000000000001';
const clusterId = 'c0000000-0000-4000-8000-000000000001';
const [admin, limited] = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0001-000000000002'];

let server: ScriptedEngine;
let client: ReturnType<typeof clientOf>;
let answers: Record<string, unknown>;
beforeEach(async () => {
  answers = {};
  server = await startScriptedEngine(({ path }) => {
    const body = answers[path.replace(/^\/api/, '')];
    return path === '/sso/oauth/token' ? undefined : body === undefined ? { status: 404 } : { body };
  });
  client = clientOf(server.url);
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const root = (time: unknown): object => ({ product_info: {}, authenticated_user: { id: userId, name: username }, time });

describe('permissions', () => {
  beforeEach(() => {
    answers[''] = root(1_772_524_800_000);
    answers[`/roles/${admin}`] = { name: 'SuperUser' };
    answers[`/roles/${admin}/permits`] = { permit: [{ id: '1', name: 'create_vm', administrative: 'false' }, { id: '2', name: 'CREATE_DISK' }] };
    answers[`/roles/${limited}`] = { name: 'DiskCreator' };
    answers[`/roles/${limited}/permits`] = {};
  });

  test('are those of the logged-in user, each with its role, permits and what it is limited to; a role is read once', async () => {
    answers[`/users/${userId}/permissions`] = { permission: [{ id: 'p1', role: { id: admin }, user: { id: userId } }, { id: 'p2', role: { id: admin }, cluster: { id: clusterId }, group: { id: 'g' } }, { id: 'p3', role: { id: limited }, storage_domain: { id: clusterId } }] };
    expect(await client.ownPermissions()).toEqual([
      { role: 'SuperUser', permits: ['create_vm', 'create_disk'], on: 'system' },
      { role: 'SuperUser', permits: ['create_vm', 'create_disk'], on: `cluster ${clusterId}` },
      { role: 'DiskCreator', permits: [], on: `storage_domain ${clusterId}` },
    ]);
    expect(server.requests.filter(({ path }) => path === `/api/roles/${admin}`)).toHaveLength(1);
  });

  test('one that is taken away is missed', async () => {
    answers[`/users/${userId}/permissions`] = { permission: [{ role: { id: admin } }] };
    expect(judgePermissions(username, await client.ownPermissions()).text).toContain('lacks login (log in), manipulate_vm_snapshots');
    answers[`/users/${userId}/permissions`] = {};
    expect(await client.ownPermissions()).toEqual([]);
  });

  test('of an engine that does not say who is logged in are an error that says so', async () => {
    answers[''] = { product_info: {}, time: 0 };
    expect(await failureOf(client.ownPermissions())).toMatchObject({ code: 'engine.protocol', message: expect.stringContaining('who is logged in') as string });
  });
});

test.each([[1_772_524_800_000], ['1772524800000'], ['2026-03-03T08:00:00.000Z'], ['2026-03-03T09:00:00.000+01:00']])('the clock is read from %p', async (time) => {
  answers[''] = root(time);
  expect(await client.clockMs()).toBe(1_772_524_800_000);
});

test.each([[{ enabled: 'true' }, true], [{ enabled: false }, false], [{}, undefined], [undefined, undefined]])('VirtIO-SCSI %j is %p', async (virtioScsi, expected) => {
  answers[`/vms/${vmId}`] = { id: vmId, ...(virtioScsi === undefined ? {} : { virtio_scsi: virtioScsi }) };
  expect(await client.hasVirtioScsi(vmId)).toBe(expected);
  expect(server.requests.at(-1)?.query).toEqual({ all_content: 'true' });
});

test('hosts are read with address, status and cluster; none is an empty list', async () => {
  answers['/hosts'] = { host: [{ id: userId, name: 'node-1', address: 'node-1.example.org', status: 'up', cluster: { id: clusterId } }, { id: vmId, name: 'node-2', address: '192.0.2.7', cluster: { id: clusterId } }] };
  expect(await client.listHosts()).toEqual([
    { name: 'node-1', address: 'node-1.example.org', status: 'up', clusterId },
    { name: 'node-2', address: '192.0.2.7', status: 'unknown', clusterId },
  ]);
  answers['/hosts'] = {};
  expect(await client.listHosts()).toEqual([]);
});

test('an engine without TLS has no certificate to look at', async () => {
  expect(await failureOf(client.certificate())).toMatchObject({ code: 'config.invalid' });
});
