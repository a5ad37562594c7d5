// The repository as a stranger sees it who has qemu-img and nothing of Holdfast: every image passes the check, and converting it gives the
// bytes whose digest the manifest states (docs/restore-by-hand.md).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const blockBytes = 1024 * 1024;

/** SHA-256 over the SHA-256 of each 1 MiB block. */
async function rootOf(file) {
  const root = createHash('sha256');
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 4 * blockBytes })) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + blockBytes <= bytes.length; at += blockBytes) root.update(createHash('sha256').update(bytes.subarray(at, at + blockBytes)).digest());
    rest = bytes.subarray(at);
  }
  if (rest.length > 0) root.update(createHash('sha256').update(rest).digest());
  return root.digest('hex');
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
      const root = await rootOf(raw);
      if (root !== digests.root) throw new Error(`qemu-img convert of ${settings.alias} gives other bytes than were read: digest ${root} instead of ${digests.root}`);
      await rm(raw);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return manifest;
}
