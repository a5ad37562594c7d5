// When a copy makes its position durable: every 64 MiB or 2 s, at most twice a second, and always after the data is. It runs beside the
// copy, which goes on above the position.
import type { CopyFigures, CopyOptions } from '../port';
import { RateMeter } from './rate-meter';

const stepBytes = 64 * 1024 * 1024;
const longestMs = 2_000;
const shortestMs = 500;
const tickMs = 250;

interface Position {
  readonly bytes: number;
  readonly dataBytes: number;
}

export class DurablePosition {
  private written: Position;
  private durable: Position;
  private recordedAtMs = performance.now();
  private recording: Promise<void> | undefined;
  private readonly meter: RateMeter;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly options: CopyOptions,
    private readonly signal: AbortSignal,
    private readonly fail: (reason: unknown) => void,
  ) {
    this.written = { bytes: options.fromBytes, dataBytes: options.dataBytesBefore };
    this.durable = this.written;
    this.meter = new RateMeter(this.written.dataBytes);
    this.timer = setInterval(() => this.tick(), tickMs);
  }

  get dataBytes(): number {
    return this.written.dataBytes;
  }

  /** Everything below `bytes` is written (not yet durable), its digests are put. */
  advance(bytes: number, dataBytes: number): void {
    this.written = { bytes, dataBytes };
    this.recordWhenDue();
  }

  /** The end of a copy that succeeded. */
  async finish(): Promise<CopyFigures> {
    await this.recording;
    this.signal.throwIfAborted();
    if (this.written.bytes > this.durable.bytes) await this.record();
    const figures = this.figures(this.durable);
    this.options.onProgress?.(figures);
    return figures;
  }

  /** On return no callback runs any more, whatever happened. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.recording;
  }

  private tick(): void {
    try {
      this.recordWhenDue();
      this.options.onProgress?.(this.figures(this.durable));
    } catch (error) {
      this.fail(error);
    }
  }

  private recordWhenDue(): void {
    const sinceMs = performance.now() - this.recordedAtMs;
    const newBytes = this.written.bytes - this.durable.bytes;
    if (this.recording !== undefined || this.signal.aborted || newBytes === 0) return;
    if (sinceMs < shortestMs || (newBytes < stepBytes && sinceMs < longestMs)) return;
    this.recording = this.record()
      .catch(this.fail)
      .finally(() => (this.recording = undefined));
  }

  private async record(): Promise<void> {
    const position = this.written;
    await Promise.all([this.options.writer.flush(this.signal), this.options.sink?.flush()]);
    this.signal.throwIfAborted();
    await this.options.onDurable(this.figures(position));
    this.durable = position;
    this.recordedAtMs = performance.now();
  }

  private figures(position: Position): CopyFigures {
    return { positionBytes: position.bytes, dataBytes: position.dataBytes, bytesPerSecond: this.meter.rate(this.written.dataBytes) };
  }
}
