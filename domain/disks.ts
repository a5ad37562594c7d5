// What Holdfast keeps about a disk beside its bytes: the settings that a restore must give back, as the REST API spells them.
import { z } from 'zod';
import { uuidSchema } from './ids';

export const diskInterfaces = ['virtio_scsi', 'virtio', 'ide', 'sata', 'spapr_vscsi'] as const;

export const diskSettingsSchema = z.object({
  diskId: uuidSchema,
  alias: z.string(),
  description: z.string(),
  virtualBytes: z.number().int().positive(),
  format: z.enum(['cow', 'raw']),
  sparse: z.boolean(),
  /** oVirt's `backup` property: `incremental` when change tracking is enabled. */
  backup: z.enum(['none', 'incremental']),
  wipeAfterDelete: z.boolean(),
  interface: z.enum(diskInterfaces),
  bootable: z.boolean(),
  active: z.boolean(),
  readOnly: z.boolean(),
  passDiscard: z.boolean(),
  storageDomainId: uuidSchema.optional(),
  diskProfileId: uuidSchema.optional(),
});
export type DiskSettings = z.infer<typeof diskSettingsSchema>;
