// A block device of this machine, read past the page cache and without a server in between. Such a device has no map of its holes, so all of
// it is read, and sending that through a socket took several times as long as reading it (docs/benchmarks.md). Reading only.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/failures';
import { asError, isError } from './as-error';
import { deviceBytes } from './block-device';
import { sharedPages } from './copy/shared-pages';
import type { BlockReader } from './port';

const closeDeadlineMs = 5_000;

export interface DirectDeviceOptions {
  readonly path: string;
  /** major:minor */
  readonly number: string;
  /** What messages call it. */
  readonly label: string;
}

export async function openDirectDevice({ path, number, label }: DirectDeviceOptions): Promise<BlockReader> {
  const failed = (what: string, cause: unknown): HoldfastError => new HoldfastError('blocks.io', `${what} ${label} failed: ${asError(cause).message}. Look at the storage below it.`, { path }, { cause });
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch((error: unknown) => {
    throw failed('Opening', error);
  });
  const sizeBytes = await deviceBytes(number);
  return {
    sizeBytes,
    transport: 'san',
    async *extents(from) {
      if (from < sizeBytes) yield await Promise.resolve({ start: from, length: sizeBytes - from, zero: false });
    },
    async read(offset, buffer, signal) {
      signal?.throwIfAborted();
      const what = `Reading ${buffer.length} bytes at ${offset} of`;
      const reading = readAnywhere(handle, offset, buffer).catch((error: unknown) => {
        throw failed(what, error);
      });
      await unlessAborted(reading, signal);
    },
    /** Waits for reads under way, which nobody can call back; a device that hangs keeps its handle, but not its copy. */
    async close() {
      const timer = new AbortController();
      await Promise.race([handle.close(), sleep(closeDeadlineMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    },
  };
}

/** The kernel takes only buffers that begin on a sector's boundary. The window of a copy does; whatever does not is read through one that does. */
async function readAnywhere(handle: FileHandle, offset: number, buffer: Uint8Array): Promise<void> {
  try {
    await readFully(handle, offset, buffer);
  } catch (error) {
    if (!(isError(error) && 'code' in error && error.code === 'EINVAL')) throw error;
    const aligned = new Uint8Array(sharedPages(buffer.length), 0, buffer.length);
    await readFully(handle, offset, aligned);
    buffer.set(aligned);
  }
}

async function readFully(handle: FileHandle, offset: number, buffer: Uint8Array): Promise<void> {
  for (let at = 0; at < buffer.length; ) {
    const { bytesRead } = await handle.read(buffer, at, buffer.length - at, offset + at);
    if (bytesRead === 0) throw new Error(`it ends at ${offset + at}`);
    at += bytesRead;
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(asError(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
