// Inputs and outputs of the short workflows by which clients read: VMs of an engine, backups and runs of the catalog. Paged.
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { listedBackupSchema } from '../manifest';

export const pageSchema = z.strictObject({ limit: z.number().int().min(1).max(500).default(100), offset: z.number().int().min(0).default(0) });

export const findVmsInputSchema = z.strictObject({
  engine: configNameSchema,
  /** Exact names or ids; an unknown one is an error that names it. */
  vms: z.array(z.string().min(1)).default([]),
  /** An oVirt search, such as `cluster=Default and status=up`. */
  search: z.string().optional(),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type FindVmsRequest = z.input<typeof findVmsInputSchema>;
export type FindVmsInput = z.output<typeof findVmsInputSchema>;
export const findVmsOutputSchema = z.object({
  vms: z.array(z.object({ id: uuidSchema, name: z.string(), status: z.string(), cluster: z.string().optional() })),
  more: z.boolean(),
});
export type FindVmsOutput = z.infer<typeof findVmsOutputSchema>;

export const listBackupsInputSchema = z.strictObject({
  engine: configNameSchema.optional(),
  repository: configNameSchema.optional(),
  vmId: uuidSchema.optional(),
  vmName: z.string().optional(),
  backupId: uuidSchema.optional(),
  newestPerVm: z.boolean().optional().describe('Only the newest backup of each VM'),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListBackupsRequest = z.input<typeof listBackupsInputSchema>;
export type ListBackupsInput = z.output<typeof listBackupsInputSchema>;
export const listBackupsOutputSchema = z.object({ backups: z.array(listedBackupSchema), more: z.boolean() });
export type ListBackupsOutput = z.infer<typeof listBackupsOutputSchema>;

export const runOutcomes = ['running', 'completed', 'failed', 'cancelled'] as const;
export const runSchema = z.object({
  runId: uuidSchema,
  workflowId: z.string(),
  workflowType: z.string(),
  engine: z.string(),
  vmId: uuidSchema.nullable(),
  vmName: z.string(),
  backupId: uuidSchema.nullable(),
  repository: z.string().nullable(),
  outcome: z.enum(runOutcomes),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type Run = z.infer<typeof runSchema>;
export const listRunsInputSchema = z.strictObject({
  engine: configNameSchema.optional(),
  vmId: uuidSchema.optional(),
  runId: uuidSchema.optional(),
  outcome: z.enum(runOutcomes).optional(),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListRunsRequest = z.input<typeof listRunsInputSchema>;
export type ListRunsInput = z.output<typeof listRunsInputSchema>;
export const listRunsOutputSchema = z.object({ runs: z.array(runSchema), more: z.boolean() });
export type ListRunsOutput = z.infer<typeof listRunsOutputSchema>;

export const rebuildCatalogInputSchema = z.strictObject({ repository: configNameSchema });
export type RebuildCatalogInput = z.output<typeof rebuildCatalogInputSchema>;
export const rebuildCatalogOutputSchema = z.object({
  /** Backups now in the catalog for this repository. */
  indexed: z.number().int(),
  /** Rows that were in the catalog but have no sealed backup behind them. */
  removed: z.number().int(),
  /** Backups whose manifest could not be read, with the reason. */
  unreadable: z.array(z.object({ path: z.string(), reason: z.string() })),
});
export type RebuildCatalogOutput = z.infer<typeof rebuildCatalogOutputSchema>;
