// NBD negotiation: fixed newstyle, structured replies, metadata contexts, NBD_OPT_GO. It ends where the transmission phase begins.
import * as nbd from './protocol';

export interface Agreed {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canFlush: boolean;
  readonly canWriteZeroes: boolean;
  readonly maxRequestBytes: number;
  readonly structured: boolean;
  /** Ids that the server gave to the contexts it has, by name. */
  readonly contexts: ReadonlyMap<string, number>;
}

/** The two directions of the socket while nothing but negotiation is on it. */
export interface HandshakeStream {
  readExactly(bytes: number): Promise<Buffer>;
  send(data: Buffer): void;
}

/** The server said no, or something that is not NBD. The connection is of no use after it. */
export class HandshakeError extends Error {}

const longestReplyBytes = 64 * 1024;

export async function negotiate(stream: HandshakeStream, exportName: string, contextNames: readonly string[]): Promise<Agreed> {
  const greeting = await stream.readExactly(18);
  if (greeting.readBigUInt64BE(0) !== nbd.nbdMagic || greeting.readBigUInt64BE(8) !== nbd.optionMagic) throw new HandshakeError('it does not speak newstyle NBD');
  const flags = greeting.readUInt16BE(16);
  if ((flags & nbd.serverFlags.fixedNewstyle) === 0) throw new HandshakeError('it does not speak fixed newstyle NBD');
  const clientFlags = Buffer.alloc(4);
  clientFlags.writeUInt32BE(flags & (nbd.serverFlags.fixedNewstyle | nbd.serverFlags.noZeroes));
  stream.send(clientFlags);
  const structured = await askStructured(stream);
  const contexts = structured ? await askContexts(stream, exportName, contextNames) : new Map<string, number>();
  return { ...(await go(stream, exportName)), structured, contexts };
}

async function readReply(stream: HandshakeStream, option: number): Promise<{ type: number; data: Buffer }> {
  const head = await stream.readExactly(20);
  const length = head.readUInt32BE(16);
  if (head.readBigUInt64BE(0) !== nbd.optionReplyMagic || head.readUInt32BE(8) !== option || length > longestReplyBytes) {
    throw new HandshakeError(`its answer to option ${option} is not NBD`);
  }
  return { type: head.readUInt32BE(12), data: length === 0 ? Buffer.alloc(0) : await stream.readExactly(length) };
}

async function askStructured(stream: HandshakeStream): Promise<boolean> {
  stream.send(nbd.encodeOption(nbd.options.structuredReply, Buffer.alloc(0)));
  return (await readReply(stream, nbd.options.structuredReply)).type === nbd.optionReplies.ack;
}

/** A server without a context just does not list it; one without the option answers with an error: then there are no contexts. */
async function askContexts(stream: HandshakeStream, exportName: string, names: readonly string[]): Promise<Map<string, number>> {
  stream.send(nbd.encodeOption(nbd.options.setMetaContext, nbd.encodeMetaContext(exportName, names)));
  const found = new Map<string, number>();
  for (;;) {
    const { type, data } = await readReply(stream, nbd.options.setMetaContext);
    if (type === nbd.optionReplies.ack) return found;
    if (type === nbd.optionReplies.metaContext && data.length >= 4) found.set(data.toString('utf8', 4), data.readUInt32BE(0));
    else if (nbd.isOptionError(type)) return new Map();
  }
}

async function go(stream: HandshakeStream, exportName: string): Promise<Omit<Agreed, 'structured' | 'contexts'>> {
  stream.send(nbd.encodeOption(nbd.options.go, nbd.encodeGo(exportName)));
  let sizeBytes: number | undefined;
  let flags = 0;
  let maxRequestBytes = nbd.defaultMaxRequestBytes;
  for (;;) {
    const { type, data } = await readReply(stream, nbd.options.go);
    if (nbd.isOptionError(type)) throw new HandshakeError(nbd.optionErrorText(type, data));
    if (type === nbd.optionReplies.ack) break;
    if (type !== nbd.optionReplies.info || data.length < 2) continue;
    const info = data.readUInt16BE(0);
    if (info === nbd.infos.export && data.length >= 12) {
      sizeBytes = nbd.exactNumber(data.readBigUInt64BE(2));
      if (sizeBytes === undefined) throw new HandshakeError(`its size of ${data.readBigUInt64BE(2)} bytes is beyond 2^53`);
      flags = data.readUInt16BE(10);
    }
    if (info === nbd.infos.blockSize && data.length >= 14) maxRequestBytes = Math.min(maxRequestBytes, data.readUInt32BE(10));
  }
  if (sizeBytes === undefined) throw new HandshakeError('it did not tell the size of the export');
  return {
    sizeBytes,
    readOnly: (flags & nbd.exportFlags.readOnly) !== 0,
    canFlush: (flags & nbd.exportFlags.sendFlush) !== 0,
    canWriteZeroes: (flags & nbd.exportFlags.sendWriteZeroes) !== 0,
    maxRequestBytes,
  };
}
