// Dirty extents of an image's bitmap for the fake data daemon, which has no NBD client to read them with: the granules in which the disk
// differs from what it was made of. Good for tests that write something else than was there.
import { readFileSync } from 'node:fs';
import { qemuImg } from '../adapters/blocks/support';

const granuleBytes = 64 * 1024;

/** The tests add the bitmap to a disk as it was converted from `<image>.raw`: the granules that differ from that are the dirty ones. */
export function bitmapOf(image: string, bitmap: string, content: Buffer): { start: number; length: number; dirty: boolean; zero: boolean }[] {
  if (!qemuImg('info', '-U', image).includes(`name: ${bitmap}`)) throw new Error(`${image} has no bitmap ${bitmap}`);
  const before = readFileSync(`${image}.raw`);
  const runs: { start: number; length: number; dirty: boolean; zero: boolean }[] = [];
  for (let start = 0; start < content.length; start += granuleBytes) {
    const now = content.subarray(start, start + granuleBytes);
    const dirty = !now.equals(before.subarray(start, start + granuleBytes));
    const zero = now.every((byte) => byte === 0);
    const last = runs.at(-1);
    if (last?.dirty === dirty && last.zero === zero) last.length += now.length;
    else runs.push({ start, length: now.length, dirty, zero });
  }
  return runs;
}
