// What a crash worker may be told to do wrong, as a file that the harness writes while the worker runs. Read anew at every activity, so that
// only a worker that really died has to be started again. Nothing of this is reachable from the worker that is shipped.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

export const faultSchema = z.strictObject({
  /** SIGKILL to the worker itself before or after this activity of this workflow, once. */
  kill: z.strictObject({ activityId: z.string(), activityType: z.string(), moment: z.enum(['before', 'after']) }).optional(),
  /** This activity fails for good, so that the run undoes itself. */
  fail: z.strictObject({ activityType: z.string() }).optional(),
  /** This activity does nothing and says that it did: a broken undo. */
  skip: z.strictObject({ activityType: z.string() }).optional(),
  /** This activity (without an id: the first of its type) waits at its beginning until the harness lets it go. */
  hold: z.strictObject({ activityType: z.string(), activityId: z.string().optional() }).optional(),
  /** Only runs under this workflow id are meant. */
  workflowId: z.string(),
});
export type Fault = z.infer<typeof faultSchema>;

/** What the dying worker writes before it dies, and the harness reads. */
export const firedSchema = z.object({ pid: z.number(), activityType: z.string(), activityId: z.string(), attempt: z.number(), moment: z.string(), atMs: z.number() });
export type Fired = z.infer<typeof firedSchema>;

export const faultFiles = (directory: string): Readonly<Record<'fault' | 'fired' | 'held' | 'letGo', string>> => ({
  fault: join(directory, 'fault.json'),
  fired: join(directory, 'fired.json'),
  held: join(directory, 'held.json'),
  letGo: join(directory, 'let-go'),
});

export function readFault(directory: string): Fault | undefined {
  const { fault } = faultFiles(directory);
  return existsSync(fault) ? faultSchema.parse(JSON.parse(readFileSync(fault, 'utf8'))) : undefined;
}

/** Once per fault: false when it was recorded before. Durable before it returns, since the process may not live to close the file. */
export function recordOnce(file: string, fired: Fired): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx');
  } catch {
    return false;
  }
  writeSync(descriptor, JSON.stringify(fired));
  fsyncSync(descriptor);
  closeSync(descriptor);
  return true;
}
