// What the worker's configuration decides for a run. It reaches a flow as the answer of `openRun`, so that a replay sees the same values.
import { z } from 'zod';
import { uuidSchema } from '../ids';

export const runSettingsSchema = z.object({
  snapshotPrefix: z.string(),
  /** The engine's appliances in order of preference. */
  applianceIds: z.array(uuidSchema),
  disksAtOnce: z.number().int().positive(),
  /** A worker that is silent for so long is taken for dead. */
  heartbeatSeconds: z.number().positive(),
  /** One call to the engine, the catalog or the repository may take so long. */
  callSeconds: z.number().positive(),
  deadlines: z.object({
    /** Until a snapshot is `ok`. */
    snapshotSeconds: z.number().int().positive(),
    /** Until a disk is plugged, created or unplugged. */
    attachSeconds: z.number().int().positive(),
    /** Until a worker of a queue must have picked up a task. */
    workerSeconds: z.number().int().positive(),
    /** Until an undo (a merge included) gives up and becomes a leftover. */
    undoSeconds: z.number().int().positive(),
    /** A copy may wait so long for a free worker. */
    queueSeconds: z.number().int().positive(),
  }),
});
export type RunSettings = z.infer<typeof runSettingsSchema>;
