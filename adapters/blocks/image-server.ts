// One qemu-nbd that serves one image or device to this process alone, over a unix socket whose path exists only until we are
// connected. It dies with its parent; it never outlives its one client.
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError, type FailureCode } from '../../domain/failures';
import { openNbd, type NbdBlocks } from './nbd/open-nbd';
import type { Transport } from './port';
import { identityOf, type ProcessIdentity } from './processes';

export interface ImageServerOptions {
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly: boolean;
  /** What messages call it. */
  readonly label: string;
  readonly transport: Transport;
  readonly noSpaceCode?: FailureCode;
  /** `none` goes past the page cache. By default wherever the file system allows it: a copy reads and writes each byte once. */
  readonly cache?: 'none' | 'writeback';
  readonly aio?: 'native' | 'io_uring' | 'threads';
  /** Writers: whether zeroed ranges become holes. */
  readonly discard?: 'unmap' | 'ignore';
  /** Writers: QEMU's own look for zeroes; the copy engine has one, so it is off by default. */
  readonly detectZeroes?: 'off' | 'on' | 'unmap';
  readonly signal?: AbortSignal | undefined;
}

export interface ImageServer {
  readonly blocks: NbdBlocks;
  readonly process: ProcessIdentity;
  /** On return the process is gone: nothing is written any more. */
  close(): Promise<void>;
}

const startDeadlineMs = 15_000;
const endDeadlineMs = 5_000;
const firstPollMs = 2;
const longestPollMs = 50;
const stderrKeptBytes = 4_096;
/** sun_path has 108 bytes, the last of them zero. */
const longestSocketPathBytes = 107;

/**
 * PDEATHSIG is set after the fork: a parent that died before would never be noticed. So the child looks once more who its parent is,
 * and only then becomes qemu-nbd. (QEMU 7.2 leaves qemu-nbd behind when a client dies before it ever connected.)
 */
const guardScript = '[ "$PPID" = "$0" ] && exec "$@"';

export async function startImageServer(options: ImageServerOptions): Promise<ImageServer> {
  options.signal?.throwIfAborted();
  const directory = await mkdtemp(join(shortTemporaryDirectory(), 'holdfast-'));
  try {
    const socketPath = join(directory, 'nbd');
    const child = new ServerProcess(await serverArguments(options, socketPath), options);
    try {
      const blocks = await child.connect(socketPath);
      const identity = child.pid === undefined ? undefined : await identityOf(child.pid);
      if (identity === undefined) throw child.failure('ended at once');
      return { blocks, process: identity, close: () => child.end(blocks) };
    } catch (error) {
      await child.end(undefined);
      throw error;
    }
  } finally {
    // The one connection is made (or failed): without the path nobody else connects, and nothing is left if we are killed.
    await rm(directory, { recursive: true, force: true });
  }
}

async function serverArguments(options: ImageServerOptions, socketPath: string): Promise<string[]> {
  const direct = options.cache === undefined ? await allowsDirect(options.file) : options.cache === 'none';
  const own = ['--socket', socketPath, '--export-name', '', '--format', options.format, `--cache=${direct ? 'none' : 'writeback'}`];
  // Measured on ext4, 1.1 GB to a fresh qcow2: threads 525 MB/s, io_uring 525, native 250 (its submission waits for the allocation).
  own.push(`--aio=${options.aio ?? 'threads'}`);
  if (options.readOnly) own.push('--read-only');
  else own.push(`--discard=${options.discard ?? 'unmap'}`, `--detect-zeroes=${options.detectZeroes ?? 'off'}`);
  return ['--pdeathsig', 'KILL', '--', 'sh', '-c', guardScript, String(process.pid), 'qemu-nbd', ...own, options.file];
}

async function allowsDirect(file: string): Promise<boolean> {
  try {
    await (await open(file, constants.O_RDONLY | constants.O_DIRECT)).close();
    return true;
  } catch {
    return false;
  }
}

function shortTemporaryDirectory(): string {
  const directory = tmpdir();
  return Buffer.byteLength(join(directory, 'holdfast-XXXXXX', 'nbd')) <= longestSocketPathBytes ? directory : '/tmp';
}

class ServerProcess {
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;
  private hasExited = false;
  private spawnError: Error | undefined;
  private stderr = '';

  constructor(
    args: readonly string[],
    private readonly options: ImageServerOptions,
  ) {
    // A group of its own: Ctrl-C in a terminal must reach the worker, which ends its copies in good order, and not the servers.
    this.child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.child.stderr?.on('data', (data: Buffer) => (this.stderr = (this.stderr + data.toString('utf8')).slice(-stderrKeptBytes)));
    this.exited = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.spawnError = error;
        resolve();
      });
      this.child.once('close', () => resolve());
    });
    void this.exited.then(() => (this.hasExited = true));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** qemu-nbd tells nobody when it serves (--fork would hide it from PDEATHSIG): the first connection that succeeds is the sign. */
  async connect(socketPath: string): Promise<NbdBlocks> {
    const { label, transport, noSpaceCode, signal } = this.options;
    const deadline = performance.now() + startDeadlineMs;
    for (let pollMs = firstPollMs; ; pollMs = Math.min(longestPollMs, pollMs * 2)) {
      await Promise.race([sleep(pollMs, undefined, { signal }), this.exited]);
      if (this.hasExited) throw this.failure('ended at once');
      try {
        return await openNbd({ address: { socketPath }, exportName: '', label, transport, signal, ...(noSpaceCode === undefined ? {} : { noSpaceCode }) });
      } catch (error) {
        signal?.throwIfAborted();
        if (performance.now() > deadline) throw this.failure('did not begin to serve in time', error);
      }
    }
  }

  failure(what: string, cause?: unknown): HoldfastError {
    const { file, label } = this.options;
    const stderr = this.stderr.trim();
    const inUse = /Failed to get (shared )?"\w+" lock|Is another process using the image/i.test(stderr);
    const remedy = inUse
      ? 'Another process has it open: end that one first.'
      : this.spawnError === undefined
        ? 'Look at the file and at what QEMU says.'
        : 'Install qemu-utils (qemu-nbd) and util-linux (setpriv).';
    return new HoldfastError(
      'blocks.server',
      `The image server (qemu-nbd) of ${label} ${what}: ${this.spawnError?.message ?? (stderr === '' ? 'it said nothing' : stderr)}. File: ${file}. ${remedy}`,
      { file, inUse },
      { cause: cause ?? this.spawnError },
    );
  }

  async end(blocks: NbdBlocks | undefined): Promise<void> {
    await blocks?.close();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (this.hasExited) return;
      this.child.kill(signal);
      await this.exitedWithin(endDeadlineMs);
    }
    if (!this.hasExited) throw this.failure(`(pid ${this.child.pid ?? 0}) does not end, not even by SIGKILL`);
  }

  private async exitedWithin(ms: number): Promise<void> {
    const timer = new AbortController();
    await Promise.race([this.exited, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }
}
