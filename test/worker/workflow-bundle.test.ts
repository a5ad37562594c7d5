// Bundles of workflows: the newest few stay, and nothing else in their directory is touched.
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { keepNewest } from '../../worker/workflow-bundle';

test('the bundles used last are kept, whatever their names; other files stay', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'holdfast-bundles-'));
  try {
    const name = (index: number): string => `${String(index).repeat(16)}.js`;
    for (const [index, usedSecond] of [5, 1, 4, 2, 3].entries()) {
      await writeFile(path.join(directory, name(index)), '');
      await utimes(path.join(directory, name(index)), usedSecond, usedSecond);
    }
    // Being written by a process beside us, and something of somebody else.
    for (const other of [`${name(7)}.4711`, 'notes.js']) await writeFile(path.join(directory, other), '');
    await keepNewest(directory, 3);
    expect((await readdir(directory)).sort()).toEqual([name(0), name(2), name(4), `${name(7)}.4711`, 'notes.js']);
    await keepNewest(directory, 3);
    expect(await readdir(directory)).toHaveLength(5);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
