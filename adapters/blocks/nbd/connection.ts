// One NBD connection: several requests under way at once, each a promise. It never reconnects and never repeats a request.
// A cancelled request takes its connection with it: nothing more is sent, and no late reply touches the caller's buffer.
import * as net from 'node:net';
import { HoldfastError, type FailureCode } from '../../../domain/failures';
import { asError } from '../as-error';
import { HandshakeError, negotiate, type Agreed, type HandshakeStream } from './handshake';
import * as nbd from './protocol';
import { ReplyReceiver, type Pending } from './receiver';

export type NbdAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface NbdConnectOptions {
  readonly address: NbdAddress;
  readonly exportName: string;
  /** What the messages call it: "disk …", "image …". */
  readonly label: string;
  readonly contexts: readonly string[];
  /** What "no space left" on the other side means to the caller. */
  readonly noSpaceCode: FailureCode;
  /** How long negotiation may take: a server that hangs accepts connections all the same (the kernel does it). */
  readonly handshakeMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting extends Pending {
  readonly signal: AbortSignal | undefined;
  readonly resolve: (done: Pending) => void;
  readonly reject: (reason: unknown) => void;
}

/** Who gets the bytes that arrive: the handshake first, the reply receiver from then on. */
interface Inbox {
  buffer(): Uint8Array;
  received(bytes: number, buffer: Uint8Array): void;
}

const goodbyeMs = 2_000;
const defaultHandshakeMs = 10_000;
const noSpace = 28;
const verbs: Readonly<Record<nbd.Command, string>> = {
  read: 'Reading',
  write: 'Writing',
  disconnect: 'Disconnecting',
  flush: 'Flushing',
  writeZeroes: 'Zeroing',
  blockStatus: 'Asking for the extents of',
};

export class NbdConnection {
  readonly agreed: Promise<Agreed>;
  private readonly socket: net.Socket;
  private readonly waiting = new Map<number, Waiting>();
  private readonly watched = new Map<AbortSignal, () => void>();
  private readonly closed: Promise<void>;
  private inbox: Inbox;
  private broken: Error | undefined;
  private nextCookie = 1;

  constructor(private readonly options: NbdConnectOptions) {
    const handshake = new HandshakeInbox((data) => this.socket.write(data));
    this.inbox = handshake;
    const { address } = options;
    this.socket = net.connect({
      ...('socketPath' in address ? { path: address.socketPath } : { host: address.host, port: address.port, noDelay: true }),
      onread: {
        buffer: () => this.inbox.buffer(),
        callback: (bytes, buffer) => {
          this.received(bytes, buffer);
          return true;
        },
      },
    });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('error', (cause) => this.fail(this.serverGone(cause)));
    this.socket.on('end', () => this.fail(this.serverGone(undefined)));
    void this.closed.then(() => this.fail(this.serverGone(undefined)));
    this.agreed = this.negotiate(handshake);
  }

  private async negotiate(handshake: HandshakeInbox): Promise<Agreed> {
    const { signal, exportName, contexts } = this.options;
    this.watch(signal);
    const deadlineMs = this.options.handshakeMs ?? defaultHandshakeMs;
    const deadline = setTimeout(() => this.fail(this.serverGone(new Error(`it did not answer within ${deadlineMs} ms`))), deadlineMs);
    try {
      signal?.throwIfAborted();
      const agreed = await negotiate(handshake, exportName, contexts);
      this.inbox = new ReplyReceiver(
        (cookie) => this.waiting.get(cookie),
        (cookie) => this.finished(cookie),
      );
      return agreed;
    } catch (error) {
      const refused = error instanceof HandshakeError;
      const failure = refused ? new HoldfastError('blocks.server', `The NBD server of ${this.options.label} refuses export "${exportName}": ${error.message}.`) : error;
      this.fail(asError(failure));
      throw failure;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** `payload` is sent as it lies in memory: it must stay untouched until the promise settles. */
  async request(command: nbd.Command, offset: number, length: number, io: { payload?: Uint8Array; target?: Uint8Array; signal?: AbortSignal | undefined } = {}): Promise<Pending> {
    io.signal?.throwIfAborted();
    if (this.broken !== undefined) throw this.broken;
    if (!Number.isSafeInteger(offset + length) || offset < 0) throw new HoldfastError('blocks.io', `${verbs[command]} ${length} bytes at ${offset} of ${this.options.label}: beyond what can be addressed.`);
    this.watch(io.signal);
    const cookie = this.nextCookie;
    this.nextCookie = cookie === 0xffffffff ? 1 : cookie + 1;
    return new Promise<Pending>((resolve, reject) => {
      const target = io.target === undefined ? {} : { target: io.target };
      this.waiting.set(cookie, { command, offset, length, ...target, received: 0, status: new Map(), signal: io.signal, resolve, reject });
      this.socket.cork();
      this.socket.write(nbd.encodeRequest(command, cookie, offset, length));
      if (io.payload !== undefined) this.socket.write(io.payload);
      this.socket.uncork();
    });
  }

  /** Says goodbye when it can, so that the server ends in good order; whatever is still under way is lost. */
  async close(): Promise<void> {
    if (this.broken === undefined) {
      this.fail(new HoldfastError('blocks.server', `The connection to ${this.options.label} was closed.`), 'politely');
    }
    const timer = setTimeout(() => this.socket.destroy(), goodbyeMs);
    await this.closed;
    clearTimeout(timer);
  }

  private received(bytes: number, buffer: Uint8Array): void {
    if (this.broken !== undefined) return;
    try {
      this.inbox.received(bytes, buffer);
    } catch (cause) {
      this.fail(new HoldfastError('blocks.server', `The NBD server of ${this.options.label} broke the protocol: ${asError(cause).message}.`, {}, { cause }));
    }
  }

  private finished(cookie: number): void {
    const done = this.waiting.get(cookie);
    if (done === undefined) return;
    this.waiting.delete(cookie);
    if (done.error !== undefined) done.reject(this.refusal(done, done.error));
    else if (done.command === 'read' && done.received !== done.length) done.reject(this.refusal(done, { errno: 5, message: `the server sent ${done.received} of ${done.length} bytes` }));
    else done.resolve(done);
  }

  private refusal(request: Pending, error: { errno: number; message: string }): HoldfastError {
    const { label, noSpaceCode } = this.options;
    const range = request.command === 'flush' ? label : `${request.length} bytes at ${request.offset} of ${label}`;
    const text = error.message === '' ? '' : ` (${error.message})`;
    const remedy = error.errno === noSpace ? 'Free some space where it is stored.' : 'Look at the storage below it.';
    return new HoldfastError(
      error.errno === noSpace ? noSpaceCode : 'blocks.io',
      `${verbs[request.command]} ${range} failed with ${nbd.errnoName(error.errno)}${text}. ${remedy}`,
      { command: request.command, offset: request.offset, length: request.length, errno: nbd.errnoName(error.errno) },
    );
  }

  private serverGone(cause: Error | undefined): HoldfastError {
    const why = cause === undefined ? 'it closed the connection' : cause.message;
    return new HoldfastError('blocks.server', `The NBD server of ${this.options.label} is gone: ${why}.`, {}, { cause });
  }

  private watch(signal: AbortSignal | undefined): void {
    if (signal === undefined || this.watched.has(signal)) return;
    const onAbort = (): void => {
      const concerned = [...this.waiting.values()].some((request) => request.signal === signal) || this.inbox instanceof HandshakeInbox;
      if (concerned) this.fail(asError(signal.reason));
    };
    this.watched.set(signal, onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
  }

  private fail(reason: Error, manner: 'at once' | 'politely' = 'at once'): void {
    if (this.broken !== undefined) return;
    this.broken = reason;
    for (const [signal, listener] of this.watched) signal.removeEventListener('abort', listener);
    this.watched.clear();
    if (this.inbox instanceof HandshakeInbox) this.inbox.fail(reason);
    if (manner === 'politely' && !(this.inbox instanceof HandshakeInbox)) this.socket.end(nbd.encodeRequest('disconnect', 0, 0, 0));
    else this.socket.destroy();
    const lost = [...this.waiting.values()];
    this.waiting.clear();
    for (const request of lost) request.reject(reason);
  }
}

class HandshakeInbox implements HandshakeStream {
  private readonly scratch = Buffer.alloc(4096);
  private arrived = Buffer.alloc(0);
  private wanted: { bytes: number; resolve: (data: Buffer) => void; reject: (reason: unknown) => void } | undefined;
  private failure: Error | undefined;

  constructor(readonly send: (data: Buffer) => void) {}

  buffer(): Uint8Array {
    return this.scratch;
  }

  received(bytes: number, buffer: Uint8Array): void {
    this.arrived = Buffer.concat([this.arrived, buffer.subarray(0, bytes)]);
    this.serve();
  }

  readExactly(bytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.wanted = { bytes, resolve, reject };
      this.serve();
    });
  }

  fail(reason: Error): void {
    this.failure = reason;
    this.serve();
  }

  private serve(): void {
    const { wanted } = this;
    if (wanted === undefined) return;
    if (this.failure !== undefined) {
      this.wanted = undefined;
      wanted.reject(this.failure);
    } else if (this.arrived.length >= wanted.bytes) {
      this.wanted = undefined;
      const data = this.arrived.subarray(0, wanted.bytes);
      this.arrived = this.arrived.subarray(wanted.bytes);
      wanted.resolve(data);
    }
  }
}
