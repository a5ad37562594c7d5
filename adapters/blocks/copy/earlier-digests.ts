// What earlier attempts copied or proved is not read again, but it counts: the root covers all blocks.
import type { Hash } from 'node:crypto';
import { blockCount } from '../../../domain/extents';
import { digestBlockBytes } from '../../../domain/manifest';
import type { DigestSink, DigestSource } from '../port';

const digestsPerRead = 16 * 1024;

export async function hashEarlierDigests(root: Hash, earlier: Pick<DigestSink | DigestSource, 'get'> | undefined, fromBytes: number): Promise<void> {
  const blocks = blockCount(fromBytes, digestBlockBytes);
  for (let block = 0; block < blocks; block += digestsPerRead) root.update((await earlier?.get(block, Math.min(digestsPerRead, blocks - block))) ?? '');
}

/** A position is one only between two blocks, or at the end. */
export function isBoundary(fromBytes: number, sizeBytes: number): boolean {
  return fromBytes >= 0 && fromBytes <= sizeBytes && (fromBytes % digestBlockBytes === 0 || fromBytes === sizeBytes);
}
