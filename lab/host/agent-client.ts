// The guest agent of one VM (qemu-ga over its virtio-serial socket). Commands take turns, because the protocol has no ids and
// because a freeze must not be interleaved with a guest-exec. After a timeout the line is opened anew and synchronised.
import type net from 'node:net';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Mutex } from './mutex';
import { HostError } from './port';
import { connectUnix, withDeadline } from './qmp-client';

const answerSchema = z.object({ return: z.unknown().optional(), error: z.object({ class: z.string(), desc: z.string() }).optional() });
const startedSchema = z.object({ pid: z.number() });
const execStatusSchema = z.object({ exited: z.boolean(), exitcode: z.number().optional(), signal: z.number().optional(), 'out-data': z.string().optional(), 'err-data': z.string().optional() });

/** For one answer: an agent that lives answers in milliseconds, whatever the script it started is doing. */
const answerLimitMs = 10_000;

/** The agent itself answered, and refused. */
export class AgentRefusal extends Error {
  constructor(
    readonly command: string,
    readonly description: string,
  ) {
    super(`the guest agent refused ${command}: ${description}`);
    this.name = 'AgentRefusal';
  }
}

/** Commands inside one turn. */
export interface AgentTurn {
  execute(command: string, args?: object, timeoutMs?: number): Promise<unknown>;
}

export class AgentClient {
  private readonly mutex = new Mutex();
  private line: AgentLine | undefined;
  private closed = false;

  constructor(
    private readonly socketPath: string,
    private readonly vmName: string,
  ) {}

  /** Several commands that nobody else may come between. */
  turn<T>(work: (turn: AgentTurn) => Promise<T>): Promise<T> {
    return this.mutex.run(() => work({ execute: (command, args, timeoutMs) => this.send(command, args, timeoutMs) }));
  }

  execute(command: string, args?: object, timeoutMs?: number): Promise<unknown> {
    return this.turn((turn) => turn.execute(command, args, timeoutMs));
  }

  /** Does the agent answer? Used to see a guest come up, and before a freeze. */
  async answers(timeoutMs: number): Promise<boolean> {
    try {
      await this.execute('guest-ping', {}, timeoutMs);
      return true;
    } catch {
      return false;
    }
  }

  /** Runs a shell script. The agent is free for others while the script runs; a freeze meanwhile only delays the answer. */
  async shell(script: string, timeoutMs: number): Promise<{ readonly exitCode: number; readonly output: string }> {
    const deadline = Date.now() + timeoutMs;
    const request = { path: '/bin/sh', arg: ['-c', script], env: ['PATH=/bin:/sbin', 'HOME=/'], 'capture-output': true };
    const { pid } = startedSchema.parse(await this.untilThawed('guest-exec', request, deadline));
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 1.5, 250)) {
      const status = execStatusSchema.parse(await this.untilThawed('guest-exec-status', { pid }, deadline));
      if (status.exited) {
        const output = Buffer.from(status['out-data'] ?? '', 'base64').toString() + Buffer.from(status['err-data'] ?? '', 'base64').toString();
        return { exitCode: status.exitcode ?? 128 + (status.signal ?? 0), output };
      }
      if (Date.now() > deadline) throw new HostError('agent-unavailable', `the script did not end in VM ${this.vmName} within ${timeoutMs} ms`);
      await sleep(pauseMs);
    }
  }

  close(): void {
    this.closed = true;
    this.drop();
  }

  /** qemu-ga disables guest-exec while file systems are frozen: that is "wait", not "failed". */
  private async untilThawed(command: string, args: object, deadline: number): Promise<unknown> {
    for (;;) {
      try {
        return await this.execute(command, args, Math.min(Math.max(deadline - Date.now(), 1_000), answerLimitMs));
      } catch (error) {
        if (!(error instanceof AgentRefusal) || !/disabled|frozen/i.test(error.description) || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  private async send(command: string, args: object = {}, timeoutMs = 10_000): Promise<unknown> {
    const deadline = Date.now() + timeoutMs;
    try {
      const line = await this.synchronised(timeoutMs);
      return await withDeadline(line.request({ execute: command, arguments: args }), Math.max(deadline - Date.now(), 1), `no answer to ${command} within ${timeoutMs} ms`);
    } catch (error) {
      if (error instanceof AgentRefusal) throw error;
      this.drop(); // whatever comes late must not be taken for the next answer
      throw new HostError('agent-unavailable', `the guest agent of VM ${this.vmName} does not answer: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private async synchronised(timeoutMs: number): Promise<AgentLine> {
    if (this.closed) throw new Error('the connection to the VM was closed');
    if (this.line?.isOpen === true) return this.line;
    const line = new AgentLine(await connectUnix(this.socketPath, Math.min(timeoutMs, 2_000)));
    this.line = line;
    await withDeadline(line.synchronise(), timeoutMs, `no answer to guest-sync within ${timeoutMs} ms`);
    return line;
  }

  private drop(): void {
    this.line?.close();
    this.line = undefined;
  }
}

/** One connection to the agent's socket: a request, then its answer. */
class AgentLine {
  private received = Buffer.alloc(0);
  private onLine: ((line: Buffer) => void) | undefined;
  private onEnd: (error: Error) => void = () => undefined;
  isOpen = true;

  constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isOpen = false;
      this.onEnd(new Error('the agent socket closed'));
    });
  }

  /** 0xFF makes the agent forget a half-received request; everything before its own 0xFF is an answer to somebody long gone. */
  async synchronise(): Promise<void> {
    const id = randomInt(1, 2 ** 31);
    await this.exchange(Buffer.concat([Buffer.from([0xff]), encode({ execute: 'guest-sync-delimited', arguments: { id } })]), (line) => {
      const mark = line.lastIndexOf(0xff);
      return mark >= 0 && parseAnswer(line.subarray(mark + 1)).return === id ? true : undefined;
    });
  }

  async request(message: { readonly execute: string; readonly arguments: object }): Promise<unknown> {
    const answer = await this.exchange(encode(message), parseAnswer);
    if (answer.error) throw new AgentRefusal(message.execute, answer.error.desc);
    return answer.return;
  }

  close(): void {
    this.isOpen = false;
    this.socket.destroy();
  }

  private exchange<T>(request: Buffer, accept: (line: Buffer) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.onEnd = reject;
      this.onLine = (line) => {
        try {
          const value = accept(line);
          if (value !== undefined) resolve(value);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.socket.write(request);
    });
  }

  private receive(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk]);
    for (let end = this.received.indexOf(0x0a); end >= 0; end = this.received.indexOf(0x0a)) {
      const line = this.received.subarray(0, end);
      this.received = this.received.subarray(end + 1);
      this.onLine?.(line);
    }
  }
}

const encode = (message: object): Buffer => Buffer.from(`${JSON.stringify(message)}\n`);
const parseAnswer = (line: Buffer): z.infer<typeof answerSchema> => answerSchema.parse(JSON.parse(line.toString()));
