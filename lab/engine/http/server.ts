// The engine's HTTPS face on the loopback address: sign-on, CA certificate, content negotiation, faults. What the
// resources mean is not known here; see router.ts and resources/.
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refuse } from '../refusals';
import { htmlError, HttpFault, unsupported } from '../faults';
import { newId, type Actor } from '../events';
import { Body } from '../wire/body';
import { BodyError, decodeJson, decodeXml } from '../wire/decode';
import { jsonDocument, xmlDocument } from '../wire/encode';
import { wire, type Wire } from '../wire/description';
import { base, Query, type Answer, type Call, type Route } from './call';
import { follow } from './follow';
import type { Asked } from '../injected/injected-faults';
import type { Router } from './router';
import type { Session, Sessions } from './sessions';
import { issueToken, logOut, type SsoReply } from './sso';
import type { Tls } from './tls';

/** What the lab's injected faults do to calls of the API. */
export interface CallFaults {
  /** Before anything else; throws what is answered instead. */
  readonly before: (asked: Asked) => void;
  /** Where the engine takes its locks; throws a refusal. */
  readonly locking: (asked: Asked) => void;
  /** The call was carried out: may it be answered? */
  readonly after: (asked: Asked) => Promise<'answer' | 'cut'>;
}

/** Asked before the command: permissions come before validation and locks. */
export interface Authority {
  readonly mayLogIn: (userName: string) => boolean;
  /** What the user lacks for this call, in words. */
  readonly lacking: (route: Route, call: Call) => string | undefined;
}

export interface HttpOptions {
  readonly port: number;
  readonly tls: Tls;
  readonly sessions: Sessions;
  readonly router: Router;
  readonly callFaults: CallFaults;
  readonly authority: Authority;
  readonly log: (line: string) => void;
}

type Format = 'xml' | 'json';
const largestBodyBytes = 64 * 1024 * 1024;
const longestCorrelationId = 36;

export async function serveHttps(options: HttpOptions): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    void handle(request, response, options);
  };
  const server = createServer({ key: options.tls.key, cert: options.tls.cert, keepAliveTimeout: 30_000 }, handler);
  // `Expect: 201-created` is the engine's own; Node would answer 417.
  server.on('checkExpectation', handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

async function handle(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://localhost');
  const place = `${request.method ?? ''} ${url.pathname}${url.search}`;
  try {
    const text = await readBody(request);
    const { pathname } = url;
    if (pathname === base || pathname.startsWith(`${base}/`)) await handleApi(request, response, url, text, options);
    else handleService(request, response, url, text, options);
  } catch (error) {
    if (error instanceof HttpFault) {
      options.log(`${place}: ${error.status} ${error.message}`);
      sendHtml(response, error.status, error.reason);
    } else {
      options.log(`${place}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      if (!response.headersSent) sendHtml(response, 500, 'Internal Server Error');
      else response.destroy();
    }
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > largestBodyBytes) throw htmlError(413, 'Request Entity Too Large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Everything that needs no session. */
function handleService(request: IncomingMessage, response: ServerResponse, url: URL, text: string, { sessions, tls }: HttpOptions): void {
  const form = new URLSearchParams(text);
  const post = request.method === 'POST';
  if (post && url.pathname === '/ovirt-engine/sso/oauth/token') {
    sendSso(response, issueToken(form, sessions));
    return;
  }
  if (post && url.pathname === '/ovirt-engine/services/sso-logout') {
    sendSso(response, logOut(form, sessions));
    return;
  }
  const wantsCa = url.searchParams.get('resource') === 'ca-certificate' && url.searchParams.get('format') === 'X509-PEM-CA';
  if (request.method === 'GET' && url.pathname === '/ovirt-engine/services/pki-resource' && wantsCa) {
    send(response, 200, 'application/x-x509-ca-cert', tls.ca);
    return;
  }
  throw htmlError(404, 'Not Found');
}

function sendSso(response: ServerResponse, reply: SsoReply): void {
  send(response, reply.status, 'application/json', JSON.stringify(reply.json));
}

async function handleApi(request: IncomingMessage, response: ServerResponse, url: URL, text: string, options: HttpOptions): Promise<void> {
  const asked: Asked = { method: request.method ?? 'GET', path: url.pathname.slice(base.length) || '/' };
  options.callFaults.before(asked);
  const session = authenticate(request, options.sessions);
  if (session === undefined || !options.authority.mayLogIn(session.userName)) {
    response.setHeader('WWW-Authenticate', 'Basic realm="RESTAPI"');
    throw htmlError(401, 'Unauthorized');
  }
  if (request.headers['version'] !== undefined && request.headers['version'] !== '4') throw htmlError(405, 'Method Not Allowed');
  const format = responseFormat(request);
  const actor: Actor = { user: session.userName, correlationId: correlationId(request, url) };
  response.setHeader('Correlation-Id', actor.correlationId);
  let route: Route | undefined;
  try {
    const found = options.router.find(request.method ?? 'GET', path(url));
    route = found.route;
    const call = makeCall(request, url, text, route, found.params, actor);
    const lacking = options.authority.lacking(route, call);
    if (lacking !== undefined) {
      options.log(`${request.method ?? ''} ${url.pathname}: ${session.userName} lacks ${lacking}`);
      throw refuse('any/not-authorized');
    }
    options.callFaults.locking(asked);
    const answer = await options.router.run(route, call);
    const followed = call.following
      ? await follow(answer, call.query.get('follow') ?? '', (href) => fetchInside(href, call, options.router))
      : answer;
    const settled = await settle(request, followed);
    if ((await options.callFaults.after(asked)) === 'cut') request.socket.destroy();
    else sendAnswer(response, format, settled);
  } catch (error) {
    const fault = error instanceof BodyError ? new HttpFault(400, 'fault', 'Request syntactically incorrect', error.message) : error;
    if (!(fault instanceof HttpFault) || fault.kind === 'html') throw fault;
    options.log(`${request.method ?? ''} ${url.pathname}${url.search}: ${fault.status} ${fault.message}`);
    sendFault(response, format, fault, route?.action === true);
  }
}

function authenticate(request: IncomingMessage, sessions: Sessions): Session | undefined {
  const [scheme = '', credentials = ''] = (request.headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() === 'bearer') return sessions.use(credentials);
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const [, user = '', password = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(credentials, 'base64').toString('utf8')) ?? [];
  return sessions.check(user, password);
}

function path(url: URL): string {
  const inside = decodeURIComponent(url.pathname.slice(base.length));
  if (inside.includes(';')) throw unsupported(`matrix parameters in "${inside}": use query parameters`);
  return inside;
}

/** Bad characters go, the rest is cut: never a 400 (observed). The header of the answer shows what is left. */
function correlationId(request: IncomingMessage, url: URL): string {
  const header = request.headers['correlation-id'];
  const wanted = url.searchParams.get('correlation_id') ?? (typeof header === 'string' ? header : '');
  const effective = wanted.replace(/[^a-zA-Z0-9_-]/g, '').slice(0, longestCorrelationId);
  return effective === '' ? newId() : effective;
}

function makeCall(request: IncomingMessage, url: URL, text: string, route: Route, params: Call['params'], actor: Actor): Call {
  const query = new Query(new Map(url.searchParams));
  const header = request.headers['all-content'];
  return {
    params,
    query,
    actor,
    body: decodeBody(request, text, route),
    following: query.get('follow') !== undefined,
    allContent: query.flag('all_content', typeof header === 'string' && header.toLowerCase() === 'true'),
  };
}

function decodeBody(request: IncomingMessage, text: string, route: Route): Body {
  if (text.trim() === '') return Body.empty;
  if (route.body === undefined) {
    // The SDK sends no body on GET and DELETE; anything here would be ignored.
    throw unsupported(`a request body on ${route.method} ${route.path}`);
  }
  const contentType = (request.headers['content-type'] ?? 'application/xml').toLowerCase();
  if (contentType.includes('json')) return new Body(decodeJson(route.body.type, text));
  if (contentType.includes('xml')) return new Body(decodeXml(route.body.type, text));
  throw htmlError(415, 'Unsupported Media Type');
}

function responseFormat(request: IncomingMessage): Format {
  const accept = request.headers.accept ?? '*/*';
  if (accept.includes('json')) return 'json';
  if (accept.includes('xml')) return 'xml';
  return (request.headers['content-type'] ?? '').includes('json') ? 'json' : 'xml';
}

async function fetchInside(href: string, outer: Call, router: Router): Promise<Answer> {
  const { route, params } = router.find('GET', href);
  return router.run(route, { ...outer, params, query: new Query(new Map()), body: Body.empty });
}

async function settle(request: IncomingMessage, answer: Answer): Promise<Answer> {
  const blocking = request.headers['expect']?.toLowerCase().includes('201-created') === true;
  if (!blocking || answer.kind !== 'created' || answer.settled === undefined) return answer;
  await answer.settled;
  return answer.again === undefined ? answer : { kind: 'created', item: await answer.again() };
}

function sendAnswer(response: ServerResponse, format: Format, answer: Answer): void {
  const status = answer.kind === 'created' ? 201 : 200;
  // The engine's own Location is malformed (observed): clients have to ignore it, and here they can see why.
  const href = answer.kind === 'many' ? undefined : answer.item.fields['href'];
  if (answer.kind === 'created' && typeof href === 'string') response.setHeader('Location', `https://localhost/api/v4${href}`);
  const content = answer.kind === 'many' ? { type: answer.type, items: answer.items } : answer.item;
  sendDocument(response, status, format, content);
}

function sendFault(response: ServerResponse, format: Format, fault: HttpFault, insideAction: boolean): void {
  if (fault.kind === 'empty') {
    response.writeHead(fault.status, { 'Content-Length': '0' });
    response.end();
    return;
  }
  if (fault.kind === 'plain') {
    send(response, fault.status, format === 'xml' ? 'application/xml;charset=UTF-8' : 'application/json', fault.detail);
    return;
  }
  const fields = { detail: fault.detail, reason: fault.reason };
  sendDocument(response, fault.status, format, insideAction ? wire('action', { fault: fields, status: 'failed' }) : wire('fault', fields));
}

function sendDocument(
  response: ServerResponse,
  status: number,
  format: Format,
  content: Wire | { readonly type: string; readonly items: readonly Wire[] },
): void {
  if (format === 'xml') send(response, status, 'application/xml;charset=UTF-8', xmlDocument(content));
  else send(response, status, 'application/json', jsonDocument(content));
}

function sendHtml(response: ServerResponse, status: number, title: string): void {
  send(response, status, 'text/html;charset=UTF-8', `<html><head><title>Error</title></head><body>${status} - ${title}</body></html>`);
}

function send(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': String(Buffer.byteLength(text)) });
  response.end(text);
}
