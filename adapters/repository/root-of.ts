// The root of a disk's digests: what anybody who reads all of the disk must come to. Of a sealed backup the manifest says it; of a partial one its
// digests do, once the copy has come to the end.
import { join } from 'node:path';
import { blockCount } from '../../domain/extents';
import { HoldfastError } from '../../domain/failures';
import { digestBlockBytes } from '../../domain/manifest';
import { digestBytes, digestsRoot } from './digests-file';
import { errnoOf } from './files';
import { backupDirectory, digestsFile } from './layout';
import { readProgress } from './partial-image';
import { corrupt, readManifest, type Sealed, type SealedPlace } from './read-manifest';

export async function rootOf(place: SealedPlace, diskId: string): Promise<{ root: string; virtualBytes: number }> {
  const sealed = await sealedOrPartial(place);
  if (sealed === undefined) return partialRoot(place, diskId);
  const disk = sealed.manifest.disks.find(({ settings }) => settings.diskId === diskId);
  if (disk === undefined) throw new HoldfastError('backup.not-found', `Backup ${place.ref.backupId} in repository ${place.repository} has no disk ${diskId}.`, { ...place.ref, diskId });
  return { root: disk.digests.root, virtualBytes: disk.settings.virtualBytes };
}

async function sealedOrPartial(place: SealedPlace): Promise<Sealed | undefined> {
  try {
    return await readManifest(place);
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'backup.not-sealed') return undefined;
    throw error;
  }
}

async function partialRoot({ repository, root, ref }: SealedPlace, diskId: string): Promise<{ root: string; virtualBytes: number }> {
  const directory = backupDirectory(root, ref);
  const progress = await readProgress(directory, diskId).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  });
  if (progress === undefined || progress.positionBytes !== progress.virtualBytes) {
    throw new HoldfastError('backup.not-sealed', `Disk ${diskId} of backup ${ref.backupId} in repository ${repository} is copied up to ${progress?.positionBytes ?? 0} bytes only: it has no root yet.`, { ...ref, diskId });
  }
  const path = join(directory, digestsFile(diskId));
  const digests = await digestsRoot(path);
  if (digests.bytes !== blockCount(progress.virtualBytes, digestBlockBytes) * digestBytes) throw corrupt(repository, path, `it has ${digests.bytes} bytes`);
  return { root: digests.root, virtualBytes: progress.virtualBytes };
}
