// How the event list follows the audit log in the engine's database, and how events age out of both (AuditLogAgingThreshold: what is older than so many
// days, and every event before it, is deleted for good; engine: DeleteAuditLogOlderThenDate).
import type { Context } from './context';
import type { EventRecord } from './state/model';

const dayMs = 86_400_000;

/** Without a database, or while it cannot be reached, the list is what it was. */
export async function followAuditLog(context: Context): Promise<void> {
  const { database, store, events, log } = context;
  if (database === undefined) return;
  try {
    const rows = await database.auditLog();
    store.write(() => {
      const known = new Map(store.tables.events.where(({ auditLogId }) => auditLogId !== undefined).map((event) => [event.auditLogId, event]));
      for (const { id, deleted, ...row } of rows) {
        const event = known.get(id);
        if (event === undefined) events.follow({ ...row, deleted, auditLogId: id });
        else if (event.deleted !== deleted) store.tables.events.patch(event.id, { deleted });
      }
      const there = new Set(rows.map(({ id }) => id));
      for (const [id, event] of known) if (id !== undefined && !there.has(id)) store.tables.events.delete(event.id);
    });
  } catch (error) {
    log(`the audit log could not be read: ${String(error)}`);
  }
}

export async function deleteEvent({ store, database }: Context, { id, auditLogId }: EventRecord): Promise<void> {
  if (auditLogId !== undefined) await database?.markDeleted(auditLogId);
  store.write(() => {
    store.tables.events.patch(id, { deleted: true });
  });
}

/** How many events went. `days`: 0 takes all that there are. */
export async function ageEvents(context: Context, days: number): Promise<number> {
  const { store, clock, database } = context;
  await followAuditLog(context);
  const isOld = ({ timeMs }: EventRecord): boolean => days === 0 || clock.elapsedMs(timeMs) > days * dayMs;
  const newest = Math.max(0, ...store.tables.events.where(isOld).map(({ index }) => index));
  const gone = store.tables.events.where(({ index }) => index <= newest);
  const rows = gone.flatMap(({ auditLogId }) => auditLogId ?? []);
  if (rows.length > 0) await database?.remove(rows);
  store.write(() => {
    for (const { id } of gone) store.tables.events.delete(id);
  });
  return gone.length;
}
