// What verifications found, by run: the newest one of a backup is listed with it (backups.ts).
import { storableText, type Database } from './database';
import type { Catalog } from './port';

export function createVerifications(database: Database): Pick<Catalog, 'recordVerification'> {
  return {
    async recordVerification({ runId, repository, backupId, outcome, dataBytes, failure }) {
      await database.call(`recording the verification of backup ${backupId}`).change(
        `INSERT INTO holdfast.verifications (run_id, repository, backup_id, outcome, data_bytes, failure_code, failure_message)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (run_id, repository, backup_id) DO UPDATE SET
           outcome = excluded.outcome, data_bytes = excluded.data_bytes, failure_code = excluded.failure_code, failure_message = excluded.failure_message`,
        [runId, repository, backupId, outcome, dataBytes, failure?.code ?? null, failure ? storableText(failure.message) : null],
      );
    },
  };
}
