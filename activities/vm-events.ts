// Events of one VM by their numbers. What the engine cuts (a hundred rows) or does not search by is not found: they explain and warn, and
// nothing is proven by their absence.
import type { Engine, EngineEvent } from '../adapters/ovirt/port';
import { freezeRefusedEvent, frozenEvent, thawedEvent } from '../domain/consistency';

/** Newest first; `since`: ISO 8601, by the engine's clock. */
export async function eventsOfVm(engine: Engine, codes: readonly number[], isOfVm: (event: EngineEvent) => boolean, since?: string): Promise<readonly EngineEvent[]> {
  const events = await engine.listEvents({ search: codes.map((code) => `type=${code}`).join(' or ') });
  const sinceMs = since === undefined ? 0 : Date.parse(since);
  return events.filter((event) => codes.includes(event.code) && isOfVm(event) && event.time !== undefined && Date.parse(event.time) >= sinceMs);
}

/** Freezes and thaws that somebody has asked for. */
export function freezesOfVm(engine: Engine, vmId: string): Promise<readonly EngineEvent[]> {
  return eventsOfVm(engine, [frozenEvent, thawedEvent, freezeRefusedEvent], (event) => event.vmId === vmId);
}

/** Those that name the id in their text, and those of the same commands that do not: by their correlation ids. */
export async function eventsAbout(engine: Engine, id: string): Promise<readonly EngineEvent[]> {
  const named = await engine.listEvents({ search: id });
  const found = new Map(named.map((event) => [event.id, event]));
  for (const correlationId of new Set(named.flatMap((event) => event.correlationId ?? []))) for (const event of await engine.listEvents({ correlationId })) found.set(event.id, event);
  return [...found.values()];
}
