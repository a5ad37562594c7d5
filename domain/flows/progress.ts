// What a running flow tells: the answer of its `progress` query, also written into Temporal's current details.
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { uuidSchema } from '../ids';
import { consistencyLevels, noteSchema } from '../manifest';

export const phases = ['planning', 'snapshot', 'vm-backup', 'configuration', 'attach', 'copy', 'verify', 'seal', 'disks', 'prove', 'replace', 'create-vm', 'cleanup', 'done'] as const;
export type Phase = (typeof phases)[number];

export const diskProgressSchema = z.object({
  diskId: uuidSchema,
  alias: z.string(),
  virtualBytes: z.number().int(),
  /** Position up to which the target is durable. */
  positionBytes: z.number().int(),
  /** Bytes moved that were not zero. */
  dataBytes: z.number().int(),
  bytesPerSecond: z.number(),
  state: z.enum(['waiting', 'copying', 'proving', 'done']),
  /** Which limit keeps the copy from beginning: a sentence for operators. */
  waitingFor: z.string().nullable(),
});
export type DiskProgress = z.infer<typeof diskProgressSchema>;

export const progressSchema = z.object({
  runId: uuidSchema,
  vmId: uuidSchema.optional(),
  vmName: z.string(),
  phase: z.enum(phases),
  paused: z.boolean(),
  bandwidthBytesPerSecond: z.number().int().positive().nullable(),
  disks: z.array(diskProgressSchema),
  /** What the run has decided, and why: its method, its kind. Older workers tell nothing. */
  notes: z.array(noteSchema).default([]),
  /** Of a backup, once its moment has passed: how much at rest the guest was, and who says so. */
  consistency: z.object({ level: z.enum(consistencyLevels), evidence: z.string() }).nullable().default(null),
  /** What an undo is waiting for right now: somebody may have to mend it. */
  trouble: z.string().nullable(),
  /** What went wrong without failing the run. */
  warnings: z.array(z.string()),
  /** Steps that were undone after a failure or cancel, newest first. */
  undone: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type Progress = z.infer<typeof progressSchema>;

/** Sent by a copying worker to its workflow, at growing intervals so that histories stay short. */
export const copyReportSchema = z.object({
  diskId: uuidSchema,
  positionBytes: z.number().int(),
  dataBytes: z.number().int(),
  bytesPerSecond: z.number(),
});
export type CopyReport = z.infer<typeof copyReportSchema>;

export const bandwidthSchema = z.object({ bytesPerSecond: z.number().int().min(65_536).nullable() });
export type Bandwidth = z.infer<typeof bandwidthSchema>;
