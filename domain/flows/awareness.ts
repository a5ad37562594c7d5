// Inputs and outputs of `checkBackupAwareness`, of the flows that show and set it, and of the launcher that a Temporal Schedule starts.
import { z } from 'zod';
import { engineBackupScopes } from '../awareness/engine-backup';
import { configNameSchema } from '../ids';
import { alertSchema } from './alerts';

export const engineBackupSources = ['catalog', 'engine-database', 'engine-api'] as const;

/** A period of -1 disables. Temporal's schedules count in seconds. */
export const checkPeriodSchema = z.union([z.literal(-1), z.number().min(1 / 3600).max(24 * 366)]).describe('BackupCheckPeriodInHours; -1 disables');
export const alertPeriodSchema = z.number().positive().max(3660).describe('BackupAlertPeriodInDays; fractions are allowed');

export const awarenessSettingsSchema = z.object({ checkPeriodHours: checkPeriodSchema, alertPeriodDays: alertPeriodSchema });
export type AwarenessSettings = z.infer<typeof awarenessSettingsSchema>;

export const checkBackupAwarenessInputSchema = z.strictObject({ engine: configNameSchema });
export type CheckBackupAwarenessInput = z.infer<typeof checkBackupAwarenessInputSchema>;

const alertChanges = ['raised', 'reminded', 'kept', 'cleared', 'none'] as const;
export type AlertChange = (typeof alertChanges)[number];

export const engineBackupFindingSchema = z.object({
  state: z.enum(['disabled', 'fresh', 'no-full-backup', 'old-backup']),
  alert: z.enum(alertChanges),
  source: z.enum(engineBackupSources),
  fqdn: z.string(),
  backedUpAt: z.string().optional().describe('The older of the newest completed backups of db and files'),
  text: z.string().optional(),
  /** Of a time that has not come. */
  notBelieved: z.number().int(),
  /** Completed backups under names that are not this engine's: they count for nobody. */
  elsewhere: z.array(z.string()).describe('Such names, five at most'),
});
export type EngineBackupFinding = z.infer<typeof engineBackupFindingSchema>;

/** How many VMs the configuration says need no backup. Not told by a worker of an older release. */
export const exemptVmsSchema = z.number().int().optional();

/** Alerts about VMs, one for each objective that is not met, after the check. */
const vmAlertCountsSchema = z.object({ raised: z.number().int(), open: z.number().int(), cleared: z.number().int() });
export type VmAlertCounts = z.infer<typeof vmAlertCountsSchema>;

export const checkBackupAwarenessOutputSchema = z.object({
  engineBackup: engineBackupFindingSchema.optional().describe('Absent when it could not be judged: see warnings'),
  vms: z.object({ judged: z.number().int(), withoutFreshBackup: z.number().int(), uncovered: z.number().int(), exempt: exemptVmsSchema.describe('Beside those judged'), alerts: vmAlertCountsSchema }).optional().describe('Absent without objectives, or when it could not be judged: see warnings'),
  warnings: z.array(z.string()),
});
export type CheckBackupAwarenessOutput = z.infer<typeof checkBackupAwarenessOutputSchema>;

export const showBackupAwarenessInputSchema = z.strictObject({ engine: configNameSchema, events: z.number().int().min(0).max(500).default(20).describe('Of engine-backup, newest first') });
export type ShowBackupAwarenessRequest = z.input<typeof showBackupAwarenessInputSchema>;
export type ShowBackupAwarenessInput = z.output<typeof showBackupAwarenessInputSchema>;

export const engineBackupEventSchema = z.object({
  event: z.enum(['ENGINE_BACKUP_STARTED', 'ENGINE_BACKUP_COMPLETED', 'ENGINE_BACKUP_FAILED']),
  scope: z.enum(engineBackupScopes),
  doneAt: z.string(),
  outputMessage: z.string().nullable(),
  fqdn: z.string().nullable(),
  logPath: z.string().nullable(),
});
/** One call of the procedure, as it was made. */
export type EngineBackupEvent = z.infer<typeof engineBackupEventSchema>;

export const showBackupAwarenessOutputSchema = z.object({
  settings: awarenessSettingsSchema,
  /** Where each came from. */
  settingsFrom: z.object({ checkPeriodHours: z.enum(['set', 'configuration']), alertPeriodDays: z.enum(['set', 'configuration']) }),
  source: z.enum(engineBackupSources),
  fqdn: z.string(),
  schedule: z.object({ id: z.string(), exists: z.boolean(), paused: z.boolean(), nextCheckAt: z.string().optional(), lastCheckAt: z.string().optional() }),
  alerts: z.array(alertSchema).describe('Open ones of awareness'),
  exemptVms: exemptVmsSchema.describe('VMs that need no backup by the configuration, as of the last check'),
  /** Of the catalog's own log; another source has its own. */
  events: z.array(engineBackupEventSchema),
});
export type ShowBackupAwarenessOutput = z.infer<typeof showBackupAwarenessOutputSchema>;

/** `null` goes back to the worker's configuration, absent stays as it is. */
export const setBackupAwarenessInputSchema = z.strictObject({ engine: configNameSchema, checkPeriodHours: checkPeriodSchema.nullable().optional(), alertPeriodDays: alertPeriodSchema.nullable().optional() });
export type SetBackupAwarenessInput = z.infer<typeof setBackupAwarenessInputSchema>;
export const setBackupAwarenessOutputSchema = z.object({ settings: awarenessSettingsSchema });
export type SetBackupAwarenessOutput = z.infer<typeof setBackupAwarenessOutputSchema>;

/** What a Temporal Schedule starts: the schedule adds a time to the id of what it starts, and a flow's id is its lock. */
export const launchScheduledInputSchema = z.strictObject({ flow: z.enum(['checkBackupAwareness']), workflowId: z.string().min(1), input: z.record(z.string(), z.unknown()) });
export type LaunchScheduledInput = z.infer<typeof launchScheduledInputSchema>;
export const launchScheduledOutputSchema = z.object({ outcome: z.enum(['completed', 'already-running', 'failed']), failure: z.string().optional() });
export type LaunchScheduledOutput = z.infer<typeof launchScheduledOutputSchema>;
