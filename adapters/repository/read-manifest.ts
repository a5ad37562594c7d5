// One sealed backup's manifest: checked against itself and against the directory that it lies in.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/failures';
import type { Manifest } from '../../domain/manifest';
import { readIfThere } from './files';
import { backupDirectory, manifestFile } from './layout';
import { decodeManifest } from './manifest-file';
import type { BackupRef } from './port';

export interface SealedPlace {
  readonly repository: string;
  readonly root: string;
  readonly ref: BackupRef;
}

export interface Sealed {
  readonly manifest: Manifest;
  readonly manifestSha256: string;
}

export function corrupt(repository: string, path: string, why: string): HoldfastError {
  return new HoldfastError('repository.corrupt', `Repository ${repository}: ${path} is damaged: ${why}. Restore it from another copy of the repository, or use another backup.`, { repository, path });
}

/** A manifest in another backup's directory was moved there by hand: its images are not the ones that it describes. */
export function decodeOwn(bytes: Uint8Array, ref: BackupRef): Sealed | { readonly reason: string } {
  const found = decodeManifest(bytes);
  if ('reason' in found || (found.manifest.backupId === ref.backupId && found.manifest.vm.id === ref.vmId)) return found;
  return { reason: `it is of backup ${found.manifest.backupId} of VM ${found.manifest.vm.id}, not of the directory that it lies in` };
}

export async function readManifest({ repository, root, ref }: SealedPlace): Promise<Sealed> {
  const directory = backupDirectory(root, ref);
  const path = join(directory, manifestFile);
  const bytes = await readIfThere(path);
  if (bytes !== undefined) {
    const found = decodeOwn(bytes, ref);
    if ('reason' in found) throw corrupt(repository, path, found.reason);
    return found;
  }
  const there = await stat(directory).catch(() => undefined);
  if (there === undefined) throw new HoldfastError('backup.not-found', `Repository ${repository} has no backup ${ref.backupId} of VM ${ref.vmId}.`, { ...ref });
  throw new HoldfastError('backup.not-sealed', `Backup ${ref.backupId} in repository ${repository} was never finished: it has no manifest, so nothing can be restored from it.`, { ...ref });
}
