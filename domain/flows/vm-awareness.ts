// Input and output of the list of VMs without a backup as fresh as their objective asks, and of exempt ones. Paged.
import { z } from 'zod';
import { listedVmStates } from '../awareness/vm-objectives';
import { configNameSchema, uuidSchema } from '../ids';
import { exemptVmsSchema } from './awareness';
import { pageSchema } from './queries';

export const listVmAwarenessInputSchema = z.strictObject({
  engine: configNameSchema,
  objective: configNameSchema.optional(),
  state: z.enum(listedVmStates).optional().describe('Default: all but exempt, which is not wrong'),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListVmAwarenessRequest = z.input<typeof listVmAwarenessInputSchema>;
export type ListVmAwarenessInput = z.output<typeof listVmAwarenessInputSchema>;

/** One that is exempt needs none. */
export const vmWithoutFreshBackupSchema = z.object({
  vmId: uuidSchema,
  vmName: z.string(),
  /** null: covered by none. */
  objective: z.string().nullable(),
  state: z.enum(listedVmStates),
  newestBackupAt: z.string().nullable(),
  /** When it came into this state, as far as evaluations have seen. */
  since: z.string(),
});
export type VmWithoutFreshBackup = z.infer<typeof vmWithoutFreshBackupSchema>;
export const listVmAwarenessOutputSchema = z.object({
  vms: z.array(vmWithoutFreshBackupSchema),
  more: z.boolean(),
  exempt: exemptVmsSchema.describe('VMs that are exempt, of the objective if one is given; a worker of an older release does not tell'),
});
export type ListVmAwarenessOutput = z.infer<typeof listVmAwarenessOutputSchema>;
