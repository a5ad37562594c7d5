// The repository as a stranger sees it who has qemu-img and nothing of Holdfast: every image passes the check, and converting it gives the
// bytes whose digest the manifest states (docs/restore-by-hand.md).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const blockBytes = 1024 * 1024;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const digestOfZeros = sha256(Buffer.alloc(blockBytes));

/** Where the file has data: in its holes it is zeros, and most of a disk is holes. */
async function dataOf(path, env) {
  const { stdout } = await run('qemu-img', ['map', '-f', 'raw', '--output=json', path], { env, maxBuffer: 64 * blockBytes });
  return JSON.parse(stdout).filter(({ data }) => data).map(({ start, length }) => ({ start, end: start + length }));
}

/** SHA-256 over the SHA-256 of each 1 MiB block. */
async function rootOf(path, env) {
  const extents = await dataOf(path, env);
  const root = createHash('sha256');
  const buffer = Buffer.alloc(blockBytes);
  const file = await open(path);
  try {
    const { size } = await file.stat();
    for (let at = 0; at < size; at += blockBytes) {
      const end = Math.min(at + blockBytes, size);
      while (extents.length > 0 && extents[0].end <= at) extents.shift();
      if (end - at === blockBytes && !(extents[0]?.start < end)) root.update(digestOfZeros);
      else root.update(sha256(buffer.subarray(0, (await file.read(buffer, 0, end - at, at)).bytesRead)));
    }
    return root.digest('hex');
  } finally {
    await file.close();
  }
}

export async function checkImages(backupDirectory, env) {
  const manifest = JSON.parse(await readFile(join(backupDirectory, 'manifest.json'), 'utf8'));
  const scratch = await mkdtemp(join(tmpdir(), 'holdfast-convert-'));
  try {
    for (const { image, digests, settings } of manifest.disks) {
      const file = join(backupDirectory, image.file);
      await run('qemu-img', ['check', '-q', file], { env });
      const raw = join(scratch, 'disk.raw');
      await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, raw], { env });
      const root = await rootOf(raw, env);
      if (root !== digests.root) throw new Error(`qemu-img convert of ${settings.alias} gives other bytes than were read: digest ${root} instead of ${digests.root}`);
      await rm(raw);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return manifest;
}
