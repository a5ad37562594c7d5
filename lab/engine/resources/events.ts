// Events: newest first; clients may post their own.
import { deleteEvent, followAuditLog } from '../audit-log';
import type { Context } from '../context';
import { HttpFault, incomplete, invalidValue, notFound } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import { refuse } from '../refusals';
import type { EventRecord, Severity } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { ref } from './links';

function view(event: EventRecord): Wire {
  return wire('event', {
    ...ref('events', event.id),
    code: event.code,
    correlation_id: event.correlationId === '' ? undefined : event.correlationId,
    custom_id: event.customId,
    description: event.description,
    flood_rate: 30,
    index: event.index,
    origin: event.origin,
    severity: event.severity,
    time: new Date(event.timeMs),
    user: event.user === undefined ? undefined : { name: event.user },
    vm: event.vmId === undefined ? undefined : ref('vms', event.vmId),
    storage_domain: event.domainId === undefined ? undefined : ref('storagedomains', event.domainId),
  });
}

const severities: readonly Severity[] = ['normal', 'warning', 'error', 'alert'];

function fields({ store }: Context): SearchFields<EventRecord> {
  return {
    message: (event) => event.description,
    correlation_id: (event) => event.correlationId,
    severity: (event) => event.severity,
    type: (event) => event.code,
    origin: (event) => event.origin,
    // `vm=` is no field of events but free text in the VM that they are about (a cross reference), which by its name is the same.
    vm: (event) => store.tables.vms.get(event.vmId)?.name,
    event_vm: (event) => store.tables.vms.get(event.vmId)?.name,
    _event_vm_id: (event) => event.vmId,
    event_storage: (event) => store.tables.domains.get(event.domainId)?.name,
    _event_storage_id: (event) => event.domainId,
    custom_event_id: (event) => event.customId,
    usrname: (event) => event.user,
    time: (event) => event.timeMs,
  };
}

function post(context: Context, call: Call): Answer {
  const { body } = call;
  const [origin, severity, customId, description] = [
    body.word('origin'),
    body.word('severity'),
    body.int('custom_id'),
    body.text('description'),
  ];
  if (origin === undefined || severity === undefined || customId === undefined || description === undefined) {
    throw incomplete('Event', ['origin', 'severity', 'customId', 'description']);
  }
  if (!isSeverity(severity)) throw invalidValue(severity, 'LogSeverity');
  if (origin.toLowerCase() === 'ovirt') throw refuse('event/origin');
  // A deleted event keeps its custom id: the engine's unique index knows nothing of deletion.
  if (context.store.tables.events.all().some((event) => event.origin === origin && event.customId === customId))
    throw refuse('event/custom-id-used');
  // An id that no VM has is taken as it is (observed).
  const [vmId, domainId] = [bodyId(call, 'vm.id'), bodyId(call, 'storage_domain.id')];
  const event = context.events.post({
    severity,
    origin,
    customId,
    description,
    ...(vmId === undefined ? {} : { vmId }),
    ...(domainId === undefined ? {} : { domainId }),
  });
  return { kind: 'created', item: view(event) };
}

function isSeverity(word: string): word is Severity {
  return severities.some((severity) => severity === word);
}

export function eventRoutes(context: Context): Route[] {
  const { events } = context.store.tables;
  const wanted = (call: Call): EventRecord => {
    const id = param(call, 'event');
    if (!/^\d+$/.test(id)) throw new HttpFault(400, 'fault', 'Operation Failed', `For input string: "${id}"`);
    const event = events.get(id);
    if (event === undefined) throw notFound();
    return event;
  };
  const list = async (call: Call): Promise<Answer> => {
    await followAuditLog(context);
    const from = call.query.int('from') ?? 0;
    // With `from` and `max` together the newest are returned and the others skipped (observed).
    const rows = events.where((event) => !event.deleted && event.index > from).sort((left, right) => right.index - left.index);
    return many('event', select(rows, call, fields(context)).map(view));
  };
  return [
    { method: 'GET', path: '/events', query: ['search', 'max', 'from', 'case_sensitive'], handle: list },
    {
      method: 'POST',
      path: '/events',
      body: { type: 'event', accepts: ['origin', 'severity', 'custom_id', 'description', 'vm.id', 'storage_domain.id'] },
      handle: (call) => post(context, call),
    },
    // A deleted event still answers by its id (observed).
    { method: 'GET', path: '/events/:event', handle: (call) => one(view(wanted(call))) },
    {
      method: 'DELETE',
      path: '/events/:event',
      handle: async (call) => {
        await deleteEvent(context, wanted(call));
        return done();
      },
    },
  ];
}
