// A scripted HTTP server for what a real engine does not do on demand: expired tokens, pages of a proxy, lost replies. It
// knows how to log in and nothing else; each test says what a path answers.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createEngine, type EngineOptions } from '../../../adapters/ovirt/engine';
import { HoldfastError } from '../../../domain/failures';

export const password = 'p+a ss/wörd&1';
export const username = 'admin@internal';

export interface SeenRequest {
  readonly method: string;
  /** Below `/ovirt-engine`, decoded query apart. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

export interface ScriptedReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Objects go out as JSON, strings as they are. */
  readonly body?: unknown;
}

/** Undefined: the reply was made (or withheld) by the script itself. */
export type Script = (request: SeenRequest, response: ServerResponse) => ScriptedReply | undefined;

export interface ScriptedEngine {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  readonly logins: readonly SeenRequest[];
  close(): Promise<void>;
}

export async function startScriptedEngine(script: Script, tls?: { readonly key: string; readonly cert: string }): Promise<ScriptedEngine> {
  const requests: SeenRequest[] = [];
  const logins: SeenRequest[] = [];
  const handle = (message: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('end', () => {
      const url = new URL(message.url ?? '', 'http://engine');
      const seen: SeenRequest = {
        method: message.method ?? '',
        path: url.pathname.replace('/ovirt-engine', ''),
        query: Object.fromEntries(url.searchParams),
        headers: message.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        socket: message.socket,
      };
      const isLogin = seen.path === '/sso/oauth/token';
      (isLogin ? logins : requests).push(seen);
      const isLogout = seen.path === '/services/sso-logout';
      const reply = isLogout ? { body: {} } : script(seen, response) ?? (isLogin ? { body: { access_token: `token-${logins.length}`, scope: 'ovirt-app-api', exp: '9223372036854775807', token_type: 'bearer' } } : undefined);
      if (reply === undefined) return;
      const isText = typeof reply.body === 'string';
      response.writeHead(reply.status ?? 200, { 'content-type': isText ? 'text/html' : 'application/json', ...reply.headers });
      response.end(reply.body === undefined ? '' : isText ? reply.body : JSON.stringify(reply.body));
    });
  };
  const server = tls === undefined ? createHttpServer(handle) : createHttpsServer({ ...tls }, handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/ovirt-engine`,
    requests,
    logins,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export function clientOf(url: string, options: Partial<EngineOptions> = {}): ReturnType<typeof createEngine> {
  return createEngine({ name: 'east', url, username, password: () => Promise.resolve(password), requestTimeoutMs: 20_000, ...options });
}

/** The error that a call ends with. */
export async function failureOf(call: Promise<unknown>): Promise<HoldfastError> {
  const outcome: unknown = await call.then(
    () => new Error('the call was expected to fail'),
    (error: unknown) => error,
  );
  if (outcome instanceof HoldfastError) return outcome;
  throw outcome instanceof Error ? outcome : new Error(String(outcome));
}

export const vmId = 'f0000000-0000-4000-8000-000000000001';
export const diskId = 'd1000000-0000-4000-8000-000000000001';
export const snapshotId = '5a000000-0000-4000-8000-000000000001';
export const clusterId = 'c0000000-0000-4000-8000-000000000001';
export const domainId = '5d000000-0000-4000-8000-000000000001';
export const wireVm = { id: vmId, name: 'demo', status: 'up', comment: '', cluster: { id: clusterId } };
