// Devices by serial: the right one is found, anything doubtful is refused, and each kind of entry is served as what it is.
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, openSync, closeSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { digestBlocks, openDevice } from '../../../adapters/blocks';
import { findDevice } from '../../../adapters/blocks/device';
import { foreignServer, independentDigests, MiB, never, qemuImg, rawDisk, useDirectory } from './support';

const directory = useDirectory();
let serial = 0;

function byId(entries: Readonly<Record<string, string>>): string {
  const path = join(directory.path, `by-id${serial++}`);
  mkdirSync(path);
  for (const [name, target] of Object.entries(entries)) symlinkSync(target, join(path, name));
  return path;
}

function disk(sizeBytes = 4 * MiB): string {
  const path = join(directory.path, `disk${serial++}`);
  rawDisk(path, sizeBytes, [{ start: MiB, bytes: randomBytes(MiB) }]);
  return path;
}

const id = randomUUID();

describe('finding', () => {
  it('by the whole serial (virtio-scsi), whatever the other entries are', async () => {
    const right = disk();
    const entries = { [`scsi-0QEMU_QEMU_HARDDISK_${id}`]: right, [`scsi-SQEMU_QEMU_HARDDISK_${id}`]: right, [`scsi-0QEMU_QEMU_HARDDISK_${id}-part1`]: disk(), [`scsi-0QEMU_QEMU_HARDDISK_${randomUUID()}`]: disk() };
    expect(await findDevice(byId(entries), id)).toEqual({ path: right, kind: 'file' });
  });

  it('by the first 20 characters (virtio-blk)', async () => {
    const right = disk();
    expect(await findDevice(byId({ [`virtio-${id.slice(0, 20)}`]: right, [`virtio-${id.slice(0, 20)}-part2`]: disk() }), id)).toMatchObject({ path: right });
  });

  it('refuses two devices with one serial', async () => {
    await expect(findDevice(byId({ [`scsi-0_${id}`]: disk(), [`scsi-1_${id}`]: disk() }), id)).rejects.toMatchObject({ code: 'device.foreign' });
  });

  it('says where it looked and what may be wrong when there is none', async () => {
    const empty = byId({ [`scsi-0QEMU_QEMU_HARDDISK_${randomUUID()}`]: disk() });
    await expect(findDevice(empty, id)).rejects.toMatchObject({ code: 'device.not-found', message: expect.stringMatching(new RegExp(`${empty}.*${id}.*virtio-scsi.*LVM filter`)) as string });
    await expect(findDevice(join(empty, 'missing'), id)).rejects.toMatchObject({ code: 'device.not-found' });
  });

  it('refuses what is no disk at all', async () => {
    await expect(findDevice(byId({ [`scsi-0_${id}`]: directory.path }), id)).rejects.toMatchObject({ code: 'device.foreign' });
    await expect(findDevice(byId({ [`scsi-0_${id}`]: '/dev/null' }), id)).rejects.toMatchObject({ code: 'device.foreign' });
  });
});

it('reads a file as a device of this machine', async () => {
  const path = disk();
  const reader = await openDevice({ directory: byId({ [`scsi-0_${id}`]: path }), diskId: id, mode: 'read' });
  expect(reader.transport).toBe('san');
  expect((await digestBlocks(reader, { signal: never })).root).toBe(independentDigests(path, 'raw').root);
  await reader.close();
});

it('reads and writes behind an NBD socket, by the export named like the disk', async () => {
  const image = join(directory.path, 'socket.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', image, String(4 * MiB));
  const socketPath = join(directory.path, 'nbd');
  const server = await foreignServer(socketPath, ['-x', id, '-f', 'qcow2', image]);
  const entries = byId({ [`scsi-0_${id}`]: socketPath });
  const writer = await openDevice({ directory: entries, diskId: id, mode: 'write', sizeBytes: 4 * MiB });
  await writer.write(MiB, Buffer.alloc(MiB, 3));
  await writer.flush();
  await writer.close();
  const reader = await openDevice({ directory: entries, diskId: id, mode: 'read' });
  expect(reader.transport).toBe('socket');
  const back = Buffer.alloc(MiB);
  await reader.read(MiB, back);
  expect(back.equals(Buffer.alloc(MiB, 3))).toBe(true);
  await reader.close();
  await server.stop();
});

it('a writer refuses a device of another size, and one that is read-only', async () => {
  const path = disk();
  await expect(openDevice({ directory: byId({ [`scsi-0_${id}`]: path }), diskId: id, mode: 'write', sizeBytes: 5 * MiB })).rejects.toMatchObject({ code: 'device.foreign', message: expect.stringContaining(`${4 * MiB} bytes`) as string });
  const socketPath = join(directory.path, 'read-only');
  const server = await foreignServer(socketPath, ['-r', '-x', id, '-f', 'raw', path]);
  await expect(openDevice({ directory: byId({ [`scsi-0_${id}`]: socketPath }), diskId: id, mode: 'write' })).rejects.toMatchObject({ code: 'device.foreign' });
  await server.stop();
});

describe('a real block device', () => {
  /** undefined, with the reason printed, where there are no loop devices for us. */
  function loop(): string | undefined {
    try {
      return execFileSync('losetup', ['--find', '--show', disk(16 * MiB)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
    } catch (error) {
      console.warn(`Not tested on a block device: no loop device can be set up (${error instanceof Error ? error.message.trim() : String(error)}).`);
      return undefined;
    }
  }

  async function withLoop(work: (device: string) => Promise<void>): Promise<void> {
    const device = loop();
    if (device === undefined) return;
    try {
      await work(device);
    } finally {
      execFileSync('losetup', ['--detach', device]);
    }
  }

  it('is read and written like any other, and a quiet one is not reported as changed', async () => {
    await withLoop(async (device) => {
      const entries = byId({ [`scsi-0_${id}`]: device });
      const writer = await openDevice({ directory: entries, diskId: id, mode: 'write', sizeBytes: 16 * MiB });
      await writer.write(2 * MiB, Buffer.alloc(MiB, 8));
      await writer.flush();
      await writer.close();
      const reader = await openDevice({ directory: entries, diskId: id, mode: 'read' });
      expect(reader.transport).toBe('san');
      const back = Buffer.alloc(MiB);
      await reader.read(2 * MiB, back);
      expect(back.equals(Buffer.alloc(MiB, 8))).toBe(true);
      // Through the copy's window too, whose buffers the kernel takes as they are; a device tells no holes, and zeroes are zeroes all the same.
      expect(await digestBlocks(reader, { signal: never })).toEqual({ root: independentDigests(device, 'raw').root, dataBytes: 16 * MiB });
      await expect(reader.read(16 * MiB, back)).rejects.toMatchObject({ code: 'blocks.io' });
      await expect(reader.read(0, back, AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled');
      await reader.close();
    });
  });

  it('starts no server to be read: it is read past the page cache, and directly', async () => {
    await withLoop(async (device) => {
      const reader = await openDevice({ directory: byId({ [`scsi-0_${id}`]: device }), diskId: id, mode: 'read' });
      const children = execFileSync('ps', ['--ppid', String(process.pid), '-o', 'args='], { encoding: 'utf8' });
      expect(children).not.toContain('qemu-nbd');
      await reader.close();
    });
  });

  it('that somebody writes to while it is read is reported', async () => {
    await withLoop(async (device) => {
      const reader = await openDevice({ directory: byId({ [`scsi-0_${id}`]: device }), diskId: id, mode: 'read' });
      const file = openSync(device, 'r+');
      writeSync(file, Buffer.alloc(4096, 1), 0, 4096, 0);
      execFileSync('blockdev', ['--flushbufs', device]);
      closeSync(file);
      await expect(reader.close()).rejects.toMatchObject({ code: 'device.changed' });
    });
  });

  it('that is mounted is never written to', async () => {
    await withLoop(async (device) => {
      const mountPoint = join(directory.path, 'mnt');
      mkdirSync(mountPoint, { recursive: true });
      execFileSync('mkfs.ext4', ['-q', device]);
      try {
        execFileSync('mount', [device, mountPoint], { stdio: 'pipe' });
      } catch (error) {
        console.warn(`Not tested on a mounted device: ${String(error)}`);
        return;
      }
      try {
        await expect(openDevice({ directory: byId({ [`scsi-0_${id}`]: device }), diskId: id, mode: 'write' })).rejects.toMatchObject({ code: 'device.foreign', message: expect.stringContaining(`mounted at ${mountPoint}`) as string });
      } finally {
        execFileSync('umount', [mountPoint]);
      }
    });
  });
});
