// The engine's event log, read and written, and what its API root tells of backups of the engine itself.
import { HoldfastError } from '../../domain/failures';
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import type { Engine } from './port';
import { eventOrigin, type EngineAwareness, type PostedEvent } from './port-awareness';
import { engineBackupSchema, eventSchema, listOf, parseAnswer, postedEventSchema } from './wire';

const maxEvents = 100;
const maxPostedEvents = 1000;
/** The engine's EVENT_ADD_CUSTOM_ID_ALREADY_EXISTS, by its words: the HTTP status is that of every wrong request. */
const usedCustomId = /custom id already exists/i;

export function eventCalls(engine: Connection): EngineAwareness & Pick<Engine, 'listEvents'> {
  return {
    async listEvents(query) {
      const search = 'correlationId' in query ? `correlation_id=${query.correlationId}` : query.search;
      const what = `listing events by "${search}"`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('events') + queryOf({ search, max: String(maxEvents) }), what });
      return parseAnswer(listOf('event', eventSchema), body, what, engine.engineName).map(({ id, code, severity, description, correlation_id: correlationId, time, vm }) => ({
        id, code, severity, description,
        ...(correlationId === undefined ? {} : { correlationId }), ...(time === undefined ? {} : { time }), ...(vm === undefined ? {} : { vmId: vm.id }),
      }));
    },
    async engineBackupDates() {
      const what = 'reading when the engine itself was backed up';
      const { body } = await engine.call({ method: 'GET', path: '', what });
      const { last_db_backup: db, last_engine_backup: files } = parseAnswer(engineBackupSchema, body, what, engine.engineName).engine_backup;
      return { ...(db === undefined ? {} : { db }), ...(files === undefined ? {} : { files }) };
    },
    async postEvent({ customId, severity, description, vmId }) {
      const what = `posting event ${customId} of ${eventOrigin}`;
      const event = { origin: eventOrigin, custom_id: String(customId), severity, description, ...(vmId === undefined ? {} : { vm: { id: vmId } }) };
      try {
        const { body } = await engine.call({ method: 'POST', path: pathOf('events'), body: event, what });
        return viewOf(parseAnswer(postedEventSchema, body, what, engine.engineName));
      } catch (error) {
        if (error instanceof HoldfastError && error.code === 'engine.refused' && usedCustomId.test(error.message)) return undefined;
        throw error;
      }
    },
    async deleteEvent(eventId) {
      await unlessAbsent(engine.call({ method: 'DELETE', path: pathOf('events', eventId), what: `deleting event ${eventId}` }));
    },
    async listPostedEvents() {
      const what = `listing the events of ${eventOrigin}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('events') + queryOf({ search: `origin=${eventOrigin}`, max: String(maxPostedEvents) }), what });
      // The engine's search does not tell upper from lower case.
      return parseAnswer(listOf('event', postedEventSchema), body, what, engine.engineName).filter(({ origin }) => origin === eventOrigin).map(viewOf);
    },
  };
}

function viewOf({ id, custom_id: customId, severity, description, time }: Omit<PostedEvent, 'customId' | 'time'> & { readonly custom_id: number; readonly time?: string | undefined }): PostedEvent {
  return { id, customId, severity, description, ...(time === undefined ? {} : { time }) };
}
