// What a disk's status is made of: the engine's own locks, and damage in the files below it.
import { activeImage, aliases, chainOf, volumeRef, type Context } from './context';
import type { DiskRecord, ImageRecord } from './state/model';

export type ImageStatus = 'ok' | 'locked' | 'illegal';

/** The status of a volume: locked by an operation, illegal when it or anything below it is damaged. */
export async function imageStatus(context: Context, disk: DiskRecord, image: ImageRecord | undefined): Promise<ImageStatus> {
  if (disk.locked) return 'locked';
  if (image === undefined) return 'ok';
  const damaged = await context.volumes.damaged(chainOf(context, image).map(volumeRef));
  return damaged.size > 0 ? 'illegal' : 'ok';
}

export async function diskStatus(context: Context, disk: DiskRecord): Promise<ImageStatus> {
  return imageStatus(context, disk, activeImage(context, disk.id));
}

/** Aliases of the disks whose chain is damaged; empty when all is well. */
export async function illegalDisks(context: Context, disks: readonly DiskRecord[]): Promise<string> {
  const verdicts = await Promise.all(disks.map(async (disk) => ({ disk, illegal: (await diskStatus(context, disk)) === 'illegal' })));
  return aliases(verdicts.filter(({ illegal }) => illegal).map(({ disk }) => disk));
}
