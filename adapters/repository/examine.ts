// The doctor's look at a repository's directory: whose it is, how long a flush takes, and whether QEMU's image locks work there. Its
// probes are removed whatever happens.
import { randomUUID } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { LockFacts } from '../../domain/doctor/judge-repository';
import { HoldfastError } from '../../domain/failures';
import { startImageServer, type ImageServer } from '../blocks/image-server';
import { fileMode, markerFile } from './layout';
import { withProbe } from './probe';
import { createImage } from './qemu-img';

const markerSchema = z.object({ id: z.string() });
const flushes = 9;
const probeBytes = 1024 * 1024;

/** undefined: no marker, or one that cannot be read. */
export async function repositoryIdAt(path: string): Promise<string | undefined> {
  try {
    return markerSchema.parse(JSON.parse(await readFile(join(path, markerFile), 'utf8'))).id;
  } catch {
    return undefined;
  }
}

/** Median of some small writes, each with its flush. */
export async function measureFlush(path: string): Promise<number> {
  return withProbe(path, randomUUID(), async (directory) => {
    const handle = await open(join(directory, 'flush'), 'wx', fileMode);
    try {
      const block = Buffer.alloc(4096, 'holdfast');
      const timesMs: number[] = [];
      for (let index = 0; index < flushes; index += 1) {
        const startedAt = performance.now();
        await handle.write(block, 0, block.length, index * block.length);
        await handle.sync();
        timesMs.push(performance.now() - startedAt);
      }
      return timesMs.sort((one, other) => one - other)[Math.floor(flushes / 2)] ?? 0;
    } finally {
      await handle.close();
    }
  });
}

/** Opens one image for writing, then tries a second time: the second one must be refused. */
export async function probeLocks(path: string): Promise<LockFacts> {
  return withProbe(path, randomUUID(), async (directory) => {
    const file = join(directory, 'lock.qcow2');
    await createImage(file, probeBytes);
    const serve = (): Promise<ImageServer> => startImageServer({ file, format: 'qcow2', readOnly: false, label: 'the doctor\'s probe', transport: 'socket' });
    let first: ImageServer;
    try {
      first = await serve();
    } catch (error) {
      return { outcome: 'unusable', reason: (error as Error).message };
    }
    try {
      const second = await serve();
      await second.close();
      return { outcome: 'both-opened' };
    } catch (error) {
      if (error instanceof HoldfastError && error.details['inUse'] === true) return { outcome: 'refused' };
      return { outcome: 'unusable', reason: (error as Error).message };
    } finally {
      await first.close();
    }
  });
}
