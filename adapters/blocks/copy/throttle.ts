// A reader that takes its time: a token bucket in front of another reader. Waiting ends at once when the signal does.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockReader } from '../port';

/** What may be read at once after a pause, so that short stalls do not lower the rate. */
const burstMs = 250;

export function throttled(reader: BlockReader, bytesPerSecond: number): BlockReader {
  let paidUntilMs = performance.now() - burstMs;
  const pay = async (bytes: number, signal: AbortSignal | undefined): Promise<void> => {
    const nowMs = performance.now();
    const startMs = Math.max(paidUntilMs, nowMs - burstMs);
    paidUntilMs = startMs + (bytes / bytesPerSecond) * 1000;
    if (startMs > nowMs) await sleep(startMs - nowMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  };
  return {
    sizeBytes: reader.sizeBytes,
    transport: reader.transport,
    extents: (from, signal) => reader.extents(from, signal),
    read: async (offset, buffer, signal) => {
      await pay(buffer.length, signal);
      await reader.read(offset, buffer, signal);
    },
    close: () => reader.close(),
  };
}
