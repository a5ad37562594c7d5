// Our NBD client against real qemu-nbd: bytes, extents, limits, faults, cancel.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { openNbd, type NbdBlocks } from '../../../adapters/blocks/nbd/open-nbd';
import { foreignServer, MiB, qemuImg, rawDisk, useDirectory } from './support';

const directory = useDirectory();
const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

let serial = 0;
async function serve(args: readonly string[], exportName = '', options: Partial<Parameters<typeof openNbd>[0]> = {}): Promise<{ nbd: NbdBlocks; pid: number; socketPath: string }> {
  const socketPath = join(directory.path, `s${serial++}`);
  const server = await foreignServer(socketPath, args);
  cleanUp.push(() => server.stop());
  const nbd = await openNbd({ address: { socketPath }, exportName, ...options });
  cleanUp.push(() => nbd.close());
  return { nbd, pid: server.child.pid ?? 0, socketPath };
}

function newImage(sizeBytes: number): string {
  const image = join(directory.path, `i${serial++}.qcow2`);
  qemuImg('create', '-q', '-f', 'qcow2', image, String(sizeBytes));
  return image;
}

it('reads back what it wrote, and qemu-img finds the same bytes', async () => {
  const image = newImage(64 * MiB);
  const { nbd, socketPath } = await serve(['-f', 'qcow2', '--discard=unmap', image]);
  expect(nbd.sizeBytes).toBe(64 * MiB);
  expect(nbd.transport).toBe('socket');
  const data = randomBytes(40 * MiB); // more than one request may hold
  await nbd.write(3 * MiB + 512, data);
  await nbd.zero(10 * MiB, 5 * MiB);
  data.fill(0, 7 * MiB - 512, 12 * MiB - 512);
  await nbd.flush();
  const back = Buffer.alloc(data.length, 1);
  await nbd.read(3 * MiB + 512, back);
  expect(back.equals(data)).toBe(true);
  const raw = join(directory.path, 'expected.raw');
  rawDisk(raw, 64 * MiB, [{ start: 3 * MiB + 512, bytes: data }]);
  expect(qemuImg('compare', '-f', 'raw', '-F', 'raw', raw, `nbd+unix:///?socket=${socketPath}`)).toContain('identical');
});

it('has many requests under way at once, each into its own buffer, SharedArrayBuffers too', async () => {
  const raw = join(directory.path, 'many.raw');
  const content = rawDisk(raw, 32 * MiB, [{ start: 0, bytes: randomBytes(32 * MiB) }]);
  const { nbd } = await serve(['-r', '-f', 'raw', raw]);
  const memory = new Uint8Array(new SharedArrayBuffer(32 * MiB));
  const step = 300 * 1024;
  const reads: Promise<void>[] = [];
  for (let at = 0; at < memory.length; at += step) reads.push(nbd.read(at, memory.subarray(at, Math.min(memory.length, at + step))));
  await Promise.all(reads);
  expect(Buffer.compare(memory, content)).toBe(0);
});

it('walks the extents: holes and written zeroes are zero, everything else is data', async () => {
  const image = newImage(20 * MiB);
  const { nbd } = await serve(['-f', 'qcow2', image]);
  await nbd.write(2 * MiB, randomBytes(MiB));
  await nbd.write(8 * MiB, randomBytes(MiB));
  await nbd.zero(8 * MiB, MiB / 2);
  const extents = [];
  for await (const extent of nbd.extents(MiB)) extents.push([extent.start / MiB, extent.length / MiB, extent.zero]);
  expect(extents).toEqual([
    [1, 1, true],
    [2, 1, false],
    [3, 5.5, true],
    [8.5, 0.5, false],
    [9, 11, true],
  ]);
});

it('reads other metadata contexts, such as a dirty bitmap', async () => {
  const image = newImage(8 * MiB);
  qemuImg('bitmap', '--add', '-g', '65536', image, 'since-monday');
  execFileSync('qemu-io', ['-c', 'write -P 7 1M 64k', image]);
  const { nbd } = await serve(['-r', '-f', 'qcow2', '-B', 'since-monday', image], '', { contexts: ['qemu:dirty-bitmap:since-monday'] });
  const dirty = [];
  for await (const run of nbd.statusOf('qemu:dirty-bitmap:since-monday', 0)) if (run.flags !== 0) dirty.push([run.start, run.length]);
  expect(dirty).toEqual([[MiB, 65536]]);
  await expect(nbd.statusOf('qemu:dirty-bitmap:other', 0).next()).rejects.toMatchObject({ code: 'blocks.server' });
});

it('works over TCP, and says so', async () => {
  const { socketPath } = await serve(['-f', 'qcow2', newImage(MiB)]);
  // qemu-nbd cannot listen on an ephemeral port: a small relay does.
  const { connect } = await import('node:net');
  const relay = createServer((client) => {
    const upstream = connect(socketPath);
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const nbd = await openNbd({ address: { host: '127.0.0.1', port: (relay.address() as AddressInfo).port }, exportName: '' });
  expect(nbd.transport).toBe('tcp');
  await nbd.write(0, Buffer.alloc(4096, 9));
  await nbd.close();
  await new Promise((resolve) => relay.close(resolve));
});

describe('refuses', () => {
  it('an export that is not there, by name', async () => {
    await expect(serve(['-x', 'right', '-f', 'qcow2', newImage(MiB)], 'wrong')).rejects.toMatchObject({ code: 'blocks.server', message: expect.stringContaining('"wrong"') as string });
  });

  it('a server that does not speak NBD', async () => {
    const socketPath = join(directory.path, 'web');
    const web = createServer((client) => client.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(socketPath);
    await expect(openNbd({ address: { socketPath }, exportName: '' })).rejects.toMatchObject({ code: 'blocks.server' });
    await new Promise((resolve) => web.close(resolve));
  });

  it('a size beyond 2^53, which a number cannot hold exactly', async () => {
    await expect(serve(['-r', '--image-opts', 'driver=null-co,size=18014398509481984'])).rejects.toMatchObject({ code: 'blocks.server', message: expect.stringContaining('2^53') as string });
  });

  it('a range outside of the disk, before anything is sent', async () => {
    const { nbd } = await serve(['-f', 'qcow2', newImage(MiB)]);
    await expect(nbd.read(MiB - 10, Buffer.alloc(11))).rejects.toMatchObject({ code: 'blocks.io' });
    await expect(nbd.write(-1, Buffer.alloc(1))).rejects.toMatchObject({ code: 'blocks.io' });
  });
});

describe('a fault of the storage', () => {
  function faulty(event: string, errno: number): string {
    const config = join(directory.path, `blkdebug${serial++}`);
    writeFileSync(config, `[inject-error]\nevent = "${event}"\nerrno = "${errno}"\n`);
    return `driver=qcow2,file.driver=blkdebug,file.config=${config},file.image.driver=file,file.image.filename=${newImage(8 * MiB)}`;
  }

  it('names errno, offset and export, and leaves the connection usable', async () => {
    const { nbd } = await serve(['--image-opts', faulty('write_aio', 5)], '', { label: 'disk A' });
    await expect(nbd.write(MiB, Buffer.alloc(65536, 1))).rejects.toMatchObject({
      code: 'blocks.io',
      message: expect.stringMatching(/Writing 65536 bytes at 1048576 of disk A failed with EIO/) as string,
      details: { offset: MiB, errno: 'EIO' },
    });
    await nbd.read(0, Buffer.alloc(4096));
  });

  it('for want of space has the code that the caller gave it', async () => {
    const { nbd } = await serve(['--image-opts', faulty('write_aio', 28)], '', { noSpaceCode: 'repository.full' });
    await expect(nbd.write(MiB, Buffer.alloc(65536, 1))).rejects.toMatchObject({ code: 'repository.full' });
  });
});

it('tells every request under way that the server is gone, and all later ones', async () => {
  const raw = join(directory.path, 'gone.raw');
  rawDisk(raw, 64 * MiB, []);
  const { nbd, pid } = await serve(['-r', '-f', 'raw', raw]);
  process.kill(pid, 'SIGSTOP');
  const reads = [nbd.read(0, Buffer.alloc(MiB)), nbd.read(MiB, Buffer.alloc(MiB)), nbd.flush()].map((read) => expect(read).rejects.toMatchObject({ code: 'blocks.server' }));
  process.kill(pid, 'SIGKILL');
  await Promise.all(reads);
  await expect(nbd.read(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'blocks.server' });
});

it('lets go of a server that stands still when the signal is aborted, with the signal\'s own reason', async () => {
  const raw = join(directory.path, 'still.raw');
  rawDisk(raw, 64 * MiB, []);
  const { nbd, pid } = await serve(['-r', '-f', 'raw', raw]);
  process.kill(pid, 'SIGSTOP');
  const cancel = new AbortController();
  const read = nbd.read(0, Buffer.alloc(MiB), cancel.signal);
  cancel.abort(new Error('the operator cancelled'));
  await expect(read).rejects.toThrow('the operator cancelled');
  await expect(nbd.read(0, Buffer.alloc(MiB), cancel.signal)).rejects.toThrow('the operator cancelled');
});

it('gives up on a server that takes the connection and says nothing', async () => {
  const { pid, socketPath } = await serve(['-f', 'qcow2', newImage(MiB)]);
  process.kill(pid, 'SIGSTOP');
  await expect(openNbd({ address: { socketPath }, exportName: '', handshakeMs: 200 })).rejects.toMatchObject({ code: 'blocks.server', message: expect.stringContaining('did not answer within 200 ms') as string });
});

it('does not begin when the signal is aborted already', async () => {
  await expect(openNbd({ address: { socketPath: join(directory.path, 'nowhere') }, exportName: '', signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late');
});
