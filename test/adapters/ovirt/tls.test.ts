// Certificates, with real ones made by openssl: the engine's own CA must be configured, and only an explicit setting does
// without.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientOf, failureOf, type ScriptedEngine, startScriptedEngine, vmId, wireVm } from './scripted-engine';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
const at = (file: string): string => join(directory, file);
const openssl = (...words: readonly string[]): void => {
  execFileSync('openssl', words, { cwd: directory, stdio: 'pipe', timeout: 60_000 });
};

function makeCa(name: string): void {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`);
}

function makeCertificate(name: string, ca: string, subjectAltName: string): { key: string; cert: string } {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${subjectAltName}`);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2', '-copy_extensions', 'copyall', '-out', `${name}.pem`);
  return { key: readFileSync(at(`${name}.key`), 'utf8'), cert: readFileSync(at(`${name}.pem`), 'utf8') };
}

const servers: ScriptedEngine[] = [];
const serve = async (tls: { key: string; cert: string }): Promise<string> => {
  const server = await startScriptedEngine(({ path }) => (path === '/sso/oauth/token' ? undefined : { body: wireVm }), tls);
  servers.push(server);
  return server.url;
};
let trustedUrl: string;
let elsewhereUrl: string;

beforeAll(async () => {
  makeCa('engine-ca');
  makeCa('other-ca');
  trustedUrl = await serve(makeCertificate('engine', 'engine-ca', 'IP:127.0.0.1'));
  elsewhereUrl = await serve(makeCertificate('elsewhere', 'engine-ca', 'DNS:elsewhere.example.com'));
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(directory, { recursive: true });
});

test('the configured CA is trusted', async () => {
  const client = clientOf(trustedUrl, { caFile: at('engine-ca.pem') });
  await expect(client.getVm(vmId)).resolves.toMatchObject({ id: vmId });
  await client.close();
});

test.each([
  ['another CA', () => ({ url: trustedUrl, caFile: at('other-ca.pem') })],
  ['no CA', () => ({ url: trustedUrl })],
  ['the certificate of another host', () => ({ url: elsewhereUrl, caFile: at('engine-ca.pem') })],
])('%s: a certificate error that names the setting, and no password is sent', async (_what, how) => {
  const { url, ...options } = how();
  const before = servers.map(({ logins }) => logins.length);
  const client = clientOf(url, options);
  const failure = await failureOf(client.getVm(vmId));
  expect(failure.code).toBe('engine.certificate');
  expect(failure.message).toMatch(/"east".*not trusted.*caFile/);
  expect(servers.map(({ logins }) => logins.length)).toEqual(before);
  await client.close();
});

test('no verification only by the explicit setting', async () => {
  const client = clientOf(elsewhereUrl, { insecure: true });
  await expect(client.getVm(vmId)).resolves.toMatchObject({ id: vmId });
  await client.close();
});

test('a CA file that cannot be read is a configuration error', () => {
  expect(() => clientOf(trustedUrl, { caFile: at('missing.pem') })).toThrow(/CA file .*missing\.pem.*setting caFile/);
});
