// The catalog's reads and its index of backups. Role control, except `scanRepository`, which reads manifests where they lie (role mover).
import type { ListBackupsInput, ListBackupsOutput, ListRunsInput, ListRunsOutput } from '../domain/flows/queries';
import { summarize, type BackupSummary } from '../domain/manifest';
import type { ControlDependencies, RepositoryDependencies } from './dependencies';

export interface RepositoryPage {
  readonly backups: readonly BackupSummary[];
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
  /** Path of the last entry looked at; absent at the end. */
  readonly next?: string;
}

export interface CatalogActivities {
  indexBackup(backup: BackupSummary): Promise<void>;
  listBackupsInCatalog(query: ListBackupsInput): Promise<ListBackupsOutput>;
  listRunsInCatalog(query: ListRunsInput): Promise<ListRunsOutput>;
  /** Starts a rebuild: what is not indexed after this instant (the database's clock) is forgotten at its end. */
  beginRebuild(): Promise<{ readonly since: string }>;
  indexBackups(input: { readonly backups: readonly BackupSummary[] }): Promise<void>;
  finishRebuild(input: { readonly repository: string; readonly since: string }): Promise<{ readonly removed: number; readonly indexed: number }>;
}

export interface ScanActivities {
  /** Sealed backups after the path `after`, in the order of their paths. */
  scanRepository(input: { readonly repository: string; readonly after?: string | undefined; readonly limit: number }): Promise<RepositoryPage>;
}

export function createCatalogActivities({ catalog }: ControlDependencies): CatalogActivities {
  return {
    indexBackup: (backup) => catalog.indexBackups([backup]),
    async listBackupsInCatalog(query) {
      const rows = await catalog.listBackups(query);
      return { backups: rows.slice(0, query.page.limit), more: rows.length > query.page.limit };
    },
    async listRunsInCatalog(query) {
      const rows = await catalog.listRuns(query);
      return { runs: rows.slice(0, query.page.limit), more: rows.length > query.page.limit };
    },
    beginRebuild: async () => ({ since: await catalog.now() }),
    indexBackups: ({ backups }) => catalog.indexBackups(backups),
    finishRebuild: ({ repository, since }) => catalog.forgetBackupsNotIndexedSince(repository, since),
  };
}

export function createScanActivities({ repositoryOf }: RepositoryDependencies): ScanActivities {
  return {
    async scanRepository({ repository, after, limit }) {
      const backups: BackupSummary[] = [];
      const unreadable: { path: string; reason: string }[] = [];
      let next: string | undefined;
      let count = 0;
      for await (const entry of repositoryOf(repository).list()) {
        if (after !== undefined && entry.path <= after) continue;
        if (count === limit) return { backups, unreadable, ...(next === undefined ? {} : { next }) };
        count += 1;
        next = entry.path;
        if ('reason' in entry) unreadable.push(entry);
        else backups.push(summarize(entry.manifest, repository, entry.manifestSha256));
      }
      return { backups, unreadable };
    },
  };
}
