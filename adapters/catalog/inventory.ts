// The inventory of VMs and the evaluation of their backups: sets, never one VM at a time, and counts as the answer. Whoever writes rows of an engine
// takes turns with the others: two refreshes would lock rows crosswise.
import { asksForBackups, mostExamples, wrongVmStates, type VmState } from '../../domain/awareness/vm-objectives';
import type { VmWithoutFreshBackup } from '../../domain/flows/vm-awareness';
import type { Database, Statements } from './database';
import { judgement, judgementParameters, judgementSettings } from './judge-vms';
import type { Inventory, InventoryVm, VmJudgement } from './port-inventory';

interface JudgedRow {
  readonly objective: string | null;
  readonly state: VmState;
  readonly vms: string;
  readonly examples: readonly string[] | null;
}

type ListedRow = Omit<VmWithoutFreshBackup, 'newestBackupAt' | 'since'> & { readonly newestBackupAt: Date | null; readonly since: Date };

export function createInventory(database: Database): Inventory {
  const alone = <T>(what: string, engine: string, work: (statements: Statements) => Promise<T>): Promise<T> =>
    database.transaction(what, async (statements) => {
      await statements.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`holdfast inventory ${engine}`]);
      return work(statements);
    });
  return {
    async beginInventory(engine) {
      const [row] = await database.call(`beginning the inventory of engine ${engine}`).rows<{ since: string }>('SELECT clock_timestamp()::text AS since');
      if (!row) throw new Error('PostgreSQL told no time');
      return row;
    },

    async recordVms(engine, vms) {
      await alone(`recording ${vms.length} VM(s) of engine ${engine}`, engine, (statements) => write(statements, engine, vms));
    },

    async listVmsNotSeen({ engine, since, after, limit }) {
      return database.call(`listing VMs of engine ${engine} that were not seen`).rows(
        'SELECT vm_id, name FROM holdfast.vm_inventory WHERE engine = $1 AND seen_at < $2::timestamptz AND ($3::uuid IS NULL OR vm_id > $3) ORDER BY vm_id LIMIT $4',
        [engine, since, after ?? null, limit],
      );
    },

    async finishInventory(engine, since) {
      return alone(`ending the inventory of engine ${engine}`, engine, async (statements) => {
        const removed = await statements.change('DELETE FROM holdfast.vm_inventory WHERE engine = $1 AND seen_at < $2::timestamptz', [engine, since]);
        if (removed > 0) await statements.change('DELETE FROM holdfast.vm_awareness a WHERE engine = $1 AND NOT EXISTS (SELECT FROM holdfast.vm_inventory i WHERE (i.engine, i.vm_id) = (a.engine, a.vm_id))', [engine]);
        const [row] = await statements.rows<{ vms: string }>('SELECT count(*) AS vms FROM holdfast.vm_inventory WHERE engine = $1', [engine]);
        return { removed, vms: Number(row?.vms ?? 0) };
      });
    },

    async judgeVms({ engine, objectives, nowMs }) {
      const rows = await alone(`judging the backups of the VMs of engine ${engine}`, engine, async (statements) => {
        await statements.rows(judgementSettings);
        return statements.rows<JudgedRow>(judgement(objectives), judgementParameters(engine, objectives, nowMs));
      });
      return judgementOf(rows, objectives.filter(asksForBackups).map(({ name }) => name));
    },

    async listVmAwareness({ engine, objective, state, page }) {
      const rows = await database.call(`listing VMs of engine ${engine} without a fresh backup`).rows<ListedRow>(
        `SELECT a.vm_id, i.name AS vm_name, a.objective, a.state, a.newest_backup_at, a.since
         FROM holdfast.vm_awareness a JOIN holdfast.vm_inventory i USING (engine, vm_id)
         WHERE a.engine = $1 AND ($2::text IS NULL OR a.objective = $2) AND CASE WHEN $3::text IS NULL THEN a.state <> 'exempt' ELSE a.state = $3 END
         ORDER BY a.newest_backup_at NULLS FIRST, a.vm_id
         LIMIT $4 OFFSET $5`,
        [engine, objective ?? null, state ?? null, page.limit + 1, page.offset],
      );
      return rows.map(({ newestBackupAt, since, ...row }) => ({ ...row, newestBackupAt: newestBackupAt?.toISOString() ?? null, since: since.toISOString() }));
    },

    async countExemptVms({ engine, objective }) {
      const [row] = await database.call(`counting exempt VMs of engine ${engine}`).rows<{ vms: string }>(
        "SELECT count(*) AS vms FROM holdfast.vm_awareness WHERE engine = $1 AND state = 'exempt' AND ($2::text IS NULL OR objective = $2)",
        [engine, objective ?? null],
      );
      return Number(row?.vms ?? 0);
    },
  };
}

/**
 * A VM that moved between two pages comes twice, and ON CONFLICT takes no row twice. Tags as text: unnest takes arrays of arrays apart. The column
 * is_exempt is older than exemptions by configuration: it says that a VM is infrastructure.
 */
async function write(statements: Statements, engine: string, vms: readonly InventoryVm[]): Promise<void> {
  const unique = [...new Map(vms.map((vm) => [vm.vmId, vm])).values()];
  await statements.change(
    `INSERT INTO holdfast.vm_inventory (engine, vm_id, name, tags, is_exempt, seen_at)
     SELECT $1, vm_id, name, ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)), is_exempt::boolean, clock_timestamp()
     FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS given (vm_id, name, tags, is_exempt)
     ON CONFLICT (engine, vm_id) DO UPDATE SET name = excluded.name, tags = excluded.tags, is_exempt = excluded.is_exempt, seen_at = excluded.seen_at`,
    [engine, unique.map(({ vmId }) => vmId), unique.map(({ name }) => name), unique.map(({ tags }) => JSON.stringify(tags)), unique.map(({ isInfrastructure }) => String(isInfrastructure))],
  );
}

function judgementOf(rows: readonly JudgedRow[], objectives: readonly string[]): VmJudgement {
  const total = (some: readonly JudgedRow[]): number => some.reduce((sum, { vms }) => sum + Number(vms), 0);
  const isExempt = ({ state }: JudgedRow): boolean => state === 'exempt';
  const countsOf = (objective: string | null): VmJudgement['uncovered'] => {
    const own = rows.filter((row) => row.objective === objective);
    // Worst first, and of each state as the statement ordered them.
    const worstFirst = wrongVmStates.flatMap((state) => own.filter((row) => row.state === state));
    return {
      vms: total(own),
      wrong: Object.fromEntries(worstFirst.map(({ state, vms }) => [state, Number(vms)])),
      examples: worstFirst.flatMap(({ examples }) => examples ?? []).slice(0, mostExamples),
    };
  };
  return {
    vms: total(rows.filter((row) => !isExempt(row))),
    exempt: total(rows.filter(isExempt)),
    objectives: objectives.map((objective) => ({ objective, ...countsOf(objective) })),
    uncovered: countsOf(null),
  };
}
