// The steps of a flow, twice: as a run really scheduled them (its history, so that a new step is a new cell by itself), and as the flow's
// source names them (so that a step which no recorded run takes is missed). The whole matrix records them anew; `npm test` takes them as they were
// recorded last, and a kill that does not fire, because its step is another one now, is a red cell.
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { HoldfastClient } from '../../client';

export interface Step {
  readonly activityId: string;
  readonly activityType: string;
}

const recordedFile = path.resolve(__dirname, 'recorded-steps.json');
const recordedSchema = z.record(z.string(), z.array(z.tuple([z.string(), z.string()]).transform(([activityId, activityType]): Step => ({ activityId, activityType }))));

/** By the names of the shapes of run. */
export function readRecorded(): ReadonlyMap<string, readonly Step[]> {
  return new Map(Object.entries(recordedSchema.parse(JSON.parse(readFileSync(recordedFile, 'utf8')))));
}

export async function writeRecorded(recorded: ReadonlyMap<string, readonly Step[]>): Promise<void> {
  const lines = [...recorded].map(([name, steps]) => `  ${JSON.stringify(name)}: ${JSON.stringify(steps.map(({ activityId, activityType }) => [activityId, activityType]))}`);
  await writeFile(recordedFile, `{\n${lines.join(',\n')}\n}\n`);
}

export async function recordedSteps(client: HoldfastClient, workflowId: string): Promise<readonly Step[]> {
  const { events } = await client.temporal.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityId && scheduled.activityType?.name ? [{ activityId: scheduled.activityId, activityType: scheduled.activityType.name }] : [],
  );
}

/** Under which an activity's input names an object that is the run's own. */
const ownKeys = /"(?:diskId|targetDiskId|newVmId|snapshotId|backupId|vmBackupId|vmBackupKey|transferId)":"([0-9a-f-]{36})"/g;

/** Ids of what the run made or was about, as its history names them. */
export async function idsOf(client: HoldfastClient, workflowId: string): Promise<readonly string[]> {
  const { events } = await client.temporal.workflow.getHandle(workflowId).fetchHistory();
  const inputs = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.input?.payloads ?? []);
  return [...new Set(inputs.flatMap(({ data }) => [...Buffer.from(data ?? []).toString('utf8').matchAll(ownKeys)].map((found) => found[1] ?? '')))];
}

/** When the server heard that the activity was done: the end of what one meant to be in the middle of. */
export async function doneAtMs(client: HoldfastClient, workflowId: string, activityType: string): Promise<number> {
  const { events } = await client.temporal.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = events?.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activityType)?.eventId;
  const done = events?.find((event) => event.activityTaskCompletedEventAttributes && String(event.activityTaskCompletedEventAttributes.scheduledEventId) === String(scheduled));
  return done ? Number(done.eventTime?.seconds ?? 0) * 1000 + (done.eventTime?.nanos ?? 0) / 1e6 : Infinity;
}

const workflows = path.resolve(__dirname, '../../workflows');
/** Flows that hold nothing: questions. */
const questions: readonly string[] = ['awareness.ts', 'catalog.ts', 'find-vms.ts', 'run-doctor.ts'];
/** `proxies.control.planBackup(`, `proxies.waiting(seconds).createDisk(`, `opening.openRun(`, `catalog.closeRun(`. */
const call = /\b(?:(?:this\.)?proxies\.\w+(?:\([^()]*(?:\([^()]*\))?[^()]*\))?|opening|catalog)\.(\w+)\(/g;

/** `names`: below workflows/; all but the questions when there are none, so that a new file is one of them by itself. */
export async function stepsInSource(...names: readonly string[]): Promise<readonly string[]> {
  const all = (await readdir(workflows, { recursive: true })).filter((name) => name.endsWith('.ts') && !questions.includes(name));
  const texts = await Promise.all((names.length > 0 ? names : all).map((name) => readFile(path.join(workflows, name), 'utf8')));
  return [...new Set(texts.flatMap((text) => [...text.matchAll(call)].map((found) => found[1] ?? '')))].sort();
}
