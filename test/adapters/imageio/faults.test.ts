// Answers that the real daemon cannot be made to give on demand. The fake that gives them passes the contract of the real one first.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { openImageioReader, openImageioWriter, type ImageioOptions } from '../../../adapters/imageio';
import { FakeImageio, type Fault } from '../../fakes/fake-imageio';
import { MiB, useDirectory } from '../blocks/support';
import { all, describeImageio, newDisk } from './imageio.contract';

const directory = useDirectory();
let daemon: FakeImageio;
beforeAll(async () => {
  daemon = await new FakeImageio().start();
});
afterAll(() => daemon.stop());
afterEach(() => {
  daemon.fault = undefined;
  daemon.unixSocket = undefined;
  daemon.features = ['checksum', 'extents', 'flush', 'zero'];
});

describe('the fake', () => {
  describeImageio(() => daemon, () => directory.path, 'tcp');
});

/** One disk for all of them: only the answers differ. */
let shared: string | undefined;
async function optionsFor(op: 'read' | 'write', more: Partial<ImageioOptions> = {}): Promise<ImageioOptions> {
  const ticket = await daemon.ticket({ image: (shared ??= newDisk(directory.path).image), op });
  return { transferUrl: ticket.transferUrl, label: 'disk X', sizeBytes: ticket.sizeBytes, insecure: true, ...more };
}

const extentsAre = (text: string): Fault => (request, response) => request.url?.includes('/extents') === true && (response.end(text), true);
const dataIs = (answer: (response: Parameters<Fault>[1]) => void): Fault => (request, response) => request.headers.range !== undefined && (answer(response), true);

describe('a read', () => {
  const range = 'bytes 0-4095/25690112';
  it.each<readonly [string, Fault, string]>([
    ['that never answers', dataIs(() => undefined), 'imageio.io'],
    ['that stops in the middle', dataIs((response) => void response.writeHead(206, { 'content-range': range, 'content-length': 4096 }).write(Buffer.alloc(100))), 'imageio.io'],
    ['whose connection is cut in the middle', dataIs((response) => void response.writeHead(206, { 'content-range': range, 'content-length': 4096 }).write(Buffer.alloc(100), () => response.destroy())), 'imageio.io'],
    ['that has too few bytes', dataIs((response) => void response.writeHead(206, { 'content-range': range }).end(Buffer.alloc(100))), 'imageio.io'],
    ['that has too many', dataIs((response) => void response.writeHead(206, { 'content-range': range }).end(Buffer.alloc(4097))), 'imageio.io'],
    ['of another range', dataIs((response) => void response.writeHead(206, { 'content-range': 'bytes 4096-8191/25690112' }).end(Buffer.alloc(4096))), 'imageio.io'],
    ['of a disk of another size', dataIs((response) => void response.writeHead(206, { 'content-range': 'bytes 0-4095/25690624' }).end(Buffer.alloc(4096))), 'imageio.io'],
    ['of the whole disk, as from a server that knows no ranges', dataIs((response) => void response.writeHead(200).end(Buffer.alloc(8192))), 'imageio.io'],
    ['that fails at the host', dataIs((response) => void response.writeHead(500).end('Server failed to perform the request, check logs')), 'imageio.io'],
    ['through a proxy without a host', dataIs((response) => void response.writeHead(503).end('<html>')), 'imageio.io'],
  ])('%s is a failure that is tried again', async (_what, fault, code) => {
    const source = await openImageioReader({ ...(await optionsFor('read')), requestTimeoutMs: 1_500 });
    daemon.fault = fault;
    await expect(source.read(0, Buffer.alloc(4096))).rejects.toMatchObject({ code });
    daemon.fault = undefined;
    await source.read(0, Buffer.alloc(4096));
    await source.close();
  });
});

it('a refusal that is lost because the daemon hangs up in the middle of a write is asked for again', async () => {
  const ticket = await daemon.ticket({ image: newDisk(directory.path).image, op: 'write' });
  const target = await openImageioWriter({ transferUrl: ticket.transferUrl, label: 'disk X', sizeBytes: ticket.sizeBytes, insecure: true });
  daemon.fault = (request) => request.method === 'PUT' && (request.socket.destroy(), true);
  await expect(target.write(0, Buffer.alloc(MiB))).rejects.toMatchObject({ code: 'imageio.io' });
  await ticket.expire();
  await expect(target.write(0, Buffer.alloc(MiB))).rejects.toMatchObject({ code: 'imageio.ticket-gone' });
  await target.close();
});

describe('a list of extents', () => {
  const size = 24 * MiB + 512 * 1024;
  it.each([
    ['that is no JSON', '<html></html>'],
    ['that is cut off', '[{"start":0,"length":4096,"zero":true}'],
    ['with a gap', `[{"start":0,"length":4096,"zero":true},{"start":8192,"length":${size - 8192},"zero":true}]`],
    ['that goes back', `[{"start":0,"length":${size},"zero":true},{"start":4096,"length":4096,"zero":false}]`],
    ['with something else in it', '[{"from":0,"to":4096}]'],
    ['with a negative length', `[{"start":0,"length":-4096},{"start":-4096,"length":${size + 4096}}]`],
  ])('%s is refused', async (_what, text) => {
    const source = await openImageioReader(await optionsFor('read'));
    daemon.fault = extentsAre(text);
    await expect(all(source.extents(0))).rejects.toMatchObject({ code: 'imageio.io' });
    await source.close();
  });

  it('of a disk of another size is told as that', async () => {
    const source = await openImageioReader(await optionsFor('read'));
    daemon.fault = extentsAre(`[{"start":0,"length":${size + 4096},"zero":true}]`);
    await expect(all(source.extents(0))).rejects.toMatchObject({ code: 'imageio.refused' });
    await source.close();
  });

  it('from an older daemon leaves words out: then everything is data, and changed', async () => {
    const source = await openImageioReader(await optionsFor('read'));
    daemon.fault = extentsAre(`[{"start":0,"length":${size}}]`);
    expect(await all(source.extents(0))).toEqual([{ start: 0, length: size, zero: false }]);
    expect(await all(source.changes(0))).toEqual([{ start: 0, length: size, zero: false, changed: true }]);
    await source.close();
  });
});

it.each(['', '[]', '{"features":7}', '<html>'])('an answer to OPTIONS that is not imageio\'s (%j) opens nothing', async (text) => {
  const options = await optionsFor('read');
  daemon.fault = (_request, response) => (response.end(text), true);
  await expect(openImageioReader(options)).rejects.toMatchObject({ code: expect.stringMatching(/^imageio\.(io|refused)$/) as string });
});

describe('OPTIONS decides: a daemon', () => {
  it('without extents has one extent of data, and no changes', async () => {
    daemon.features = ['checksum'];
    const source = await openImageioReader(await optionsFor('read'));
    expect(await all(source.extents(0))).toEqual([{ start: 0, length: source.sizeBytes, zero: false }]);
    await expect(all(source.changes(0))).rejects.toMatchObject({ code: 'imageio.no-changes' });
    await source.close();
  });

  it('without checksums bears no witness', async () => {
    daemon.features = ['extents'];
    const source = await openImageioReader(await optionsFor('read'));
    await expect(source.checksum()).rejects.toMatchObject({ code: 'imageio.refused' });
    await source.close();
  });

  it('without zero and flush is written zeroes, and every write is durable by itself', async () => {
    daemon.features = [];
    const target = await openImageioWriter(await optionsFor('write'));
    daemon.asked.length = 0;
    await target.zero(0, 2 * MiB + 512);
    await target.flush();
    expect(daemon.asked).toEqual(Array(3).fill('PUT ?flush=y'));
    await target.close();
  });

  it('with them is flushed when we say so, and not before', async () => {
    const target = await openImageioWriter(await optionsFor('write'));
    daemon.asked.length = 0;
    await target.write(0, Buffer.alloc(4096));
    await target.zero(0, 4096);
    await target.flush();
    expect(daemon.asked).toEqual(['PUT ?flush=n', 'PATCH ', 'PATCH ']);
    await target.close();
  });

  it('that names a unix socket where another program listens is spoken to over TCP', async () => {
    const socketPath = join(directory.path, 'stranger');
    const stranger = createServer((_request, response) => response.writeHead(403).end('No such ticket')).listen(socketPath);
    daemon.unixSocket = socketPath;
    const source = await openImageioReader(await optionsFor('read'));
    expect(source.transport).toBe('tcp');
    await source.read(0, Buffer.alloc(512));
    await source.close();
    stranger.close();
  });
});
