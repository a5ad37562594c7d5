// The catalog's reads and its index of backups. Role control, except `scanRepository`, which reads manifests where they lie (role mover).
import type { ListAlertsInput, ListAlertsOutput } from '../domain/flows/alerts';
import type { ListHoldingsInput, ListHoldingsOutput } from '../domain/flows/holdings';
import type { ListBackupsInput, ListBackupsOutput, ListRunsInput, ListRunsOutput } from '../domain/flows/queries';
import { summarize, type BackupSummary } from '../domain/manifest';
import type { ControlDependencies, RepositoryDependencies } from './dependencies';
import { closeEndedVerifications } from './verifications';

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
  listHoldingsInCatalog(query: ListHoldingsInput): Promise<ListHoldingsOutput>;
  listAlertsInCatalog(query: ListAlertsInput): Promise<ListAlertsOutput>;
  /** Starts a rebuild: what is not indexed after this instant (the database's clock) is forgotten at its end. */
  beginRebuild(): Promise<{ readonly since: string }>;
  indexBackups(input: { readonly backups: readonly BackupSummary[] }): Promise<void>;
  finishRebuild(input: { readonly repository: string; readonly since: string }): Promise<{ readonly removed: number; readonly indexed: number }>;
}

export interface ScanActivities {
  /** Sealed backups after the path `after`, in the order of their paths. */
  scanRepository(input: { readonly repository: string; readonly after?: string | undefined; readonly limit: number }): Promise<RepositoryPage>;
}

export function createCatalogActivities(dependencies: ControlDependencies): CatalogActivities {
  const { catalog } = dependencies;
  return {
    indexBackup: (backup) => catalog.indexBackups([backup]),
    async listBackupsInCatalog(query) {
      const { rows, more } = pageOf(await catalog.listBackups(query), query);
      return { backups: rows, more };
    },
    async listRunsInCatalog(query) {
      await closeEndedVerifications(dependencies);
      const { rows, more } = pageOf(await catalog.listRuns(query), query);
      return { runs: rows, more };
    },
    async listHoldingsInCatalog(query) {
      const { rows, more } = pageOf(await catalog.listOpenHoldings(query), query);
      return { holdings: rows, more };
    },
    async listAlertsInCatalog(query) {
      const { rows, more } = pageOf(await catalog.listAlerts(query), query);
      return { alerts: rows, more };
    },
    beginRebuild: async () => ({ since: await catalog.now() }),
    indexBackups: ({ backups }) => catalog.indexBackups(backups),
    finishRebuild: ({ repository, since }) => catalog.forgetBackupsNotIndexedSince(repository, since),
  };
}

/** Temporal warns at 512 KiB and refuses 2 MiB: five hundred backups of large VMs would be more. The caller goes on after the rows it got. */
const answerBytes = 384 * 1024;

/** What was asked for and fits; the catalog gave one row too many when there are more. */
export function pageOf<Row>(found: readonly Row[], { page }: { readonly page: { readonly limit: number } }): { readonly rows: Row[]; readonly more: boolean } {
  let left = answerBytes;
  const asked = found.slice(0, page.limit);
  const tooMuch = asked.findIndex((row, index) => (left -= Buffer.byteLength(JSON.stringify(row))) < 0 && index > 0);
  const rows = asked.slice(0, tooMuch < 0 ? asked.length : tooMuch);
  return { rows, more: found.length > rows.length };
}

export function createScanActivities({ repositoryOf }: RepositoryDependencies): ScanActivities {
  return {
    async scanRepository({ repository, after, limit }) {
      const backups: BackupSummary[] = [];
      const unreadable: { path: string; reason: string }[] = [];
      let next: string | undefined;
      let count = 0;
      for await (const entry of repositoryOf(repository).list(after)) {
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
