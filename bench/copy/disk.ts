// The disk that everybody copies: an ext4 file system, a good tenth of it data, half random and half text, as raw file and as qcow2. And its
// digest, computed here once more on purpose, so that a copy that skips work is found out.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';

export interface BenchDisk {
  readonly raw: string;
  readonly qcow2: string;
  readonly virtualBytes: number;
  readonly dataBytes: number;
  /** Of those, what is more than zeroes: a journal is written out as such. */
  readonly contentBytes: number;
  /** SHA-256 over the SHA-256 of each MiB. */
  readonly root: string;
}

const files = 128;
const mib = 1024 ** 2;
/** Of qcow2. */
const clusterBytes = 64 * 1024;
const zeroes = Buffer.alloc(clusterBytes);
const words = 'the virtual machine keeps its disk in a chain of images until somebody asks for the blocks that have changed since then'.split(' ');

export async function makeDisk(place: Workplace, virtualBytes: number, env: NodeJS.ProcessEnv): Promise<BenchDisk> {
  const raw = path.join(place.directory, 'disk.raw');
  const qcow2 = path.join(place.directory, 'disk.qcow2');
  const content = path.join(place.directory, 'content');
  await mkdir(content);
  const fileBytes = Math.floor(virtualBytes / 10 / files);
  for (let index = 0; index < files; index += 1) await writeDurably(path.join(content, `file-${index}`), index % 2 === 0 ? randomBytes(fileBytes) : text(fileBytes, index));
  await (await open(raw, 'wx')).close();
  await truncate(raw, virtualBytes);
  // Lazily initialised tables would be zeroes that count as data, or not, as the kernel likes.
  await runCommand(['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', '-d', content, raw], { signal: place.signal, env });
  await rm(content, { recursive: true });
  await runCommand(['qemu-img', 'convert', '-O', 'qcow2', raw, qcow2], { signal: place.signal, env });
  await flush(raw);
  await flush(qcow2);
  const { root, contentBytes } = await digestOf(raw);
  return { raw, qcow2, virtualBytes, dataBytes: (await stat(raw)).blocks * 512, contentBytes, root };
}

function text(bytes: number, seed: number): Buffer {
  const lines: string[] = [];
  for (let length = 0, line = seed; length < Math.min(bytes, mib); line += 7) {
    const next = `${line} ${words[line % words.length] ?? ''} ${words[(line * 31) % words.length] ?? ''} ${words[(line * 17) % words.length] ?? ''}\n`;
    lines.push(next);
    length += next.length;
  }
  return Buffer.alloc(bytes, lines.join(''));
}

async function writeDurably(file: string, data: Buffer): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function flushAll(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) if (entry.isFile()) await flush(path.join(entry.parentPath, entry.name));
  await flush(directory);
}

async function digestOf(file: string): Promise<Pick<BenchDisk, 'root' | 'contentBytes'>> {
  const root = createHash('sha256');
  let contentBytes = 0;
  const block = Buffer.alloc(mib);
  const handle = await open(file, 'r');
  try {
    for (let at = 0; ; ) {
      const { bytesRead } = await handle.read(block, 0, mib, at);
      if (bytesRead === 0) return { root: root.digest('hex'), contentBytes };
      for (let cluster = 0; cluster < bytesRead; cluster += clusterBytes) if (!zeroes.equals(block.subarray(cluster, cluster + clusterBytes))) contentBytes += clusterBytes;
      root.update(createHash('sha256').update(block.subarray(0, bytesRead)).digest());
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
