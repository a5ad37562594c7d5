// Tells one sink what it has not been told, in order. What a sink does not take stays in the outbox; Temporal tries again. Role control.
import type { Catalog, Notice } from '../adapters/catalog/port';
import type { Engine } from '../adapters/ovirt/port';
import type { SinkName } from '../domain/flows/alerts';
import { tell } from './alive';
import type { AwarenessDependencies } from './dependencies';

export interface NoticeActivities {
  /** Gives the number that was delivered, when nothing is left. A notice may be told twice when a worker dies in between; the engine's log never holds it twice. */
  deliverNotices(input: { readonly engine: string; readonly sink: SinkName }): Promise<{ readonly delivered: number }>;
}

const noticesAtOnce = 50;
/** The engine cuts at 5000 characters, and what it shows has to be what we compare with. */
const longestText = 4_000;

export function createNoticeActivities({ catalog, engineOf, tellWebhook, tellLog }: AwarenessDependencies): NoticeActivities {
  const tellOne = async (sink: SinkName, notice: Notice): Promise<void> => {
    if (sink === 'engine-events') return showInEngine(catalog, engineOf(notice.engine), notice);
    if (sink === 'webhook') await tellWebhook(notice);
    else tellLog(notice);
    await catalog.noticeDelivered(notice.noticeId);
  };
  return {
    async deliverNotices({ engine, sink }) {
      for (let delivered = 0; ; ) {
        const due = await catalog.listDueNotices({ engine, sink, limit: noticesAtOnce });
        if (due.length === 0) return { delivered };
        for (const notice of due) {
          await tellOne(sink, notice);
          delivered += 1;
          tell({ delivered });
        }
      }
    },
  };
}

/** One event for each open alert: a reminder takes the place of the last one, and an alert that is over leaves a normal event. */
async function showInEngine(catalog: Catalog, engine: Engine, notice: Notice): Promise<void> {
  const { noticeId, kind, alert } = notice;
  const overtaken = (kind === 'raised' || kind === 'reminded') && alert?.isOpen === false;
  // Its end is told by a later notice: an alert event that nobody would delete must not appear.
  if (overtaken) return catalog.noticeDelivered(noticeId);
  if (kind === 'cleared' && alert?.engineEventId !== undefined) await engine.deleteEvent(alert.engineEventId);
  const posted = await postOnce(catalog, engine, notice);
  if (kind === 'reminded' && alert?.engineEventId !== undefined && alert.engineEventId !== posted) await engine.deleteEvent(alert.engineEventId);
  await catalog.noticeDelivered(noticeId, alert === undefined ? undefined : kind === 'cleared' ? null : posted);
}

async function postOnce(catalog: Catalog, engine: Engine, { noticeId, severity, message, vmId }: Notice): Promise<string> {
  const description = message.slice(0, longestText);
  for (let greatestUsed: number | undefined; ; ) {
    const customId = await catalog.takeCustomId(noticeId, greatestUsed);
    const posted = await engine.postEvent({ customId, severity, description, ...(vmId === undefined ? {} : { vmId }) });
    if (posted) return posted.id;
    // A reply of ours that was lost, or the event of another catalog (a new one begins to count anew).
    const events = await engine.listPostedEvents();
    const ours = events.find((event) => event.customId === customId && event.description === description);
    if (ours) return ours.id;
    // The engine remembers custom ids of events that it does not list any more: at least the next one.
    greatestUsed = Math.max(customId, ...events.map((event) => event.customId));
  }
}
