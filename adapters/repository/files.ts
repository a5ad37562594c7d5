// Files that are durable before they appear: temp file, fsync, then link or rename, then fsync of the directory. And what the errors of
// a file system mean here.
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HoldfastError, type FailureCode } from '../../domain/failures';
import { isError } from '../blocks/as-error';
import { directoryMode, fileMode } from './layout';

export function errnoOf(error: unknown): string | undefined {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const codes: Readonly<Record<string, FailureCode>> = {
  ENOSPC: 'repository.full',
  EDQUOT: 'repository.full',
  EFBIG: 'repository.full',
  EROFS: 'repository.not-writable',
  EACCES: 'repository.not-writable',
  EPERM: 'repository.not-writable',
};
const remedies: Readonly<Partial<Record<FailureCode, string>>> = {
  'repository.full': 'Free space in it, or raise the quota.',
  'repository.not-writable': 'Mount it for writing, and give its directory to the user that runs this worker.',
  'repository.io': 'See that its storage is reachable and mounted.',
};

/** Errors of the file system become failures of the repository; everything else passes as it is. */
export async function inRepository<T>(name: string, what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined || error instanceof HoldfastError || !isError(error)) throw error;
    const code = codes[errno] ?? 'repository.io';
    throw new HoldfastError(code, `Repository ${name}: ${what} failed at ${path}: ${error.message}. ${remedies[code] ?? ''}`.trim(), { repository: name, path, errno }, { cause: error });
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates what is missing, and makes each new name durable in its parent. */
export async function makeDirectories(root: string, path: string): Promise<void> {
  if (path === root) return;
  await makeDirectories(root, dirname(path));
  try {
    await mkdir(path, { mode: directoryMode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function withTemporary<T>(directory: string, fileName: string, content: string | Uint8Array, use: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = join(directory, `${fileName}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', fileMode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return await use(temporary);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Replaces the file: readers see the old or the new content, never half of it. The directory is not flushed. */
export async function replaceFile(directory: string, fileName: string, content: string | Uint8Array): Promise<void> {
  await withTemporary(directory, fileName, content, (temporary) => rename(temporary, join(directory, fileName)));
}

/** Creates the file with all of its content, or finds that there is one (false). link() is exclusive on NFS too; the directory is flushed. */
export async function createFile(directory: string, fileName: string, content: string): Promise<boolean> {
  const created = await withTemporary(directory, fileName, content, async (temporary) => {
    try {
      await link(temporary, join(directory, fileName));
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
  });
  if (created) await syncDirectory(directory);
  return created;
}

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
