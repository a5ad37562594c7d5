// A data daemon in memory, for answers that the real one cannot be made to give. Where no fault is asked for it behaves as the real one
// does, texts and codes included: it passes the same contract.
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { MiB, qemuImg } from '../adapters/blocks/support';
import type { Stand, StandTicket, TicketRequest } from '../adapters/imageio/stand';
import { bitmapOf } from './fake-imageio-bitmap';

interface Ticket {
  readonly request: TicketRequest;
  readonly content: Buffer;
  readonly sizeBytes: number;
  readonly timeoutMs: number;
  readonly dirty: readonly { start: number; length: number; dirty: boolean; zero: boolean }[] | undefined;
  readonly connections: Set<Socket>;
  expiresAtMs: number;
  cancelled: boolean;
  broken: boolean;
}

/** Answers instead of the daemon; true: it has. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export class FakeImageio implements Stand {
  readonly options = { insecure: true };
  /** Everything that was asked, `<method> <what follows the ticket>`. */
  readonly asked: string[] = [];
  fault: Fault | undefined;
  features = ['checksum', 'extents', 'flush', 'zero'];
  unixSocket: string | undefined;
  private readonly tickets = new Map<string, Ticket>();
  private readonly contents = new Map<string, Buffer>();
  private readonly server: Server = createServer((request, response) => void this.serve(request, response));
  private port = 0;

  async start(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  ticket(wanted: TicketRequest): Promise<StandTicket> {
    const raw = `${wanted.image}.fake`;
    const content = Buffer.from(this.contentOf(wanted.image, raw));
    const uuid = randomUUID();
    const timeoutMs = (wanted.timeoutSeconds ?? 300) * 1000;
    const ticket: Ticket = { request: wanted, content, sizeBytes: wanted.sizeBytes ?? content.length, timeoutMs, dirty: wanted.bitmap === undefined ? undefined : bitmapOf(wanted.image, wanted.bitmap, content), connections: new Set(), expiresAtMs: Date.now() + timeoutMs, cancelled: false, broken: false };
    this.tickets.set(uuid, ticket);
    return Promise.resolve({
      uuid,
      transferUrl: `http://127.0.0.1:${this.port}/images/${uuid}`,
      sizeBytes: content.length,
      cancel: () => Promise.resolve(void (ticket.cancelled = true)),
      expire: () => Promise.resolve(void (ticket.expiresAtMs = 0)),
      connections: () => new Promise((resolve) => setImmediate(() => resolve(ticket.connections.size))),
      content: () => {
        writeFileSync(raw, content);
        return Promise.resolve(raw);
      },
      end: () => Promise.resolve(),
      stopStorage: () => Promise.resolve(void (ticket.broken = true)),
    });
  }

  /** An image is converted once: nobody writes to it while it has a ticket here. */
  private contentOf(image: string, raw: string): Buffer {
    const known = this.contents.get(image);
    if (known !== undefined) return known;
    qemuImg('convert', '-f', 'qcow2', '-O', 'raw', image, raw);
    const content = readFileSync(raw);
    this.contents.set(image, content);
    return content;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, uuid = '', rest = ''] = /^\/images\/([^/?]+)(.*)$/.exec(request.url ?? '') ?? [];
    this.asked.push(`${request.method ?? ''} ${rest}`);
    if (this.fault?.(request, response) === true) return;
    const { status = 200, headers = {}, body } = await this.answer(this.tickets.get(uuid), uuid, request, rest);
    response.writeHead(status, headers);
    response.end(body);
  }

  private async answer(ticket: Ticket | undefined, uuid: string, request: IncomingMessage, rest: string): Promise<Reply> {
    if (ticket === undefined) return refusal(403, `No such ticket ${uuid}`);
    if (ticket.cancelled) return refusal(403, 'Transfer=x was canceled');
    if (ticket.expiresAtMs <= Date.now()) return refusal(403, 'Transfer=x expired');
    if (ticket.request.op === 'read' && ['PUT', 'PATCH'].includes(request.method ?? '')) return refusal(403, 'Transfer=x forbids write');
    if (!ticket.connections.has(request.socket)) request.socket.once('close', () => ticket.connections.delete(request.socket));
    ticket.connections.add(request.socket);
    if (ticket.broken && request.method !== 'OPTIONS') return refusal(500, 'Server failed to perform the request, check logs');
    const reply = await this.perform(ticket, request, rest);
    ticket.expiresAtMs = Date.now() + ticket.timeoutMs;
    return reply;
  }

  private async perform(ticket: Ticket, request: IncomingMessage, rest: string): Promise<Reply> {
    if (request.method === 'OPTIONS') return this.abilities(ticket);
    if (request.method === 'PUT') {
      const [, first = '0'] = /^bytes (\d+)-/.exec(request.headers['content-range'] ?? '') ?? [];
      return write(ticket, Number(first), await bodyOf(request));
    }
    if (request.method === 'PATCH') {
      const operation = JSON.parse((await bodyOf(request)).toString()) as { op: 'zero' | 'flush'; offset?: number; size?: number };
      return operation.op === 'flush' ? json({}) : write(ticket, operation.offset ?? 0, Buffer.alloc(operation.size ?? 0));
    }
    if (rest.startsWith('/checksum')) return json({ algorithm: 'sha256', block_size: MiB, checksum: rootOf(ticket.content) });
    if (rest === '/extents?context=zero') return json(zeroExtents(ticket.request.image, ticket.content.length));
    if (rest === '/extents?context=dirty') return ticket.dirty === undefined ? refusal(404, 'Ticket does not support dirty extents') : json(ticket.dirty);
    return read(ticket, request.headers.range ?? '');
  }

  private abilities({ request }: Ticket): Reply {
    const writes = request.op === 'write';
    const features = this.features.filter((each) => writes || !['flush', 'zero'].includes(each));
    return { ...json({ features, max_readers: 8, max_writers: 8, ...(this.unixSocket === undefined ? {} : { unix_socket: this.unixSocket }) }), headers: { allow: writes ? 'OPTIONS,GET,PUT,PATCH' : 'OPTIONS,GET' } };
  }
}

interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body: string | Buffer;
}

const refusal = (status: number, text: string): Reply => ({ status, headers: { 'content-type': 'text/plain', connection: 'close' }, body: `${text}\n` });
const json = (value: unknown): Reply => ({ body: JSON.stringify(value) });

function read(ticket: Ticket, range: string): Reply {
  const [, first = '0', last = '0'] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  if (Number(last) >= ticket.sizeBytes) return refusal(416, 'Requested range out of allowed range');
  return { status: 206, headers: { 'content-range': `bytes ${first}-${last}/${ticket.sizeBytes}` }, body: ticket.content.subarray(Number(first), Number(last) + 1) };
}

function write(ticket: Ticket, offset: number, data: Buffer): Reply {
  if (offset + data.length > ticket.sizeBytes) return refusal(416, 'Requested range out of allowed range');
  data.copy(ticket.content, offset);
  return json({});
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function zeroExtents(image: string, sizeBytes: number): object[] {
  const map = JSON.parse(qemuImg('map', '-U', '--output=json', image)) as { start: number; length: number; zero: boolean }[];
  return map.filter((each) => each.start < sizeBytes).map(({ start, length, zero }) => ({ start, length, zero, hole: zero }));
}

function rootOf(content: Buffer): string {
  const root = createHash('sha256');
  for (let at = 0; at < content.length; at += MiB) root.update(createHash('sha256').update(content.subarray(at, at + MiB)).digest());
  return root.digest('hex');
}
