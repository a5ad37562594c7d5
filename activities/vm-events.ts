// Events of one VM by their numbers. What the engine cuts (a hundred rows) or does not search by is not found: they explain and warn, and
// nothing is proven by their absence.
import type { Engine, EngineEvent } from '../adapters/ovirt/port';

/** Newest first; `since`: ISO 8601, by the engine's clock. */
export async function eventsOfVm(engine: Engine, codes: readonly number[], isOfVm: (event: EngineEvent) => boolean, since?: string): Promise<readonly EngineEvent[]> {
  const events = await engine.listEvents({ search: codes.map((code) => `type=${code}`).join(' or ') });
  const sinceMs = since === undefined ? 0 : Date.parse(since);
  return events.filter((event) => codes.includes(event.code) && isOfVm(event) && event.time !== undefined && Date.parse(event.time) >= sinceMs);
}
