// A catalog on a PostgreSQL of its own, for suites that need no more of either.
import { createCatalog } from '../../adapters/catalog/catalog';
import type { Catalog } from '../../adapters/catalog/port';
import { startPostgres } from './postgres';

export interface TestCatalog {
  /** Migrated, and empty. */
  readonly catalog: Catalog;
  stop(): Promise<void>;
}

export async function startCatalog(): Promise<TestCatalog> {
  const postgres = await startPostgres();
  const catalog = createCatalog({ url: await postgres.createDatabase() });
  await catalog.migrate();
  return {
    catalog,
    async stop() {
      await catalog.close();
      await postgres.stop();
    },
  };
}
