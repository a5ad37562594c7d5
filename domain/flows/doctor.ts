// Input and output of the flow `runDoctor`: is everything there that backups and restores need?
import { z } from 'zod';
import { checkSchema } from '../doctor/checks';
import { configNameSchema } from '../ids';

export const doctorScopes = ['all', 'queues'] as const;

export const runDoctorInputSchema = z.strictObject({
  engine: configNameSchema.optional().describe('Only this engine; default: every engine of the control worker\'s configuration'),
  repository: configNameSchema.optional().describe('Only this repository; default: those in the control worker\'s configuration and in the catalog'),
  scope: z.enum(doctorScopes).default('all').describe('"queues" asks only whether workers serve their task queues'),
  answerSeconds: z.number().int().min(1).max(120).default(10).describe('How long a worker may take to pick a question up'),
});
export type RunDoctorRequest = z.input<typeof runDoctorInputSchema>;
export type RunDoctorInput = z.output<typeof runDoctorInputSchema>;

export const runDoctorOutputSchema = z.object({
  checks: z.array(checkSchema),
  count: z.object({ ok: z.number().int(), warning: z.number().int(), problem: z.number().int(), skipped: z.number().int() }),
});
export type RunDoctorOutput = z.infer<typeof runDoctorOutputSchema>;

export interface InstalledEngine {
  readonly name: string;
  readonly applianceIds: readonly string[];
}

/** What the control worker's configuration and catalog say that there is. */
export interface Installation {
  readonly engines: readonly InstalledEngine[];
  readonly repositories: readonly string[];
}
