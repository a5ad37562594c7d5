// Input and output of the list of VMs without a backup as fresh as their objective asks. Paged.
import { z } from 'zod';
import { wrongVmStates } from '../awareness/vm-objectives';
import { configNameSchema, uuidSchema } from '../ids';
import { pageSchema } from './queries';

export const listVmAwarenessInputSchema = z.strictObject({
  engine: configNameSchema,
  objective: configNameSchema.optional(),
  state: z.enum(wrongVmStates).optional().describe('Default: all'),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListVmAwarenessRequest = z.input<typeof listVmAwarenessInputSchema>;
export type ListVmAwarenessInput = z.output<typeof listVmAwarenessInputSchema>;

export const vmWithoutFreshBackupSchema = z.object({
  vmId: uuidSchema,
  vmName: z.string(),
  /** null: covered by none. */
  objective: z.string().nullable(),
  state: z.enum(wrongVmStates),
  newestBackupAt: z.string().nullable(),
  /** When it came into this state, as far as evaluations have seen. */
  since: z.string(),
});
export type VmWithoutFreshBackup = z.infer<typeof vmWithoutFreshBackupSchema>;
export const listVmAwarenessOutputSchema = z.object({ vms: z.array(vmWithoutFreshBackupSchema), more: z.boolean() });
export type ListVmAwarenessOutput = z.infer<typeof listVmAwarenessOutputSchema>;
