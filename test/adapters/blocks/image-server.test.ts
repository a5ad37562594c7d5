// The image server: a real qemu-nbd that is ours alone, leaves nothing behind and never outlives its parent.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startImageServer, type ImageServer } from '../../../adapters/blocks/image-server';
import { isAlive } from '../../../adapters/blocks/processes';
import { MiB, qemuImg, rawDisk, until, useDirectory } from './support';

const directory = useDirectory();
let serial = 0;

function newImage(): string {
  const image = join(directory.path, `i${serial++}.qcow2`);
  qemuImg('create', '-q', '-f', 'qcow2', image, String(8 * MiB));
  return image;
}

const write = (file: string): Promise<ImageServer> => startImageServer({ file, format: 'qcow2', readOnly: false, label: 'image A', transport: 'socket' });

it('serves, and after close its process is gone and the image is in order', async () => {
  const file = newImage();
  const server = await write(file);
  await server.blocks.write(0, Buffer.alloc(MiB, 5));
  expect(await isAlive(server.process)).toBe(true);
  await server.close();
  expect(await isAlive(server.process)).toBe(false);
  qemuImg('check', '-q', file);
  const again = await startImageServer({ file, format: 'qcow2', readOnly: true, label: 'image A', transport: 'socket' });
  const back = Buffer.alloc(MiB);
  await again.blocks.read(0, back);
  expect(back.equals(Buffer.alloc(MiB, 5))).toBe(true);
  await again.close();
});

it('leaves no socket or directory, not even while it serves', async () => {
  const own = (): string[] => readdirSync(tmpdir()).filter((name) => /^holdfast-[A-Za-z0-9]{6}$/.test(name));
  const before = new Set(own());
  const server = await write(newImage());
  // Other processes on this machine may be starting servers right now: theirs come and go, ours must not stay.
  await until(() => own().every((name) => before.has(name)));
  await server.close();
});

it('says which image is in use when another writer has it', async () => {
  const file = newImage();
  const server = await write(file);
  await expect(write(file)).rejects.toMatchObject({ code: 'blocks.server', message: expect.stringContaining(file) as string, details: { inUse: true } });
  await server.close();
});

it('says what QEMU says about a file that is no image', async () => {
  const file = join(directory.path, 'no-image');
  rawDisk(file, MiB, []);
  await expect(write(file)).rejects.toMatchObject({ code: 'blocks.server', message: expect.stringContaining('not in qcow2 format') as string, details: { inUse: false } });
});

it('ends a server that stands still', async () => {
  const server = await write(newImage());
  process.kill(server.process.pid, 'SIGSTOP');
  await server.close();
  expect(await isAlive(server.process)).toBe(false);
});

it('dies with a parent that is killed, even while it stands still and cannot see that its client is gone', async () => {
  const parent = spawn(process.execPath, ['-r', join(__dirname, '../support-swc.cjs'), join(__dirname, 'serve-child.ts'), newImage()], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const [pid = 0, startTicks = 0] = line.toString().trim().split(' ').map(Number);
  expect(await isAlive({ pid, startTicks })).toBe(true);
  process.kill(pid, 'SIGSTOP');
  parent.kill('SIGKILL');
  await until(async () => !(await isAlive({ pid, startTicks })));
});
