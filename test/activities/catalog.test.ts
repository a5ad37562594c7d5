// The catalog's reading activities: answers that fit into a payload, and a repository read page by page.
import { randomUUID } from 'node:crypto';
import { createScanActivities, createCatalogActivities } from '../../activities/catalog';
import type { ControlDependencies, RepositoryDependencies } from '../../activities/dependencies';
import type { BackupSummary } from '../../domain/manifest';
import { summary } from '../workflows/answers';

const dependencies = (rows: readonly BackupSummary[]): ControlDependencies => ({ catalog: { listBackups: () => Promise.resolve(rows) } }) as unknown as ControlDependencies;
const listed = (rows: readonly BackupSummary[], limit: number): ReturnType<ReturnType<typeof createCatalogActivities>['listBackupsInCatalog']> => createCatalogActivities(dependencies(rows)).listBackupsInCatalog({ page: { limit, offset: 0 } });

test('a page has no more rows than asked for, and says whether there are more', async () => {
  const rows = Array.from({ length: 4 }, () => summary());
  expect(await listed(rows, 3)).toEqual({ backups: rows.slice(0, 3), more: true });
  expect(await listed(rows, 4)).toEqual({ backups: rows, more: false });
});

test('a page that Temporal would refuse is cut short: there is more, and at least one row', async () => {
  const disks = (count: number): BackupSummary['disks'] => Array.from({ length: count }, () => ({ diskId: randomUUID(), alias: 'x'.repeat(100), virtualBytes: 2 ** 44, dataBytes: 1, root: 'a'.repeat(64) }));
  const rows = Array.from({ length: 500 }, () => summary({ disks: disks(20) }));
  const { backups, more } = await listed(rows, 500);
  expect(more).toBe(true);
  expect(backups).toEqual(rows.slice(0, backups.length));
  expect(Buffer.byteLength(JSON.stringify(backups))).toBeLessThan(512 * 1024);
  expect(backups.length).toBeGreaterThan(20);
  expect((await listed([summary({ disks: disks(3000) }), summary()], 10)).backups).toHaveLength(1);
});

test('a repository is scanned in the order of its paths, each entry once, whatever the page', async () => {
  const paths = Array.from({ length: 7 }, (_, index) => `vms/x/${index}`);
  const list = async function* (after = ''): AsyncGenerator<{ path: string; reason: string }> {
    for (const path of paths.filter((each) => each > after)) yield await Promise.resolve({ path, reason: 'cut off' });
  };
  const { scanRepository } = createScanActivities({ repositoryOf: () => ({ list }) } as unknown as RepositoryDependencies);
  for (const limit of [1, 2, 7, 8]) {
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await scanRepository({ repository: 'main', after, limit });
      expect(page.unreadable.length).toBeLessThanOrEqual(limit);
      seen.push(...page.unreadable.map((entry) => entry.path));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(paths);
  }
});
