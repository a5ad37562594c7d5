// Zero detection: which runs of a buffer hold anything, at the granularity at which images allocate.
import { createHash } from 'node:crypto';
import { digestBlockBytes } from '../../../domain/manifest';
import { digestBytes } from './digest-pool';

/** One qcow2 cluster: finer runs would not save space in the image, coarser ones would fill holes. */
export const zeroGranuleBytes = 64 * 1024;

const zeroes = Buffer.alloc(digestBlockBytes);
const zeroDigest = createHash('sha256').update(zeroes).digest();

export interface Run {
  readonly start: number;
  readonly length: number;
  readonly zero: boolean;
}

/** memcmp against zeroes: it ends at the first byte that differs, so data costs nothing and zeroes about 10 GB/s. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += zeroes.length) {
    const part = bytes.subarray(at, at + zeroes.length);
    if (Buffer.compare(part, part.length === zeroes.length ? zeroes : zeroes.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

/** Neighbouring granules of one kind are one run. */
export function runsOf(bytes: Uint8Array): Run[] {
  const runs: Run[] = [];
  for (let start = 0; start < bytes.length; start += zeroGranuleBytes) {
    const granule = bytes.subarray(start, start + zeroGranuleBytes);
    const zero = isZero(granule);
    const last = runs.at(-1);
    if (last?.zero === zero) runs[runs.length - 1] = { ...last, length: last.length + granule.length };
    else runs.push({ start, length: granule.length, zero });
  }
  return runs;
}

/** Digests of the blocks of a zero range that starts on a block boundary; the last block may be short. */
export function zeroDigests(lengthBytes: number): Buffer {
  const blocks = Math.ceil(lengthBytes / digestBlockBytes);
  const digests = Buffer.allocUnsafe(blocks * digestBytes);
  for (let block = 0; block < blocks; block += 1) zeroDigest.copy(digests, block * digestBytes);
  const rest = lengthBytes % digestBlockBytes;
  if (rest > 0) createHash('sha256').update(zeroes.subarray(0, rest)).digest().copy(digests, (blocks - 1) * digestBytes);
  return digests;
}
