// Input and output of the flow `backupVm`.
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { backupSummarySchema } from '../manifest';
import { builtKinds, builtMethods } from './built';

export const backupVmInputSchema = z.strictObject({
  engine: configNameSchema.describe('Name of the engine in the workers\' configuration'),
  vmId: uuidSchema.describe('The VM to back up; the workflow id must be vm/<engine>/<vmId>'),
  repository: configNameSchema.describe('Name of the repository in the workers\' configuration'),
  method: z.enum(builtMethods).default('appliance'),
  kind: z.enum(builtKinds).default('full'),
  applianceId: uuidSchema.optional().describe('VM id of the appliance; default: the engine\'s first configured appliance'),
  quiesce: z.enum(['required', 'best-effort', 'off']).default('best-effort').describe('What to demand of the guest\'s file systems'),
  leaveOutDiskIds: z.array(uuidSchema).default([]).describe('Disks that are not backed up, by choice; shared disks and direct LUNs must be listed here'),
  bandwidthBytesPerSecond: z.number().int().min(65_536).optional().describe('Limit for reading each disk'),
});
/** As a caller writes it: defaults may be left out. */
export type BackupVmRequest = z.input<typeof backupVmInputSchema>;
export type BackupVmInput = z.output<typeof backupVmInputSchema>;

export const backupVmOutputSchema = z.object({
  runId: uuidSchema,
  backup: backupSummarySchema,
  consistencyEvidence: z.string(),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  /** The backup is good, but these things need an operator's eye. */
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type BackupVmOutput = z.infer<typeof backupVmOutputSchema>;
