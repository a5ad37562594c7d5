// How the client behaves on the wire: one log-in for all, one repetition after a 401 and none otherwise, and an error with a
// code, an object and a remedy for everything that can come back, or not come back.
import { HoldfastError } from '../../../domain/failures';
import { clientOf, diskId, failureOf, password, type Script, type ScriptedEngine, startScriptedEngine, username, vmId, wireVm } from './scripted-engine';

let server: ScriptedEngine;
let client: ReturnType<typeof clientOf>;

async function start(script: Script, options: Parameters<typeof clientOf>[1] = {}): Promise<void> {
  server = await startScriptedEngine(script);
  client = clientOf(server.url, options);
}

afterEach(async () => {
  await client.close();
  await server.close();
});

const isLogin = (path: string): boolean => path === '/sso/oauth/token';
const isLogout = (path: string): boolean => path === '/services/sso-logout';

describe('log-in', () => {
  test('once for many calls at the same time, with the form the engine wants', async () => {
    await start(({ path }) => (isLogin(path) ? undefined : { body: wireVm }));
    const vms = await Promise.all(Array.from({ length: 10 }, () => client.getVm(vmId)));
    expect(vms).toHaveLength(10);
    expect(server.logins).toHaveLength(1);
    expect(Object.fromEntries(new URLSearchParams(server.logins[0]?.body))).toEqual({ grant_type: 'password', scope: 'ovirt-app-api', username, password });
    expect(server.requests.every(({ headers }) => headers.authorization === 'Bearer token-1' && headers['version'] === '4' && headers.accept === 'application/json')).toBe(true);
  });

  test('a 401 is answered with one new log-in, however many calls got it, and each is repeated once', async () => {
    await start(({ path, headers }) => {
      if (isLogin(path)) return undefined;
      return headers.authorization === 'Bearer token-1' ? { status: 401, body: '<html><body>Unauthorized</body></html>' } : { body: wireVm };
    });
    await Promise.all([client.getVm(vmId), client.getVm(vmId), client.getVm(vmId)]);
    expect(server.logins).toHaveLength(2);
    expect(server.requests).toHaveLength(6);
    const correlationIds = server.requests.map(({ headers }) => String(headers['correlation-id']));
    expect(new Set(correlationIds).size).toBe(6);
    expect(correlationIds.every((id) => /^[A-Za-z0-9_-]{1,36}$/.test(id))).toBe(true);
  });

  test('a second 401 is final and says which engine, which user, and what to do', async () => {
    await start(({ path }) => (isLogin(path) ? undefined : { status: 401, body: '<html><body>Unauthorized</body></html>' }));
    const failure = await failureOf(client.getVm(vmId));
    expect(failure.code).toBe('engine.unauthorized');
    expect(failure.message).toMatch(/"east".*"admin@internal".*password file/);
    expect(server.requests).toHaveLength(2);
  });

  test.each([
    ['400, API form', 400, { error_code: 'access_denied', error: "Cannot authenticate user 'admin@internal': The username or password is incorrect." }],
    ['400, OAuth form', 400, { error: 'access_denied', error_description: "Cannot authenticate user 'admin@internal'." }],
    ['200, as old engines do', 200, { error: 'invalid_grant', error_description: 'Locked.' }],
  ])('a refusal (%s) is final, and the next call tries again with the password of that time', async (_form, status, body) => {
    let current = 'wrong';
    await start(({ path, body: form }) => (isLogin(path) ? (form.includes('password=wrong') ? { status, body } : undefined) : { body: wireVm }), { password: () => Promise.resolve(current) });
    const failure = await failureOf(client.getVm(vmId));
    expect(failure.code).toBe('engine.unauthorized');
    expect(failure.message).toMatch(/Engine "east" refused the log-in of "admin@internal"/);
    current = 'right';
    await expect(client.getVm(vmId)).resolves.toMatchObject({ id: vmId });
  });

  test.each([
    ['a proxy that is up before the engine', { status: 503, body: '<html><title>503</title><body>Service Unavailable</body></html>' }, 'engine.unavailable', /503 Service Unavailable/],
    ['the sign-on fails by itself', { status: 400, body: { error_code: 'server_error', error: 'database gone' } }, 'engine.unavailable', /database gone/],
    ['another service', { status: 200, body: '<html><body>It works!</body></html>' }, 'engine.protocol', /It works!.*url/],
    ['not there', { status: 404, body: '' }, 'engine.protocol', /url/],
  ] as const)('%s', async (_what, reply, code, message) => {
    await start(({ path }) => (isLogin(path) ? reply : { body: wireVm }));
    const failure = await failureOf(client.getVm(vmId));
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
  });

  test('the password is in no message, even when the server sends it back', async () => {
    const lines: unknown[] = [];
    await start(({ path, body }) => (isLogin(path) ? { status: 400, body: { error: 'access_denied', error_description: `no such user; form ${new URLSearchParams(body).get('password') ?? ''}` } } : undefined), { log: (line) => lines.push(line) });
    const failure = await failureOf(client.getVm(vmId));
    expect(JSON.stringify([failure.message, failure.details, lines])).not.toContain(password);
    expect(failure.message).toContain('***');
  });

  test('closing ends the session', async () => {
    await start(({ path }) => (isLogin(path) ? undefined : { body: wireVm }));
    await client.getVm(vmId);
    await client.close();
    const logout = server.requests.find(({ path }) => isLogout(path));
    expect(Object.fromEntries(new URLSearchParams(logout?.body))).toEqual({ scope: 'ovirt-app-api', token: 'token-1' });
  });
});

describe('answers', () => {
  test('connections are kept: calls one after the other do not open one each', async () => {
    await start(({ path }) => (isLogin(path) ? undefined : { body: wireVm }));
    for (let call = 0; call < 5; call += 1) await client.getVm(vmId);
    expect(new Set(server.requests.map(({ socket }) => socket)).size).toBeLessThanOrEqual(2);
  });

  test('an empty 404 is "not there", a 404 page is not', async () => {
    let body = '';
    await start(({ path }) => (isLogin(path) ? undefined : { status: 404, body }));
    await expect(client.getVm(vmId)).resolves.toBeUndefined();
    await expect(client.removeDisk(diskId)).resolves.toBeUndefined();
    body = '<html><body><h1>Not Found</h1></body></html>';
    expect((await failureOf(client.getVm(vmId))).code).toBe('engine.protocol');
    expect((await failureOf(client.removeDisk(diskId))).code).toBe('engine.protocol');
  });

  test.each([
    ['HTML 500', { status: 500, body: '<html><head><script>var x;</script></head><body><h2>HTTP Status 500</h2> Internal &nbsp;</body></html>' }, 'engine.protocol', /HTTP 500, HTTP Status 500 Internal/],
    ['HTML 200', { status: 200, body: '<html><body>Welcome</body></html>' }, 'engine.protocol', /without JSON.*Welcome/],
    ['405 for a wrong version', { status: 405, body: '<html>Method Not Allowed</html>' }, 'engine.protocol', /Method Not Allowed/],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' }, body: '' }, 'engine.protocol', /HTTP 302/],
    ['a truncated object', { body: { id: vmId } }, 'engine.protocol', /"name"/],
    ['an array', { body: [] }, 'engine.protocol', /the body/],
    ['403', { status: 403, body: { reason: 'Operation Failed', detail: '[User is not authorized to perform this action.]' } }, 'engine.forbidden', /"admin@internal".*User is not authorized.*SuperUser/],
    ['a failing backend', { status: 400, body: { reason: 'Operation Failed', detail: '[]' } }, 'engine.unavailable', /Operation Failed/],
    ['503', { status: 503, body: '' }, 'engine.unavailable', /HTTP 503/],
  ] as const)('%s', async (_what, reply, code, message) => {
    await start(({ path }) => (isLogin(path) ? undefined : reply));
    const failure = await failureOf(client.getVm(vmId));
    expect(failure).toBeInstanceOf(HoldfastError);
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
    expect(failure.message).toContain(`reading VM ${vmId}`);
    expect(failure.message).not.toMatch(/<|var x/);
  });

  test('a fault keeps the engine\'s words and ids for programs', async () => {
    await start(({ path }) => (isLogin(path) ? undefined : { status: 409, headers: { 'correlation-id': 'engine-own' }, body: { fault: { reason: 'Operation Failed', detail: '[Cannot run VM. VM is running.]' }, status: 'failed' } }));
    const failure = await failureOf(client.startVm(vmId));
    expect(failure.code).toBe('engine.conflict');
    expect(failure.message).toContain('Cannot run VM. VM is running.');
    expect(failure.details).toMatchObject({ engine: 'east', httpStatus: 409, correlationId: 'engine-own', detail: '[Cannot run VM. VM is running.]' });
  });
});

describe('no answer', () => {
  test('a connection that breaks after the request arrived: unreachable, said so, and never sent twice', async () => {
    await start(({ path, socket }) => {
      if (!isLogin(path)) socket.destroy();
      return undefined;
    });
    const failure = await failureOf(client.startVm(vmId));
    expect(failure.code).toBe('engine.unreachable');
    expect(failure.message).toMatch(/may have been carried out/);
    expect(server.requests.filter(({ path }) => path.endsWith('/start'))).toHaveLength(1);
    expect((await failureOf(client.getVm(vmId))).message).not.toMatch(/may have been carried out/);
  });

  test.each([
    ['before the headers', () => undefined],
    [
      'within the body',
      (response: Parameters<Script>[1]) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"id":');
      },
    ],
  ])('an answer that stops %s ends with the request time-out', async (_where, answer) => {
    await start(({ path }, response) => {
      if (!isLogin(path)) answer(response);
      return undefined;
    }, { requestTimeoutMs: 400 });
    const failure = await failureOf(client.getVm(vmId));
    expect(failure.code).toBe('engine.unreachable');
    expect(failure.message).toMatch(/no answer within 400 ms while reading VM/);
    await server.close();
  });

  test('a port where nobody listens, a host that does not exist', async () => {
    await start(() => undefined);
    await server.close();
    const refused = await failureOf(client.about());
    expect(refused.code).toBe('engine.unreachable');
    expect(refused.message).toMatch(/"east".*ECONNREFUSED.*Check its url/);
    const lost = clientOf('https://engine.invalid/ovirt-engine');
    expect((await failureOf(lost.about())).code).toBe('engine.unreachable');
    await lost.close();
  });
});

describe('addresses', () => {
  test.each(['', '/ovirt-engine', '/ovirt-engine/', '/ovirt-engine/api', '/ovirt-engine/api/'])('a url that ends in "%s" means the same engine', async (suffix) => {
    await start(({ path }) => (isLogin(path) ? undefined : { body: wireVm }));
    const other = clientOf(server.url.replace('/ovirt-engine', suffix));
    await expect(other.getVm(vmId)).resolves.toMatchObject({ name: 'demo' });
    expect(server.requests.at(-1)?.path).toBe(`/api/vms/${vmId}`);
    await other.close();
  });

  test.each(['engine.example.com', 'ftp://engine/ovirt-engine', 'https://admin:secret@engine/ovirt-engine'])('%s is refused before anything is sent', async (url) => {
    await start(() => undefined);
    expect(() => clientOf(url)).toThrow(/must look like https:\/\/<host>\/ovirt-engine/);
  });

  test('an id that would lead elsewhere is refused', async () => {
    await start(() => undefined);
    for (const id of ['', '..', 'a/b', 'a?b']) expect((await failureOf(client.removeVm(id))).code).toBe('input.invalid');
    expect(server.requests).toHaveLength(0);
  });
});
