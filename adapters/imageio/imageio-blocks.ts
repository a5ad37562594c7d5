// A ticket's data as a block reader and writer: ranges, extents, zeroes, flush, checksum. Nothing is tried again here, least of all after a 403.
import { z } from 'zod';
import type { Change, Extent } from '../../domain/extents';
import { HoldfastError } from '../../domain/failures';
import { digestBlockBytes } from '../../domain/manifest';
import type { Transport } from '../blocks/port';
import type { Channel, DataAnswer, DataRequest } from './channel';
import { ExtentParser, ExtentRuns } from './extent-runs';
import { imageioFailure, type Subject } from './failures';
import { KeepAlive } from './keep-alive';
import type { ImageioReader, ImageioWriter } from './port';

export interface TicketAbilities {
  readonly checksum: boolean;
  readonly extents: boolean;
  readonly zero: boolean;
  readonly flush: boolean;
  readonly write: boolean;
}

export interface ImageioBlocksOptions {
  readonly label: string;
  readonly sizeBytes: number;
  readonly blank: boolean;
  readonly path: string;
  readonly subject: Subject;
  readonly channel: Channel;
  readonly able: TicketAbilities;
  readonly transport: Transport;
  readonly keepAliveMs: number;
  readonly onKeepAlive?: () => void;
}

/** imageio #71: the list of a disk of many TiB takes longer than any other answer. */
const extentsTimeoutMs = 30 * 60_000;
const askMs = 10_000;
const probeBytes = 4096;
/** A preallocated disk is zeroed by writing: one request must not take for ever. */
const zeroSpanBytes = 256 * 1024 ** 2;
const checksumSchema = z.object({ algorithm: z.literal('sha256'), block_size: z.literal(digestBlockBytes), checksum: z.string().regex(/^[0-9a-f]{64}$/) });

export class ImageioBlocks implements ImageioReader, ImageioWriter {
  readonly sizeBytes: number;
  readonly transport: Transport;
  readonly blank: boolean;
  private readonly keepAlive: KeepAlive;
  private readonly lists = new Map<'zero' | 'dirty', Promise<ExtentRuns>>();

  constructor(private readonly options: ImageioBlocksOptions) {
    this.sizeBytes = options.sizeBytes;
    this.transport = options.transport;
    this.blank = options.blank;
    this.keepAlive = new KeepAlive(options, () => this.send({ method: 'OPTIONS', path: '', what: 'keeping the ticket alive' }));
  }

  async read(offset: number, buffer: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, buffer.length);
    if (buffer.length === 0) return;
    const what = `reading ${buffer.length} bytes at ${offset}`;
    let filled = 0;
    const { header } = await this.send({
      method: 'GET',
      path: '',
      headers: { range: `bytes=${offset}-${offset + buffer.length - 1}` },
      what,
      signal,
      use: (chunk) => {
        if (filled + chunk.length > buffer.length) throw new Error('the answer has more bytes than were asked for');
        buffer.set(chunk, filled);
        filled += chunk.length;
      },
    });
    const expected = `bytes ${offset}-${offset + buffer.length - 1}/${this.sizeBytes}`;
    const range = header('content-range') ?? 'none';
    if (filled !== buffer.length || range !== expected) throw imageioFailure('imageio.io', this.options.subject, what, `${filled} bytes came, with the range "${range}" instead of "${expected}"`);
  }

  async *extents(from: number, signal?: AbortSignal): AsyncGenerator<Extent> {
    if (!this.options.able.extents) {
      if (from < this.sizeBytes) yield { start: from, length: this.sizeBytes - from, zero: false };
      return;
    }
    for (const { start, length, zero } of (await this.listOf('zero', signal)).walk(from)) yield { start, length, zero };
  }

  async *changes(from: number, signal?: AbortSignal): AsyncGenerator<Change> {
    if (!this.options.able.extents) throw imageioFailure('imageio.no-changes', this.options.subject, 'listing what changed', 'the daemon is too old to list extents');
    yield* (await this.listOf('dirty', signal)).walk(from);
  }

  async checksum(signal?: AbortSignal): Promise<string> {
    const what = 'computing the checksum';
    if (!this.options.able.checksum) throw imageioFailure('imageio.refused', this.options.subject, what, 'the daemon is too old for checksums');
    await this.refuseOtherSize(what, signal);
    const { text } = await this.send({ method: 'GET', path: `/checksum?algorithm=sha256&block_size=${digestBlockBytes}`, what, timeoutMs: 0, signal });
    const parsed = checksumSchema.safeParse(parseJson(text));
    if (!parsed.success) throw imageioFailure('imageio.io', this.options.subject, what, `the answer is no checksum: ${text.slice(0, 200)}`);
    return parsed.data.checksum;
  }

  /** Two sizes never have the same checksum: that need not take hours. */
  private async refuseOtherSize(what: string, signal: AbortSignal | undefined): Promise<void> {
    const first = this.sizeBytes - Math.min(probeBytes, this.sizeBytes);
    const { header } = await this.send({ method: 'GET', path: '', headers: { range: `bytes=${first}-${this.sizeBytes - 1}` }, what, signal, use: () => undefined });
    const size = /\/(\d+)$/.exec(header('content-range') ?? '')?.[1];
    if (size !== String(this.sizeBytes)) throw imageioFailure('imageio.refused', this.options.subject, what, `the ticket is for ${size ?? 'nobody knows how many'} bytes, the disk has ${this.sizeBytes}: it was resized, or it is another disk`);
  }

  async write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, data.length);
    if (data.length === 0) return;
    try {
      // Without PATCH flush every request makes itself durable, as daemons of old did.
      await this.send({
        method: 'PUT',
        path: `?flush=${this.options.able.flush ? 'n' : 'y'}`,
        headers: { 'content-range': `bytes ${offset}-${offset + data.length - 1}/*`, 'content-type': 'application/octet-stream' },
        body: data,
        what: `writing ${data.length} bytes at ${offset}`,
        signal,
      });
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'imageio.io') await this.askWhetherGone(signal);
      throw error;
    }
  }

  /** The daemon refuses a write before it has read all of it and hangs up: its 403 may be lost in the broken connection. */
  private async askWhetherGone(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.send({ method: 'OPTIONS', path: '', what: 'asking whether the ticket is gone', timeoutMs: askMs, signal });
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'imageio.ticket-gone') throw error;
    }
  }

  async zero(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, length);
    const step = this.options.able.zero ? zeroSpanBytes : digestBlockBytes;
    for (let at = offset; at < offset + length; at += step) {
      const size = Math.min(step, offset + length - at);
      if (!this.options.able.zero) await this.write(at, Buffer.alloc(size), signal);
      else await this.patch({ op: 'zero', offset: at, size, flush: false }, `zeroing ${size} bytes at ${at}`, signal);
    }
  }

  async flush(signal?: AbortSignal): Promise<void> {
    if (this.options.able.flush) await this.patch({ op: 'flush' }, 'flushing', signal);
  }

  /** On return nothing of ours is under way at the host: the engine's finalize would fail on it (imageio #208). */
  async close(): Promise<void> {
    this.keepAlive.stop();
    await this.options.channel.close();
  }

  private async patch(operation: object, what: string, signal: AbortSignal | undefined): Promise<void> {
    await this.send({ method: 'PATCH', path: '', headers: { 'content-type': 'application/json' }, body: JSON.stringify(operation), what, signal });
  }

  private send(request: DataRequest): Promise<DataAnswer> {
    return this.options.channel.send({ ...request, path: `${this.options.path}${request.path}` });
  }

  /** Once per ticket: what a ticket for reading shows does not change. A list that failed is asked for again. */
  private listOf(context: 'zero' | 'dirty', signal: AbortSignal | undefined): Promise<ExtentRuns> {
    const known = this.lists.get(context);
    if (known !== undefined && !this.options.able.write) return known;
    const list = this.fetchList(context, signal);
    this.lists.set(context, list);
    list.catch(() => this.lists.delete(context));
    return list;
  }

  private async fetchList(context: 'zero' | 'dirty', signal: AbortSignal | undefined): Promise<ExtentRuns> {
    const what = context === 'dirty' ? 'listing what changed' : 'listing extents';
    const runs = new ExtentRuns();
    const parser = new ExtentParser((extent) => runs.add(extent));
    const { subject } = this.options;
    try {
      await this.send({ method: 'GET', path: `/extents?context=${context}`, what, use: (chunk) => parser.feed(chunk), timeoutMs: extentsTimeoutMs, signal });
    } catch (error) {
      if (context === 'dirty' && error instanceof HoldfastError && error.details['status'] === 404) throw imageioFailure('imageio.no-changes', subject, what, 'the ticket knows of no changes', {}, error);
      throw error;
    }
    try {
      parser.end();
    } catch (cause) {
      throw imageioFailure('imageio.io', subject, what, (cause as Error).message, {}, cause);
    }
    if (runs.sizeBytes !== this.sizeBytes) throw imageioFailure('imageio.refused', subject, what, `they cover ${runs.sizeBytes} bytes, the disk has ${this.sizeBytes}: it was resized, or it is another disk`);
    return runs;
  }

  private checkRange(offset: number, length: number): void {
    if (offset >= 0 && Number.isSafeInteger(offset) && offset + length <= this.sizeBytes) return;
    throw imageioFailure('imageio.refused', this.options.subject, 'checking a range', `${length} bytes at ${offset} lie outside of the disk of ${this.sizeBytes} bytes`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
