// One HTTP exchange with one engine: keep-alive connections, TLS against the configured CA, a deadline for the whole
// exchange, and network failures as typed errors. It knows nothing of tokens, JSON or faults, and never repeats anything.
import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { HoldfastError } from '../../domain/failures';
import { causeCode, causeMessage, certificateCodes } from '../network-causes';

export interface TransportOptions {
  readonly engineName: string;
  readonly origin: string;
  readonly caFile?: string;
  readonly insecure: boolean;
  readonly requestTimeoutMs: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The request in words, for messages: "reading VM …". */
  readonly what: string;
  readonly timeoutMs?: number;
}

export interface HttpReply {
  readonly status: number;
  readonly text: string;
  readonly header: (name: string) => string | undefined;
}

export interface Transport {
  exchange(request: HttpRequest): Promise<HttpReply>;
  close(): Promise<void>;
}

/** An OVF of a large VM has a few MiB; more than this is not an engine. */
const maxAnswerBytes = 64 * 1024 * 1024;

export function createTransport(options: TransportOptions): Transport {
  const pool = new Pool(options.origin, {
    connections: 8,
    maxResponseSize: maxAnswerBytes,
    connect: { timeout: Math.min(options.requestTimeoutMs, 15_000), rejectUnauthorized: !options.insecure, ...readCa(options) },
  });
  return {
    async exchange(request) {
      const timeoutMs = request.timeoutMs ?? options.requestTimeoutMs;
      try {
        const answer = await pool.request({
          method: request.method,
          path: request.path,
          headers: request.headers,
          signal: AbortSignal.timeout(timeoutMs),
          ...(request.body === undefined ? {} : { body: request.body }),
        });
        return { status: answer.statusCode, text: await answer.body.text(), header: (name) => [answer.headers[name]].flat()[0] };
      } catch (cause) {
        throw networkFailure(cause, request, options, timeoutMs);
      }
    },
    // Not `close`: that would wait for an answer that may never come.
    close: () => pool.destroy(),
  };
}

function readCa({ caFile, engineName }: TransportOptions): { ca?: string } {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile, 'utf8') };
  } catch (cause) {
    throw new HoldfastError('config.invalid', `Cannot read the CA file "${caFile}" of engine "${engineName}" (setting caFile): ${causeMessage(cause)}.`, { engine: engineName, caFile }, { cause });
  }
}

function networkFailure(cause: unknown, request: HttpRequest, { engineName, origin }: TransportOptions, timeoutMs: number): HoldfastError {
  const code = causeCode(cause);
  const details = { engine: engineName, method: request.method, path: request.path, cause: code };
  const subject = `Engine "${engineName}" (${origin})`;
  if (certificateCodes.test(code)) {
    return new HoldfastError(
      'engine.certificate',
      `${subject}: its certificate is not trusted (${code}) while ${request.what}. Set caFile of this engine to the CA that signed it, and use the host name in the certificate; ` +
        'an engine gives its own CA at /ovirt-engine/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA.',
      details,
      { cause },
    );
  }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new HoldfastError('engine.protocol', `${subject} answered with more than ${maxAnswerBytes} bytes while ${request.what}.`, details, { cause });
  }
  const why = code === 'TimeoutError' ? `gave no answer within ${timeoutMs} ms` : `cannot be reached (${code}: ${causeMessage(cause)})`;
  const doubt = request.method === 'GET' ? '' : ' The request may have been carried out all the same.';
  return new HoldfastError('engine.unreachable', `${subject} ${why} while ${request.what}.${doubt} Check its url and that it is running.`, details, { cause });
}
