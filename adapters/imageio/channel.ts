// HTTP to one daemon for one ticket: a bounded number of connections, answers straight into the caller's memory, and an end at once when the
// signal says so. It repeats nothing and knows nothing of extents or disks.
import { readFileSync } from 'node:fs';
import { buildConnector, Pool } from 'undici';
import { HoldfastError } from '../../domain/failures';
import { asError } from '../blocks/as-error';
import { causeMessage } from '../network-causes';
import { imageioFailure, networkFailure, statusFailure, type Subject } from './failures';

export interface ChannelOptions {
  /** `https://<host>:<port>`. */
  readonly origin: string;
  readonly socketPath?: string;
  readonly subject: Subject;
  readonly connections: number;
  readonly caFile?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly timeoutMs: number;
}

export interface DataRequest {
  readonly method: 'OPTIONS' | 'GET' | 'PUT' | 'PATCH';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** The request in words, for messages: "reading 2 MiB at 0". */
  readonly what: string;
  /** Takes a successful answer's body, part by part; it may throw. Without it the text of the answer is kept. */
  readonly use?: (chunk: Uint8Array) => void;
  /** 0: no end. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface DataAnswer {
  readonly text: string;
  readonly header: (name: string) => string | undefined;
}

/** Sooner than the daemon, which drops idle connections after a minute: a request must not meet a connection that is just being closed. */
const idleConnectionMs = 30_000;
const connectMs = 15_000;
const longestTextBytes = 64 * 1024;

export class Channel {
  private readonly pool: Pool;
  private sameMachine = false;
  private lastEndMs = performance.now();
  private underWay = 0;

  constructor(private readonly options: ChannelOptions) {
    const connect = buildConnector({
      timeout: connectMs,
      rejectUnauthorized: options.insecure !== true,
      ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
      ...readCa(options.caFile, options.subject.label),
    });
    this.pool = new Pool(options.origin, {
      connections: options.connections,
      pipelining: 1,
      keepAliveTimeout: idleConnectionMs,
      keepAliveMaxTimeout: idleConnectionMs,
      connect: (target, done) => {
        connect(target, (...outcome) => {
          const [error, socket] = outcome;
          if (error === null) this.sameMachine = socket.localAddress !== undefined && socket.localAddress === socket.remoteAddress;
          done(...outcome);
        });
      },
    });
  }

  /** As far as the connections tell: the daemon's address is this machine's. */
  get isLocal(): boolean {
    return this.sameMachine;
  }

  /** How long nothing was asked; 0 while something is under way. */
  get idleMs(): number {
    return this.underWay > 0 ? 0 : performance.now() - this.lastEndMs;
  }

  async send(request: DataRequest): Promise<DataAnswer> {
    request.signal?.throwIfAborted();
    this.underWay += 1;
    try {
      return await this.exchange(request);
    } finally {
      this.underWay -= 1;
      this.lastEndMs = performance.now();
    }
  }

  /** Requests under way end now, together with their connections. */
  async close(): Promise<void> {
    await this.pool.destroy();
  }

  private exchange({ method, path, headers, body, what, use, timeoutMs = this.options.timeoutMs, signal }: DataRequest): Promise<DataAnswer> {
    const { subject } = this.options;
    return new Promise((resolve, reject) => {
      const answer = new AnswerSink(use);
      let abandon: ((reason: Error) => void) | undefined;
      let ended = false;
      const end = (error?: Error): void => {
        if (ended) return;
        ended = true;
        signal?.removeEventListener('abort', onAbort);
        if (error === undefined) resolve({ text: answer.text, header: (name) => answer.header(name) });
        else reject(error);
      };
      const giveUp = (error: Error): void => {
        end(error);
        abandon?.(error);
      };
      const onAbort = (): void => giveUp(asError(signal?.reason));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pool.dispatch(
        { method, path, headers: { ...headers }, body: body ?? null, headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
        {
          onRequestStart(controller) {
            abandon = (reason) => controller.abort(reason);
            if (ended) controller.abort(new Error('nobody waits for it any more'));
          },
          onResponseStart: (_controller, status, received) => answer.begin(status, received),
          onResponseData(_controller, chunk) {
            try {
              if (!ended) answer.take(chunk);
            } catch (error) {
              giveUp(error instanceof HoldfastError ? error : imageioFailure('imageio.io', subject, what, causeMessage(error), {}, error));
            }
          },
          onResponseEnd: () => end(answer.ok ? undefined : statusFailure(subject, what, answer.status, answer.text)),
          onResponseError: (_controller, error) => end(networkFailure(subject, what, error)),
        },
      );
    });
  }
}

class AnswerSink {
  status = 0;
  text = '';
  private headers: Readonly<Record<string, string | string[] | undefined>> = {};

  constructor(private readonly use: ((chunk: Uint8Array) => void) | undefined) {}

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  header(name: string): string | undefined {
    return [this.headers[name]].flat()[0];
  }

  begin(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    this.status = status;
    this.headers = headers;
  }

  take(chunk: Uint8Array): void {
    if (this.ok && this.use !== undefined) this.use(chunk);
    else if (this.text.length < longestTextBytes) this.text += Buffer.from(chunk).toString('utf8');
  }
}

/** As the TLS options want it; none for the system's CAs. */
export function readCa(caFile: string | undefined, label: string): { ca?: string } {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile, 'utf8') };
  } catch (cause) {
    throw new HoldfastError('config.invalid', `Cannot read the CA file "${caFile}" for ${label}: ${causeMessage(cause)}. Correct the engine's setting caFile.`, { caFile }, { cause });
  }
}
