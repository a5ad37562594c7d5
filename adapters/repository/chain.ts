// A chain of backups on disk: each manifest vouches for the next one by its SHA-256, each image names the one below it. Everything is
// checked before QEMU is let near an image: it would open whatever the header names.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/failures';
import type { ManifestDisk } from '../../domain/manifest';
import { backingFile, backupDirectory } from './layout';
import type { ChainLink } from './port';
import { imageInfo } from './qemu-img';
import { corrupt, readManifest, type Sealed, type SealedPlace } from './read-manifest';

export async function checkChain(place: SealedPlace): Promise<ChainLink[]> {
  const links = await chainOf(place);
  for (const disk of links[0]?.manifest.disks ?? []) await checkDisk(place, links, disk.settings.diskId);
  return links.map(({ manifest }) => ({ backupId: manifest.backupId, kind: manifest.kind, sealedAt: manifest.sealedAt }));
}

/** The path of the disk's topmost image, when all of its chain is in its place. */
export async function checkedImage(place: SealedPlace, diskId: string): Promise<string> {
  return checkDisk(place, await chainOf(place), diskId);
}

/** The manifests from this backup down to its full one. */
async function chainOf(place: SealedPlace): Promise<Sealed[]> {
  const links = [await readManifest(place)];
  for (let at = links[0]?.manifest; at !== undefined && at.base !== null; at = links.at(-1)?.manifest) {
    const { backupId, manifestSha256 } = at.base;
    if (links.some(({ manifest }) => manifest.backupId === backupId)) throw broken(place, backupId, 'the chain goes in a circle');
    const below = await readBase(place, backupId);
    if (below.manifestSha256 !== manifestSha256) throw broken(place, backupId, `it is not the backup that backup ${at.backupId} was made on: its manifest has another SHA-256`);
    links.push(below);
  }
  const last = links.at(-1)?.manifest;
  if (last?.kind !== 'full') throw broken(place, last?.backupId ?? '', 'it is not a full backup, and names none below it');
  return links;
}

async function readBase(place: SealedPlace, backupId: string): Promise<Sealed> {
  try {
    return await readManifest({ ...place, ref: { vmId: place.ref.vmId, backupId } });
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    if (error.code === 'backup.not-found') throw broken(place, backupId, 'it is missing in the repository');
    if (error.code === 'backup.not-sealed') throw broken(place, backupId, 'its manifest is missing');
    throw error;
  }
}

async function checkDisk(place: SealedPlace, links: readonly Sealed[], diskId: string): Promise<string> {
  let sizeBytes: number | undefined;
  for (const { manifest } of links) {
    const disk = manifest.disks.find(({ settings }) => settings.diskId === diskId);
    if (disk === undefined) {
      if (sizeBytes !== undefined) throw broken(place, manifest.backupId, `it has no disk ${diskId}, on which a later one lies`);
      throw new HoldfastError('backup.not-found', `Backup ${manifest.backupId} in repository ${place.repository} has no disk ${diskId}.`, { ...place.ref, diskId });
    }
    const { base } = disk.image;
    if (base !== null && base.backupId !== manifest.base?.backupId) throw broken(place, base.backupId, `disk ${diskId} of backup ${manifest.backupId} lies on it, but the backup does not`);
    await checkFile(place, manifest.backupId, disk);
    sizeBytes ??= disk.settings.virtualBytes;
    if (disk.settings.virtualBytes !== sizeBytes) throw broken(place, manifest.backupId, `its disk ${diskId} has another size than the one that lies on it`);
    if (base === null) break;
  }
  return join(backupDirectory(place.root, place.ref), `${diskId}.qcow2`);
}

async function checkFile({ repository, root, ref }: SealedPlace, backupId: string, { settings, image }: ManifestDisk): Promise<void> {
  const path = join(backupDirectory(root, { vmId: ref.vmId, backupId }), image.file);
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) throw corrupt(repository, path, 'it is missing');
  if (facts.size !== image.fileBytes) throw corrupt(repository, path, `it has ${facts.size} bytes instead of ${image.fileBytes}`);
  const header = await imageInfo(path);
  if (header.virtualBytes !== settings.virtualBytes) throw corrupt(repository, path, `it holds a disk of ${header.virtualBytes} bytes instead of ${settings.virtualBytes}`);
  const wanted = image.base === null ? undefined : backingFile(image.base.backupId, settings.diskId);
  if (header.backingFile !== wanted || header.backingFormat !== (wanted === undefined ? undefined : 'qcow2') || header.dataFile !== undefined) {
    throw corrupt(repository, path, `its header names ${header.dataFile ?? header.backingFile ?? 'no image'} (${header.backingFormat ?? 'no format'}) below it instead of ${wanted ?? 'none'}`);
  }
}

function broken({ repository, ref }: SealedPlace, baseBackupId: string, why: string): HoldfastError {
  return new HoldfastError(
    'chain.broken',
    `Backup ${ref.backupId} in repository ${repository} depends on backup ${baseBackupId}, but ${why}. Bring that backup's directory back, unchanged, or use a backup that does not depend on it.`,
    { ...ref, repository, baseBackupId },
  );
}
