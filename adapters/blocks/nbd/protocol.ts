// The NBD protocol as bytes: constants, requests and options, after the NetworkBlockDevice "proto.md". No sockets here.

export const nbdMagic = 0x4e42444d41474943n; // "NBDMAGIC"
export const optionMagic = 0x49484156454f5054n; // "IHAVEOPT"
export const optionReplyMagic = 0x3e889045565a9n;
export const requestMagic = 0x25609513;
export const simpleReplyMagic = 0x67446698;
export const structuredReplyMagic = 0x668e33ef;

export const serverFlags = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const options = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
export const optionReplies = { ack: 1, info: 3, metaContext: 4 } as const;
export const infos = { export: 0, blockSize: 3 } as const;
export const exportFlags = { readOnly: 2, sendFlush: 4, sendWriteZeroes: 64 } as const;
export const commands = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6, blockStatus: 7 } as const;
export type Command = keyof typeof commands;
export const chunks = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 0x8001, errorOffset: 0x8002 } as const;
export const chunkDone = 1;
export const allocationContext = 'base:allocation';
export const stateZero = 2;

/** Any server must take requests of this size; above, it says so with NBD_INFO_BLOCK_SIZE. */
export const defaultMaxRequestBytes = 32 * 1024 * 1024;

const optionErrors: Readonly<Record<number, string>> = {
  1: 'option not supported',
  2: 'forbidden by policy',
  3: 'invalid request',
  4: 'not supported on this platform',
  5: 'TLS required',
  6: 'unknown export',
  7: 'server is shutting down',
  8: 'block size required',
  9: 'request too big',
};
const errnos: Readonly<Record<number, string>> = {
  1: 'EPERM',
  5: 'EIO',
  12: 'ENOMEM',
  22: 'EINVAL',
  28: 'ENOSPC',
  75: 'EOVERFLOW',
  95: 'ENOTSUP',
  108: 'ESHUTDOWN',
};

export function isOptionError(replyType: number): boolean {
  return replyType >= 0x80000000;
}

export function optionErrorText(replyType: number, message: Uint8Array): string {
  const text = Buffer.from(message).toString('utf8').trim();
  const name = optionErrors[replyType - 0x80000000] ?? `error ${replyType - 0x80000000}`;
  return text === '' ? name : `${name}: ${text}`;
}

export function errnoName(errno: number): string {
  return errnos[errno] ?? `error ${errno}`;
}

export function encodeOption(option: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(optionMagic, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function encodeGo(exportName: string): Buffer {
  const requests = Buffer.alloc(4);
  requests.writeUInt16BE(1, 0);
  requests.writeUInt16BE(infos.blockSize, 2);
  return Buffer.concat([encodeString(exportName), requests]);
}

export function encodeMetaContext(exportName: string, contexts: readonly string[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(contexts.length);
  return Buffer.concat([encodeString(exportName), count, ...contexts.map(encodeString)]);
}

export function encodeRequest(command: Command, cookie: number, offset: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(28);
  head.writeUInt32BE(requestMagic, 0);
  head.writeUInt16BE(0, 4);
  head.writeUInt16BE(commands[command], 6);
  head.writeUInt32BE(0, 8);
  head.writeUInt32BE(cookie, 12);
  head.writeBigUInt64BE(BigInt(offset), 16);
  head.writeUInt32BE(length, 24);
  return head;
}

/** Sizes and offsets are numbers here: a 64-bit value that a number cannot hold exactly is refused, never rounded. */
export function exactNumber(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
