// A repository in a directory (local, NFS, …): who may call itself one, whether it can be written to, and the port's methods put together.
// The file system must know hard links: they are what makes sealing and locking exclusive on NFS as well.
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/failures';
import { repositoryFormatVersion } from '../../domain/manifest';
import { checkChain } from './chain';
import { createFile, errnoOf, inRepository, makeDirectories, readIfThere, syncDirectory } from './files';
import { backupDirectory, directoryMode, fileMode, manifestFile, markerFile } from './layout';
import { openPartialImage } from './partial-image';
import type { BackupRef, Repository } from './port';
import { withProbe } from './probe';
import { corrupt, readManifest } from './read-manifest';
import { dropPartial, saveConfiguration, seal } from './seal';
import { backupRefs, listBackups, listBackupsOf, openDigests, openImage, readConfiguration } from './sealed-backups';
import { rootOf } from './root-of';
import { dropReplacedVm, readReplacedVm, saveReplacedVm } from './replaced-vms';

export interface RepositoryOptions {
  readonly name: string;
  readonly path: string;
  /** How long a writer that does not renew its lease keeps an image; `renewLease` is called about every second. */
  readonly leaseMs?: number;
}

const defaultLeaseMs = 15_000;
const markerSchema = z.object({ format: z.literal('holdfast-repository'), version: z.number().int().positive(), id: z.string() });
/** What a fresh file system brings along. */
const harmlessEntries = new Set(['lost+found', '.snapshot', '.snapshots']);

export function createRepository({ name, path, leaseMs = defaultLeaseMs }: RepositoryOptions): Repository {
  const place = (ref: BackupRef) => ({ repository: name, root: path, ref, leaseMs });
  // `at` is asked inside: an id that is none rejects like every other failure.
  const guarded = async <T>(what: string, at: () => string, work: () => Promise<T>): Promise<T> => inRepository(name, what, at(), work);
  const root = (): string => path;
  const inBackup = (ref: BackupRef) => (): string => backupDirectory(path, ref);
  const refuseSealed = async (ref: BackupRef): Promise<void> => {
    if ((await readIfThere(join(backupDirectory(path, ref), manifestFile))) === undefined) return;
    throw new HoldfastError('repository.corrupt', `Backup ${ref.backupId} in repository ${name} is sealed: a sealed backup is never written again.`, { ...ref });
  };
  const directoryFor = async (ref: BackupRef): Promise<string> => {
    await refuseSealed(ref);
    await makeDirectories(path, backupDirectory(path, ref));
    return backupDirectory(path, ref);
  };
  return {
    name,
    open: () => guarded('opening it', root, () => openRepository(name, path)),
    check: (asker = randomUUID()) => guarded('writing a probe', root, () => probe(path, asker)),
    saveConfiguration: (ref, ovf, disks) =>
      guarded('saving the configuration', inBackup(ref), async () => {
        await directoryFor(ref);
        return saveConfiguration(place(ref), ovf, disks);
      }),
    openPartialImage: (ref, diskId, virtualBytes, identity) =>
      guarded(`opening the image of disk ${diskId}`, inBackup(ref), async () =>
        openPartialImage({ ...place(ref), ...identity, directory: await directoryFor(ref), diskId, virtualBytes }),
      ),
    seal: (ref, manifest, disks, sealedAt) => guarded(`sealing backup ${ref.backupId}`, inBackup(ref), () => seal(place(ref), manifest, disks, sealedAt)),
    dropPartial: (ref) => guarded(`dropping backup ${ref.backupId}`, inBackup(ref), () => dropPartial(place(ref))),
    list: (after) => listBackups(path, after),
    listVm: (vmId) => listBackupsOf(path, vmId),
    readManifest: (ref) => guarded('reading a manifest', inBackup(ref), () => readManifest(place(ref))),
    findBackup: (backupId) =>
      guarded(`looking for backup ${backupId}`, root, async () => {
        for await (const ref of backupRefs(path)) if (ref.backupId === backupId) return ref;
        return undefined;
      }),
    readConfiguration: (ref) => guarded('reading a configuration', inBackup(ref), () => readConfiguration(place(ref))),
    checkChain: (ref) => guarded(`checking the chain of backup ${ref.backupId}`, inBackup(ref), () => checkChain(place(ref))),
    saveReplacedVm: (runId, vm) => guarded(`saving what run ${runId} replaces`, root, () => saveReplacedVm(path, runId, vm)),
    readReplacedVm: (runId) => guarded(`reading what run ${runId} replaces`, root, () => readReplacedVm(name, path, runId)),
    dropReplacedVm: (runId) => guarded(`dropping what run ${runId} replaced`, root, () => dropReplacedVm(path, runId)),
    openImage: (ref, diskId) => guarded(`opening the image of disk ${diskId}`, inBackup(ref), () => openImage(place(ref), diskId)),
    rootOf: (ref, diskId) => guarded(`reading the root of disk ${diskId}`, inBackup(ref), () => rootOf(place(ref), diskId)),
    openDigests: (ref, diskId) => guarded(`reading the digests of disk ${diskId}`, inBackup(ref), () => openDigests(place(ref), diskId)),
  };
}

async function openRepository(name: string, path: string): Promise<void> {
  // Only the last directory is made: a path that is missing altogether is a mount that is missing.
  await mkdir(path, { mode: directoryMode }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
  const markerPath = join(path, markerFile);
  let marker = await readIfThere(markerPath);
  if (marker === undefined) {
    const foreign = (await readdir(path)).find((entry) => entry !== markerFile && !harmlessEntries.has(entry) && !entry.endsWith('.tmp'));
    if (foreign !== undefined) throw new HoldfastError('repository.corrupt', `Repository ${name}: ${path} is not empty (it has "${foreign}") and not a Holdfast repository. Give it an empty directory, or correct the path.`, { repository: name, path });
    await createFile(path, markerFile, `${JSON.stringify({ format: 'holdfast-repository', version: repositoryFormatVersion, id: randomUUID() }, undefined, 2)}\n`);
    marker = await readIfThere(markerPath);
  }
  const found = markerSchema.safeParse(parseJson(marker));
  if (!found.success) throw corrupt(name, markerPath, 'it does not say that this is a Holdfast repository');
  if (found.data.version > repositoryFormatVersion) {
    throw new HoldfastError('repository.corrupt', `Repository ${name}: ${path} has format version ${found.data.version}, this Holdfast knows up to ${repositoryFormatVersion}. Use a newer Holdfast.`, { repository: name, path });
  }
}

function parseJson(bytes: Buffer | undefined): unknown {
  try {
    return JSON.parse(bytes?.toString('utf8') ?? '');
  } catch {
    return undefined;
  }
}

/** Everything that a backup will need of the file system: directories, writing, flushing, links and renaming. */
async function probe(path: string, asker: string): Promise<{ availableBytes: number }> {
  await withProbe(path, asker, async (directory) => {
    const handle = await open(join(directory, 'one'), 'wx', fileMode);
    try {
      await handle.writeFile(Buffer.alloc(4096, 'holdfast'));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(join(directory, 'one'), join(directory, 'two'));
    await rename(join(directory, 'two'), join(directory, 'three'));
    await syncDirectory(directory);
  });
  const { bavail, bsize } = await statfs(path);
  return { availableBytes: bavail * bsize };
}
