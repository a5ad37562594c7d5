// The one-writer lock of an image: `<diskId>.<fencing>.lock`. Its holder is who has the highest number. Its content says who that is, its
// modification time when the lease was last renewed. Taking over is creating the next number; it fences whoever had the lower one.
import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/failures';
import { hostIdentity, isAlive, killAndWait, ownIdentity, sameHost, type ProcessIdentity } from '../blocks/processes';
import { createFile, errnoOf } from './files';
import { fencingOf, numberedFile } from './layout';

const processSchema = z.object({ pid: z.number().int().positive(), startTicks: z.number().int().nonnegative() });
const lockSchema = z.object({
  owner: z.string(),
  host: z.object({ hostName: z.string(), bootId: z.string(), pidNamespace: z.string() }),
  worker: processSchema,
  imageServer: processSchema.nullable(),
  fencing: z.number().int().positive(),
  leaseMs: z.number().positive(),
});
type LockContent = z.infer<typeof lockSchema>;

interface FoundLock {
  readonly fencing: number;
  /** undefined: just being written, or damaged. */
  readonly content: LockContent | undefined;
  readonly ageMs: number;
}

export interface LockRequest {
  readonly directory: string;
  readonly diskId: string;
  readonly owner: string;
  readonly leaseMs: number;
  /** Takes it from a living holder on this host too: for dropping a partial backup whose run is over. */
  readonly evenIfAlive?: boolean;
}

/** Clocks of two hosts may differ by this much. */
const clockSkewMs = 30_000;
const attempts = 3;

export async function acquireImageLock(request: LockRequest): Promise<ImageLock> {
  const { directory, diskId } = request;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const found = await findLocks(request);
    const holder = found.at(-1);
    if (holder !== undefined) await refuseIfHeld(request, holder);
    const fencing = (await highestNumber(directory, diskId)) + 1;
    const content: LockContent = { owner: request.owner, host: await hostIdentity(), worker: await ownIdentity(), imageServer: null, fencing, leaseMs: request.leaseMs };
    if (!(await createFile(directory, numberedFile(diskId, fencing, 'lock'), JSON.stringify(content)))) continue;
    const lock = new ImageLock(request, content, await open(join(directory, numberedFile(diskId, fencing, 'lock')), 'r+'));
    if ((await highestNumber(directory, diskId)) > fencing) {
      await lock.release();
      continue;
    }
    await endFormerHolders(request, found, lock);
    return lock;
  }
  throw held(request, 'others are taking it right now');
}

export class ImageLock {
  private released = false;

  constructor(
    private readonly request: LockRequest,
    private content: LockContent,
    private readonly handle: FileHandle,
  ) {}

  get fencing(): number {
    return this.content.fencing;
  }

  /** Written before the image is given to anybody, so that whoever takes over knows whom to kill. */
  async nameImageServer(server: ProcessIdentity): Promise<void> {
    await this.check();
    this.content = { ...this.content, imageServer: server };
    await this.handle.write(Buffer.from(JSON.stringify(this.content)), 0, null, 0);
    await this.handle.sync();
  }

  /** Throws `repository.fenced` unless this is still the highest number. */
  async check(): Promise<void> {
    const { directory, diskId } = this.request;
    const next = join(directory, numberedFile(diskId, this.fencing + 1, 'lock'));
    if (!this.released && (await this.isLinked()) && !(await exists(next))) return;
    throw new HoldfastError(
      'repository.fenced',
      `The image of disk ${diskId} was taken over by another attempt while this one (number ${this.fencing}) stood still: it must not write any more. The other attempt goes on at the durable position.`,
      { diskId, fencing: this.fencing },
    );
  }

  /** Through the open file: a lock that was taken away is not created anew. */
  async renew(): Promise<void> {
    await this.check();
    const now = new Date();
    await this.handle.utimes(now, now);
  }

  async release(): Promise<void> {
    if (this.released) return;
    const own = await this.isLinked();
    this.released = true;
    if (own) await rm(join(this.request.directory, numberedFile(this.request.diskId, this.fencing, 'lock')), { force: true });
    await this.handle.close();
  }

  private async isLinked(): Promise<boolean> {
    try {
      return (await this.handle.stat()).nlink > 0;
    } catch (error) {
      // NFS: somebody else removed it.
      if (errnoOf(error) === 'ESTALE') return false;
      throw error;
    }
  }
}

async function refuseIfHeld(request: LockRequest, { content, ageMs }: FoundLock): Promise<void> {
  // A time far in the future is a clock that was set back, not a lease that lasts for ever.
  const lapsed = (marginMs: number): boolean => Math.abs(ageMs) > (content?.leaseMs ?? request.leaseMs) + marginMs;
  if (content === undefined) {
    if (lapsed(clockSkewMs)) return;
    throw held(request, 'its lock is just being written');
  }
  const here = sameHost(content.host, await hostIdentity());
  if (here && (request.evenIfAlive === true || lapsed(0) || !(await isAlive(content.worker)))) return;
  if (!here && lapsed(clockSkewMs)) return;
  throw held(request, `"${content.owner}" on ${content.host.hostName} (pid ${content.worker.pid}) has it and is alive`);
}

/** Kills the image servers of this host that the former holders named, then takes their locks away. */
async function endFormerHolders(request: LockRequest, former: readonly FoundLock[], lock: ImageLock): Promise<void> {
  const here = await hostIdentity();
  for (const { content, fencing } of former) {
    const server = content?.imageServer;
    if (content !== undefined && server && sameHost(content.host, here) && !(await killAndWait(server))) {
      await lock.release();
      throw held(request, `its former image server (pid ${server.pid}) cannot be ended`);
    }
    await rm(join(request.directory, numberedFile(request.diskId, fencing, 'lock')), { force: true });
  }
}

async function findLocks({ directory, diskId }: LockRequest): Promise<FoundLock[]> {
  const found: FoundLock[] = [];
  for (const fencing of await numbersOf(directory, diskId, 'lock')) {
    const path = join(directory, numberedFile(diskId, fencing, 'lock'));
    const handle = await open(path, 'r').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (handle === undefined) continue;
    try {
      const text = await handle.readFile('utf8');
      found.push({ fencing, content: parse(text), ageMs: Date.now() - (await handle.stat()).mtimeMs });
    } finally {
      await handle.close();
    }
  }
  return found;
}

function parse(text: string): LockContent | undefined {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export async function numbersOf(directory: string, diskId: string, kind: 'lock' | 'progress'): Promise<number[]> {
  const numbers = (await readdir(directory)).map((name) => fencingOf(name, diskId, kind));
  return numbers.filter((number) => number !== undefined).sort((one, other) => one - other);
}

async function highestNumber(directory: string, diskId: string): Promise<number> {
  return Math.max(0, ...(await numbersOf(directory, diskId, 'lock')), ...(await numbersOf(directory, diskId, 'progress')));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}

function held({ diskId }: LockRequest, why: string): HoldfastError {
  return new HoldfastError('repository.held', `The image of disk ${diskId} has a writer: ${why}. It is tried again; a holder that has died loses it when its lease ends.`, { diskId });
}
