// What a volume holds, read in two independent ways: through a VM's by-id entry as the worker would, and by qemu-img from the files.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { VolumeRef } from '../../../lab/host';
import type { TestHost } from './lab-host';

const run = promisify(execFile);

export interface Content {
  readonly kind: 'file' | 'socket';
  readonly bytes: number;
  readonly digest: string;
}

/** Reads all of an entry: a regular file as it is, a socket through its NBD export (named by the disk's id). */
export async function copyOfEntry(entry: string, diskId: string): Promise<Content> {
  const target = await fs.promises.stat(entry);
  const kind = target.isSocket() ? 'socket' : 'file';
  const source = kind === 'socket' ? `nbd+unix:///${diskId}?socket=${await fs.promises.realpath(entry)}` : await fs.promises.realpath(entry);
  return withCopy(source, 'raw', async (copy) => ({ kind, bytes: (await fs.promises.stat(copy)).size, digest: await digestOf(copy) }));
}

/** The guest's view of a volume with everything below it. */
export async function digestOfVolume({ host }: TestHost, volume: VolumeRef): Promise<string> {
  const { format } = await host.volumeInfo(volume);
  return withCopy(host.volumePath(volume), format === 'cow' ? 'qcow2' : 'raw', digestOf);
}

async function withCopy<T>(source: string, format: string, work: (copy: string) => Promise<T>): Promise<T> {
  const directory = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'hf-copy-'));
  try {
    const copy = path.join(directory, 'raw');
    await run('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', source, copy], { timeout: 60_000 });
    return await work(copy);
  } finally {
    await fs.promises.rm(directory, { recursive: true, force: true });
  }
}

/** One buffer for all: a stream's new ones cost more than the hashing. */
async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(1024 ** 2);
  const copy = await fs.promises.open(file);
  try {
    for (;;) {
      const { bytesRead } = await copy.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await copy.close();
  }
}
