// The one copy engine: extents → block-aligned ranges → a window of reads → zero detection and digests → writes, with a durable position.
// It neither opens nor closes reader and writer, and it never tries again: a new attempt goes on at the durable position.
import { createHash } from 'node:crypto';
import type { ChangedRange } from '../../../domain/changed-ranges';
import { blockCount, type BlockRange } from '../../../domain/extents';
import { HoldfastError } from '../../../domain/failures';
import { digestBlockBytes } from '../../../domain/manifest';
import type { BlockWriter, CopyOptions, CopyResult } from '../port';
import { DurablePosition } from './durable-position';
import { hashEarlierDigests, isBoundary } from './earlier-digests';
import { walkRanges } from './range-walk';
import { throttled } from './throttle';
import { runsOf } from './zeroes';

/**
 * Copies [fromBytes, size). When `signal` is aborted it rejects with the signal's reason as soon as the callbacks under way have ended;
 * requests under way are abandoned together with their connections, and nothing is sent afterwards.
 */
export async function copyBlocks(options: CopyOptions): Promise<CopyResult> {
  checkOptions(options);
  options.signal.throwIfAborted();
  const { reader, writer, sink, expected } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const root = createHash('sha256');
  // Those that an earlier attempt copied are read back (backup) or were proven before they were written (restore).
  await hashEarlierDigests(root, sink ?? expected, options.fromBytes);
  const position = new DurablePosition(options, signal, (reason) => failure.abort(reason));
  try {
    await walkRanges({
      reader: options.bytesPerSecond === undefined ? reader : throttled(reader, options.bytesPerSecond),
      fromBytes: options.fromBytes,
      expected,
      since: options.since,
      signal,
      use: (range, bytes, walkSignal) => writeRange(writer, range, bytes, walkSignal),
      finished: async (range) => {
        root.update(range.digests);
        await sink?.put(range.start / digestBlockBytes, range.digests);
        const dataBytes = range.parts.reduce((sum, part) => sum + part.length, 0);
        position.advance(range.start + range.length, position.dataBytes + dataBytes);
      },
    });
    return { ...(await position.finish()), root: root.digest('hex') };
  } finally {
    await position.stop();
  }
}

async function writeRange(writer: BlockWriter, range: BlockRange | ChangedRange, bytes: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
  if (bytes === undefined) {
    if (writer.blank !== true) await writer.zero(range.start, range.length, signal);
    return;
  }
  const writes: Promise<void>[] = [];
  // Since a parent: what did not change is not written, so that it stays in the parent's image.
  for (const part of 'zeroes' in range ? [...range.parts, ...range.zeroes] : [range]) {
    const from = part.start - range.start;
    for (const run of runsOf(bytes.subarray(from, from + part.length))) {
      const [start, at] = [part.start + run.start, from + run.start];
      if (!run.zero) writes.push(writer.write(start, bytes.subarray(at, at + run.length), signal));
      else if (writer.blank !== true) writes.push(writer.zero(start, run.length, signal));
    }
  }
  await Promise.all(writes);
}

function checkOptions({ reader, writer, fromBytes, sink, expected, since, bytesPerSecond }: CopyOptions): void {
  const refuse = (why: string): never => {
    throw new HoldfastError('input.invalid', `The copy cannot begin: ${why}.`);
  };
  if (reader.sizeBytes !== writer.sizeBytes) refuse(`the source has ${reader.sizeBytes} bytes, the target ${writer.sizeBytes}`);
  if (!isBoundary(fromBytes, reader.sizeBytes)) refuse(`position ${fromBytes} is not on a block boundary`);
  if (fromBytes > 0 && sink === undefined && expected === undefined) refuse('without digests an earlier attempt cannot be continued');
  if (expected !== undefined && expected.blocks !== blockCount(reader.sizeBytes, digestBlockBytes)) refuse(`there are ${expected.blocks} digests for ${reader.sizeBytes} bytes`);
  if (since !== undefined && since.parent.sizeBytes !== reader.sizeBytes) refuse(`the source has ${reader.sizeBytes} bytes, its parent ${since.parent.sizeBytes}`);
  if (since !== undefined && since.digests.blocks !== blockCount(reader.sizeBytes, digestBlockBytes)) refuse(`the parent has ${since.digests.blocks} digests for ${reader.sizeBytes} bytes`);
  if (since !== undefined && (writer.blank === true || expected !== undefined)) refuse('what changed since a parent can only be backed up, onto an image that shows the parent');
  if (bytesPerSecond !== undefined && !(bytesPerSecond > 0)) refuse('the bandwidth must be above 0');
}
