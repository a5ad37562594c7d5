// Reads a disk and proves what it holds: the digests of all blocks against a list, and their root. It writes nothing.
import { createHash } from 'node:crypto';
import { blockCount } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { BlockReader, CopyFigures, DigestSource } from '../port';
import { hashEarlierDigests, isBoundary } from './earlier-digests';
import { walkRanges } from './range-walk';
import { RateMeter } from './rate-meter';
import { throttled } from './throttle';

export interface DigestOptions {
  /** `digest.mismatch` names the first block that differs. */
  readonly expected?: DigestSource;
  /** Where an earlier reading got to, which found everything below right: a position of its `onProgress`. Needs `expected`. */
  readonly fromBytes?: number;
  readonly dataBytesBefore?: number;
  readonly bytesPerSecond?: number;
  /** The position here is what was read and found right. */
  readonly onProgress?: (figures: CopyFigures) => void;
  readonly signal: AbortSignal;
}

export interface DigestResult {
  readonly root: string;
  /** Bytes read that were not known to be zero, by earlier readings too. */
  readonly dataBytes: number;
}

const progressMs = 250;

export async function digestBlocks(reader: BlockReader, options: DigestOptions): Promise<DigestResult> {
  const { expected, signal, onProgress, fromBytes = 0 } = options;
  signal.throwIfAborted();
  if (expected !== undefined && expected.blocks !== blockCount(reader.sizeBytes, digestBlockBytes)) {
    throw new HoldfastError('digest.mismatch', `The disk has ${reader.sizeBytes} bytes, but there are digests for ${expected.blocks} blocks of ${digestBlockBytes} bytes: it is not the same disk.`);
  }
  if (!isBoundary(fromBytes, reader.sizeBytes) || (fromBytes > 0 && expected === undefined)) throw new HoldfastError('input.invalid', `The reading cannot go on at ${fromBytes} of ${reader.sizeBytes} bytes: that is not between two blocks, or nobody knows what was found below.`);
  const root = createHash('sha256');
  await hashEarlierDigests(root, expected, fromBytes);
  let positionBytes = fromBytes;
  let dataBytes = options.dataBytesBefore ?? 0;
  const meter = new RateMeter(dataBytes);
  const report = (): void => onProgress?.({ positionBytes, dataBytes, bytesPerSecond: meter.rate(dataBytes) });
  const timer = setInterval(report, progressMs);
  try {
    await walkRanges({
      reader: options.bytesPerSecond === undefined ? reader : throttled(reader, options.bytesPerSecond),
      fromBytes,
      expected,
      signal,
      finished: (range) => {
        root.update(range.digests);
        positionBytes = range.start + range.length;
        dataBytes += range.parts.reduce((sum, part) => sum + part.length, 0);
        return Promise.resolve();
      },
    });
  } finally {
    clearInterval(timer);
  }
  report();
  return { root: root.digest('hex'), dataBytes };
}
