// Inputs and outputs of `listHoldings` (what is held or left over in the engines, over all runs). Paged.
import { z } from 'zod';
import { holdingSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { pageSchema, runOutcomes } from './queries';

export const openStates = ['held', 'leftover'] as const;

export const listHoldingsInputSchema = z.strictObject({
  engine: configNameSchema.optional(),
  vmId: uuidSchema.optional(),
  runId: uuidSchema.optional(),
  state: z.enum(openStates).optional().describe('Default: both'),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListHoldingsRequest = z.input<typeof listHoldingsInputSchema>;
export type ListHoldingsInput = z.output<typeof listHoldingsInputSchema>;

export const openHoldingSchema = holdingSchema.extend({
  heldAt: z.string(),
  /** By the database's clock. */
  ageSeconds: z.number(),
  run: z.object({ workflowId: z.string(), workflowType: z.string(), outcome: z.enum(runOutcomes), vmName: z.string() }),
});
export type OpenHolding = z.infer<typeof openHoldingSchema>;
export const listHoldingsOutputSchema = z.object({ holdings: z.array(openHoldingSchema), more: z.boolean() });
export type ListHoldingsOutput = z.infer<typeof listHoldingsOutputSchema>;
