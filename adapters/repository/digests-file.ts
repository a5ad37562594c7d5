// `<diskId>.digests`: 32 raw bytes per block, in order. Written by position while the image is copied, read back by the sealed backup.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, stat, type FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { DigestSink, DigestSource } from '../blocks/port';
import { fileMode } from './layout';

export const digestBytes = 32;
const chunkBytes = 1024 * 1024;

async function readFully(handle: FileHandle, position: number, bytes: number, path: string): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await handle.read(buffer, at, bytes - at, position + at);
    if (bytesRead === 0) throw new Error(`${path} ends at ${position + at} bytes; ${position + bytes} were expected`);
    at += bytesRead;
  }
  return buffer;
}

/**
 * A file of its own for each writer, with what is durable of the former one: a writer that was only stopped and wakes up
 * holds the file that was replaced, and cannot reach this one.
 */
export async function openDigestSink(path: string, keepBlocks: number, fencing: number): Promise<DigestSink & { close(): Promise<void> }> {
  const temporary = `${path}.${fencing}.tmp`;
  const handle = await open(temporary, 'w+', fileMode);
  try {
    if (keepBlocks > 0) await copyPrefix(path, handle, keepBlocks * digestBytes);
    await handle.sync();
    await rename(temporary, path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async put(firstBlock, digests) {
      let at = 0;
      while (at < digests.length) at += (await handle.write(digests, at, digests.length - at, firstBlock * digestBytes + at)).bytesWritten;
    },
    get: (firstBlock, count) => readFully(handle, firstBlock * digestBytes, count * digestBytes, path),
    flush: () => handle.datasync(),
    close: () => handle.close(),
  };
}

async function copyPrefix(path: string, target: FileHandle, bytes: number): Promise<void> {
  const source = await open(path, 'r');
  try {
    for (let at = 0; at < bytes; at += chunkBytes) await target.writeFile(await readFully(source, at, Math.min(chunkBytes, bytes - at), path));
  } finally {
    await source.close();
  }
}

/** Opens the file for each read: sources are handed around and nobody closes them. */
export function digestSource(path: string, blocks: number): DigestSource {
  return {
    blocks,
    async get(firstBlock, count) {
      const handle = await open(path, 'r');
      try {
        return await readFully(handle, firstBlock * digestBytes, count * digestBytes, path);
      } finally {
        await handle.close();
      }
    },
  };
}

/** The root of the digests is SHA-256 over them in order, so it is the SHA-256 of the file. */
export async function digestsRoot(path: string): Promise<{ readonly bytes: number; readonly root: string }> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return { bytes: (await stat(path)).size, root: hash.digest('hex') };
}
