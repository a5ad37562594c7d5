// The engine's REST API as calls that either answer or throw: token, correlation id, JSON and faults. One request per call,
// with a single exception: after a 401 it logs in again and repeats, which is safe because a filter sends the 401 before
// anything has run. Everything else is repeated by Temporal or not at all.
import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../../domain/failures';
import { classifyAnswer, excerpt, faultText, parseJson, readFault, remedyFor } from './faults';
import { createSso } from './sso';
import { createTransport, type HttpReply, type HttpRequest } from './transport';

export interface ConnectionOptions {
  /** Name in the configuration, used in messages. */
  readonly name: string;
  /** `https://<host>/ovirt-engine`; a trailing `/api` is fine. */
  readonly url: string;
  /** With its profile: `admin@internal`. */
  readonly username: string;
  /** Read before each log-in. */
  readonly password: () => Promise<string>;
  /** PEM file of the CA that signed the engine's certificate; the system's CAs otherwise. */
  readonly caFile?: string;
  /** Accept any certificate. Only by an explicit setting. */
  readonly insecure?: boolean;
  readonly requestTimeoutMs?: number;
  readonly log?: (line: CallLine) => void;
}

/** One request, for the log: no bodies, no secrets. */
export interface CallLine {
  readonly engine: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly correlationId: string;
  readonly durationMs: number;
}

export interface Call {
  readonly method: HttpRequest['method'];
  /** Below `/api`, already encoded: see `pathOf`. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The call in words, for messages: "reading VM …". */
  readonly what: string;
}

export interface Answer {
  /** Parsed JSON; undefined when the body was empty. */
  readonly body: unknown;
  /** The one the engine really used: it strips and cuts what it does not like. */
  readonly correlationId: string;
}

export interface Connection {
  readonly engineName: string;
  call(call: Call): Promise<Answer>;
  close(): Promise<void>;
}

export function connect(options: ConnectionOptions): Connection {
  const { origin, basePath } = engineBase(options);
  const transport = createTransport({
    engineName: options.name,
    origin,
    insecure: options.insecure ?? false,
    requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
    ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
  });
  const sso = createSso(transport, { engineName: options.name, basePath, username: options.username, password: options.password });

  const attempt = async (call: Call, token: string): Promise<{ reply: HttpReply; correlationId: string }> => {
    const ownId = newCorrelationId();
    const startedAt = performance.now();
    const reply = await transport.exchange({
      method: call.method,
      path: `${basePath}/api${call.path}`,
      headers: headersOf(call, token, ownId),
      what: call.what,
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    const correlationId = reply.header('correlation-id') ?? ownId;
    options.log?.({ engine: options.name, method: call.method, path: call.path, status: reply.status, correlationId, durationMs: Math.round(performance.now() - startedAt) });
    return { reply, correlationId };
  };

  return {
    engineName: options.name,
    async call(call) {
      const token = await sso.token();
      let outcome = await attempt(call, token);
      if (outcome.reply.status === 401) {
        sso.forget(token);
        outcome = await attempt(call, await sso.token());
      }
      return answerOf(outcome.reply, outcome.correlationId, call, options);
    },
    async close() {
      await sso.logout();
      await transport.close();
    },
  };
}

/** 35 characters of `a-z0-9-`: longer ones are cut at 36, and a cut id would not be found again among jobs and events. */
function newCorrelationId(): string {
  return `hf-${randomUUID().replaceAll('-', '')}`;
}

function headersOf(call: Call, token: string, correlationId: string): Record<string, string> {
  return {
    accept: 'application/json',
    authorization: `Bearer ${token}`,
    'correlation-id': correlationId,
    version: '4',
    ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...call.headers,
  };
}

function answerOf(reply: HttpReply, correlationId: string, call: Call, { name, username }: ConnectionOptions): Answer {
  if (reply.status >= 200 && reply.status < 300) {
    const body = parseJson(reply.text);
    if (body !== undefined || reply.text.trim() === '') return { body, correlationId };
    throw new HoldfastError('engine.protocol', `Engine "${name}" answered HTTP ${reply.status} without JSON while ${call.what}: ${excerpt(reply.text)}.${remedyFor('engine.protocol')}`, {
      engine: name,
      httpStatus: reply.status,
      correlationId,
    });
  }
  const fault = readFault(reply.text);
  const code = classifyAnswer(reply.status, fault);
  const words = fault.shape === 'foreign' ? excerpt(reply.text) : faultText(fault);
  const who = code === 'engine.unauthorized' || code === 'engine.forbidden' ? ` as "${username}"` : '';
  throw new HoldfastError(code, `Engine "${name}" ${reply.status < 500 ? 'refused' : 'failed at'} ${call.what}${who}: HTTP ${reply.status}${words === '' ? '.' : `, ${words}`}${remedyFor(code)}`, {
    engine: name,
    httpStatus: reply.status,
    method: call.method,
    path: call.path,
    correlationId,
    ...(fault.shape === 'fault' ? { reason: fault.reason, detail: fault.detail } : {}),
  });
}

function engineBase({ url, name }: ConnectionOptions): { origin: string; basePath: string } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') {
    throw new HoldfastError('config.invalid', `The url of engine "${name}" must look like https://<host>/ovirt-engine, without user name and password (setting url).`, { engine: name });
  }
  const path = parsed.pathname.replace(/\/+$/, '').replace(/\/api$/, '');
  return { origin: parsed.origin, basePath: path === '' ? '/ovirt-engine' : path };
}

/** `pathOf('vms', id, 'snapshots')`. An empty or dotted id would turn "this one" into "all of them": refused here. */
export function pathOf(...segments: readonly string[]): string {
  const wrong = segments.find((segment) => !/^[A-Za-z0-9-]+$/.test(segment));
  if (wrong !== undefined) throw new HoldfastError('input.invalid', `"${wrong}" is not an id of an engine's object.`);
  return `/${segments.join('/')}`;
}

export function queryOf(parameters: Readonly<Record<string, string>>): string {
  return `?${new URLSearchParams(parameters).toString()}`;
}

/** For "absent is undefined" and "absent is fine". */
export async function unlessAbsent<Value>(answer: Promise<Value>): Promise<Value | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'engine.not-found') return undefined;
    throw error;
  }
}
