// The outside look: what is left of any run, seen from outside only (engine API, QMP, processes, mounts, sockets, directories),
// never from the catalog. Needs nothing of jest: `npm start` ends with it as well as every end-to-end test.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { lookAtEngine, viewEngine } from './leftovers/engine';
import type { FoundLeftover, LookOptions } from './leftovers/finding';
import { lookAtHostData } from './leftovers/host-data';
import { labRunDirectories, labVms, lookAtMounts, lookAtRunDirectories, lookAtVmDirectories, lookAtVolumes } from './leftovers/lab-files';
import { lookAtLabState } from './leftovers/lab-state';
import { lookAtProcesses } from './leftovers/processes';
import { lookAtQemus } from './leftovers/qmp';
import { lookAtRepository } from './leftovers/repository';
import { lookAtVmBackups } from './leftovers/vm-backups';

export type { FoundLeftover, LookOptions } from './leftovers/finding';

/** Throws when it cannot look: an engine that does not answer has not been found clean. */
export async function findLeftovers(options: LookOptions): Promise<readonly FoundLeftover[]> {
  const repositories = await Promise.all(options.repositories.map((directory) => realpath(directory)));
  const runDirectories = await Promise.all((options.runDirectories ?? []).map((directory) => realpath(directory)));
  const found: FoundLeftover[] = [];
  for (const repository of repositories) found.push(...(await lookAtRepository(repository)));
  if (options.labState === undefined) {
    found.push(...(await lookAtProcesses([...repositories, ...runDirectories], undefined)), ...(await lookAtRunDirectories(runDirectories, new Set())));
    return found;
  }
  return [...found, ...(await lookAtLab(options.labState, repositories, runDirectories, options))];
}

async function lookAtLab(labState: string, repositories: readonly string[], runDirectories: readonly string[], options: LookOptions): Promise<readonly FoundLeftover[]> {
  const connectionFile = options.connectionFile ?? path.join(labState, 'connection.json');
  const view = await viewEngine(connectionFile, options.onlyVmIds);
  const vms = await labVms(labState);
  const ownDirectories = [...runDirectories, ...(await labRunDirectories(labState, vms))];
  const directories = await lookAtVmDirectories(vms, view);
  const realState = await realpath(labState);
  const mounts = await lookAtMounts([realState, ...ownDirectories], directories.servedPaths);
  return [
    ...lookAtEngine(view, options),
    ...(await lookAtVmBackups(view, repositories, options)),
    ...(await lookAtLabState(connectionFile)),
    ...(await lookAtHostData(labState)),
    ...(await lookAtQemus(vms, view)),
    ...(await lookAtProcesses([labState, realState, ...ownDirectories, ...repositories], view)),
    ...mounts.found,
    ...directories.found,
    ...(await lookAtVolumes(labState, view)),
    ...(await lookAtRunDirectories(ownDirectories, mounts.mountPoints)),
  ];
}

/** Throws with a list that can be read. `withinMs`: looks again until nothing is left or the time is over (a killed process needs a moment). */
export async function expectNothingLeft(options: LookOptions & { readonly withinMs?: number }): Promise<void> {
  const deadline = Date.now() + (options.withinMs ?? 0);
  for (;;) {
    const found = await findLeftovers(options);
    if (found.length === 0) return;
    if (Date.now() >= deadline) throw new Error(`${found.length} thing(s) left behind:\n${found.map(({ where, what, object, detail }) => `- ${where}: ${what} ${object}: ${detail}`).join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
