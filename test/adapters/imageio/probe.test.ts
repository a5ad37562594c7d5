// The look at a data daemon: the real one, and whatever else may be met at its port.
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { probeDaemon } from '../../../adapters/imageio';
import { freePort } from '../../support/ports';
import { useDirectory } from '../blocks/support';
import { startRealDaemon, type RealDaemon } from './real-daemon';

const address = '127.0.0.1';
const directory = useDirectory();
let daemon: RealDaemon;
beforeAll(async () => {
  daemon = await startRealDaemon(join(directory.path, 'd'));
}, 120_000);
afterAll(() => daemon.stop());

let server: Server | undefined;
/** Waits for the connections too: a probe leaves none behind. */
afterEach(async () => {
  const closing = server;
  if (closing && 'closeAllConnections' in closing) (closing as HttpsServer).closeAllConnections();
  if (closing) await new Promise((resolve) => closing.close(resolve));
  server = undefined;
});

const daemonPort = (): number => Number(new URL(daemon.url).port);
async function listening(made: Server): Promise<number> {
  server = made;
  await new Promise<void>((resolve) => made.listen(0, address, resolve));
  return (made.address() as AddressInfo).port;
}
/** With the real daemon's certificate. */
const https = (answer: Parameters<typeof createHttps>[1]): Promise<number> => listening(createHttps({ key: readFileSync(join(directory.path, 'd', 'host.key')), cert: readFileSync(join(directory.path, 'd', 'host.pem')) }, answer));
const probe = (port: number, more: { readonly address?: string; readonly caFile?: string; readonly insecure?: boolean } = {}) => probeDaemon({ address, port, caFile: daemon.caFile, timeoutMs: 1_500, ...more });

describe('the real daemon', () => {
  test('answers anybody without a ticket, and its certificate\'s end is told', async () => {
    const facts = await probe(daemonPort());
    expect(facts).toEqual({ outcome: 'answers', certificateExpiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string });
    const days = (Date.parse((facts as { certificateExpiresAt: string }).certificateExpiresAt) - Date.now()) / 86_400_000;
    expect([days > 1, days <= 2]).toEqual([true, true]);
  });

  test('is not trusted by another CA, or under another name', async () => {
    expect(await probe(daemonPort(), { caFile: daemon.otherCaFile })).toMatchObject({ outcome: 'untrusted' });
    expect(await probe(daemonPort(), { address: 'localhost' })).toMatchObject({ outcome: 'untrusted', reason: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') as string });
    expect(await probe(daemonPort(), { caFile: daemon.otherCaFile, insecure: true })).toMatchObject({ outcome: 'answers' });
    await expect(probe(daemonPort(), { caFile: '/nowhere.pem' })).rejects.toMatchObject({ code: 'config.invalid' });
  });
});

describe('something else', () => {
  test('a port where nobody listens, and a name that nobody knows', async () => {
    expect(await probe(await freePort())).toMatchObject({ outcome: 'unreachable', reason: expect.stringContaining('ECONNREFUSED') as string });
    expect(await probe(54_322, { address: 'daemon.invalid' })).toMatchObject({ outcome: 'unreachable' });
  });

  test('a port that takes connections and is silent, as behind some firewalls', async () => {
    expect(await probe(await listening(createTcp((socket) => socket.resume())))).toEqual({ outcome: 'unreachable', reason: 'no connection within 1.5 s' });
  });

  test('a daemon that hangs', async () => {
    expect(await probe(await https(() => undefined))).toEqual({ outcome: 'silent', reason: 'no answer within 1.5 s' });
  });

  test('one that does not speak TLS', async () => {
    expect(await probe(await listening(createHttp((_request, response) => response.end('{"features":[]}'))))).toMatchObject({ outcome: 'no-daemon', reason: expect.stringContaining('does not speak TLS') as string });
  });

  test.each<readonly [string, number, string]>([
    ['another web server', 404, '<html>'],
    ['one that takes everything', 200, ''],
    ['one that speaks JSON', 200, '{"status":"ok"}'],
    ['one that does not end', 200, 'x'.repeat(1024 * 1024)],
  ])('%s', async (_what, status, text) => {
    expect(await probe(await https((_request, response) => response.writeHead(status).end(text)))).toMatchObject({ outcome: 'no-daemon' });
  });

  test('one that hangs up', async () => {
    expect(await probe(await https((request) => request.socket.destroy()))).toMatchObject({ outcome: 'no-daemon' });
  });
});
