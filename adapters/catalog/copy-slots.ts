// The catalog's copy slots: the line of copies that wait and run in an engine. Whose turn it is decides domain/copy-slots, on all rows of the
// engine at once: whoever asks holds the engine's lock meanwhile, so two workers never grant the same room.
import { judgeSlots, type SlotRequest } from '../../domain/copy-slots';
import { HoldfastError } from '../../domain/failures';
import type { Database, Statements } from './database';
import type { Catalog, CopySlotCount, NewCopySlot, UncheckedSlot } from './port';

type SlotRow = Omit<SlotRequest, 'state'> & { readonly state: SlotRequest['state'] | 'released' };

export function createCopySlots(database: Database): Pick<Catalog, 'takeCopySlot' | 'giveBackCopySlot' | 'claimUncheckedSlots' | 'dropCopySlots' | 'countCopySlots'> {
  return {
    async takeCopySlot(slot, limits) {
      return database.transaction(`taking copy slot ${slot.slotId}`, async (statements) => {
        await lockLine(statements, slot.engine);
        await ask(statements, slot, 'waiting');
        const rows = await statements.rows<SlotRow>(
          "SELECT slot_id, storage_domain_id, state FROM holdfast.copy_slots WHERE engine = $1 AND (state <> 'released' OR slot_id = $2) ORDER BY sequence",
          [slot.engine, slot.slotId],
        );
        const verdict = judgeSlots(rows.filter(isOpen), limits).get(slot.slotId);
        if (!verdict) throw new HoldfastError('catalog.conflict', `copy slot ${slot.slotId} was given back before it was asked for: a copy takes a slot of its own`, { slotId: slot.slotId });
        if (verdict.granted) await statements.change("UPDATE holdfast.copy_slots SET state = 'held' WHERE slot_id = $1 AND state = 'waiting'", [slot.slotId]);
        return verdict;
      });
    },

    async giveBackCopySlot(slot) {
      // The row stays until its run is closed: a request of the same copy that comes late, from a worker thought dead, must find it.
      await database.transaction(`giving back copy slot ${slot.slotId}`, async (statements) => {
        await lockLine(statements, slot.engine);
        await ask(statements, slot, 'released');
        await statements.change("UPDATE holdfast.copy_slots SET state = 'released' WHERE slot_id = $1 AND state <> 'released'", [slot.slotId]);
      });
    },

    async claimUncheckedSlots({ engine, namespace }, afterSeconds) {
      return database.call(`looking for copy slots without an owner in engine ${engine}`).rows<UncheckedSlot>(
        `UPDATE holdfast.copy_slots SET checked_at = now()
         WHERE engine = $1 AND namespace = $2 AND state <> 'released' AND checked_at < now() - make_interval(secs => $3)
         RETURNING slot_id, workflow_id, execution_id`,
        [engine, namespace, afterSeconds],
      );
    },

    async dropCopySlots(slotIds) {
      await database.call(`dropping ${slotIds.length} copy slots`).change('DELETE FROM holdfast.copy_slots WHERE slot_id = ANY ($1::text[])', [slotIds]);
    },

    async countCopySlots() {
      const rows = await database.call('counting copy slots').rows<Omit<CopySlotCount, 'count'> & { readonly count: string }>(
        "SELECT engine, state, count(*) FROM holdfast.copy_slots WHERE state <> 'released' GROUP BY engine, state ORDER BY engine, state",
      );
      return rows.map((row) => ({ ...row, count: Number(row.count) }));
    },
  };
}

/** Ends with the transaction. */
async function lockLine(statements: Statements, engine: string): Promise<void> {
  await statements.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`holdfast copy slots ${engine}`]);
}

async function ask(statements: Statements, { slotId, engine, runId, diskId, storageDomainId, namespace, workflowId, executionId }: NewCopySlot, state: 'waiting' | 'released'): Promise<void> {
  await statements.change(
    `INSERT INTO holdfast.copy_slots (slot_id, engine, run_id, disk_id, storage_domain_id, namespace, workflow_id, execution_id, state)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (slot_id) DO NOTHING`,
    [slotId, engine, runId, diskId, storageDomainId ?? null, namespace, workflowId, executionId, state],
  );
}

function isOpen(row: SlotRow): row is SlotRequest {
  return row.state !== 'released';
}
