// The catalog's runs: opened before anything happens, closed once with what became of them.
import { z } from 'zod';
import type { Run } from '../../domain/flows/queries';
import { HoldfastError } from '../../domain/failures';
import { leftoverSchema } from '../../domain/holdings';
import { storableText, type Database } from './database';
import type { Catalog, NewRun } from './port';

interface RunRow extends Omit<Run, 'startedAt' | 'endedAt' | 'failure' | 'leftovers'> {
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly leftovers: unknown;
}

export function createRuns(database: Database): Pick<Catalog, 'openRun' | 'nameRun' | 'closeRun' | 'listRuns'> {
  return {
    async openRun(run) {
      const statements = database.call(`opening run ${run.runId}`);
      const inserted = await statements.change(
        `INSERT INTO holdfast.runs (run_id, workflow_id, workflow_type, engine, vm_id, vm_name, backup_id, repository, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT DO NOTHING`,
        [run.runId, run.workflowId, run.workflowType, run.engine, run.vmId ?? null, run.vmName, run.backupId ?? null, run.repository ?? null, run.requestId ?? null],
      );
      if (inserted === 1) return;
      const rivals = await statements.rows<Rival>(
        'SELECT run_id, workflow_id, outcome, request_id FROM holdfast.runs WHERE run_id = $1 OR request_id = $2',
        [run.runId, run.requestId ?? null],
      );
      for (const rival of rivals) refuseRival(run, rival);
    },

    async nameRun(runId, vmName) {
      await database.call(`naming run ${runId}`).change('UPDATE holdfast.runs SET vm_name = $2 WHERE run_id = $1', [runId, storableText(vmName)]);
    },

    async closeRun(end) {
      const leftovers = JSON.stringify(end.leftovers, (_, value: unknown) => (typeof value === 'string' ? storableText(value) : value));
      await database.call(`giving back the copy slots of run ${end.runId}`).change('DELETE FROM holdfast.copy_slots WHERE run_id = $1', [end.runId]);
      // A repeat finds nothing distinct, so the first end's time stays; a run that a Temporal reset takes up again may end otherwise.
      await database.call(`closing run ${end.runId}`).change(
        `UPDATE holdfast.runs
         SET outcome = $2, failure_code = $3, failure_message = $4, warnings = $5, leftovers = $6, ended_at = now()
         WHERE run_id = $1
           AND (outcome, failure_code, failure_message, warnings, leftovers) IS DISTINCT FROM ($2::text, $3::text, $4::text, $5::text[], $6::jsonb)`,
        [end.runId, end.outcome, end.failure?.code ?? null, end.failure?.message ?? null, end.warnings, leftovers],
      );
    },

    async listRuns({ engine, vmId, runId, outcome, page }) {
      const rows = await database.call('listing runs').rows<RunRow>(
        `SELECT run_id, workflow_id, workflow_type, engine, vm_id, vm_name, backup_id, repository, outcome, started_at, ended_at, failure_code, failure_message, warnings, leftovers
         FROM holdfast.runs
         WHERE ($1::text IS NULL OR engine = $1)
           AND ($2::uuid IS NULL OR vm_id = $2)
           AND ($3::uuid IS NULL OR run_id = $3)
           AND ($4::text IS NULL OR outcome = $4)
         ORDER BY started_at DESC, run_id DESC
         LIMIT $5 OFFSET $6`,
        [engine ?? null, vmId ?? null, runId ?? null, outcome ?? null, page.limit + 1, page.offset],
      );
      return rows.map(toRun);
    },
  };
}

type Rival = Pick<RunRow, 'runId' | 'workflowId' | 'outcome'> & { readonly requestId: string | null };

/** A row that stood in the way is the same run once more, or a real conflict. */
function refuseRival(run: NewRun, rival: Rival): void {
  if (rival.runId !== run.runId) {
    throw new HoldfastError(
      'catalog.conflict',
      `request id ${run.requestId ?? ''} was used before, by run ${rival.runId} (workflow ${rival.workflowId}, ${rival.outcome}): look at that run, or ask again with a new request id`,
      { requestId: run.requestId, runId: rival.runId, workflowId: rival.workflowId },
    );
  }
  if (rival.workflowId !== run.workflowId || rival.requestId !== (run.requestId ?? null)) {
    throw new HoldfastError(
      'catalog.conflict',
      `run id ${run.runId} belongs to workflow ${rival.workflowId} already: a run takes a fresh id`,
      { runId: run.runId, workflowId: rival.workflowId },
    );
  }
}

function toRun({ failureCode, failureMessage, startedAt, endedAt, leftovers, ...rest }: RunRow): Run {
  return {
    ...rest,
    startedAt: startedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    failure: failureCode === null ? null : { code: failureCode, message: failureMessage ?? '' },
    leftovers: z.array(leftoverSchema).parse(leftovers),
  };
}
