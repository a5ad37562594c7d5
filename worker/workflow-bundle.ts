// The workflows' code as one bundle, built once per content: its file name carries the hash of all that goes into it.
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '..');
/** Rooms whose code runs inside workflows. */
const rooms = ['workflows', 'domain'] as const;

export async function workflowBundle(): Promise<{ codePath: string } | WorkflowBundle> {
  const workflowsPath = require.resolve('../workflows');
  const directory = join(root, '.bundles');
  const codePath = join(directory, `${await contentHash()}.js`);
  if (await stat(codePath).catch(() => undefined)) return { codePath };
  const bundle = await bundleWorkflowCode({ workflowsPath });
  try {
    await mkdir(directory, { recursive: true });
    const temporary = `${codePath}.${process.pid}`;
    await writeFile(temporary, bundle.code);
    await rename(temporary, codePath);
  } catch {
    // An installation that may not be written to bundles at every start: slower, not wrong.
  }
  return bundle;
}

async function contentHash(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(require.resolve('@temporalio/worker/package.json')));
  for (const room of rooms) {
    const entries = await readdir(join(root, room), { recursive: true });
    for (const entry of entries.filter((name) => /\.(js|ts)$/.test(name)).sort()) hash.update(entry).update(await readFile(join(root, room, entry)));
  }
  return hash.digest('hex').slice(0, 16);
}
