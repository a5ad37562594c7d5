// Input and output of the flow `backupVm`.
import { z } from 'zod';
import { witnessPolicySchema } from '../chain';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { backupSummarySchema, noteSchema } from '../manifest';
import { askedKinds, askedMethods } from './asked';

export const backupVmInputSchema = z
  .strictObject({
    engine: configNameSchema.describe('Name of the engine in the workers\' configuration'),
    vmId: uuidSchema.describe('The VM to back up; the workflow id must be vm/<engine>/<vmId>'),
    repository: configNameSchema.describe('Name of the repository in the workers\' configuration'),
    method: z
      .enum(askedMethods)
      .default('appliance')
      .describe('How data leaves oVirt. `appliance`: the disks of a snapshot are attached to a VM with a worker in it. `transfer`: a VM backup and image transfers; can read what changed alone, and needs no appliance. `auto`: the run chooses, and says why'),
    kind: z
      .enum(askedKinds)
      .default('auto')
      .describe('`full`: it stands alone. `incremental`: on the newest backup that can bear it. `differential`: on the last full one. `auto`: incremental where that is possible. The method `appliance` makes full backups only'),
    strict: z.boolean().default(false).describe('The asked kind or none: where a chain cannot be continued the run is refused, instead of a full backup with the reason'),
    witness: witnessPolicySchema.optional().describe('Method `transfer`: when hosts compare the backup with the source by a checksum of their own, which reads the whole disk there. Default: the workers\' configuration'),
    applianceId: uuidSchema.optional().describe('VM id of the appliance; default: the engine\'s first configured appliance'),
    quiesce: z.enum(['required', 'best-effort', 'off']).default('best-effort').describe('What to demand of the guest\'s file systems'),
    explicitFreeze: z.boolean().default(false).describe('Holdfast freezes the guest\'s file systems by itself, through the engine, for 8 seconds at most: then it can tell whether they were. Without it the host freezes by itself, and mostly nobody hears whether it could'),
    guestHook: z
      .boolean()
      .default(false)
      .describe('The guest\'s agent runs a hook around a freeze that brings its applications to rest (qemu-ga\'s fsfreeze hook, VSS in Windows) and fails with it. Holdfast cannot see that: with it a freeze that is proven counts as `application`, without it as `filesystem`'),
    leaveOutDiskIds: z.array(uuidSchema).default([]).describe('Disks that are not backed up, by choice; shared disks and direct LUNs must be listed here'),
    bandwidthBytesPerSecond: z.number().int().min(65_536).optional().describe('Limit for reading each disk'),
  })
  .superRefine(({ quiesce, explicitFreeze }, context) => {
    if (explicitFreeze && quiesce === 'off') context.addIssue({ code: 'custom', path: ['explicitFreeze'], message: 'is asked for together with quiesce: off; leave one of them out' });
  })
  .superRefine(({ method, kind, strict, witness }, context) => {
    if (method !== 'appliance') return;
    if (strict && (kind === 'incremental' || kind === 'differential')) context.addIssue({ code: 'custom', path: ['strict'], message: `the method appliance makes full backups only, so it cannot insist on ${kind}` });
    if (witness !== undefined) context.addIssue({ code: 'custom', path: ['witness'], message: 'is for the method transfer: with an appliance no host reads the disks' });
  });
/** As a caller writes it: defaults may be left out. */
export type BackupVmRequest = z.input<typeof backupVmInputSchema>;
export type BackupVmInput = z.output<typeof backupVmInputSchema>;

export const backupVmOutputSchema = z.object({
  runId: uuidSchema,
  /** With its method, kind, base and the reason for them. */
  backup: backupSummarySchema,
  consistencyEvidence: z.string(),
  /** What else is worth knowing about how it was made: why this method, why one disk was read in full. */
  notes: z.array(noteSchema).default([]),
  /** Disks whose digests the host has confirmed with a checksum of its own. */
  witnessedDiskIds: z.array(uuidSchema).default([]),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  /** The backup is good, but these things need an operator's eye. */
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type BackupVmOutput = z.infer<typeof backupVmOutputSchema>;
