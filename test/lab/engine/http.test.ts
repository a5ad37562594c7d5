// The HTTP face: sign-on and its faults, sessions, negotiation, shapes of XML and JSON, errors as they were observed.
import { child, childText, parseXml } from '../../../lab/engine/xml';
import { newSnapshot, Lab, send } from './lab-client';

let lab: Lab;
let vmId: string;
let diskId: string;
beforeAll(async () => {
  lab = await Lab.start();
  ({ vmId, diskId } = await lab.vmWithDisk('shape'));
});
afterAll(async () => {
  await lab.remove();
});

const password = { grant_type: 'password', scope: 'ovirt-app-api', username: 'admin@internal' };
const unknownId = '11111111-2222-4333-8444-555555555555';

describe('sign-on', () => {
  test('a token with an expiry, good for the API', async () => {
    const reply = await lab.sso({ ...password, password: lab.password('admin@internal') });
    const token = JSON.parse(reply.text) as Record<string, string>;
    expect(reply.status).toBe(200);
    expect(token).toMatchObject({ scope: 'ovirt-app-api', token_type: 'bearer' });
    expect(Number(token['exp'])).toBeGreaterThan(Date.now());
  });

  test('faults are 400 JSON, in the two shapes of the two kinds of scope', async () => {
    const wrong = await lab.sso({ ...password, password: 'wrong' });
    expect([wrong.status, (JSON.parse(wrong.text) as { error_code: string }).error_code]).toEqual([400, 'access_denied']);
    const oauth = await lab.sso({ ...password, scope: 'foo', password: 'wrong' });
    expect(JSON.parse(oauth.text)).toMatchObject({
      error: 'access_denied',
      error_description: expect.stringContaining('Unable to log in') as string,
    });
    expect(JSON.parse((await lab.sso({ ...password })).text)).toEqual({
      error_code: 'invalid_request',
      error: "Missing parameter: 'password'",
    });
    expect(JSON.parse((await lab.sso({ grant_type: 'magic' })).text)).toMatchObject({ error: 'unsupported_grant_type' });
  });

  test('no token, a wrong one, an expired one, one that logged out, a user without permissions: 401 in HTML', async () => {
    const closed = await lab.logIn('admin@internal');
    await send('POST', `${lab.origin}/ovirt-engine/services/sso-logout`, lab.engine.caFile, {
      body: `scope=ovirt-app-api&token=${closed}`,
    });
    for (const authorization of ['', 'Bearer nonsense', `Bearer ${closed}`, `Bearer ${await lab.logIn('nobody@internal')}`]) {
      const reply = await lab.api('GET', '/vms', { headers: { Authorization: authorization } });
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Basic realm="RESTAPI"']);
      expect(reply.headers['content-type']).toContain('text/html');
    }
  });

  test('an idle token ends', async () => {
    const short = await Lab.start(undefined, 0.05);
    await new Promise((resolve) => {
      setTimeout(resolve, 120);
    });
    expect((await short.api('GET', '/vms')).status).toBe(401);
    await short.remove();
  });

  test('Basic works; another API version does not; a reader may not change anything', async () => {
    const basic = Buffer.from(`admin@internal:${lab.password('admin@internal')}`).toString('base64');
    expect((await lab.api('GET', '', { headers: { Authorization: `Basic ${basic}` } })).status).toBe(200);
    expect((await lab.api('GET', '', { headers: { Version: '3' } })).status).toBe(405);
    const reader = { Authorization: `Bearer ${await lab.logIn('reader@internal')}` };
    expect((await lab.api('GET', '/vms', { headers: reader })).status).toBe(200);
    expect((await lab.api('DELETE', `/vms/${vmId}`, { headers: reader })).status).toBe(403);
  });

  test('the CA certificate is there without a session and signs the server', async () => {
    const reply = await send(
      'GET',
      `${lab.origin}/ovirt-engine/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA`,
      lab.engine.caFile,
    );
    expect(reply.text).toContain('BEGIN CERTIFICATE');
  });
});

describe('shapes', () => {
  test('XML is the default: attributes for id and href, links, actions', async () => {
    const reply = await lab.api('GET', `/vms/${vmId}`);
    expect(reply.headers['content-type']).toMatch(/^application\/xml(;.*)?$/);
    const vm = parseXml(reply.text);
    expect(vm.attributes).toEqual({ href: `/ovirt-engine/api/vms/${vmId}`, id: vmId });
    expect(vm.children.filter(({ name }) => name === 'link').map(({ attributes }) => attributes['rel'])).toContain('diskattachments');
    expect(child(vm, 'actions')?.children.map(({ attributes }) => attributes['rel'])).toContain('start');
    expect(childText(vm, 'creation_time')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('JSON: numbers and booleans are strings, dates are numbers, collections have the singular key or are empty objects', async () => {
    const list = await lab.json('GET', '/vms?search=name%3Dshape');
    const [vm] = list['vm'] as Record<string, unknown>[];
    expect(vm).toMatchObject({
      memory: '1073741824',
      delete_protected: 'false',
      creation_time: expect.any(Number) as number,
      os: { boot: { devices: { device: ['hd'] } } },
    });
    expect(vm?.['link']).toContainEqual({ rel: 'nics', href: `/ovirt-engine/api/vms/${vmId}/nics` });
    expect(await lab.json('GET', '/vms?search=name%3Dnobody')).toEqual({});
    const disk = await lab.json('GET', `/disks/${diskId}`);
    expect(disk).toMatchObject({
      provisioned_size: '1073741824',
      sparse: 'true',
      storage_domains: { storage_domain: [{ id: expect.any(String) as string }] },
    });
  });

  test('JSON bodies mean the same as XML bodies', async () => {
    const created = await lab.json('POST', '/disks', {
      alias: 'json',
      provisioned_size: '1048576',
      format: 'cow',
      storage_domains: { storage_domain: [{ name: 'data-1' }] },
    });
    expect(created).toMatchObject({ alias: 'json', provisioned_size: '1048576', status: 'locked' });
    await lab.idle();
  });

  test('All-Content by header or query brings the configuration; without it there is none', async () => {
    expect((await lab.api('GET', `/vms/${vmId}`)).text).not.toContain('<initialization>');
    expect((await lab.api('GET', `/vms/${vmId}?all_content=true`)).text).toContain('<type>ovf</type>');
    expect((await lab.api('GET', '/vms', { headers: { 'All-Content': 'true' } })).text).toContain('<type>ovf</type>');
  });

  test('follow puts objects in the place of links, deeply; a bad name is a 500 in HTML', async () => {
    const vm = await lab.xml('GET', `/vms/${vmId}?follow=disk_attachments.disk,cluster`);
    const attached = child(vm, 'disk_attachments')?.children[0];
    expect(childText((attached && child(attached, 'disk')) ?? vm, 'alias')).toBe('shape_Disk1');
    expect(childText(child(vm, 'cluster') ?? vm, 'name')).toBe('Default');
    const json = await lab.json('GET', `/vms/${vmId}?follow=diskattachments`);
    expect(json['disk_attachments']).toMatchObject({ disk_attachment: [{ id: diskId, interface: 'virtio_scsi' }] });
    const bad = await lab.api('GET', `/disks/${diskId}?follow=vms`);
    expect([bad.status, bad.headers['content-type']]).toEqual([500, 'text/html;charset=UTF-8']);
  });

  test('search: wildcards, and, or, not equal, sortby, page, max; an unknown field is an error', async () => {
    for (const name of ['s-one', 's-two', 's-three']) await lab.vm(name);
    const names = async (search: string, rest = ''): Promise<unknown> => {
      const found = (await lab.json('GET', `/vms?search=${encodeURIComponent(search)}${rest}`))['vm'] as { name: string }[] | undefined;
      return found?.map(({ name }) => name);
    };
    expect(await names('name=s-* sortby name')).toEqual(['s-one', 's-three', 's-two']);
    expect(await names('name=s-* and name!=s-two sortby name desc')).toEqual(['s-three', 's-one']);
    expect(await names('name=S-ONE or name="s-two"')).toEqual(['s-one', 's-two']);
    expect(await names('name=S-ONE', '&case_sensitive=true')).toBeUndefined();
    expect(await names('name=s-* sortby name asc page 2', '&max=2')).toEqual(['s-two']);
    expect(await names('name=s-* or name=shape and status=down s-t')).toEqual(['s-three', 's-two']);
    expect(await names(`id=${vmId} and status=down`)).toEqual(['shape']);
    expect((await lab.api('GET', '/vms?search=colour%3Dred')).status).toBe(400);
  });

  test.each([
    ['a direction is missing before the page', 'name=s-* sortby name page 1'],
    ['two words without quotes', 's one'],
    ['a single quote', "name='s-one'"],
    ['a quote that does not end', 'name="s-one'],
    ['nothing to join', 'name=s-one and'],
    ['no value', 'name='],
  ])('a search that is none is no error, it finds nothing: %s', async (_, search) => {
    expect(await lab.json('GET', `/vms?search=${encodeURIComponent(search)}`)).toEqual({});
  });

  test('free text is not looked for in ids, numbers and statuses; without sortby VMs come by name', async () => {
    expect(await lab.json('GET', `/vms?search=${vmId}`)).toEqual({});
    const found = (await lab.json('GET', '/vms'))['vm'] as { name: string }[];
    expect(found.map(({ name }) => name)).toEqual(found.map(({ name }) => name).sort((left, right) => left.localeCompare(right)));
  });

  test('Expect: 201-created answers when the work is done', async () => {
    const reply = await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('waited'), headers: { Expect: '201-created' } });
    expect([reply.status, childText(parseXml(reply.text), 'snapshot_status')]).toEqual([201, 'ok']);
  });
});

describe('errors', () => {
  test('a VM or disk that is unknown or has a malformed id: 404 without a body; a snapshot: 404 with a Fault', async () => {
    for (const path of [`/vms/${unknownId}`, '/vms/nonsense', `/disks/${unknownId}`, '/disks/x', '/jobs/x', '/clusters/x']) {
      expect(await lab.api('GET', path)).toMatchObject({ status: 404, text: '' });
    }
    const snapshot = await lab.api('GET', `/vms/${vmId}/snapshots/${unknownId}`);
    expect([snapshot.status, parseXml(snapshot.text).name]).toEqual([404, 'fault']);
    expect((await lab.api('GET', '/events/xyz')).status).toBe(400);
  });

  test('malformed ids in bodies: 400 on POST /vms, 500 in HTML on disk attachments', async () => {
    const vm = await lab.api('POST', '/vms', { body: '<vm><name>x</name><cluster id="zzz"/><template><name>Blank</name></template></vm>' });
    expect([vm.status, childText(parseXml(vm.text), 'detail')]).toEqual([400, 'Invalid UUID string: zzz']);
    const attached = await lab.attach(vmId, 'zzz');
    expect([attached.status, attached.headers['content-type']]).toEqual([500, 'text/html;charset=UTF-8']);
  });

  test('faults of actions are nested, in XML and in JSON', async () => {
    const reply = await lab.action(`/vms/${vmId}/freezefilesystems`);
    const action = parseXml(reply.text);
    expect([reply.status, action.name, childText(action, 'status')]).toEqual([409, 'action', 'failed']);
    expect(childText(child(action, 'fault') ?? action, 'detail')).toBe('[Cannot freeze VM because the VM is in Down status.]');
    const json = await lab.api('POST', `/vms/${vmId}/freezefilesystems`, {
      body: '{}',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
    });
    expect(JSON.parse(json.text)).toEqual({
      fault: { detail: '[Cannot freeze VM because the VM is in Down status.]', reason: 'Operation Failed' },
      status: 'failed',
    });
  });

  test('a missing element is named', async () => {
    const reply = await lab.api('POST', `/vms/${vmId}/snapshots`, { body: '<snapshot/>' });
    expect([reply.status, childText(parseXml(reply.text), 'reason'), childText(parseXml(reply.text), 'detail')]).toEqual([
      400,
      'Incomplete parameters',
      'Snapshot [description] required for add',
    ]);
  });

  test('what the lab does not know is an error and a log line, never a silent 200', async () => {
    const before = lab.lines.length;
    expect((await lab.api('GET', '/vms?colour=red')).status).toBe(400);
    expect((await lab.api('GET', '/affinitylabels')).status).toBe(404);
    expect((await lab.api('PUT', '/events/1', { body: '<event/>' })).status).toBe(405);
    expect((await lab.api('GET', '/vms;max=2')).status).toBe(400);
    expect((await lab.api('PUT', `/vms/${vmId}`, { body: '<vm><colour>red</colour></vm>' })).status).toBe(400);
    expect((await lab.api('PUT', `/vms/${vmId}`, { body: '<vm><memory>1</memory></vm>' })).status).toBe(400);
    expect(
      (await lab.api('PUT', `/vms/${vmId}`, { body: '{"colour":"red"}', headers: { 'Content-Type': 'application/json' } })).status,
    ).toBe(400);
    expect((await lab.api('PUT', `/vms/${vmId}`, { body: '<vm><name>' })).status).toBe(400);
    expect((await lab.api('POST', '/disks', { body: '<disk><provisioned_size>many</provisioned_size></disk>' })).status).toBe(400);
    expect(lab.lines.slice(before)).toHaveLength(9);
  });

  test('the correlation id is stripped, cut to 36, told in the header and found on jobs and events', async () => {
    const wanted = 'a b/c-0123456789-0123456789-0123456789-0123456789';
    const effective = 'abc-0123456789-0123456789-0123456789';
    const reply = await lab.api('POST', `/vms/${vmId}/snapshots?correlation_id=${encodeURIComponent(wanted)}`, {
      body: newSnapshot('correlated'),
    });
    expect(reply.headers['correlation-id']).toBe(effective);
    await lab.idle();
    expect(await lab.eventCodes(effective)).toEqual([45, 68]);
    expect((await lab.json('GET', `/jobs?search=correlation_id%3D${effective}`))['job']).toHaveLength(1);
    expect((await lab.api('GET', '/vms', { headers: { 'Correlation-Id': 'mine' } })).headers['correlation-id']).toBe('mine');
  });
});

describe('events', () => {
  test('a posted event keeps neither its user nor the correlation id of its request; it is found by its VM, by name and by free text', async () => {
    const body = `<event><origin>test</origin><severity>normal</severity><custom_id>99</custom_id><description>posted</description><vm id="${vmId}"/></event>`;
    const event = await lab.xml('POST', '/events?correlation_id=posted-1', body);
    expect([child(event, 'user'), child(event, 'correlation_id')]).toEqual([undefined, undefined]);
    for (const search of ['event_vm=shape and custom_event_id=99', `${vmId} and custom_event_id=99`, 'vm=shape and custom_event_id=99'])
      expect((await lab.json('GET', `/events?search=${encodeURIComponent(search)}`))['event']).toMatchObject([{ id: event.attributes['id'] }]);
  });

  test('from gives greater indexes, newest first; with max the newest; a deleted one still answers by id', async () => {
    const post = (customId: number): Promise<string> =>
      lab.post(
        '/events',
        `<event><origin>test</origin><severity>warning</severity><custom_id>${customId}</custom_id><description>d${customId}</description></event>`,
      );
    const [first, , third] = [await post(1), await post(2), await post(3)];
    const indexes = async (query: string): Promise<number[]> =>
      ((await lab.json('GET', `/events?${query}`))['event'] as { index: string }[]).map(({ index }) => Number(index));
    expect(await indexes(`from=${first}`)).toEqual([Number(third), Number(third) - 1]);
    expect(await indexes(`from=${first}&max=1`)).toEqual([Number(third)]);
    await lab.xml('DELETE', `/events/${third}`);
    expect(await indexes(`from=${first}`)).toEqual([Number(third) - 1]);
    expect(childText(await lab.xml('GET', `/events/${third}`), 'code')).toBe('9802');
  });
});
