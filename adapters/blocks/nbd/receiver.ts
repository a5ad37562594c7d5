// The receiving half of an NBD connection in the transmission phase. Payload of reads goes from the kernel straight into the
// caller's buffer: whenever nothing but payload is expected next, `buffer()` hands out exactly that place.
import * as nbd from './protocol';

export interface Pending {
  readonly command: nbd.Command;
  readonly offset: number;
  readonly length: number;
  /** Reads: where the bytes go. */
  readonly target?: Uint8Array;
  /** Bytes of the target that the server accounted for. */
  received: number;
  /** Block status: descriptors by context id. */
  readonly status: Map<number, Buffer>;
  error?: { readonly errno: number; readonly message: string };
}

/** The server broke the protocol: nothing that follows on this connection can be understood. */
export class ProtocolError extends Error {}

type State =
  | { readonly at: 'head' }
  | { readonly at: 'meta'; readonly pending: Pending; readonly chunk: number }
  | { readonly at: 'data'; readonly pending: Pending };

const scratchBytes = 64 * 1024;
const simpleHeadBytes = 16;
const structuredHeadBytes = 20;
const longestMetaBytes = 16 * 1024 * 1024;

export class ReplyReceiver {
  private readonly scratch = Buffer.allocUnsafeSlow(scratchBytes);
  private state: State = { at: 'head' };
  private item = Buffer.alloc(structuredHeadBytes);
  private itemBytes = simpleHeadBytes;
  private filled = 0;
  private dataTarget: Uint8Array = new Uint8Array(0);
  private cookie = 0;
  private last = false;
  private chunk = 0;
  private chunkBytes = 0;

  constructor(
    private readonly find: (cookie: number) => Pending | undefined,
    private readonly finished: (cookie: number) => void,
  ) {}

  buffer(): Uint8Array {
    return this.state.at === 'data' ? this.dataTarget : this.scratch;
  }

  received(bytes: number, buffer: Uint8Array): void {
    if (this.state.at === 'data' && buffer.buffer === this.dataTarget.buffer && buffer.byteOffset === this.dataTarget.byteOffset) {
      this.advanceData(bytes);
      return;
    }
    for (let at = 0; at < bytes; ) at += this.consume(buffer.subarray(at, bytes));
  }

  private consume(bytes: Uint8Array): number {
    if (this.state.at === 'data') {
      const count = Math.min(bytes.length, this.dataTarget.length);
      this.dataTarget.set(bytes.subarray(0, count));
      this.advanceData(count);
      return count;
    }
    const count = Math.min(bytes.length, this.itemBytes - this.filled);
    this.item.set(bytes.subarray(0, count), this.filled);
    this.filled += count;
    if (this.filled === this.itemBytes) this.itemComplete(this.state);
    return count;
  }

  private advanceData(bytes: number): void {
    this.dataTarget = this.dataTarget.subarray(bytes);
    if (this.dataTarget.length === 0) this.chunkComplete();
  }

  private itemComplete(state: Exclude<State, { at: 'data' }>): void {
    if (state.at === 'meta') {
      this.metaComplete(state.pending, state.chunk);
      return;
    }
    const magic = this.item.readUInt32BE(0);
    if (magic === nbd.simpleReplyMagic) this.simpleHead();
    else if (magic !== nbd.structuredReplyMagic) throw new ProtocolError(`unknown reply magic 0x${magic.toString(16)}`);
    else if (this.itemBytes === simpleHeadBytes) this.itemBytes = structuredHeadBytes;
    else this.structuredHead();
  }

  private pendingOf(cookieHigh: number, cookieLow: number): Pending {
    const pending = cookieHigh === 0 ? this.find(cookieLow) : undefined;
    if (pending === undefined) throw new ProtocolError('reply to a request that was never sent');
    this.cookie = cookieLow;
    return pending;
  }

  private simpleHead(): void {
    const pending = this.pendingOf(this.item.readUInt32BE(8), this.item.readUInt32BE(12));
    const errno = this.item.readUInt32BE(4);
    this.last = true;
    if (errno !== 0) pending.error = { errno, message: '' };
    if (errno === 0 && pending.command === 'read') this.beginData(pending, 0, pending.length);
    else this.chunkComplete();
  }

  private structuredHead(): void {
    const pending = this.pendingOf(this.item.readUInt32BE(8), this.item.readUInt32BE(12));
    this.last = (this.item.readUInt16BE(4) & nbd.chunkDone) !== 0;
    this.chunk = this.item.readUInt16BE(6);
    this.chunkBytes = this.item.readUInt32BE(16);
    if (this.chunkBytes === 0) this.chunkComplete();
    // A data chunk's payload opens with its offset: eight bytes of meta, the rest is data.
    else this.collect(pending, this.chunk === nbd.chunks.offsetData ? Math.min(8, this.chunkBytes) : this.chunkBytes);
  }

  private collect(pending: Pending, bytes: number): void {
    if (bytes > longestMetaBytes) throw new ProtocolError(`a chunk of ${bytes} bytes`);
    this.item = Buffer.alloc(Math.max(bytes, structuredHeadBytes));
    this.itemBytes = bytes;
    this.filled = 0;
    this.state = { at: 'meta', pending, chunk: this.chunk };
  }

  private metaComplete(pending: Pending, chunk: number): void {
    const meta = this.item.subarray(0, this.itemBytes);
    if (chunk === nbd.chunks.offsetData && meta.length === 8) {
      this.beginData(pending, this.offsetIn(pending, meta), this.chunkBytes - 8);
      return;
    }
    if (chunk === nbd.chunks.offsetHole && meta.length === 12) this.hole(pending, this.offsetIn(pending, meta), meta.readUInt32BE(8));
    else if (chunk === nbd.chunks.blockStatus && meta.length >= 12) pending.status.set(meta.readUInt32BE(0), Buffer.from(meta.subarray(4)));
    else if (chunk >= nbd.chunks.error && meta.length >= 6) {
      pending.error ??= { errno: meta.readUInt32BE(0), message: meta.toString('utf8', 6, 6 + meta.readUInt16BE(4)) };
    } else throw new ProtocolError(`unknown chunk type ${chunk} of ${meta.length} bytes`);
    this.chunkComplete();
  }

  private offsetIn(pending: Pending, meta: Buffer): number {
    return Number(meta.readBigUInt64BE(0) - BigInt(pending.offset));
  }

  private within(pending: Pending, at: number, bytes: number): Uint8Array {
    if (pending.target === undefined || at < 0 || at + bytes > pending.length) throw new ProtocolError('a reply outside of what was asked for');
    pending.received += bytes;
    return pending.target.subarray(at, at + bytes);
  }

  private hole(pending: Pending, at: number, bytes: number): void {
    this.within(pending, at, bytes).fill(0);
  }

  private beginData(pending: Pending, at: number, bytes: number): void {
    this.dataTarget = this.within(pending, at, bytes);
    this.state = { at: 'data', pending };
    if (bytes === 0) this.chunkComplete();
  }

  private chunkComplete(): void {
    this.state = { at: 'head' };
    this.itemBytes = simpleHeadBytes;
    this.filled = 0;
    if (this.item.length < structuredHeadBytes) this.item = Buffer.alloc(structuredHeadBytes);
    if (this.last) this.finished(this.cookie);
  }
}
