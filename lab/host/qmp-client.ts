// A QMP connection: commands by id, events to listeners. Knows nothing about what the commands mean.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const messageSchema = z.object({
  QMP: z.unknown().optional(),
  id: z.string().optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
  event: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export class QmpError extends Error {
  constructor(
    readonly command: string,
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`QEMU refused ${command}: ${description}`);
    this.name = 'QmpError';
  }
}

interface Waiting {
  readonly command: string;
  readonly settle: (result: { readonly value: unknown } | { readonly error: Error }) => void;
}

export class QmpClient {
  private readonly waiting = new Map<string, Waiting>();
  private readonly eventListeners = new Set<(event: QmpEvent) => void>();
  private readonly closeListeners = new Set<() => void>();
  private greeted: () => void = () => undefined;
  private nextId = 1;
  private rest = '';
  private open = true;

  private constructor(private readonly socket: net.Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.receive(chunk));
    socket.on('error', () => undefined); // 'close' follows and tells everybody
    socket.on('close', () => this.ended());
  }

  /** Waits for the socket to appear and for QEMU's greeting, until the deadline or until `abort` (QEMU is gone). */
  static async connect(socketPath: string, { timeoutMs, abort }: { readonly timeoutMs: number; readonly abort?: AbortSignal }): Promise<QmpClient> {
    const socket = await connectUnix(socketPath, timeoutMs, abort);
    const client = new QmpClient(socket);
    try {
      await withDeadline(new Promise<void>((resolve) => (client.greeted = resolve)), timeoutMs, `no QMP greeting on ${socketPath}: QEMU hangs, or somebody else holds its monitor`);
      await client.execute('qmp_capabilities', {}, timeoutMs);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.open;
  }

  async execute(command: string, args: object = {}, timeoutMs = 30_000): Promise<unknown> {
    if (!this.open) throw new QmpError(command, 'Disconnected', 'the monitor is closed, QEMU has ended');
    const id = String(this.nextId++);
    const answer = new Promise<unknown>((resolve, reject) => {
      this.waiting.set(id, { command, settle: (result) => ('error' in result ? reject(result.error) : resolve(result.value)) });
    });
    this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await withDeadline(answer, timeoutMs, `QEMU did not answer ${command} within ${timeoutMs} ms`);
    } finally {
      this.waiting.delete(id);
    }
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  /** Called once, when the connection has ended for whatever reason. */
  onClose(listener: () => void): void {
    if (this.open) this.closeListeners.add(listener);
    else listener();
  }

  /** Starts listening at once; the caller awaits after having caused the event. False when it did not come in time. */
  expectEvent(matches: (event: QmpEvent) => boolean): (timeoutMs: number) => Promise<boolean> {
    let stop: () => void = () => undefined;
    const seen = new Promise<boolean>((resolve) => {
      stop = this.onEvent((event) => {
        if (matches(event)) resolve(true);
      });
      this.onClose(() => resolve(false));
    });
    return async (timeoutMs) => {
      const timer = new AbortController();
      try {
        return await Promise.race([seen, sleep(timeoutMs, false, { signal: timer.signal })]);
      } finally {
        timer.abort();
        stop();
      }
    };
  }

  close(): void {
    this.socket.destroy();
    this.ended();
  }

  private receive(chunk: string): void {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.dispatch(messageSchema.parse(JSON.parse(line)));
  }

  private dispatch(message: z.infer<typeof messageSchema>): void {
    if (message.QMP !== undefined) this.greeted();
    if (message.event !== undefined) {
      for (const listener of [...this.eventListeners]) listener({ name: message.event, data: message.data ?? {} });
    }
    const waiting = message.id === undefined ? undefined : this.waiting.get(message.id);
    if (!waiting) return;
    if (message.error) waiting.settle({ error: new QmpError(waiting.command, message.error.class, message.error.desc) });
    else waiting.settle({ value: message.return });
  }

  private ended(): void {
    if (!this.open) return;
    this.open = false;
    for (const { command, settle } of this.waiting.values()) settle({ error: new QmpError(command, 'Disconnected', 'the monitor closed before QEMU answered') });
    this.waiting.clear();
    for (const listener of this.closeListeners) listener();
    this.closeListeners.clear();
  }
}

export async function connectUnix(socketPath: string, timeoutMs: number, abort?: AbortSignal): Promise<net.Socket> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await tryConnect(socketPath);
    } catch (error) {
      if (abort?.aborted === true) throw new Error(`QEMU ended before it opened ${socketPath}`, { cause: error });
      if (Date.now() > deadline) throw new Error(`cannot connect to ${socketPath} within ${timeoutMs} ms`, { cause: error });
      await sleep(10);
    }
  }
}

function tryConnect(socketPath: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Rejects with `complaint` when the promise has not settled in time; leaves no timer behind. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, complaint: string): Promise<T> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(complaint);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}
