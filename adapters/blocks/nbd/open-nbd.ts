// A disk behind an NBD server as a block reader and writer: requests cut to what the server takes, extents from its metadata contexts.
import { HoldfastError, type FailureCode } from '../../../domain/failures';
import { joinExtents, type Extent } from '../../../domain/extents';
import type { BlockReader, BlockWriter, Transport } from '../port';
import { NbdConnection, type NbdAddress } from './connection';
import type { Agreed } from './handshake';
import { allocationContext, stateZero } from './protocol';

export interface OpenNbdOptions {
  readonly address: NbdAddress;
  readonly exportName: string;
  /** What messages call it; the address and export by default. */
  readonly label?: string;
  /** `san` when the server is our own and runs on a device of this machine. By default what the address says. */
  readonly transport?: Transport;
  /** Code of a failure for want of space on the other side. */
  readonly noSpaceCode?: FailureCode;
  /** Further metadata contexts, such as `qemu:dirty-bitmap:<name>`; read them with `statusOf`. */
  readonly contexts?: readonly string[];
  readonly handshakeMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A run of one metadata context; what `flags` mean depends on the context. */
export interface StatusRun {
  readonly start: number;
  readonly length: number;
  readonly flags: number;
}

const statusSpanBytes = 1024 ** 3;
const zeroSpanBytes = 256 * 1024 ** 2;

export class NbdBlocks implements BlockReader, BlockWriter {
  constructor(
    private readonly connection: NbdConnection,
    private readonly agreed: Agreed,
    private readonly label: string,
    readonly transport: Transport,
  ) {}

  get sizeBytes(): number {
    return this.agreed.sizeBytes;
  }

  get readOnly(): boolean {
    return this.agreed.readOnly;
  }

  async *extents(from: number, signal?: AbortSignal): AsyncGenerator<Extent> {
    if (!this.agreed.contexts.has(allocationContext)) {
      if (from < this.sizeBytes) yield { start: from, length: this.sizeBytes - from, zero: false };
      return;
    }
    yield* joinExtents(this.allocation(from, signal));
  }

  private async *allocation(from: number, signal?: AbortSignal): AsyncGenerator<Extent> {
    for await (const run of this.statusOf(allocationContext, from, signal)) yield { start: run.start, length: run.length, zero: (run.flags & stateZero) !== 0 };
  }

  /** Walks one metadata context over [from, size). */
  async *statusOf(context: string, from: number, signal?: AbortSignal): AsyncGenerator<StatusRun> {
    const id = this.agreed.contexts.get(context);
    if (id === undefined) throw new HoldfastError('blocks.server', `The NBD server of ${this.label} does not offer "${context}".`);
    for (let start = from; start < this.sizeBytes; ) {
      const span = Math.min(statusSpanBytes, this.sizeBytes - start);
      const runs = (await this.connection.request('blockStatus', start, span, { signal })).status.get(id);
      if (runs === undefined || runs.length < 8) throw new HoldfastError('blocks.io', `The NBD server of ${this.label} reported no extents at ${start}.`);
      // The last run may reach beyond what was asked: only the rest of the span counts.
      for (let at = 0, left = span; at + 8 <= runs.length && left > 0; at += 8) {
        const length = Math.min(left, runs.readUInt32BE(at));
        if (length === 0) throw new HoldfastError('blocks.io', `The NBD server of ${this.label} reported an empty extent at ${start}.`);
        yield { start, length, flags: runs.readUInt32BE(at + 4) };
        start += length;
        left -= length;
      }
    }
  }

  async read(offset: number, buffer: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, buffer.length);
    await this.inPieces(offset, buffer.length, this.agreed.maxRequestBytes, async (at, length) => {
      await this.connection.request('read', at, length, { target: buffer.subarray(at - offset, at - offset + length), signal });
    });
  }

  async write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, data.length);
    await this.inPieces(offset, data.length, this.agreed.maxRequestBytes, async (at, length) => {
      await this.connection.request('write', at, length, { payload: data.subarray(at - offset, at - offset + length), signal });
    });
  }

  async zero(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    this.checkRange(offset, length);
    if (!this.agreed.canWriteZeroes) {
      const zeroes = Buffer.alloc(Math.min(length, 1024 ** 2));
      for (let at = offset; at < offset + length; at += zeroes.length) await this.write(at, zeroes.subarray(0, offset + length - at), signal);
      return;
    }
    for (let at = offset; at < offset + length; at += zeroSpanBytes) {
      await this.connection.request('writeZeroes', at, Math.min(zeroSpanBytes, offset + length - at), { signal });
    }
  }

  async flush(signal?: AbortSignal): Promise<void> {
    if (this.agreed.canFlush) await this.connection.request('flush', 0, 0, { signal });
  }

  async close(): Promise<void> {
    await this.connection.close();
  }

  private checkRange(offset: number, length: number): void {
    if (offset < 0 || !Number.isSafeInteger(offset) || offset + length > this.sizeBytes) {
      throw new HoldfastError('blocks.io', `${length} bytes at ${offset} lie outside of ${this.label}, which has ${this.sizeBytes} bytes.`);
    }
  }

  private async inPieces(offset: number, length: number, pieceBytes: number, piece: (at: number, length: number) => Promise<void>): Promise<void> {
    if (length <= pieceBytes) return length === 0 ? undefined : piece(offset, length);
    const pieces: Promise<void>[] = [];
    for (let at = offset; at < offset + length; at += pieceBytes) pieces.push(piece(at, Math.min(pieceBytes, offset + length - at)));
    await Promise.all(pieces);
  }
}

export async function openNbd(options: OpenNbdOptions): Promise<NbdBlocks> {
  const { address, exportName } = options;
  const where = 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
  const label = options.label ?? `export "${exportName}" at ${where}`;
  const connection = new NbdConnection({
    address,
    exportName,
    label,
    contexts: [allocationContext, ...(options.contexts ?? [])],
    noSpaceCode: options.noSpaceCode ?? 'blocks.io',
    handshakeMs: options.handshakeMs,
    signal: options.signal,
  });
  const agreed = await connection.agreed;
  return new NbdBlocks(connection, agreed, label, options.transport ?? ('socketPath' in address ? 'socket' : 'tcp'));
}
