// SHA-256 of blocks in worker threads, over memory that they share with the copy: nothing is copied to be hashed.
import type { createHash } from 'node:crypto';
import { Worker, type MessagePort } from 'node:worker_threads';
import { asError } from '../as-error';

export const digestBytes = 32;

interface Job {
  readonly id: number;
  readonly offset: number;
  readonly length: number;
}

/** Runs in the worker. It is sent there as its own source text, so it may use nothing but its arguments. */
/* istanbul ignore next */
function serveDigests(port: MessagePort, hash: typeof createHash, memory: SharedArrayBuffer, blockBytes: number): void {
  port.on('message', (job: Job) => {
    const parts: Uint8Array[] = [];
    for (let at = job.offset; at < job.offset + job.length; at += blockBytes) {
      parts.push(hash('sha256').update(new Uint8Array(memory, at, Math.min(blockBytes, job.offset + job.length - at))).digest());
    }
    port.postMessage({ id: job.id, digests: Buffer.concat(parts) });
  });
}

/** A file of its own would have another name and another language under jest (.ts) than in dist (.js): the text is the same in both. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const { createHash } = require('node:crypto');
(${serveDigests.toString()})(parentPort, createHash, workerData.memory, workerData.blockBytes);`;

export class DigestPool {
  private readonly workers: Worker[] = [];
  private readonly waiting = new Map<number, { resolve: (digests: Uint8Array) => void; reject: (error: Error) => void }>();
  private nextId = 0;
  private closed = false;

  constructor(
    private readonly memory: SharedArrayBuffer,
    private readonly blockBytes: number,
    private readonly threads: number,
  ) {}

  /** Digests of the blocks in memory[offset, offset + length), one after the other. */
  digest(offset: number, length: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new Error('The digest threads have ended.'));
        return;
      }
      const id = this.nextId++;
      this.waiting.set(id, { resolve, reject });
      this.workerFor(id).postMessage({ id, offset, length } satisfies Job);
    });
  }

  /** On return no thread is left. Digests still under way are rejected. */
  async close(): Promise<void> {
    this.closed = true;
    const ended = this.workers.map((worker) => worker.terminate());
    this.fail(new Error('The digest threads have ended.'));
    await Promise.all(ended);
  }

  /** Threads start with the first blocks that need them: an empty disk needs none. */
  private workerFor(id: number): Worker {
    const index = id % this.threads;
    const running = this.workers[index];
    if (running !== undefined) return running;
    const worker = new Worker(workerSource, { eval: true, workerData: { memory: this.memory, blockBytes: this.blockBytes }, env: {} });
    worker.on('message', (answer: { id: number; digests: Uint8Array }) => {
      this.waiting.get(answer.id)?.resolve(answer.digests);
      this.waiting.delete(answer.id);
    });
    worker.on('error', (error) => this.fail(asError(error)));
    this.workers[index] = worker;
    return worker;
  }

  private fail(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
