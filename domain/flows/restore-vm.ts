// Input and output of the flow `restoreVm` (as a new VM).
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { builtMethods } from './built';

export const restoreVmInputSchema = z.strictObject({
  engine: configNameSchema,
  repository: configNameSchema,
  backupId: uuidSchema,
  requestId: uuidSchema.describe('Chosen by the caller, unique for ever; the workflow id must be restore/<requestId>'),
  method: z.enum(builtMethods).default('appliance'),
  applianceId: uuidSchema.optional(),
  /** Name of the new VM (1-255 characters oVirt accepts). */
  name: z.string().regex(/^[\p{L}\p{N}._+-]{1,255}$/u, 'must be 1-255 letters, digits, ".", "_", "+" or "-"'),
  clusterId: uuidSchema.optional().describe('Default: the cluster the VM came from'),
  storageDomainId: uuidSchema.optional().describe('Default: each disk\'s own storage domain'),
  start: z.boolean().default(false),
  bandwidthBytesPerSecond: z.number().int().min(65_536).optional(),
});
export type RestoreVmRequest = z.input<typeof restoreVmInputSchema>;
export type RestoreVmInput = z.output<typeof restoreVmInputSchema>;

export const restoredDiskSchema = z.object({
  sourceDiskId: uuidSchema,
  diskId: uuidSchema,
  alias: z.string(),
  virtualBytes: z.number().int(),
  dataBytes: z.number().int(),
  /** Digest root re-read from the target after reopening; equal to the manifest's. */
  root: z.string(),
});

export const restoreVmOutputSchema = z.object({
  runId: uuidSchema,
  backupId: uuidSchema,
  vmId: uuidSchema,
  vmName: z.string(),
  disks: z.array(restoredDiskSchema),
  started: z.boolean(),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type RestoreVmOutput = z.infer<typeof restoreVmOutputSchema>;
