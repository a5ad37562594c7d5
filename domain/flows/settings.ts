// What the worker's configuration decides for a run. It reaches a flow as the answer of `openRun`, so that a replay sees the same values.
import { z } from 'zod';
import { witnessPolicySchema, type ChainPolicy } from '../chain';
import { uuidSchema } from '../ids';

export const runSettingsSchema = z.object({
  snapshotPrefix: z.string(),
  /** The engine's appliances in order of preference. */
  applianceIds: z.array(uuidSchema),
  /** When hosts bear witness, unless the request says. This and the next are absent in the histories of older workers. */
  witness: witnessPolicySchema.optional(),
  chain: z.object({ maxChainLength: z.number().int().min(1), fullEveryMs: z.number().positive().optional() }).optional(),
  disksAtOnce: z.number().int().positive(),
  /** A worker that is silent for so long is taken for dead. */
  heartbeatSeconds: z.number().positive(),
  /** One call to the engine, the catalog or the repository may take so long. */
  callSeconds: z.number().positive(),
  deadlines: z.object({
    /** Until a snapshot is `ok`, or a VM backup `ready`. */
    snapshotSeconds: z.number().int().positive(),
    /** Until a disk is plugged, created or unplugged, or an image transfer begins or ends. */
    attachSeconds: z.number().int().positive(),
    /** Until a worker of a queue must have picked up a task. */
    workerSeconds: z.number().int().positive(),
    /** Until an undo (a merge included) gives up and becomes a leftover. */
    undoSeconds: z.number().int().positive(),
    /** A copy may wait so long for a free worker. */
    queueSeconds: z.number().int().positive(),
  }),
});
/** A month of nightly backups; how old the full one may be is the configuration's business. */
export const defaultChainPolicy: ChainPolicy = { maxChainLength: 30 };

export type RunSettings = z.infer<typeof runSettingsSchema>;
