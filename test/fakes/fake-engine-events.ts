// The event log of the fake engine: what it tells, and what is posted into it. A custom id is taken until the event that has it is forgotten, deleted or not.
import type { EngineAwareness, PostedEvent } from '../../adapters/ovirt/port-awareness';
import type { Engine, EngineEvent } from '../../adapters/ovirt/port';
import { FakeEngineBase } from './fake-engine-base';

const longestDescription = 5000;
const postedCodes = { normal: 9801, warning: 9802, error: 9803, alert: 9804 } as const;

export abstract class FakeEngineEvents extends FakeEngineBase implements EngineAwareness {
  backupDates: { readonly db?: string; readonly files?: string } = {};
  /** Oldest first, deleted ones too. */
  readonly postedEvents: (PostedEvent & { readonly deleted: boolean })[] = [];
  private lastPosted = 1_000_000;

  /** As AuditLogAgingThreshold does: what was posted so far is gone, and its custom ids are free. */
  forgetPostedEvents(): void {
    for (const { id } of this.postedEvents.splice(0)) this.unlist(id);
  }

  listEvents = (query: Parameters<Engine['listEvents']>[0]): Promise<readonly EngineEvent[]> =>
    this.read('listEvents', () => {
      const codes = 'search' in query ? [...query.search.matchAll(/type=(\d+)/g)].map(([, code]) => Number(code)) : [];
      const words = 'search' in query ? query.search.replace(/^"(.*)"$/, '$1') : '';
      const isFound = (event: EngineEvent): boolean => ('search' in query ? (codes.length > 0 ? codes.includes(event.code) : event.description.includes(words)) : event.correlationId === query.correlationId);
      return [...this.events].reverse().filter(isFound);
    });
  engineBackupDates = (): ReturnType<EngineAwareness['engineBackupDates']> => this.read('engineBackupDates', () => this.backupDates);
  postEvent = ({ customId, severity, description: text, vmId }: Parameters<EngineAwareness['postEvent']>[0]): Promise<PostedEvent | undefined> =>
    this.change('postEvent', () => {
      if (this.postedEvents.some((each) => each.customId === customId)) return undefined;
      const event = { id: String((this.lastPosted += 1)), severity, description: text.slice(0, longestDescription), time: new Date().toISOString() };
      this.postedEvents.push({ ...event, customId, deleted: false });
      this.events.push({ ...event, code: postedCodes[severity], ...(vmId === undefined ? {} : { vmId }) });
      return { ...event, customId };
    });
  deleteEvent = (eventId: string): Promise<void> =>
    this.change('deleteEvent', () => {
      const at = this.postedEvents.findIndex(({ id }) => id === eventId);
      const found = this.postedEvents[at];
      if (found) this.postedEvents[at] = { ...found, deleted: true };
      this.unlist(eventId);
    });
  listPostedEvents = (): Promise<readonly PostedEvent[]> =>
    this.read('listPostedEvents', () => this.postedEvents.filter((each) => !each.deleted).reverse().map(({ id, customId, severity, description, time }) => ({ id, customId, severity, description, ...(time === undefined ? {} : { time }) })));

  private unlist(eventId: string): void {
    const at = this.events.findIndex(({ id }) => id === eventId);
    if (at >= 0) this.events.splice(at, 1);
  }
}
