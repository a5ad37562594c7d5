// What the tests of blocks and repository share: a directory that goes away, sparse disks with known content, qemu-nbd beside our own
// server, and digests computed by somebody else (python3 over qemu-img's raw conversion).
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, closeSync, writeSync, ftruncateSync, rmSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startImageServer } from '../../../adapters/blocks/image-server';
import type { Change } from '../../../domain/extents';
import type { BlockReader, BlockWriter, CopyFigures, DigestSink, DigestSource } from '../../../adapters/blocks';

export const MiB = 1024 ** 2;
export const never: AbortSignal = new AbortController().signal;

export function useDirectory(): { readonly path: string } {
  const directory = { path: '' };
  beforeAll(() => {
    directory.path = mkdtempSync(join(tmpdir(), 'hf-test-'));
  });
  afterAll(() => {
    rmSync(directory.path, { recursive: true, force: true, maxRetries: 5 });
  });
  return directory;
}

export function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export interface Piece {
  readonly start: number;
  readonly bytes: Buffer;
}

/** A raw sparse file; what it should hold is returned as well. */
export function rawDisk(path: string, sizeBytes: number, pieces: readonly Piece[]): Buffer {
  const content = Buffer.alloc(sizeBytes);
  const file = openSync(path, 'w');
  ftruncateSync(file, sizeBytes);
  for (const { start, bytes } of pieces) {
    writeSync(file, bytes, 0, bytes.length, start);
    bytes.copy(content, start);
  }
  closeSync(file);
  return content;
}

/** Random pieces of 4 KiB to `longestBytes` at random places; some of them are explicit zeroes. */
export function randomPieces(sizeBytes: number, count: number, longestBytes: number, random: () => number): Piece[] {
  return Array.from({ length: count }, () => {
    const length = Math.min(sizeBytes, 4096 * Math.ceil((random() * longestBytes) / 4096 + 0.01));
    const start = 4096 * Math.floor((random() * (sizeBytes - length + 1)) / 4096);
    return { start, bytes: random() < 0.2 ? Buffer.alloc(length) : randomBytes(length) };
  });
}

/** Digests of a disk, by Python's hashlib over `qemu-img convert -O raw`: nothing of ours takes part. */
export function independentDigests(image: string, format: string): { readonly digests: Buffer; readonly root: string } {
  const raw = `${image}.independent.raw`;
  qemuImg('convert', '-f', format, '-O', 'raw', image, raw);
  const program = `
import hashlib, sys
out = b""
with open(sys.argv[1], "rb") as disk:
    while block := disk.read(1048576):
        out += hashlib.sha256(block).digest()
print(out.hex(), hashlib.sha256(out).hexdigest())`;
  const [digests = '', root = ''] = execFileSync('python3', ['-c', program, raw], { encoding: 'utf8' }).trim().split(' ');
  rmSync(raw);
  return { digests: Buffer.from(digests, 'hex'), root };
}

/** A reader of an image behind an image server of ours. */
export async function readImage(image: string, format: 'qcow2' | 'raw' = 'qcow2'): Promise<BlockReader> {
  const server = await startImageServer({ file: image, format, readOnly: true, label: 'the source', transport: 'san' });
  const { blocks } = server;
  return { sizeBytes: blocks.sizeBytes, transport: 'san', extents: (from, signal) => blocks.extents(from, signal), read: (...request) => blocks.read(...request), close: () => server.close() };
}

/** A qemu-nbd that stays (`--persistent`), started without our image server. */
export async function foreignServer(socketPath: string, args: readonly string[]): Promise<{ readonly child: ChildProcess; stop(): Promise<void> }> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'qemu-nbd', '--persistent', '-e', '8', '-k', socketPath, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  await until(() => isListening(socketPath));
  return {
    child,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The socket's file is there from bind() on, and a connection before listen() is refused: the kernel's table tells (proc(5), flag __SO_ACCEPTCON). */
function isListening(socketPath: string): boolean {
  return readFileSync('/proc/net/unix', 'utf8').split('\n').some((line) => line.endsWith(` ${socketPath}`) && line.split(/\s+/)[3] === '00010000');
}

export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`This did not become true in ${deadlineMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}

/** What differs between two states of a disk, by granules of 4 KiB; from a byte on. */
export async function* changesBetween(before: Buffer, after: Buffer, from: number): AsyncGenerator<Change> {
  let run: { start: number; length: number; zero: boolean; changed: boolean } | undefined;
  for (let start = from; start < after.length; start += 4096) {
    const now = after.subarray(start, start + 4096);
    const changed = !now.equals(before.subarray(start, start + 4096));
    const zero = now.every((byte) => byte === 0);
    if (run?.changed === changed && run.zero === zero) run.length += now.length;
    else {
      if (run !== undefined) yield await Promise.resolve(run);
      run = { start, length: now.length, zero, changed };
    }
  }
  if (run !== undefined) yield run;
}

export class MemorySink implements DigestSink {
  readonly bytes: Buffer;
  /** Blocks from the start on that have their digest. */
  putBlocks = 0;

  constructor(blocks: number) {
    this.bytes = Buffer.alloc(blocks * 32);
  }

  put(firstBlock: number, digests: Uint8Array): Promise<void> {
    this.bytes.set(digests, firstBlock * 32);
    if (firstBlock === this.putBlocks) this.putBlocks += digests.length / 32;
    return Promise.resolve();
  }

  get(firstBlock: number, count: number): Promise<Uint8Array> {
    return Promise.resolve(this.bytes.subarray(firstBlock * 32, (firstBlock + count) * 32));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  source(): DigestSource {
    return { blocks: this.bytes.length / 32, get: (first, count) => this.get(first, count) };
  }
}

/** Counts what is asked of a reader, for "bytes read again". */
export function counted(reader: BlockReader): BlockReader & { readBytes: number } {
  const counting = {
    readBytes: 0,
    sizeBytes: reader.sizeBytes,
    transport: reader.transport,
    extents: (from: number, signal?: AbortSignal) => reader.extents(from, signal),
    read: async (offset: number, buffer: Uint8Array, signal?: AbortSignal) => {
      counting.readBytes += buffer.length;
      await reader.read(offset, buffer, signal);
    },
    close: () => reader.close(),
  };
  return counting;
}

/** A writer over memory that notes what happened, in order. */
export class MemoryWriter implements BlockWriter {
  readonly events: string[] = [];
  readonly content: Buffer;
  writtenBytes = 0;

  constructor(
    readonly sizeBytes: number,
    readonly blank: boolean,
    fill = 0,
  ) {
    this.content = Buffer.alloc(sizeBytes, fill);
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    this.content.set(data, offset);
    this.writtenBytes += data.length;
    this.events.push(`write ${offset} ${data.length}`);
    return Promise.resolve();
  }

  zero(offset: number, length: number): Promise<void> {
    this.content.fill(0, offset, offset + length);
    this.events.push(`zero ${offset} ${length}`);
    return Promise.resolve();
  }

  flush(): Promise<void> {
    this.events.push('flush');
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export const ignoreDurable: (figures: CopyFigures) => Promise<void> = () => Promise.resolve();
