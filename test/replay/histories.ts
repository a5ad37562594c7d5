// The committed histories, as files and as what a replay wants. Which flows and cases there are is decided by test/histories/.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { HistoryAndWorkflowId } from '@temporalio/client';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';

const directory = path.resolve(__dirname, '../histories');

type EventAttributes = Readonly<Record<string, unknown>>;

/** One event of Temporal's JSON; what only some events have is read where it is needed. */
export interface HistoryEvent {
  readonly eventId: string;
  readonly eventType: string;
  readonly workflowExecutionStartedEventAttributes?: EventAttributes;
  readonly workflowExecutionFailedEventAttributes?: EventAttributes;
  readonly activityTaskScheduledEventAttributes?: EventAttributes;
}

export interface CommittedHistory {
  readonly flow: string;
  readonly release: string;
  readonly name: string;
  /** `<flow>/<release>-<name>` */
  readonly title: string;
  readonly events: readonly HistoryEvent[];
}

export function committedHistories(): readonly CommittedHistory[] {
  const flows = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return flows.flatMap(({ name: flow }) =>
    readdirSync(path.join(directory, flow))
      .sort()
      .map((file) => readCommitted(flow, file)),
  );
}

export function committedHistory(title: string): CommittedHistory {
  const [flow = '', file = ''] = title.split('/');
  return readCommitted(flow, `${file}.json`);
}

function readCommitted(flow: string, file: string): CommittedHistory {
  const [, release, name] = /^(\d+\.\d+\.\d+)-([a-z-]+)\.json$/.exec(file) ?? [];
  if (release === undefined || name === undefined)
    throw new Error(`test/histories/${flow}/${file}: a history is named <release>-<case>.json`);
  const { events } = JSON.parse(readFileSync(path.join(directory, flow, file), 'utf8')) as { events: readonly HistoryEvent[] };
  return { flow, release, name, title: `${flow}/${release}-${name}`, events };
}

/** The flows refuse to run under an id that is not theirs, so a replay needs the recorded one. */
export function toReplay({ events }: Pick<CommittedHistory, 'events'>): HistoryAndWorkflowId {
  const { workflowId } = events[0]?.workflowExecutionStartedEventAttributes ?? {};
  if (typeof workflowId !== 'string') throw new Error('the history does not begin with a workflow id');
  return { workflowId, history: historyFromJSON({ events }) };
}

export function activityOf(event: HistoryEvent): string | undefined {
  const type = event.activityTaskScheduledEventAttributes?.['activityType'] as { readonly name: string } | undefined;
  return type?.name;
}
