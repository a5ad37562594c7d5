// The one statement that evaluates all VMs of an engine: the rule of domain/awareness/vm-objectives (a test compares the two), as sets. It stands apart
// so that `npm run bench -- awareness` can show how PostgreSQL carries it out.
import { likePatternOf, mostExamples, type VmObjective } from '../../domain/awareness/vm-objectives';
import type { Parameter } from './database';

/** A VM's newest backup is one step in the index backups_of_vm; verifications are looked up only where an objective asks for them. */
export function judgement(): string {
  return `
WITH objectives AS MATERIALIZED (
  SELECT place, name, pattern, tag, max_age_hours * interval '1 hour' AS max_age, verified_within_hours * interval '1 hour' AS verified_within
  FROM jsonb_to_recordset($2::jsonb) AS given (place integer, name text, pattern text, tag text, max_age_hours double precision, verified_within_hours double precision)
),
covered AS (
  SELECT vm.vm_id, vm.name,
    (SELECT o.place FROM objectives o WHERE vm.name LIKE o.pattern OR o.tag = ANY (vm.tags) ORDER BY o.place LIMIT 1) AS place
  FROM holdfast.vm_inventory vm
  WHERE vm.engine = $1 AND NOT vm.is_exempt AND EXISTS (SELECT FROM objectives)
),
dated AS (
  SELECT covered.vm_id, covered.name, o.name AS objective, o.max_age, o.verified_within, newest.backup_id, newest.created_at
  FROM covered
  LEFT JOIN objectives o USING (place)
  LEFT JOIN LATERAL (
    SELECT b.backup_id, b.created_at FROM holdfast.backups b
    WHERE b.engine = $1 AND b.vm_id = covered.vm_id AND b.created_at <= $3::timestamptz
    ORDER BY b.created_at DESC, b.backup_id DESC LIMIT 1
  ) newest ON true
),
judged AS MATERIALIZED (
  SELECT vm_id, name, objective, created_at,
    CASE
      WHEN objective IS NULL THEN 'uncovered'
      WHEN created_at IS NULL THEN 'never'
      WHEN created_at < $3::timestamptz - max_age THEN 'too-old'
      WHEN verified_within IS NULL THEN 'fresh'
      WHEN EXISTS (
        SELECT FROM holdfast.backups b
        CROSS JOIN LATERAL (
          SELECT v.outcome, v.verified_at FROM holdfast.verifications v
          WHERE v.repository = b.repository AND v.backup_id = b.backup_id ORDER BY v.verified_at DESC LIMIT 1
        ) last
        WHERE b.backup_id = dated.backup_id AND last.outcome = 'passed' AND last.verified_at >= $3::timestamptz - verified_within
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
counts AS (SELECT objective, state, count(*) AS vms FROM judged GROUP BY objective, state)
SELECT counts.objective, counts.state, counts.vms,
  CASE WHEN counts.state <> 'fresh' THEN ARRAY(
    SELECT judged.name FROM judged
    WHERE judged.state = counts.state AND judged.objective IS NOT DISTINCT FROM counts.objective
    ORDER BY judged.created_at NULLS FIRST, judged.name COLLATE "C" LIMIT ${mostExamples}
  ) END AS examples
FROM counts`;
}

export function judgementParameters(engine: string, objectives: readonly VmObjective[], nowMs: number): readonly Parameter[] {
  const rows = objectives.map(({ name, vms, maxAgeHours, verifiedWithinHours }, place) => ({
    place, name, max_age_hours: maxAgeHours, ...(verifiedWithinHours === undefined ? {} : { verified_within_hours: verifiedWithinHours }), ...('name' in vms ? { pattern: likePatternOf(vms.name) } : { tag: vms.tag }),
  }));
  return [engine, JSON.stringify(rows), new Date(nowMs).toISOString()];
}
