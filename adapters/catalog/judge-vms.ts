// The one statement that evaluates all VMs of an engine: the rule of domain/awareness/vm-objectives (a test compares the two), as sets. It stands apart
// so that `npm run bench -- awareness` can show how PostgreSQL carries it out.
import { asksForBackups, likePatternOf, mostExamples, type VmObjective } from '../../domain/awareness/vm-objectives';
import type { Parameter } from './database';

/** Before the statement, in its transaction. Its sets are a few MiB, which must not go through files; compiling it for each run would take longer than the run. */
export const judgementSettings = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)";

const ownParameters = 3;

/**
 * A VM's newest backup is one step in the index backups_of_vm; verifications are looked up only where an objective asks for them. The objectives are a
 * CASE of as many branches: looked up as rows they took as long as all the rest (docs/benchmarks.md).
 */
export function judgement(objectives: readonly VmObjective[]): string {
  const branches = objectives.map(({ vms }, place) => `WHEN ${'name' in vms ? `vm.name LIKE $${ownParameters + 1 + place}` : `$${ownParameters + 1 + place} = ANY (vm.tags)`} THEN ${place}`);
  return `
WITH objectives AS MATERIALIZED (
  SELECT place, name, exempt, max_age_hours * interval '1 hour' AS max_age, verified_within_hours * interval '1 hour' AS verified_within
  FROM jsonb_to_recordset($3::jsonb) AS given (place integer, name text, exempt boolean, max_age_hours double precision, verified_within_hours double precision)
),
covered AS (
  SELECT vm.vm_id, vm.name, CASE WHEN false THEN 0 ${branches.join(' ')} END AS place
  FROM holdfast.vm_inventory vm
  WHERE vm.engine = $1 AND NOT vm.is_exempt AND EXISTS (SELECT FROM objectives)
),
dated AS (
  SELECT covered.vm_id, covered.name, o.name AS objective, o.exempt, o.max_age, o.verified_within, newest.backup_id, newest.created_at
  FROM covered
  LEFT JOIN objectives o USING (place)
  LEFT JOIN LATERAL (
    SELECT b.backup_id, b.created_at FROM holdfast.backups b
    WHERE b.engine = $1 AND b.vm_id = covered.vm_id AND b.created_at <= $2::timestamptz
    ORDER BY b.created_at DESC, b.backup_id DESC LIMIT 1
  ) newest ON true
),
judged AS MATERIALIZED (
  SELECT vm_id, name, objective, created_at,
    CASE
      WHEN objective IS NULL THEN 'uncovered'
      WHEN exempt THEN 'exempt'
      WHEN created_at IS NULL THEN 'never'
      WHEN created_at < $2::timestamptz - max_age THEN 'too-old'
      WHEN verified_within IS NULL THEN 'fresh'
      WHEN EXISTS (
        SELECT FROM holdfast.backups b
        CROSS JOIN LATERAL (
          SELECT v.outcome, v.verified_at FROM holdfast.verifications v
          WHERE v.repository = b.repository AND v.backup_id = b.backup_id ORDER BY v.verified_at DESC LIMIT 1
        ) last
        WHERE b.backup_id = dated.backup_id AND last.outcome = 'passed' AND last.verified_at >= $2::timestamptz - verified_within
      ) THEN 'fresh'
      ELSE 'not-verified'
    END AS state
  FROM dated
),
mended AS (
  DELETE FROM holdfast.vm_awareness a
  WHERE a.engine = $1 AND NOT EXISTS (SELECT FROM judged WHERE judged.vm_id = a.vm_id AND judged.state <> 'fresh')
),
-- A row that says the same already is left alone: to update it, or only to conflict with it, would write it anew.
changed AS (
  INSERT INTO holdfast.vm_awareness AS a (engine, vm_id, objective, state, newest_backup_at)
  SELECT $1, judged.vm_id, judged.objective, judged.state, judged.created_at
  FROM judged LEFT JOIN holdfast.vm_awareness old ON old.engine = $1 AND old.vm_id = judged.vm_id
  WHERE judged.state <> 'fresh'
    AND (old.vm_id IS NULL OR (old.objective, old.state, old.newest_backup_at) IS DISTINCT FROM (judged.objective, judged.state, judged.created_at))
  ON CONFLICT (engine, vm_id) DO UPDATE SET
    objective = excluded.objective, state = excluded.state, newest_backup_at = excluded.newest_backup_at,
    since = CASE WHEN a.state = excluded.state AND a.objective IS NOT DISTINCT FROM excluded.objective THEN a.since ELSE excluded.since END
),
counts AS (SELECT objective, state, count(*) AS vms FROM judged GROUP BY objective, state),
placed AS (
  SELECT objective, state, name, row_number() OVER (PARTITION BY objective, state ORDER BY created_at NULLS FIRST, name COLLATE "C") AS place
  FROM judged WHERE state NOT IN ('fresh', 'exempt')
),
examples AS (SELECT objective, state, array_agg(name ORDER BY place) AS names FROM placed WHERE place <= ${mostExamples} GROUP BY objective, state)
SELECT counts.objective, counts.state, counts.vms, examples.names AS examples
FROM counts LEFT JOIN examples ON examples.state = counts.state AND examples.objective IS NOT DISTINCT FROM counts.objective`;
}

export function judgementParameters(engine: string, objectives: readonly VmObjective[], nowMs: number): readonly Parameter[] {
  const given = objectives.map((objective, place) => ({ place, name: objective.name, exempt: !asksForBackups(objective), max_age_hours: objective.maxAgeHours, verified_within_hours: objective.verifiedWithinHours }));
  return [engine, new Date(nowMs).toISOString(), JSON.stringify(given), ...objectives.map(({ vms }) => ('name' in vms ? likePatternOf(vms.name) : vms.tag))];
}
