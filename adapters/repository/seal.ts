// Sealing: a partial backup becomes a backup when its manifest appears, and not before. And its opposite, dropping a partial backup.
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { blockCount } from '../../domain/extents';
import { diskSettingsSchema, type DiskSettings } from '../../domain/disks';
import { HoldfastError } from '../../domain/failures';
import { digestBlockBytes, manifestSchema, type ManifestDisk } from '../../domain/manifest';
import { digestBytes, digestsRoot } from './digests-file';
import { createFile, errnoOf, readIfThere, replaceFile, syncDirectory, syncFile } from './files';
import { acquireImageLock, type ImageLock } from './image-lock';
import { backingFile, backupDirectory, configurationFile, digestsFile, diskIdsIn, imageFile, isScaffold, manifestFile, partialFile } from './layout';
import { decodeManifest, encodeManifest, sha256 } from './manifest-file';
import { readProgress } from './partial-image';
import type { BackupRef, SealedDiskFacts, UnsealedManifest } from './port';
import { checkImage, imageInfo } from './qemu-img';
import { corrupt, readManifest, type Sealed } from './read-manifest';

export interface PartialPlace {
  readonly repository: string;
  readonly root: string;
  readonly ref: BackupRef;
  readonly leaseMs: number;
}

const partialSchema = z.object({ ovf: z.object({ bytes: z.number(), sha256: z.string() }), disks: z.array(diskSettingsSchema) });

export async function saveConfiguration({ root, ref }: PartialPlace, ovf: string, disks: readonly DiskSettings[]): Promise<{ bytes: number; sha256: string }> {
  const directory = backupDirectory(root, ref);
  const facts = { bytes: Buffer.byteLength(ovf), sha256: sha256(ovf) };
  await replaceFile(directory, configurationFile, ovf);
  await replaceFile(directory, partialFile, JSON.stringify({ ovf: facts, disks }));
  await syncDirectory(directory);
  return facts;
}

export async function seal(place: PartialPlace, unsealed: UnsealedManifest, disks: readonly SealedDiskFacts[], sealedAt: string): Promise<Sealed> {
  const { root, ref, repository } = place;
  if (unsealed.backupId !== ref.backupId || unsealed.vm.id !== ref.vmId) throw new HoldfastError('input.invalid', `The manifest is of backup ${unsealed.backupId} of VM ${unsealed.vm.id}, not of ${ref.backupId} of ${ref.vmId}.`);
  const directory = backupDirectory(root, ref);
  const first = await sealedBefore(place, unsealed, disks);
  if (first !== undefined) {
    await removeScaffold(directory);
    return first;
  }
  // Whoever still believes to be the writer of an image is fenced before the image is looked at.
  const locks: ImageLock[] = [];
  try {
    for (const { settings } of disks) locks.push(await acquireImageLock({ directory, diskId: settings.diskId, owner: `seal ${ref.backupId}`, leaseMs: place.leaseMs }));
    const configuration = { file: configurationFile, ...(await checkConfiguration(place)) } as const;
    const sealedDisks: ManifestDisk[] = [];
    for (const disk of disks) sealedDisks.push(await sealDisk(place, disk, unsealed.base));
    const base = unsealed.base === null ? null : { backupId: unsealed.base.backupId, manifestSha256: (await readManifest({ ...place, ref: { ...ref, backupId: unsealed.base.backupId } })).manifestSha256 };
    if ((base === null) !== (unsealed.kind === 'full')) throw new HoldfastError('input.invalid', `Backup ${ref.backupId} cannot be sealed: it is ${unsealed.kind} and lies on ${base?.backupId ?? 'no other'}.`, { ...ref });
    const manifest = manifestSchema.parse({ ...unsealed, base, configuration, disks: sealedDisks, sealedAt });
    for (const lock of locks) await lock.check();
    await syncDirectory(directory);
    await createFile(directory, manifestFile, encodeManifest(manifest));
  } finally {
    for (const lock of locks) await lock.release();
  }
  await removeScaffold(directory);
  const sealed = await sealedBefore(place, unsealed, disks);
  if (sealed === undefined) throw corrupt(repository, join(directory, manifestFile), 'it vanished while it was written');
  return sealed;
}

async function sealedBefore({ repository, root, ref }: PartialPlace, unsealed: UnsealedManifest, disks: readonly SealedDiskFacts[]): Promise<Sealed | undefined> {
  const path = join(backupDirectory(root, ref), manifestFile);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const found = decodeManifest(bytes);
  if ('reason' in found) throw corrupt(repository, path, found.reason);
  const ids = (list: readonly { settings: DiskSettings }[]): string => list.map(({ settings }) => settings.diskId).sort().join(' ');
  if (found.manifest.runId === unsealed.runId && ids(found.manifest.disks) === ids(disks)) return found;
  throw new HoldfastError('repository.corrupt', `Backup ${ref.backupId} is sealed already, by run ${found.manifest.runId} with other disks or another run than ${unsealed.runId}: a sealed backup is never written again.`, { path });
}

async function checkConfiguration({ repository, root, ref }: PartialPlace): Promise<{ bytes: number; sha256: string }> {
  const directory = backupDirectory(root, ref);
  const [ovf, partial] = await Promise.all([readIfThere(join(directory, configurationFile)), readIfThere(join(directory, partialFile))]);
  if (ovf === undefined || partial === undefined) throw new HoldfastError('backup.not-sealed', `Backup ${ref.backupId} cannot be sealed: its configuration was never saved in repository ${repository}.`, { ...ref });
  const saved = partialSchema.parse(JSON.parse(partial.toString('utf8'))).ovf;
  if (saved.bytes !== ovf.length || saved.sha256 !== sha256(ovf)) throw corrupt(repository, join(directory, configurationFile), 'it is not what was saved');
  return saved;
}

async function sealDisk({ repository, root, ref }: PartialPlace, { settings, dataBytes, transport, seconds, witnessed = false }: SealedDiskFacts, base: UnsealedManifest['base']): Promise<ManifestDisk> {
  const directory = backupDirectory(root, ref);
  const { diskId, virtualBytes } = settings;
  const image = { file: imageFile(diskId), path: join(directory, imageFile(diskId)) };
  const digests = { file: digestsFile(diskId), path: join(directory, digestsFile(diskId)) };
  const progress = await readProgress(directory, diskId);
  if (progress?.positionBytes !== virtualBytes) {
    throw new HoldfastError('backup.not-sealed', `Backup ${ref.backupId} cannot be sealed: disk ${diskId} is copied up to ${progress?.positionBytes ?? 0} of ${virtualBytes} bytes.`, { ...ref, diskId });
  }
  await checkImage(image.path);
  const info = await imageInfo(image.path);
  const backing = progress.baseBackupId === undefined ? undefined : backingFile(progress.baseBackupId, diskId);
  if (info.virtualBytes !== virtualBytes || info.backingFile !== backing) throw corrupt(repository, image.path, `it has ${info.virtualBytes} bytes (backing file: ${info.backingFile ?? 'none'}), the disk has ${virtualBytes} (backing file: ${backing ?? 'none'})`);
  if (progress.baseBackupId !== undefined && progress.baseBackupId !== base?.backupId) throw new HoldfastError('input.invalid', `Backup ${ref.backupId} cannot be sealed: disk ${diskId} lies on backup ${progress.baseBackupId}, the backup on ${base?.backupId ?? 'none'}.`, { ...ref, diskId });
  const { bytes, root: digestRoot } = await digestsRoot(digests.path);
  if (bytes !== blockCount(virtualBytes, digestBlockBytes) * digestBytes) throw corrupt(repository, digests.path, `it has ${bytes} bytes`);
  await syncFile(image.path);
  await syncFile(digests.path);
  return {
    settings,
    image: { file: image.file, format: 'qcow2', fileBytes: (await stat(image.path)).size, base: progress.baseBackupId === undefined ? null : { backupId: progress.baseBackupId } },
    mode: progress.baseBackupId === undefined ? 'full' : 'incremental',
    witnessed,
    digests: { file: digests.file, algorithm: 'sha256', blockBytes: digestBlockBytes, fileSha256: digestRoot, root: digestRoot },
    dataBytes,
    transport,
    seconds,
  };
}

async function removeScaffold(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (isScaffold(name)) await rm(join(directory, name), { force: true });
  await syncDirectory(directory);
}

export async function dropPartial({ repository, root, ref, leaseMs }: PartialPlace): Promise<void> {
  const directory = backupDirectory(root, ref);
  const names = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (names === undefined) return;
  if (names.includes(manifestFile)) {
    throw new HoldfastError('repository.corrupt', `Backup ${ref.backupId} in repository ${repository} is sealed: it is not dropped as a partial one.`, { ...ref });
  }
  const locks: ImageLock[] = [];
  try {
    for (const diskId of diskIdsIn(names)) locks.push(await acquireImageLock({ directory, diskId, owner: `drop ${ref.backupId}`, leaseMs, evenIfAlive: true }));
    // A writer that is just being fenced may still put a temporary file there: then it is tried again.
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  } finally {
    for (const lock of locks) await lock.release();
  }
  await syncDirectory(dirname(directory));
  await rmdir(dirname(directory)).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  });
}
