// Applies the numbered migrations: once each, in order, all or none, however many workers start at the same time.
import { HoldfastError } from '../../domain/failures';
import type { Database, Statements } from './database';
import { migrations as allMigrations, type Migration } from './migrations/list';

/** Any number that nothing else in the same database uses as an advisory lock: the letters "hold". */
const lockKey = 0x686f6c64;

export async function migrate(database: Database, migrations: readonly Migration[] = allMigrations): Promise<void> {
  await database.transaction(
    'applying the migrations',
    async (statements) => {
      // Ends with the transaction, so that an installer that crashes blocks nobody.
      await statements.rows('SELECT pg_advisory_xact_lock($1)', [lockKey]);
      const applied = await appliedVersion(statements);
      const known = migrations.at(-1)?.version ?? 0;
      if (applied > known) {
        throw new HoldfastError(
          'catalog.conflict',
          `the catalog at ${database.where} has schema version ${applied}, this Holdfast knows ${known}: upgrade this worker, or point it to another database`,
          { applied, known },
        );
      }
      for (const { version, name, sql } of migrations.slice(applied)) {
        await statements.change(sql);
        await statements.change('INSERT INTO holdfast.migrations (version, name) VALUES ($1, $2)', [version, name]);
      }
    },
    { unlimited: true },
  );
}

/** Looks before it creates: even CREATE … IF NOT EXISTS wants a privilege that a prepared database need not give. */
async function appliedVersion(statements: Statements): Promise<number> {
  const [found] = await statements.rows<{ schema: boolean; table: boolean }>(
    "SELECT to_regnamespace('holdfast') IS NOT NULL AS schema, to_regclass('holdfast.migrations') IS NOT NULL AS table",
  );
  if (found?.schema !== true) await statements.change('CREATE SCHEMA holdfast');
  if (found?.table !== true) {
    await statements.change(
      'CREATE TABLE holdfast.migrations (version integer PRIMARY KEY, name text NOT NULL UNIQUE, applied_at timestamptz NOT NULL DEFAULT now())',
    );
  }
  const [row] = await statements.rows<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM holdfast.migrations');
  return row?.version ?? 0;
}
