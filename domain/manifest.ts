// The manifest of a sealed backup, repository format version 1 (docs/design.md, "Repository format"). It is written last, by rename:
// a directory without it is a partial backup and is never listed.
import { z } from 'zod';
import { diskSettingsSchema } from './disks';
import { uuidSchema } from './ids';

export const repositoryFormatVersion = 1;
/** SHA-256 is taken per block of this size; the root is SHA-256 over the raw block digests in order. */
export const digestBlockBytes = 1024 * 1024;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');
const fileNameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/);

export const consistencyLevels = ['application', 'filesystem', 'crash', 'unknown', 'off'] as const;
export const transports = ['san', 'socket', 'tcp'] as const;
export const methods = ['appliance', 'transfer'] as const;
export const kinds = ['full', 'incremental', 'differential'] as const;
/** How the data of a VM backup was held still: bitmaps and scratch disks under a running VM, a VM that is down, or a snapshot of the engine's own. */
export const vmBackupStyles = ['live', 'cold', 'hybrid'] as const;

/** Why something is as it is: a stable code and a sentence. */
export const noteSchema = z.object({ code: z.string(), text: z.string() });
export type Note = z.infer<typeof noteSchema>;

export const manifestDiskSchema = z.object({
  settings: diskSettingsSchema,
  image: z.object({
    file: fileNameSchema,
    format: z.literal('qcow2'),
    fileBytes: z.number().int().nonnegative(),
    /** The backup whose image of this disk this one lies on; null when it stands alone, which a disk may do within an incremental backup too. */
    base: z.object({ backupId: uuidSchema }).nullable().default(null),
  }),
  /** Which of its bytes were read: all, or what had changed since the base. */
  mode: z.enum(['full', 'incremental']).default('full'),
  /** The host's own checksum of the source was the root of the digests. */
  witnessed: z.boolean().default(false),
  digests: z.object({ file: fileNameSchema, algorithm: z.literal('sha256'), blockBytes: z.literal(digestBlockBytes), fileSha256: sha256Schema, root: sha256Schema }),
  /** Bytes that were read from the source and were not known to be zero. */
  dataBytes: z.number().int().nonnegative(),
  transport: z.enum(transports),
  seconds: z.number().nonnegative(),
});
export type ManifestDisk = z.infer<typeof manifestDiskSchema>;

export const manifestSchema = z.object({
  format: z.literal('holdfast-backup'),
  version: z.literal(repositoryFormatVersion),
  backupId: uuidSchema,
  runId: uuidSchema,
  engine: z.object({ name: z.string(), product: z.string(), version: z.string() }),
  vm: z.object({ id: uuidSchema, name: z.string(), clusterId: uuidSchema.optional(), clusterName: z.string().optional() }),
  method: z.enum(methods),
  kind: z.enum(kinds),
  /** The backup that this one depends on, and the SHA-256 of its manifest, so that a chain vouches for all of its links; null for a full backup. */
  base: z.object({ backupId: uuidSchema, manifestSha256: sha256Schema }).nullable(),
  /** Why this kind and base: a code and a sentence. */
  reason: noteSchema,
  /** What else is worth knowing about how it was made, such as why one disk was read in full. */
  notes: z.array(noteSchema).default([]),
  consistency: z.object({ level: z.enum(consistencyLevels), evidence: z.string() }),
  checkpoint: z.object({ id: uuidSchema }).nullable(),
  /** What held the data still: a snapshot of ours (method `appliance`) or a VM backup of the engine (method `transfer`). The other one is null. */
  snapshot: z.object({ id: uuidSchema, description: z.string(), createdAt: z.string() }).nullable(),
  vmBackup: z.object({ id: uuidSchema, style: z.enum(vmBackupStyles), createdAt: z.string() }).nullable().default(null),
  configuration: z.object({ file: z.literal('vm.ovf'), bytes: z.number().int().positive(), sha256: sha256Schema }),
  disks: z.array(manifestDiskSchema),
  /** Disks of the VM that are not in this backup, by the user's choice. */
  leftOut: z.array(z.object({ diskId: uuidSchema, alias: z.string(), why: z.string() })),
  startedAt: z.string(),
  sealedAt: z.string(),
  holdfast: z.string(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** What lists and the catalog need of a manifest: small enough for a history. */
export const backupSummarySchema = z.object({
  backupId: uuidSchema,
  repository: z.string(),
  engine: z.string(),
  vmId: uuidSchema,
  vmName: z.string(),
  method: z.enum(methods),
  kind: z.enum(kinds),
  baseBackupId: uuidSchema.nullable(),
  /** Why this kind and base; null in rows that an older release has indexed. */
  reason: noteSchema.nullable().default(null),
  /** From which the engine's change tracking would start the next incremental backup. */
  checkpointId: uuidSchema.nullable().default(null),
  /** Of every disk the host has borne witness. */
  witnessed: z.boolean().default(false),
  consistency: z.enum(consistencyLevels),
  createdAt: z.string(),
  sealedAt: z.string(),
  virtualBytes: z.number().int(),
  dataBytes: z.number().int(),
  imageBytes: z.number().int(),
  disks: z.array(z.object({ diskId: uuidSchema, alias: z.string(), virtualBytes: z.number().int(), dataBytes: z.number().int(), root: z.string() })),
  manifestSha256: sha256Schema,
});
export type BackupSummary = z.infer<typeof backupSummarySchema>;

/** The last time that all of a backup was read again and compared with its digests. */
export const verificationSchema = z.object({
  outcome: z.enum(['passed', 'failed']),
  verifiedAt: z.string(),
  runId: uuidSchema,
  /** What was read and not known to be zero. */
  dataBytes: z.number().int(),
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type Verification = z.infer<typeof verificationSchema>;

/** As the catalog lists it: what the manifest says, and what was found out since. */
export const listedBackupSchema = backupSummarySchema.extend({ verification: verificationSchema.nullable().default(null) });
export type ListedBackup = z.infer<typeof listedBackupSchema>;

export function summarize(manifest: Manifest, repository: string, manifestSha256: string): BackupSummary {
  const total = (pick: (disk: ManifestDisk) => number): number => manifest.disks.reduce((sum, disk) => sum + pick(disk), 0);
  return {
    backupId: manifest.backupId,
    repository,
    engine: manifest.engine.name,
    vmId: manifest.vm.id,
    vmName: manifest.vm.name,
    method: manifest.method,
    kind: manifest.kind,
    baseBackupId: manifest.base?.backupId ?? null,
    reason: manifest.reason,
    checkpointId: manifest.checkpoint?.id ?? null,
    witnessed: manifest.disks.length > 0 && manifest.disks.every((disk) => disk.witnessed),
    consistency: manifest.consistency.level,
    createdAt: (manifest.snapshot ?? manifest.vmBackup)?.createdAt ?? manifest.startedAt,
    sealedAt: manifest.sealedAt,
    virtualBytes: total((disk) => disk.settings.virtualBytes),
    dataBytes: total((disk) => disk.dataBytes),
    imageBytes: total((disk) => disk.image.fileBytes),
    disks: manifest.disks.map((disk) => ({
      diskId: disk.settings.diskId,
      alias: disk.settings.alias,
      virtualBytes: disk.settings.virtualBytes,
      dataBytes: disk.dataBytes,
      root: disk.digests.root,
    })),
    manifestSha256,
  };
}
