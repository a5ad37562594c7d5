// An image that is being written: lock, qcow2 behind an image server of its own, digests and durable position. Whoever opens it goes on
// where the last writer's durable position was, or begins anew when what is there cannot be trusted.
import { chmod, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { blockCount } from '../../domain/extents';
import { HoldfastError } from '../../domain/failures';
import { uuidSchema } from '../../domain/ids';
import { digestBlockBytes } from '../../domain/manifest';
import { startImageServer, type ImageServer } from '../blocks/image-server';
import type { BlockWriter, DigestSink } from '../blocks/port';
import { digestBytes, openDigestSink } from './digests-file';
import { inRepository, readIfThere, replaceFile, syncDirectory } from './files';
import { acquireImageLock, numbersOf, type ImageLock } from './image-lock';
import { backingFile, digestsFile, fileMode, imageFile, numberedFile } from './layout';
import type { PartialImage, WriterIdentity } from './port';
import { checkImage, createImage } from './qemu-img';
import type { SealedPlace } from './read-manifest';
import { openDigests, openImage } from './sealed-backups';

const progressSchema = z.object({
  virtualBytes: z.number().int().positive(),
  positionBytes: z.number().int().nonnegative(),
  dataBytes: z.number().int().nonnegative(),
  source: z.string().optional(),
  baseBackupId: uuidSchema.optional(),
});
export type Progress = z.infer<typeof progressSchema>;

export interface PartialImageRequest extends WriterIdentity, SealedPlace {
  readonly directory: string;
  readonly diskId: string;
  readonly virtualBytes: number;
  readonly leaseMs: number;
}

export async function openPartialImage(request: PartialImageRequest): Promise<PartialImage> {
  const { directory, diskId, owner, leaseMs } = request;
  const lock = await acquireImageLock({ directory, diskId, owner, leaseMs });
  const opened: { server?: ImageServer; sink?: DigestSink & { close(): Promise<void> }; base?: NonNullable<PartialImage['base']> } = {};
  const close = async (): Promise<void> => {
    // The lock goes last: while the server may still write, nobody else gets in.
    await opened.server?.close();
    await opened.base?.parent.close();
    await opened.sink?.close();
    await lock.release();
  };
  try {
    if (request.baseBackupId !== undefined) opened.base = await openBase(request, request.baseBackupId);
    const progress = await takeUp(request, lock);
    opened.sink = await openDigestSink(join(directory, digestsFile(diskId)), blockCount(progress.positionBytes, digestBlockBytes), lock.fencing);
    opened.server = await serve(request);
    await lock.nameImageServer(opened.server.process);
    // On a base, what is above the position is written again: the same source has the same changes.
    if (progress.positionBytes > 0 && opened.base === undefined) await blankAbove(opened.server, progress.positionBytes);
    return partialImage({ request, lock, server: opened.server, sink: opened.sink, base: opened.base, progress, close });
  } catch (error) {
    await close();
    throw error;
  }
}

/** The progress of the highest fencing number; of writers that were fenced nothing counts. */
export async function readProgress(directory: string, diskId: string): Promise<Progress | undefined> {
  const fencing = (await numbersOf(directory, diskId, 'progress')).at(-1);
  const text = fencing === undefined ? undefined : await readIfThere(join(directory, numberedFile(diskId, fencing, 'progress')));
  if (text === undefined) return undefined;
  try {
    return progressSchema.parse(JSON.parse(text.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** The whole chain is checked first, and the base's digests against its manifest: nothing is built on what could not be restored. */
async function openBase(request: PartialImageRequest, baseBackupId: string): Promise<NonNullable<PartialImage['base']>> {
  const { repository, root, ref, diskId, virtualBytes } = request;
  const place = { repository, root, ref: { vmId: ref.vmId, backupId: baseBackupId } };
  const digests = await openDigests(place, diskId);
  const parent = await openImage(place, diskId);
  if (parent.sizeBytes === virtualBytes) return { parent, digests };
  await parent.close();
  throw new HoldfastError('input.invalid', `Disk ${diskId} has ${virtualBytes} bytes, in backup ${baseBackupId} it had ${parent.sizeBytes}: its image cannot lie on that one.`, { ...ref, diskId, baseBackupId });
}

interface OpenedImage {
  readonly request: PartialImageRequest;
  readonly lock: ImageLock;
  readonly server: ImageServer;
  readonly sink: DigestSink;
  readonly base: PartialImage['base'];
  readonly progress: Progress;
  readonly close: () => Promise<void>;
}

function partialImage({ request, lock, server, sink, base, progress, close }: OpenedImage): PartialImage {
  const { repository, directory, diskId, virtualBytes } = request;
  const guarded = <T>(what: string, work: () => Promise<T>): Promise<T> => inRepository(repository, `${what} of disk ${diskId}`, directory, work);
  const { blocks } = server;
  const writer: BlockWriter = {
    sizeBytes: virtualBytes,
    blank: base === undefined,
    write: (offset, data, signal) => blocks.write(offset, data, signal),
    zero: (offset, length, signal) => blocks.zero(offset, length, signal),
    flush: (signal) => blocks.flush(signal),
    close: () => blocks.close(),
  };
  let closing: Promise<void> | undefined;
  return {
    writer,
    sink: {
      put: (firstBlock, digests) => guarded('writing the digests', () => sink.put(firstBlock, digests)),
      get: (firstBlock, count) => guarded('reading the digests', () => sink.get(firstBlock, count)),
      flush: () => guarded('flushing the digests', () => sink.flush()),
    },
    positionBytes: progress.positionBytes,
    dataBytes: progress.dataBytes,
    base,
    recordDurable: (positionBytes, dataBytes) => guarded('recording the position', () => recordProgress(request, lock, { virtualBytes, positionBytes, dataBytes, ...originOf(request) })),
    renewLease: () => guarded('renewing the lease', () => lock.renew()),
    close: () => (closing ??= close()),
  };
}

async function recordProgress({ directory, diskId }: PartialImageRequest, lock: ImageLock, progress: Progress): Promise<void> {
  await lock.check();
  // Without a flush of the directory a power loss may bring the former position back, which is as true as it was.
  await replaceFile(directory, numberedFile(diskId, lock.fencing, 'progress'), JSON.stringify(progress));
}

/**
 * Where to go on. Anything that does not fit together (sizes, a damaged image, missing digests) means: from the start. The position is
 * recorded under the new number before the image is touched: from then on no stopped writer's record counts, whatever it still writes.
 */
async function takeUp(request: PartialImageRequest, lock: ImageLock): Promise<Progress> {
  const { directory, diskId, virtualBytes, baseBackupId } = request;
  const image = join(directory, imageFile(diskId));
  const former = await readProgress(directory, diskId);
  const goOn = former !== undefined && former.positionBytes > 0 && former.virtualBytes === virtualBytes && isOfSameOrigin(request, former) && (await isSound(request, former));
  const progress = goOn ? former : { virtualBytes, positionBytes: 0, dataBytes: 0, ...originOf(request) };
  await recordProgress(request, lock, progress);
  await syncDirectory(directory);
  for (const fencing of await numbersOf(directory, diskId, 'progress')) {
    if (fencing < lock.fencing) await rm(join(directory, numberedFile(diskId, fencing, 'progress')), { force: true });
  }
  if (!goOn) {
    await createImage(image, virtualBytes, baseBackupId === undefined ? undefined : backingFile(baseBackupId, diskId));
    await chmod(image, fileMode);
  }
  return progress;
}

function originOf({ source, baseBackupId }: PartialImageRequest): Pick<Progress, 'source' | 'baseBackupId'> {
  return { ...(source === undefined ? {} : { source }), ...(baseBackupId === undefined ? {} : { baseBackupId }) };
}

function isOfSameOrigin({ source, baseBackupId }: PartialImageRequest, former: Progress): boolean {
  return former.source === source && former.baseBackupId === baseBackupId && (baseBackupId === undefined || source !== undefined);
}

async function isSound({ directory, diskId }: PartialImageRequest, progress: Progress): Promise<boolean> {
  const digests = await stat(join(directory, digestsFile(diskId))).catch(() => undefined);
  if (digests === undefined || digests.size < blockCount(progress.positionBytes, digestBlockBytes) * digestBytes) return false;
  try {
    await checkImage(join(directory, imageFile(diskId)));
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'repository.corrupt') return false;
    throw error;
  }
}

async function serve({ repository, directory, ref, diskId }: PartialImageRequest): Promise<ImageServer> {
  const file = join(directory, imageFile(diskId));
  const label = `image ${diskId} of backup ${ref.backupId} in repository ${repository}`;
  try {
    return await startImageServer({ file, format: 'qcow2', readOnly: false, label, transport: 'socket', noSpaceCode: 'repository.full' });
  } catch (error) {
    // On this host the former server was killed; a lock that is left belongs to another host.
    if (error instanceof HoldfastError && error.details['inUse'] === true) throw new HoldfastError('repository.held', error.message, error.details, { cause: error });
    throw error;
  }
}

/** The former writer was ahead of its durable position: above it the image is made to read as zeroes again. */
async function blankAbove({ blocks }: ImageServer, positionBytes: number): Promise<void> {
  for await (const extent of blocks.extents(positionBytes)) {
    if (!extent.zero) await blocks.zero(extent.start, extent.length);
  }
  await blocks.flush();
}
