// Input and output of the flow `verifyBackup`: is all of a backup still what was sealed?
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { kinds } from '../manifest';

export const verifyBackupInputSchema = z.strictObject({
  engine: configNameSchema.describe('Name of the engine in the workers\' configuration whose copy slots and settings count; the engine itself is not asked'),
  repository: configNameSchema.describe('Name of the repository in the workers\' configuration'),
  backupId: uuidSchema.describe('The backup to read again; the workflow id must be verify/<backupId>'),
  chain: z.boolean().default(false).describe('Also every backup that it lies on, down to the full one'),
  bandwidthBytesPerSecond: z.number().int().min(65_536).optional().describe('Limit for reading each disk'),
});
export type VerifyBackupRequest = z.input<typeof verifyBackupInputSchema>;
export type VerifyBackupInput = z.output<typeof verifyBackupInputSchema>;

const failureSchema = z.object({ code: z.string(), message: z.string() });

export const verifiedBackupSchema = z.object({
  backupId: uuidSchema,
  /** null: it is not there to say. */
  kind: z.enum(kinds).nullable(),
  outcome: z.enum(['passed', 'failed']),
  /** Of the backup as a whole, such as its manifest or a backup below it; disks have their own. */
  failure: failureSchema.nullable(),
  disks: z.array(z.object({ diskId: uuidSchema, alias: z.string(), virtualBytes: z.number().int(), dataBytes: z.number().int(), /** As read now. */ root: z.string().nullable(), failure: failureSchema.nullable() })),
});
export type VerifiedBackup = z.infer<typeof verifiedBackupSchema>;

/** Of a run that found everything as it was sealed; one that did not fails with the code of what it found first, and tells the same in its details. */
export const verifyBackupOutputSchema = z.object({
  runId: uuidSchema,
  backupId: uuidSchema,
  vmName: z.string(),
  /** The backup that was named, then those that it lies on. */
  backups: z.array(verifiedBackupSchema),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type VerifyBackupOutput = z.infer<typeof verifyBackupOutputSchema>;
