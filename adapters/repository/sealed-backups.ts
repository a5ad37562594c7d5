// Reading sealed backups: everything is checked against the manifest before it is handed out, and a refusal names the file.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { blockCount } from '../../domain/extents';
import { HoldfastError } from '../../domain/failures';
import { digestBlockBytes, type ManifestDisk } from '../../domain/manifest';
import { asError } from '../blocks/as-error';
import { startImageServer } from '../blocks/image-server';
import type { BlockReader, DigestSource } from '../blocks/port';
import { checkedImage } from './chain';
import { digestBytes, digestsRoot, digestSource } from './digests-file';
import { errnoOf, readIfThere } from './files';
import { backupDirectory, configurationFile, isUuid, manifestFile, vmDirectory, vmsDirectory } from './layout';
import { sha256 } from './manifest-file';
import type { BackupRef } from './port';
import { corrupt, decodeOwn, readManifest, type Sealed, type SealedPlace } from './read-manifest';

async function entriesOf(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).filter(isUuid).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

/** Every backup directory, sealed or not. */
export async function* backupRefs(root: string): AsyncGenerator<BackupRef> {
  for (const vmId of await entriesOf(join(root, vmsDirectory))) yield* backupRefsOf(root, vmId);
}

async function* backupRefsOf(root: string, vmId: string): AsyncGenerator<BackupRef> {
  for (const backupId of await entriesOf(vmDirectory(root, vmId))) yield { vmId, backupId };
}

type ListedBackup = (Sealed & { readonly path: string }) | { readonly path: string; readonly reason: string };

export function listBackups(root: string, after = ''): AsyncGenerator<ListedBackup> {
  return listed(root, backupRefs(root), after);
}

export function listBackupsOf(root: string, vmId: string): AsyncGenerator<ListedBackup> {
  return listed(root, backupRefsOf(root, vmId), '');
}

async function* listed(root: string, refs: AsyncIterable<BackupRef>, after: string): AsyncGenerator<ListedBackup> {
  for await (const ref of refs) {
    const path = join(backupDirectory(root, ref), manifestFile);
    if (path <= after) continue;
    try {
      const bytes = await readIfThere(path);
      if (bytes === undefined) continue;
      yield { path, ...decodeOwn(bytes, ref) };
    } catch (error) {
      yield { path, reason: asError(error).message };
    }
  }
}

export async function readConfiguration(place: SealedPlace): Promise<string> {
  const { manifest } = await readManifest(place);
  const path = join(backupDirectory(place.root, place.ref), configurationFile);
  const bytes = await readIfThere(path);
  if (bytes === undefined) throw corrupt(place.repository, path, 'it is missing');
  if (bytes.length !== manifest.configuration.bytes || sha256(bytes) !== manifest.configuration.sha256) throw corrupt(place.repository, path, 'it does not have the SHA-256 of the manifest');
  return bytes.toString('utf8');
}

export async function openImage(place: SealedPlace, diskId: string): Promise<BlockReader> {
  const { repository, ref } = place;
  const label = `image ${diskId} of backup ${ref.backupId} in repository ${repository}`;
  const server = await startImageServer({ file: await checkedImage(place, diskId), format: 'qcow2', readOnly: true, label, transport: 'socket' });
  const { blocks } = server;
  return {
    sizeBytes: blocks.sizeBytes,
    transport: blocks.transport,
    extents: (from, signal) => blocks.extents(from, signal),
    read: (offset, buffer, signal) => blocks.read(offset, buffer, signal),
    close: () => server.close(),
  };
}

export async function openDigests(place: SealedPlace, diskId: string): Promise<DigestSource> {
  const { digests, settings } = await diskOf(place, diskId);
  const path = join(backupDirectory(place.root, place.ref), digests.file);
  const blocks = blockCount(settings.virtualBytes, digestBlockBytes);
  const found = await digestsRoot(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') throw corrupt(place.repository, path, 'it is missing');
    throw error;
  });
  if (found.bytes !== blocks * digestBytes) throw corrupt(place.repository, path, `it has ${found.bytes} bytes instead of ${blocks * digestBytes}`);
  if (found.root !== digests.fileSha256 || found.root !== digests.root) throw corrupt(place.repository, path, 'it does not have the SHA-256 of the manifest');
  return digestSource(path, blocks);
}

async function diskOf(place: SealedPlace, diskId: string): Promise<ManifestDisk> {
  const { manifest } = await readManifest(place);
  const disk = manifest.disks.find(({ settings }) => settings.diskId === diskId);
  if (disk === undefined) throw new HoldfastError('backup.not-found', `Backup ${place.ref.backupId} in repository ${place.repository} has no disk ${diskId}.`, { ...place.ref, diskId });
  return disk;
}
