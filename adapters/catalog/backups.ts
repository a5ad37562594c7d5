// The catalog's index of sealed backups. The manifests in the repositories are the truth: every row can be written anew from them.
import type { BackupSummary, ListedBackup } from '../../domain/manifest';
import { storableText, type Database, type Statements } from './database';
import type { Catalog } from './port';

type Bytes = 'virtualBytes' | 'dataBytes' | 'imageBytes';
type BackupRow = Omit<ListedBackup, Bytes | 'createdAt' | 'sealedAt'> & Record<Bytes, string> & { readonly createdAt: Date; readonly sealedAt: Date };

export function createBackups(database: Database): Pick<Catalog, 'indexBackups' | 'listBackups' | 'now' | 'forgetBackupsNotIndexedSince'> {
  return {
    async indexBackups(backups) {
      for (const repository of new Set(backups.map((backup) => backup.repository))) {
        const here = backups.filter((backup) => backup.repository === repository);
        await database.transaction(`indexing ${here.length} backup(s) of repository ${repository}`, (statements) => writeBackups(statements, repository, here));
      }
    },

    async listBackups({ engine, repository, vmId, vmName, backupId, newestPerVm, page }) {
      const rows = await database.call('listing backups').rows<BackupRow>(
        `SELECT backup_id, repository, engine, vm_id, vm_name, method, kind, base_backup_id, checkpoint_id, witnessed, consistency, created_at, sealed_at, virtual_bytes, data_bytes, image_bytes, manifest_sha256,
           CASE WHEN reason_code IS NOT NULL THEN json_build_object('code', reason_code, 'text', reason_text) END AS reason,
           (SELECT json_build_object('outcome', outcome, 'verifiedAt', verified_at, 'runId', run_id, 'dataBytes', v.data_bytes, 'failure', CASE WHEN failure_code IS NOT NULL THEN json_build_object('code', failure_code, 'message', failure_message) END)
            FROM holdfast.verifications v WHERE (v.repository, v.backup_id) = (b.repository, b.backup_id) ORDER BY verified_at DESC LIMIT 1) AS verification,
           (SELECT coalesce(json_agg(json_build_object('diskId', disk_id, 'alias', alias, 'virtualBytes', d.virtual_bytes, 'dataBytes', d.data_bytes, 'root', root) ORDER BY place), '[]')
            FROM holdfast.backup_disks d WHERE (d.repository, d.backup_id) = (b.repository, b.backup_id)) AS disks
         FROM holdfast.backups b
         WHERE ($1::text IS NULL OR engine = $1)
           AND ($2::text IS NULL OR repository = $2)
           AND ($3::uuid IS NULL OR vm_id = $3)
           AND ($4::text IS NULL OR vm_name = $4)
           AND ($5::uuid IS NULL OR backup_id = $5)
           AND ($8::text IS NULL OR NOT EXISTS (
             SELECT FROM holdfast.backups newer
             WHERE (newer.engine, newer.vm_id) = (b.engine, b.vm_id) AND (newer.created_at, newer.backup_id) > (b.created_at, b.backup_id) AND ($2::text IS NULL OR newer.repository = $2)))
         ORDER BY created_at DESC, backup_id DESC, repository
         LIMIT $6 OFFSET $7`,
        [engine ?? null, repository ?? null, vmId ?? null, vmName ?? null, backupId ?? null, page.limit + 1, page.offset, newestPerVm === true ? 'yes' : null],
      );
      return rows.map(toListed);
    },

    async now() {
      const [row] = await database.call('reading the clock').rows<{ now: string }>('SELECT clock_timestamp()::text AS now');
      if (!row) throw new Error('PostgreSQL told no time');
      return row.now;
    },

    async forgetBackupsNotIndexedSince(repository, since) {
      return database.transaction(`ending the rebuild of repository ${repository}`, async (statements) => {
        const removed = await statements.change('DELETE FROM holdfast.backups WHERE repository = $1 AND indexed_at < $2::timestamptz', [repository, since]);
        const [row] = await statements.rows<{ indexed: string }>('SELECT count(*) AS indexed FROM holdfast.backups WHERE repository = $1', [repository]);
        return { removed, indexed: Number(row?.indexed ?? 0) };
      });
    },
  };
}

/** One statement per table however long the list is. Writers of one repository take turns: two rebuilds would lock rows crosswise. */
async function writeBackups(statements: Statements, repository: string, backups: readonly BackupSummary[]): Promise<void> {
  await statements.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`holdfast backups ${repository}`]);
  // A copied directory gives the same id twice; one row is enough, and ON CONFLICT takes no row twice.
  const unique = [...new Map(backups.map((backup) => [backup.backupId, { ...backup, repository }])).values()];
  await statements.change(
    `INSERT INTO holdfast.backups
       (repository, backup_id, engine, vm_id, vm_name, method, kind, base_backup_id, consistency, created_at, sealed_at, virtual_bytes, data_bytes, image_bytes, manifest_sha256,
        reason_code, reason_text, checkpoint_id, witnessed)
     SELECT "repository", "backupId", "engine", "vmId", "vmName", "method", "kind", "baseBackupId", "consistency", "createdAt", "sealedAt", "virtualBytes", "dataBytes", "imageBytes", "manifestSha256",
        "reason"->>'code', "reason"->>'text', "checkpointId", coalesce("witnessed", false)
     FROM jsonb_to_recordset($1::jsonb) AS given
       ("repository" text, "backupId" uuid, "engine" text, "vmId" uuid, "vmName" text, "method" text, "kind" text, "baseBackupId" uuid, "consistency" text,
        "createdAt" timestamptz, "sealedAt" timestamptz, "virtualBytes" bigint, "dataBytes" bigint, "imageBytes" bigint, "manifestSha256" text,
        "reason" jsonb, "checkpointId" uuid, "witnessed" boolean)
     ON CONFLICT (repository, backup_id) DO UPDATE SET
       engine = excluded.engine, vm_id = excluded.vm_id, vm_name = excluded.vm_name, method = excluded.method, kind = excluded.kind,
       base_backup_id = excluded.base_backup_id, consistency = excluded.consistency, created_at = excluded.created_at, sealed_at = excluded.sealed_at,
       virtual_bytes = excluded.virtual_bytes, data_bytes = excluded.data_bytes, image_bytes = excluded.image_bytes, manifest_sha256 = excluded.manifest_sha256,
       reason_code = excluded.reason_code, reason_text = excluded.reason_text, checkpoint_id = excluded.checkpoint_id, witnessed = excluded.witnessed, indexed_at = clock_timestamp()`,
    [asJson(unique)],
  );
  await statements.change('DELETE FROM holdfast.backup_disks WHERE repository = $1 AND backup_id = ANY ($2::uuid[])', [repository, unique.map(({ backupId }) => backupId)]);
  await statements.change(
    `INSERT INTO holdfast.backup_disks (repository, backup_id, place, disk_id, alias, virtual_bytes, data_bytes, root)
     SELECT * FROM jsonb_to_recordset($1::jsonb) AS given
       ("repository" text, "backupId" uuid, "place" integer, "diskId" uuid, "alias" text, "virtualBytes" bigint, "dataBytes" bigint, "root" text)`,
    [asJson(unique.flatMap(({ backupId, disks }) => disks.map((disk, place) => ({ ...disk, repository, backupId, place }))))],
  );
}

function asJson(rows: readonly object[]): string {
  return JSON.stringify(rows, (_, value: unknown) => (typeof value === 'string' ? storableText(value) : value));
}

function toListed(row: BackupRow): ListedBackup {
  return {
    ...row,
    verification: row.verification && { ...row.verification, verifiedAt: new Date(row.verification.verifiedAt).toISOString() },
    createdAt: row.createdAt.toISOString(),
    sealedAt: row.sealedAt.toISOString(),
    // bigint comes as text; sizes stay far below 2^53.
    virtualBytes: Number(row.virtualBytes),
    dataBytes: Number(row.dataBytes),
    imageBytes: Number(row.imageBytes),
  };
}
