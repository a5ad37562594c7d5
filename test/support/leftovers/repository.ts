// A repository's directory after all runs have ended: sealed backups and nothing else. By the names of docs/design.md,
// "Repository format", written down here once more on purpose.
import path from 'node:path';
import { stat } from 'node:fs/promises';
import type { FoundLeftover } from './finding';
import { listNames } from './lab-files';

const sealedNames = /^(manifest\.json|vm\.ovf|[0-9a-f-]{36}\.(qcow2|digests))$/;

export async function lookAtRepository(repository: string): Promise<readonly FoundLeftover[]> {
  const found: FoundLeftover[] = [];
  const report = (what: string, object: string, detail: string): void => void found.push({ where: 'repository', what, object, detail });
  for (const name of await listNames(repository)) {
    if (name === 'replaced') for (const file of await listNames(path.join(repository, name))) report('replaced-vm', path.join(repository, name, file), 'a VM that was replaced is neither back nor let go');
    else if (name !== 'holdfast-repository.json' && name !== 'vms') report('stray-file', path.join(repository, name), 'belongs to no backup');
  }
  for (const vmId of await listNames(path.join(repository, 'vms'))) {
    const vmDirectory = path.join(repository, 'vms', vmId);
    for (const backupId of await listNames(vmDirectory)) {
      const directory = path.join(vmDirectory, backupId);
      if (!(await stat(directory)).isDirectory()) {
        report('stray-file', directory, 'belongs to no backup');
        continue;
      }
      const names = await listNames(directory);
      if (!names.includes('manifest.json')) report('partial-backup', directory, `has no manifest; holds ${names.join(', ') || 'nothing'}`);
      for (const name of names) {
        const file = path.join(directory, name);
        if (/\.(lock|progress|lease)$/.test(name)) report('work-file', file, 'only a copy that goes on needs it');
        else if (!sealedNames.test(name)) report('stray-file', file, 'is no part of a sealed backup');
      }
    }
  }
  return found;
}
