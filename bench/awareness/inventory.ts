// The inventory that is judged: made inside PostgreSQL, the same at every run. Each VM has backups a day apart; some have none, some stopped weeks ago,
// some were never verified, some are covered by no objective.
import type { Database } from '../../adapters/catalog/database';
import type { VmObjective } from '../../domain/awareness/vm-objectives';

export const engine = 'bench';
export const objectives: readonly VmObjective[] = [
  { name: 'gold', vms: { tag: 'gold' }, maxAgeHours: 24, verifiedWithinHours: 24 * 7 },
  { name: 'scratch', vms: { name: 'tmp-*' }, maxAgeHours: 24 * 7 },
  { name: 'databases', vms: { name: '*-db-*' }, maxAgeHours: 24 },
  { name: 'web', vms: { name: '*-web-?*' }, maxAgeHours: 48 },
  { name: 'desktops', vms: { tag: 'desktop' }, maxAgeHours: 24 * 7 },
];

/** Of the number of the VM: what makes a uuid of it, and the share of VMs that something is wrong with. */
const vmId = "('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";

/** Of one VM in ten that are tagged gold no backup is verified, one VM in 100 was never backed up (another has twice as many), and the backups of one in 33 stopped a month ago. */
export async function makeInventory(database: Database, { vms, backupsPerVm }: { readonly vms: number; readonly backupsPerVm: number }): Promise<void> {
  await database.transaction(
    `making ${vms} VMs`,
    async (statements) => {
      await statements.change(
        `INSERT INTO holdfast.vm_inventory (engine, vm_id, name, tags, is_exempt, seen_at)
         SELECT $1, ${vmId}, (ARRAY['tmp-', 'site-db-', 'site-web-', 'vdi-', 'other-'])[1 + n % 5] || n,
           CASE WHEN n % 10 = 0 THEN ARRAY['gold', 'desktop'] WHEN n % 5 = 3 THEN ARRAY['desktop'] ELSE '{}' END, n % 10000 = 1, now()
         FROM generate_series(1, $2::integer) AS n`,
        [engine, vms],
      );
      await statements.change(
        `INSERT INTO holdfast.backups (repository, backup_id, engine, vm_id, vm_name, method, kind, consistency, created_at, sealed_at, virtual_bytes, data_bytes, image_bytes, manifest_sha256)
         SELECT 'vault', gen_random_uuid(), $1, ${vmId}, 'vm-' || n, 'transfer', 'full', 'filesystem', at, at + interval '5 minutes', 1073741824, 104857600, 104857600, repeat('0', 64)
         FROM generate_series(1, $2::integer) AS n, LATERAL generate_series(0, $3::integer * CASE WHEN n % 100 = 8 THEN 2 ELSE 1 END - 1) AS day,
           LATERAL (SELECT now() - day * interval '1 day' - (n % 1200) * interval '1 minute' - CASE WHEN n % 33 = 0 THEN interval '30 days' ELSE interval '0' END AS at) AS dated
         WHERE n % 100 <> 7`,
        [engine, vms, backupsPerVm],
      );
      await statements.change("INSERT INTO holdfast.runs (run_id, workflow_id, workflow_type, engine, vm_name) VALUES ('00000000-0000-4000-8000-000000000000', 'verify/bench', 'verifyBackup', $1, 'bench')", [engine]);
      await statements.change(
        `INSERT INTO holdfast.verifications (run_id, repository, backup_id, outcome, data_bytes)
         SELECT '00000000-0000-4000-8000-000000000000', repository, backup_id, 'passed', data_bytes
         FROM holdfast.backups JOIN holdfast.vm_inventory USING (engine, vm_id)
         WHERE engine = $1 AND 'gold' = ANY (tags) AND right(name, 2)::integer % 100 <> 0`,
        [engine],
      );
      await statements.change('ANALYZE');
    },
    { unlimited: true },
  );
  // What autovacuum would have done in the hours since: without it no index alone answers anything.
  for (const table of ['backups', 'verifications', 'vm_inventory']) await database.call(`vacuuming ${table}`).change(`VACUUM holdfast.${table}`);
}
