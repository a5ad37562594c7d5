// The workflows' code as one bundle, built once per content: its file name carries the hash of all that goes into it.
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '..');
interface Flows {
  readonly workflowsPath: string;
  /** Whose code runs inside these workflows: a change there is another bundle. */
  readonly rooms: readonly string[];
}
const holdfasts: Flows = { workflowsPath: require.resolve('../workflows'), rooms: ['workflows', 'domain'] };
/** Two versions side by side during an upgrade, and room for whoever works on them. */
const keptBundles = 5;

export async function workflowBundle({ workflowsPath, rooms }: Flows = holdfasts): Promise<{ codePath: string } | WorkflowBundle> {
  const directory = join(root, '.bundles');
  const codePath = join(directory, `${await contentHash(rooms)}.js`);
  if (await stat(codePath).catch(() => undefined)) {
    // The time tells which bundles are in use; an installation that may not be written to has but one.
    await utimes(codePath, new Date(), new Date()).catch(() => undefined);
    return { codePath };
  }
  const bundle = await bundleWorkflowCode({ workflowsPath });
  try {
    await mkdir(directory, { recursive: true });
    const temporary = `${codePath}.${process.pid}`;
    await writeFile(temporary, bundle.code);
    await rename(temporary, codePath);
    await keepNewest(directory, keptBundles);
  } catch {
    // An installation that may not be written to bundles at every start: slower, not wrong.
  }
  return bundle;
}

/** A worker reads its bundle at its start: one that is removed under it later is missed by nobody. */
export async function keepNewest(directory: string, count: number): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^[0-9a-f]{16}\.js$/.test(name));
  const files = await Promise.all(names.map(async (name) => ({ path: join(directory, name), usedMs: (await stat(join(directory, name)).catch(() => undefined))?.mtimeMs ?? 0 })));
  for (const { path } of files.sort((one, other) => other.usedMs - one.usedMs).slice(count)) await rm(path, { force: true });
}

async function contentHash(rooms: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(await readFile(require.resolve('@temporalio/worker/package.json')));
  for (const room of rooms) {
    const entries = await readdir(join(root, room), { recursive: true });
    for (const entry of entries.filter((name) => /\.(js|ts)$/.test(name)).sort()) hash.update(entry).update(await readFile(join(root, room, entry)));
  }
  return hash.digest('hex').slice(0, 16);
}
