// A directory in the repository for trying something out, gone when that is over. Who is killed meanwhile leaves it: whoever asks again under the same
// name takes it away first, and so does anybody after a while.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryMode } from './layout';

const probeName = /^probe-.+\.tmp$/;
/** No probe takes that long, however slow the storage and however wrong its clock. */
const forgottenMs = 3_600_000;

/** @param asker names the probe; no two may ask under one name at the same time. */
export async function withProbe<T>(repository: string, asker: string, use: (directory: string) => Promise<T>): Promise<T> {
  await removeForgotten(repository);
  const directory = join(repository, `probe-${asker}.tmp`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: directoryMode });
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function removeForgotten(repository: string): Promise<void> {
  for (const name of await readdir(repository)) {
    if (!probeName.test(name)) continue;
    const changed = await stat(join(repository, name)).catch(() => undefined);
    if (changed && Date.now() - changed.mtimeMs > forgottenMs) await rm(join(repository, name), { recursive: true, force: true });
  }
}
