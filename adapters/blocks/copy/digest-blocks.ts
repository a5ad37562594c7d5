// Reads a disk and proves what it holds: the digests of all blocks against a list, and their root. It writes nothing.
import { createHash } from 'node:crypto';
import { blockCount } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { BlockReader, CopyFigures, DigestSource } from '../port';
import { walkRanges } from './range-walk';
import { RateMeter } from './rate-meter';
import { throttled } from './throttle';

export interface DigestOptions {
  /** `digest.mismatch` names the first block that differs. */
  readonly expected?: DigestSource;
  readonly bytesPerSecond?: number;
  /** The position here is what was read and found right. */
  readonly onProgress?: (figures: CopyFigures) => void;
  readonly signal: AbortSignal;
}

export interface DigestResult {
  readonly root: string;
  /** Bytes read that were not known to be zero. */
  readonly dataBytes: number;
}

const progressMs = 250;

export async function digestBlocks(reader: BlockReader, options: DigestOptions): Promise<DigestResult> {
  const { expected, signal, onProgress } = options;
  signal.throwIfAborted();
  if (expected !== undefined && expected.blocks !== blockCount(reader.sizeBytes, digestBlockBytes)) {
    throw new HoldfastError('digest.mismatch', `The disk has ${reader.sizeBytes} bytes, but there are digests for ${expected.blocks} blocks of ${digestBlockBytes} bytes: it is not the same disk.`);
  }
  const root = createHash('sha256');
  let positionBytes = 0;
  let dataBytes = 0;
  const meter = new RateMeter(0);
  const report = (): void => onProgress?.({ positionBytes, dataBytes, bytesPerSecond: meter.rate(dataBytes) });
  const timer = setInterval(report, progressMs);
  try {
    await walkRanges({
      reader: options.bytesPerSecond === undefined ? reader : throttled(reader, options.bytesPerSecond),
      fromBytes: 0,
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
