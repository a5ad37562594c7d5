// Who has an image open, told by the kernel: QEMU locks single bytes of an image file to publish what it does with it
// (block/file-posix.c: byte 100 + permission = "I use it", 200 + permission = "nobody else may"). /proc/locks lists them.
import fs from 'node:fs/promises';
import { isErrno } from './state-file';

const usedBase = 100;
const unsharedBase = 200;
const permissionCount = 64;
const writePermission = 1;

export interface ImageUse {
  /** Some QEMU has the image open, for whatever. */
  readonly open: boolean;
  /** Some QEMU may write to it. */
  readonly writer: boolean;
}

export async function imageUse(file: string): Promise<ImageUse> {
  let inode: number;
  try {
    inode = (await fs.stat(file)).ino;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { open: false, writer: false };
    throw error;
  }
  const ranges = parseLocks(await fs.readFile('/proc/locks', 'utf8'), inode).filter(({ first }) => first >= usedBase && first < unsharedBase + permissionCount);
  const writeByte = usedBase + writePermission;
  return { open: ranges.length > 0, writer: ranges.some(({ first, last }) => first <= writeByte && writeByte <= last) };
}

/** Lines like `7: OFDLCK ADVISORY READ -1 fe:00:1837 100 101`. The device is not compared: overlay and btrfs show another one than stat. */
function parseLocks(text: string, inode: number): { readonly first: number; readonly last: number }[] {
  const ranges = [];
  for (const line of text.split('\n')) {
    const found = /OFDLCK\s+\S+\s+\S+\s+\S+\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s+(\d+)\s+(\d+|EOF)/.exec(line);
    if (found?.[1] === undefined || Number(found[1]) !== inode) continue;
    ranges.push({ first: Number(found[2]), last: found[3] === 'EOF' ? Number.MAX_SAFE_INTEGER : Number(found[3]) });
  }
  return ranges;
}
