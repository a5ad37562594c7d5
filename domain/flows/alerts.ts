// Inputs and outputs of `listAlerts` (paged), `acknowledgeAlerts`, and `forwardEvents`, which tells one sink what it has not been told.
import { z } from 'zod';
import { configNameSchema, uuidSchema } from '../ids';
import { pageSchema } from './queries';

export const listAlertsInputSchema = z.strictObject({
  engine: configNameSchema.optional(),
  state: z.enum(['open', 'cleared', 'all']).default('open'),
  page: pageSchema.default({ limit: 100, offset: 0 }),
});
export type ListAlertsRequest = z.input<typeof listAlertsInputSchema>;
export type ListAlertsInput = z.output<typeof listAlertsInputSchema>;

export const alertSchema = z.object({
  key: z.string(),
  code: z.string(),
  severity: z.enum(['warning', 'alert']),
  message: z.string(),
  engine: z.string(),
  vmId: uuidSchema.optional(),
  runId: uuidSchema.optional(),
  evidence: z.record(z.string(), z.unknown()).optional().describe('What it was judged by'),
  raisedAt: z.string(),
  acknowledgedAt: z.string().optional(),
  clearedAt: z.string().optional(),
  clearedWhy: z.string().optional(),
});
export type Alert = z.infer<typeof alertSchema>;
export const listAlertsOutputSchema = z.object({ alerts: z.array(alertSchema), more: z.boolean() });
export type ListAlertsOutput = z.infer<typeof listAlertsOutputSchema>;

/** Acknowledging silences reminders; it never clears. */
export const acknowledgeAlertsInputSchema = z.strictObject({ engine: configNameSchema.optional(), key: z.string().min(1).optional().describe('Default: all open ones') });
export type AcknowledgeAlertsInput = z.infer<typeof acknowledgeAlertsInputSchema>;
export const acknowledgeAlertsOutputSchema = z.object({ acknowledged: z.number().int() });
export type AcknowledgeAlertsOutput = z.infer<typeof acknowledgeAlertsOutputSchema>;

/** `engine-events`: the engine's own event log. */
export const sinkNames = ['engine-events', 'webhook', 'log'] as const;
export type SinkName = (typeof sinkNames)[number];

export const forwardEventsInputSchema = z.strictObject({ engine: configNameSchema, sink: z.enum(sinkNames) });
export type ForwardEventsInput = z.infer<typeof forwardEventsInputSchema>;
export const forwardEventsOutputSchema = z.object({
  delivered: z.number().int(),
  /** Why it stopped before everything was told. What is left is told later. */
  stopped: z.string().optional(),
});
export type ForwardEventsOutput = z.infer<typeof forwardEventsOutputSchema>;
