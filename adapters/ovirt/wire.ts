// The engine's JSON, parsed once. The engine writes booleans and numbers as strings and dates as epoch milliseconds, older
// versions and proxies natively; optional elements are missing, empty collections are `{}`, enumerations grow with versions.
import { z } from 'zod';
import { diskInterfaces } from '../../domain/disks';
import { HoldfastError } from '../../domain/failures';
import { uuidSchema, zeroUuid } from '../../domain/ids';
import { transferPhases } from './port-backups';

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]);
const integer = z.union([z.number(), z.string().regex(/^-?\d+$/).transform(Number)]).pipe(z.number().int());
/** Epoch milliseconds (number or digits) or ISO 8601, to ISO 8601. */
const moment = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number), z.string()])
  .transform((value) => new Date(value))
  .refine((date) => !Number.isNaN(date.getTime()), 'is not a date')
  .transform((date) => date.toISOString());
const reference = z.object({ id: uuidSchema });
/** A word of an enumeration; a missing one, or one that we do not know, is `other`. */
const word = <const Words extends readonly string[]>(words: Words): z.ZodType<Words[number] | 'other'> => z.enum([...words, 'other']).catch('other');

/** `{ "vm": [..] }`, or `{}` when there are none. */
export const listOf = <Item>(key: string, item: z.ZodType<Item>): z.ZodType<readonly Item[]> =>
  z.record(z.string(), z.unknown()).transform((body) => body[key] ?? []).pipe(z.array(item));

export const apiRootSchema = z.object({
  product_info: z.object({
    name: z.string().optional(),
    version: z.object({ full_version: z.string().optional(), major: integer.optional(), minor: integer.optional() }).optional(),
  }),
});

export const vmSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  status: z.string().default('unknown'),
  comment: z.string().default(''),
  cluster: reference.extend({ name: z.string().optional() }),
  delete_protected: flag.default(false),
  vm_pool: reference.optional(),
  template: reference.optional(),
  /** A word that grows with versions. */
  origin: z.string().optional().catch(undefined),
});
export const vmWithNicsSchema = vmSchema.extend({ nics: z.object({ nic: z.array(z.object({ mac: z.object({ address: z.string().default('') }).optional() })).default([]) }).optional() });
export const vmStatus = word(['up', 'down', 'paused', 'powering_up', 'powering_down', 'image_locked']);

export const snapshotSchema = z.object({
  id: uuidSchema,
  description: z.string().default(''),
  snapshot_status: word(['ok', 'locked', 'in_preview']),
  snapshot_type: word(['regular', 'active', 'preview', 'stateless']),
  date: moment.optional(),
});

export const configurationSchema = z.object({
  initialization: z.object({ configuration: z.object({ type: z.string().optional(), data: z.string().min(1) }) }),
});

export const diskStatus = word(['ok', 'locked', 'illegal']);

export const diskSchema = z.object({
  id: uuidSchema,
  alias: z.string().optional(),
  name: z.string().optional(),
  description: z.string().default(''),
  /** LUNs have no status, no format and no size of their own. */
  status: diskStatus,
  provisioned_size: integer.optional(),
  actual_size: integer.optional(),
  total_size: integer.optional(),
  format: z.enum(['cow', 'raw']).optional(),
  sparse: flag.default(false),
  backup: z.enum(['none', 'incremental']).catch('none'),
  wipe_after_delete: flag.default(false),
  shareable: flag.default(false),
  content_type: z.string().default('data'),
  storage_type: z.enum(['image', 'lun', 'cinder', 'managed_block_storage']).default('image'),
  storage_domains: z.object({ storage_domain: z.array(reference).default([]) }).optional(),
  disk_profile: reference.optional(),
  lun_storage: z.object({ logical_units: z.object({ logical_unit: z.array(z.object({ size: integer.optional() })).default([]) }).optional() }).optional(),
});
export type WireDisk = z.infer<typeof diskSchema>;

export const snapshotDiskSchema = z.object({ id: uuidSchema, image_id: uuidSchema, status: diskStatus });

export const attachmentSchema = z.object({
  id: uuidSchema,
  active: flag.default(false),
  bootable: flag.default(false),
  interface: z.enum(diskInterfaces),
  read_only: flag.default(false),
  pass_discard: flag.default(false),
  /** Kept as it came: `follow=disk` puts the whole disk here, without it there is an id. */
  disk: z.looseObject({ id: uuidSchema.optional(), snapshot: reference.optional() }).optional(),
});
export type WireAttachment = z.infer<typeof attachmentSchema>;

/** None is left out, empty, or all zeroes. */
const referenceId = z.string().optional().transform((id) => (id === undefined || id === '' || id === zeroUuid ? undefined : id)).pipe(uuidSchema.optional());

export const vmBackupSchema = z.object({
  id: uuidSchema,
  phase: z.string().default('unknown'),
  description: z.string().optional(),
  from_checkpoint_id: referenceId,
  to_checkpoint_id: referenceId,
  creation_date: moment.optional(),
  snapshot: reference.optional(),
});
export const vmBackupPhase = word(['initializing', 'starting', 'ready', 'finalizing', 'succeeded', 'failed']);
export const vmBackupDiskSchema = z.object({ id: uuidSchema, backup_mode: z.enum(['full', 'incremental']).optional().catch(undefined) });

export const scratchDiskSchema = z.object({ id: uuidSchema, description: z.string().default(''), content_type: z.string().optional() });

export const checkpointSchema = z.object({
  id: uuidSchema,
  parent_id: referenceId,
  /** Engines before 4.5 have no such element; a state that we do not know is not trusted. */
  state: z.enum(['created', 'invalid']).default('created').catch('invalid'),
  creation_date: moment.optional(),
});

export const imageTransferSchema = z.object({
  id: uuidSchema,
  phase: z.string().default('unknown'),
  direction: z.enum(['download', 'upload']),
  /** Named `image`, and is the disk's id (the engine's ImageTransferMapper). */
  image: reference.optional(),
  inactivity_timeout: z.coerce.number().optional(),
  transfer_url: z.string().min(1).optional(),
  proxy_url: z.string().min(1).optional(),
});
export const transferPhase = word(transferPhases);

export const clusterSchema = z.object({ id: uuidSchema, name: z.string(), data_center: reference.optional(), mac_pool: reference.optional() });
export const dataCenterSchema = reference;
export const networkSchema = z.object({ id: uuidSchema, name: z.string(), data_center: reference.optional() });
export const vnicProfileSchema = z.object({ id: uuidSchema, name: z.string(), network: reference });
export const macPoolSchema = z.object({ allow_duplicates: flag.default(false) });
export const storageDomainSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  type: z.string().default('other'),
  status: z.string().optional(),
  available: integer.optional(),
  backup: flag.default(false),
});

export const eventSchema = z.object({
  id: z.union([z.string(), z.number().transform(String)]),
  code: integer.default(-1),
  /** An unknown severity must not look like a failure. */
  severity: z.enum(['normal', 'warning', 'error', 'alert']).catch('normal'),
  description: z.string().default(''),
  correlation_id: z.string().optional(),
  time: moment.optional(),
  vm: reference.optional().catch(undefined),
});

/** Asked for by its origin, or just posted: both are there. */
export const postedEventSchema = eventSchema.extend({ custom_id: integer, origin: z.string() });

/** Since the engine after 4.5 (ovirt-engine-api-model 4.6.1, EngineBackupInfo): `last_engine_backup` is that of scope `files` (ovirt-engine, BackendApiResource.getLastEngineBackup). */
export const engineBackupSchema = z.object({ engine_backup: z.object({ last_db_backup: moment.optional(), last_engine_backup: moment.optional() }).default({}) });

/** Parses an answer; `what` is the request in words. The message names the element, never its value. */
export function parseAnswer<Value>(schema: z.ZodType<Value>, body: unknown, what: string, engineName: string): Value {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const element = issue?.path.map(String).join('.') ?? '';
  throw new HoldfastError(
    'engine.protocol',
    `Engine "${engineName}" answered in a form that Holdfast does not know while ${what}: ${element === '' ? 'the body' : `"${element}"`} ${issue?.message ?? 'is wrong'}. ` +
      'If the engine is newer than this Holdfast, update Holdfast.',
    { engine: engineName, element },
  );
}
