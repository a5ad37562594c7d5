// What the doctor asks of the catalog: the server's version, the schema's, and which repositories have backups in it.
import type { Database } from './database';
import { migrations } from './migrations/list';
import type { Catalog } from './port';

export function createExamination(database: Database): Pick<Catalog, 'examine' | 'listRepositories'> {
  return {
    async examine() {
      const statements = database.call('examining the catalog');
      const [server] = await statements.rows<{ versionNumber: number; migrated: boolean }>(
        "SELECT current_setting('server_version_num')::int AS version_number, to_regclass('holdfast.migrations') IS NOT NULL AS migrated",
      );
      const [schema] = server?.migrated === true ? await statements.rows<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM holdfast.migrations') : [];
      return { versionNumber: server?.versionNumber ?? 0, schemaVersion: schema?.version ?? 0, knownVersion: migrations.at(-1)?.version ?? 0 };
    },

    async listRepositories() {
      const rows = await database.call('listing repositories').rows<{ repository: string }>('SELECT DISTINCT repository FROM holdfast.backups ORDER BY repository');
      return rows.map(({ repository }) => repository);
    },
  };
}
