// Opens a ticket: asks the daemon what it can do, and takes the shortest way to it: the unix socket on the same machine, the host, the proxy.
import { z } from 'zod';
import { HoldfastError } from '../../domain/failures';
import { Channel, type DataAnswer } from './channel';
import { imageioFailure, type Subject } from './failures';
import { ImageioBlocks, type TicketAbilities } from './imageio-blocks';
import type { ImageioOptions, ImageioReader, ImageioWriter } from './port';

const defaultConnections = 4;
const defaultKeepAliveMs = 20_000;
const defaultTimeoutMs = 120_000;
const socketProbeMs = 5_000;

const optionsSchema = z.object({
  unix_socket: z.string().optional(),
  features: z.array(z.string()).default([]),
  max_readers: z.number().int().positive().optional(),
  max_writers: z.number().int().positive().optional(),
});
type ServerOptions = z.infer<typeof optionsSchema> & { readonly allow: string };

interface Ticket {
  readonly path: string;
  readonly ticket: string;
  readonly mode: 'read' | 'write';
}

interface Way {
  readonly channel: Channel;
  readonly subject: Subject;
  readonly isLocal: boolean;
  readonly server: ServerOptions;
}

export async function openImageioReader(options: ImageioOptions): Promise<ImageioReader> {
  return open(options, 'read', false);
}

/** `blank`: the disk is known to read as zeroes, so that zeroes need not be written. */
export async function openImageioWriter(options: ImageioOptions & { readonly blank?: boolean }): Promise<ImageioWriter> {
  return open(options, 'write', options.blank ?? false);
}

async function open(options: ImageioOptions, mode: 'read' | 'write', blank: boolean): Promise<ImageioBlocks> {
  const ticket = ticketOf(options, mode);
  const remote = await connectRemote(options, ticket);
  try {
    const able = abilitiesOf(remote, mode);
    const local = await connectLocal(options, ticket, remote);
    if (local !== undefined) await remote.channel.close();
    const { channel, subject } = local ?? remote;
    return new ImageioBlocks({ ...options, blank, path: ticket.path, subject, channel, able, transport: local === undefined ? 'tcp' : 'socket', keepAliveMs: options.keepAliveMs ?? defaultKeepAliveMs });
  } catch (error) {
    await remote.channel.close();
    throw error;
  }
}

function ticketOf({ transferUrl, proxyUrl, insecure, label }: ImageioOptions, mode: Ticket['mode']): Ticket {
  const isUsable = (url: string): boolean => URL.canParse(url) && (insecure === true ? ['https:', 'http:'] : ['https:']).includes(new URL(url).protocol);
  const path = isUsable(transferUrl) && (proxyUrl === undefined || isUsable(proxyUrl)) ? new URL(transferUrl).pathname : '';
  const ticket = /^\/images\/([A-Za-z0-9-]+)$/.exec(path)?.[1];
  if (ticket === undefined) throw new HoldfastError('imageio.refused', `${label}: the engine's transfer URL is not of the form https://<host>:<port>/images/<ticket>. Nothing was sent.`);
  return { path, ticket, mode };
}

async function connectRemote(options: ImageioOptions, ticket: Ticket): Promise<Way> {
  const direct = new URL(options.transferUrl).origin;
  try {
    return await connect(options, { origin: direct, where: direct }, ticket);
  } catch (error) {
    if (options.proxyUrl === undefined || !(error instanceof HoldfastError) || error.code !== 'imageio.unreachable') throw error;
    const proxy = new URL(options.proxyUrl).origin;
    return connect(options, { origin: proxy, where: `${proxy} (proxy)` }, ticket);
  }
}

/**
 * Only to a daemon that our own address led to: anybody may bind an abstract socket on a machine that is no host, and the ticket would be
 * theirs. Whatever is wrong with the socket, TCP works.
 */
async function connectLocal(options: ImageioOptions, ticket: Ticket, { isLocal, server }: Way): Promise<Way | undefined> {
  const socketPath = server.unix_socket ?? '';
  if (options.unixSocket === 'never' || socketPath === '' || !isLocal) return undefined;
  try {
    return await connect(options, { origin: 'http://localhost', socketPath, where: `unix socket ${socketPath.replaceAll('\0', '@')}` }, ticket, socketProbeMs);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}

interface Address {
  readonly origin: string;
  readonly where: string;
  readonly socketPath?: string;
}

/** The number of connections depends on the answer of the first one: a channel with too many is replaced. */
async function connect(options: ImageioOptions, { where, ...address }: Address, { path, ticket, mode }: Ticket, probeMs?: number): Promise<Way> {
  const subject = { label: options.label, where, ticket };
  const wanted = options.connections ?? defaultConnections;
  const open = (connections: number): Channel => new Channel({ ...address, subject, connections, caFile: options.caFile, insecure: options.insecure, timeoutMs: options.requestTimeoutMs ?? defaultTimeoutMs });
  const channel = open(wanted);
  try {
    const answer = await channel.send({ method: 'OPTIONS', path, what: 'asking what the ticket allows', signal: options.signal, ...(probeMs === undefined ? {} : { timeoutMs: probeMs }) });
    const way = { channel, subject, isLocal: channel.isLocal, server: readOptions(subject, answer) };
    const most = (mode === 'read' ? way.server.max_readers : way.server.max_writers) ?? 1;
    if (most >= wanted) return way;
    await channel.close();
    return { ...way, channel: open(most) };
  } catch (error) {
    await channel.close();
    throw error;
  }
}

function readOptions(subject: Subject, { text, header }: DataAnswer): ServerOptions {
  const what = 'asking what the ticket allows';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw imageioFailure('imageio.io', subject, what, 'the answer is not JSON', {}, cause);
  }
  const parsed = optionsSchema.safeParse(json);
  if (!parsed.success) throw imageioFailure('imageio.io', subject, what, `the answer is not imageio's: ${parsed.error.issues[0]?.message ?? ''}`);
  return { ...parsed.data, allow: header('allow') ?? '' };
}

function abilitiesOf({ server, subject }: Way, mode: 'read' | 'write'): TicketAbilities {
  const wanted = mode === 'read' ? 'GET' : 'PUT';
  if (!server.allow.split(/,\s*/).includes(wanted)) throw imageioFailure('imageio.refused', subject, 'opening', `the ticket does not allow ${wanted}, only ${server.allow || 'nothing'}: it is for something else`);
  const has = (feature: string): boolean => server.features.includes(feature);
  return { checksum: has('checksum'), extents: has('extents'), zero: has('zero'), flush: has('flush'), write: mode === 'write' };
}
