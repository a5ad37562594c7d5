// The rest of blocks that changed only in part: it comes from the parent's image, and only after the parent's block was found to be what its
// digest says. Otherwise a decayed parent would get a new digest that calls the decay right.
import type { ChangedRange } from '../../../domain/changed-ranges';
import { blockLength, type DataPart } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { Since } from '../port';
import { digestBytes } from './digest-pool';

export interface ParentRequest {
  readonly since: Since;
  readonly range: ChangedRange;
  /** The range's buffer: whole blocks of the parent are put where a block did not change all through. */
  readonly bytes: Uint8Array;
  /** Digests of the blocks in the buffer from `at` on. */
  readonly digest: (at: number, length: number) => Promise<Uint8Array>;
  readonly signal: AbortSignal;
}

export async function fillFromParent({ since, range, bytes, digest, signal }: ParentRequest): Promise<void> {
  await Promise.all(
    partlyChanged(range, since.parent.sizeBytes).map(async ({ start, length }) => {
      const at = start - range.start;
      await since.parent.read(start, bytes.subarray(at, at + length), signal);
      const firstBlock = start / digestBlockBytes;
      const [found, wanted] = await Promise.all([digest(at, length), since.digests.get(firstBlock, Math.ceil(length / digestBlockBytes))]);
      if (Buffer.compare(found, wanted) !== 0) throw decayed(firstBlock + Math.floor(found.findIndex((byte, index) => byte !== wanted[index]) / digestBytes), since.parent.sizeBytes);
    }),
  );
}

/** Runs of blocks of the range that are not covered by what changed. */
function partlyChanged({ start, length, parts, zeroes }: ChangedRange, sizeBytes: number): DataPart[] {
  const runs: DataPart[] = [];
  for (let block = start / digestBlockBytes; block * digestBlockBytes < start + length; block += 1) {
    const begin = block * digestBlockBytes;
    const bytes = blockLength(block, sizeBytes, digestBlockBytes);
    const changed = [...parts, ...zeroes].reduce((sum, part) => sum + Math.max(0, Math.min(begin + bytes, part.start + part.length) - Math.max(begin, part.start)), 0);
    if (changed === bytes) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.length === begin) runs[runs.length - 1] = { start: last.start, length: last.length + bytes };
    else runs.push({ start: begin, length: bytes });
  }
  return runs;
}

function decayed(block: number, sizeBytes: number): HoldfastError {
  const offset = block * digestBlockBytes;
  return new HoldfastError(
    'digest.mismatch',
    `Block ${block} (at ${offset} of ${sizeBytes} bytes) of the backup that this one would lie on does not have the digest that was recorded for it: that backup has decayed or was changed. Make a full backup; look at the repository's storage.`,
    { block, offset, inBase: true },
  );
}
