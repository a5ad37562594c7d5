// A disk of this appliance, found by its serial and opened: a block device is read directly, a file, and all that is written, goes through
// an image server of our own, and an NBD socket may stand in its place. It is found by name only, never by order or size.
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/failures';
import { deviceNumber, refuseUsedDevice, writeCounters } from './block-device';
import { openDirectDevice } from './direct-device';
import { startImageServer, type ImageServer } from './image-server';
import { openNbd, type NbdBlocks } from './nbd/open-nbd';
import type { BlockReader, BlockWriter } from './port';

export interface DeviceOptions {
  /** `/dev/disk/by-id` on a real appliance. */
  readonly directory: string;
  readonly diskId: string;
  /** Writers: a device of another size is refused before a byte is written. */
  readonly sizeBytes?: number;
  readonly signal?: AbortSignal;
}

interface FoundDevice {
  readonly path: string;
  readonly kind: 'block' | 'file' | 'socket';
  /** Block devices: major:minor. */
  readonly number?: string;
}

/** virtio-blk shows 20 characters of a serial, virtio-scsi all of it. */
const shortSerialCharacters = 20;

/** A reader's `close` throws `device.changed` when something wrote to the block device meanwhile: what was read counts only after it. */
export function openDevice(options: DeviceOptions & { readonly mode: 'read' }): Promise<BlockReader>;
export function openDevice(options: DeviceOptions & { readonly mode: 'write' }): Promise<BlockWriter>;
export async function openDevice(options: DeviceOptions & { readonly mode: 'read' | 'write' }): Promise<BlockReader | BlockWriter> {
  const found = await findDevice(options.directory, options.diskId);
  return options.mode === 'read' ? openReader(found, options) : openWriter(found, options);
}

export async function findDevice(directory: string, diskId: string): Promise<FoundDevice> {
  const entries = (await readdir(directory).catch(() => [])).filter((entry) => !/-part\d+$/.test(entry));
  const full = entries.filter((entry) => entry.endsWith(diskId));
  const names = full.length > 0 ? full : entries.filter((entry) => entry.endsWith(diskId.slice(0, shortSerialCharacters)));
  // A link may vanish between readdir and here when the disk is being unplugged.
  const targets = new Set((await Promise.all(names.map((name) => realpath(join(directory, name)).catch(() => undefined)))).filter((path) => path !== undefined));
  const [path, ...others] = [...targets];
  if (path === undefined) {
    throw new HoldfastError(
      'device.not-found',
      `No entry in ${directory} belongs to disk ${diskId}. It may not be attached (yet). If it is: attach it with interface virtio-scsi so that the guest sees its whole serial, and see that udev runs in the appliance and that its LVM filter and multipath leave guests' disks alone.`,
      { directory, diskId },
    );
  }
  if (others.length > 0) {
    throw new HoldfastError('device.foreign', `Disk ${diskId} leads to more than one device in ${directory}: ${[path, ...others].join(', ')}. Which one it is cannot be known, so none is opened.`, { directory, diskId });
  }
  const facts = await stat(path);
  if (facts.isSocket()) return { path, kind: 'socket' };
  if (facts.isFile()) return { path, kind: 'file' };
  if (facts.isBlockDevice()) return { path, kind: 'block', number: deviceNumber(facts.rdev) };
  throw new HoldfastError('device.foreign', `The entry of disk ${diskId} in ${directory} leads to ${path}, which is neither a block device nor a file nor a socket.`, { directory, diskId });
}

async function openReader(found: FoundDevice, options: DeviceOptions): Promise<BlockReader> {
  if (found.number === undefined) {
    const { blocks, end } = await serve(found, options, true);
    return {
      sizeBytes: blocks.sizeBytes,
      transport: blocks.transport,
      extents: (from, signal) => blocks.extents(from, signal),
      read: (offset, buffer, signal) => blocks.read(offset, buffer, signal),
      close: end,
    };
  }
  const { number, path } = found;
  const before = await writeCounters(number);
  const device = await openDirectDevice({ path, number, label: `disk ${options.diskId} (${path})` });
  return {
    ...device,
    close: async () => {
      await device.close();
      if ((await writeCounters(number)) === before) return;
      throw new HoldfastError(
        'device.changed',
        `Something wrote to ${found.path} (disk ${options.diskId}) while it was being read, so the copy may be of no moment in time. Keep LVM, multipath and automounters of the appliance away from guests' disks (LVM filter), then run the backup again.`,
        { diskId: options.diskId, path: found.path },
      );
    },
  };
}

async function openWriter(found: FoundDevice, options: DeviceOptions): Promise<BlockWriter> {
  if (found.number !== undefined) await refuseUsedDevice(found.path, found.number, options.diskId);
  const { blocks, end } = await serve(found, options, false);
  const refuse = async (why: string): Promise<never> => {
    await end();
    throw new HoldfastError('device.foreign', `The device of disk ${options.diskId} (${found.path}) ${why}: nothing is written to it.`, { diskId: options.diskId, path: found.path });
  };
  if (options.sizeBytes !== undefined && blocks.sizeBytes !== options.sizeBytes) return refuse(`has ${blocks.sizeBytes} bytes instead of ${options.sizeBytes}`);
  if (blocks.readOnly) return refuse('is read-only');
  return {
    sizeBytes: blocks.sizeBytes,
    write: (offset, data, signal) => blocks.write(offset, data, signal),
    zero: (offset, length, signal) => blocks.zero(offset, length, signal),
    flush: (signal) => blocks.flush(signal),
    close: end,
  };
}

async function serve(found: FoundDevice, { diskId, signal }: DeviceOptions, readOnly: boolean): Promise<{ blocks: NbdBlocks; end: () => Promise<void> }> {
  const label = `disk ${diskId} (${found.path})`;
  if (found.kind === 'socket') {
    const blocks = await openNbd({ address: { socketPath: found.path }, exportName: diskId, label, signal });
    return { blocks, end: () => blocks.close() };
  }
  const server: ImageServer = await startImageServer({ file: found.path, format: 'raw', readOnly, label, transport: 'san', signal });
  return { blocks: server.blocks, end: () => server.close() };
}
