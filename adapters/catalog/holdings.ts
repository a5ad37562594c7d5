// The catalog's holdings: written ahead of each acquisition, so that whatever crashes, the object and its owner are known.
import { HoldfastError } from '../../domain/failures';
import type { OpenHolding } from '../../domain/flows/holdings';
import type { Holding } from '../../domain/holdings';
import type { Database } from './database';
import type { Catalog } from './port';

type OptionalId = 'vmId' | 'objectId' | 'parentId' | 'snapshotId';
type HoldingRow = Omit<Holding, OptionalId> & Record<OptionalId, string | null>;
type OpenHoldingRow = HoldingRow & OpenHolding['run'] & { readonly heldAt: Date; readonly ageSeconds: number };

const columns = 'holding_id, run_id, engine, kind, vm_id, object_id, parent_id, snapshot_id, mark, state';

export function createHoldings(database: Database): Pick<Catalog, 'hold' | 'setHoldingObject' | 'releaseHolding' | 'listHoldings' | 'listOpenHoldings'> {
  return {
    async hold(holding) {
      // A repeat keeps the object that is known. Holding again what was let go is a new acquisition (a Temporal reset): it must
      // count as held, and the object of the first time is not the object of this one.
      await database.call(`holding ${holding.holdingId}`).change(
        `INSERT INTO holdfast.holdings AS known (holding_id, run_id, engine, kind, vm_id, object_id, parent_id, snapshot_id, mark)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (holding_id) DO UPDATE
         SET state = 'held',
             object_id = coalesce(excluded.object_id, CASE WHEN known.state <> 'released' THEN known.object_id END)
         WHERE known.state <> 'held'`,
        [
          holding.holdingId, holding.runId, holding.engine, holding.kind, holding.vmId ?? null,
          holding.objectId ?? null, holding.parentId ?? null, holding.snapshotId ?? null, holding.mark,
        ],
      );
    },

    async setHoldingObject(holdingId, objectId) {
      const changed = await database
        .call(`noting object ${objectId} of holding ${holdingId}`)
        .change('UPDATE holdfast.holdings SET object_id = $2 WHERE holding_id = $1', [holdingId, objectId]);
      if (changed === 0) {
        throw new HoldfastError('catalog.conflict', `no holding ${holdingId} in the catalog at ${database.where}, so object ${objectId} has no owner: hold before acquiring`, { holdingId, objectId });
      }
    },

    async releaseHolding(holdingId, state) {
      await database
        .call(`releasing holding ${holdingId}`)
        .change('UPDATE holdfast.holdings SET state = $2 WHERE holding_id = $1 AND state <> $2', [holdingId, state]);
    },

    async listHoldings(query) {
      const statements = database.call('listing holdings');
      const rows =
        'runId' in query
          ? await statements.rows<HoldingRow>(`SELECT ${columns} FROM holdfast.holdings WHERE run_id = $1 ORDER BY sequence`, [query.runId])
          : await statements.rows<HoldingRow>(`SELECT ${columns} FROM holdfast.holdings WHERE engine = $1 AND vm_id = $2 AND state = $3 ORDER BY sequence`, [query.engine, query.vmId, query.state]);
      return rows.map(toHolding);
    },

    async listOpenHoldings({ engine, vmId, runId, state, kind, page }) {
      const rows = await database.call('listing open holdings').rows<OpenHoldingRow>(
        `SELECT h.holding_id, h.run_id, h.engine, h.kind, h.vm_id, h.object_id, h.parent_id, h.snapshot_id, h.mark, h.state, h.held_at,
                extract(epoch FROM now() - h.held_at)::float8 AS age_seconds, r.workflow_id, r.workflow_type, r.outcome, r.vm_name
         FROM holdfast.holdings AS h JOIN holdfast.runs AS r USING (run_id)
         WHERE h.state IN ('held', 'leftover')
           AND ($1::text IS NULL OR h.engine = $1)
           AND ($2::uuid IS NULL OR h.vm_id = $2)
           AND ($3::uuid IS NULL OR h.run_id = $3)
           AND ($4::text IS NULL OR h.state = $4)
           AND ($7::text IS NULL OR h.kind = $7)
         ORDER BY h.sequence
         LIMIT $5 OFFSET $6`,
        [engine ?? null, vmId ?? null, runId ?? null, state ?? null, page.limit + 1, page.offset, kind ?? null],
      );
      return rows.map(({ heldAt, ageSeconds, workflowId, workflowType, outcome, vmName, ...holding }) => ({
        ...toHolding(holding),
        heldAt: heldAt.toISOString(),
        ageSeconds: Math.max(0, Math.round(ageSeconds)),
        run: { workflowId, workflowType, outcome, vmName },
      }));
    },
  };
}

function toHolding({ vmId, objectId, parentId, snapshotId, ...rest }: HoldingRow): Holding {
  return {
    ...rest,
    ...(vmId === null ? {} : { vmId }),
    ...(objectId === null ? {} : { objectId }),
    ...(parentId === null ? {} : { parentId }),
    ...(snapshotId === null ? {} : { snapshotId }),
  };
}
