// Catalogs of earlier releases with rows in them: every row is still there and is read as before after an upgrade to today's schema.
import { createHash } from 'node:crypto';
import { createCatalog } from '../../../adapters/catalog/catalog';
import { openDatabase, type Database } from '../../../adapters/catalog/database';
import { migrate } from '../../../adapters/catalog/migrate';
import { migrations } from '../../../adapters/catalog/migrations/list';
import { startPostgres, type TestPostgres } from '../../support/postgres';

const page = { limit: 100, offset: 0 };
const run = '11111111-1111-4111-8111-111111111111';
const vm = '22222222-2222-4222-8222-222222222222';
const backup = '33333333-3333-4333-8333-333333333333';

/** What a release with that schema could have written, in the tables that came with it. */
const rowsOf: Readonly<Record<number, string>> = {
  1: `INSERT INTO holdfast.runs (run_id, workflow_id, workflow_type, engine, vm_id, vm_name) VALUES ('${run}', 'backup/lab/demo', 'backupVm', 'lab', '${vm}', 'demo');
      INSERT INTO holdfast.holdings (holding_id, run_id, engine, kind, vm_id, mark) VALUES ('held-1', '${run}', 'lab', 'snapshot', '${vm}', 'mark');
      INSERT INTO holdfast.backups (repository, backup_id, engine, vm_id, vm_name, method, kind, consistency, created_at, sealed_at, virtual_bytes, data_bytes, image_bytes, manifest_sha256)
        VALUES ('vault', '${backup}', 'lab', '${vm}', 'demo', 'appliance', 'full', 'filesystem', '2026-01-01T00:00:00Z', '2026-01-01T00:05:00Z', 10, 5, 5, repeat('0', 64));
      INSERT INTO holdfast.backup_disks VALUES ('vault', '${backup}', 0, '${vm}', 'demo_Disk1', 10, 5, 'root');
      INSERT INTO holdfast.alerts (key, code, severity, message, engine) VALUES ('old', 'awareness.no-full-backup', 'alert', 'of an old release', 'lab')`,
  2: `INSERT INTO holdfast.copy_slots (slot_id, engine, run_id, disk_id, namespace, workflow_id, execution_id) VALUES ('slot-1', 'lab', '${run}', '${vm}', 'holdfast', 'w', 'e')`,
  4: `INSERT INTO holdfast.holdings (holding_id, run_id, engine, kind, vm_id, mark) VALUES ('held-4', '${run}', 'lab', 'replaced-vm', '${vm}', 'mark')`,
  5: `INSERT INTO holdfast.verifications (run_id, repository, backup_id, outcome, data_bytes) VALUES ('${run}', 'vault', '${backup}', 'passed', 5);
      INSERT INTO holdfast.holdings (holding_id, run_id, engine, kind, vm_id, mark) VALUES ('held-5', '${run}', 'lab', 'transfer', '${vm}', 'mark')`,
  6: `INSERT INTO holdfast.holdings (holding_id, run_id, engine, kind, vm_id, mark) VALUES ('held-6', '${run}', 'lab', 'freeze', '${vm}', 'mark')`,
  7: "SELECT holdfast.LogEngineBackupEvent('db', '2026-01-01T00:00:00Z', 1, 'done', 'engine.example', '/var/log/a')",
  8: `INSERT INTO holdfast.notices (engine, sink, kind, alert_id, code, severity, message) SELECT engine, 'log', 'raised', alert_id, code, severity, message FROM holdfast.alerts;
      INSERT INTO holdfast.awareness_settings (engine, check_period_hours) VALUES ('lab', 3);
      INSERT INTO holdfast.engine_backup_findings (engine, state) VALUES ('lab', 'no-full-backup')`,
  9: `INSERT INTO holdfast.vm_inventory (engine, vm_id, name, seen_at) VALUES ('lab', '${vm}', 'demo', now());
      INSERT INTO holdfast.vm_awareness (engine, vm_id, state) VALUES ('lab', '${vm}', 'uncovered')`,
};

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

/** Only rows: an upgrade may add columns. */
async function countRows(database: Database): Promise<Readonly<Record<string, string>>> {
  const tables = await database.rows<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'holdfast' AND tablename <> 'migrations' ORDER BY tablename");
  const counts: Record<string, string> = {};
  for (const { name } of tables) counts[name] = (await database.rows<{ rows: string }>(`SELECT count(*)::text AS rows FROM holdfast.${name}`))[0]?.rows ?? '';
  return counts;
}

const versions = migrations.slice(0, -1).map(({ version }) => version);

test.each(versions)('a catalog of schema version %i', async (version) => {
  const url = await postgres.createDatabase();
  const database = openDatabase({ url, max: 1, log: { warn: () => undefined } });
  const catalog = createCatalog({ url, max: 1 });
  try {
    for (let each = 1; each <= version; each += 1) {
      await migrate(database, migrations.slice(0, each));
      await database.change(rowsOf[each] ?? 'SELECT');
    }
    const before = await countRows(database);
    await catalog.migrate();
    expect(await countRows(database)).toMatchObject(before);
    expect(Object.keys(before).filter((table) => before[table] === '0')).toEqual([]);
    expect(await catalog.listRuns({ page })).toMatchObject([{ runId: run, vmName: 'demo', outcome: 'running' }]);
    expect(await catalog.listBackups({ page })).toMatchObject([{ backupId: backup, method: 'appliance', kind: 'full' }]);
    expect(await catalog.listAlerts({ engine: 'lab' })).toMatchObject([{ key: 'old', message: 'of an old release' }]);
  } finally {
    await Promise.all([database.close(), catalog.close()]);
  }
});

/** A migration that has landed has run somewhere: what must change is a new one. Add a line here, never change one. */
const landed = [
  '51f622cab02458502af9e15501432567f941ade5c4109c12da5915f4cab7b47b',
  '36aee6f9c69c33537659d04f3c089044a679c0615ef5e77e078c2324fbe28e24',
  '1bf63a22a39f15987b47374ec78dbbfa0feb3ff1cb7870a5e854b19d82cd495b',
  'f811e4a3b9a4e8792627ae1b1f88ecc01b8ad065ab6e92c14f8b0f99715f1299',
  '85b3998a818081687fffb79af4c614841814a3bf446be6dffb35179da1809a3d',
  '7ca61374a686a0af8724132d5ce71f0ed4ef6fcd39aec140d75e5ba6b4896322',
  '4c5b1aa81627cd9a0084b203f54b222b1693353ff380c9fc74e894d2b7f309ee',
  'bb50988cbcfc2afde2bca930a25cb6c3d2454294ccf5e955e9ec3428bf319da5',
  '832641814a496e7d8686875ca8ce106226e269b73778cbf76eaf278174a4f814',
  '54c74bf5b15d7c412197d9a7e785abc28bdd05c71cf9386c9dd647739d14505f',
];
test('every migration that has landed is what it was then', () => {
  expect(migrations.map(({ sql }) => createHash('sha256').update(sql).digest('hex'))).toEqual(landed);
});
