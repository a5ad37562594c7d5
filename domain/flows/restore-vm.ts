// Input and output of the flow `restoreVm`: as a new VM, as the original that is gone, or in the place of the original.
import { z } from 'zod';
import { leftoverSchema } from '../holdings';
import { configNameSchema, uuidSchema } from '../ids';
import { askedMethods } from './asked';

export const restoreTargets = ['new', 'original', 'replace'] as const;

const place = z.string().min(1).max(255);
/** Six bytes, unicast, not all zero: what the engine takes as the address of a NIC. */
const macSchema = z.string().regex(/^(?!00(?::00){5}$)[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/, 'must be a unicast MAC address in lower case, such as 56:6f:1a:b0:00:01');

export const restoreVmInputSchema = z
  .strictObject({
    engine: configNameSchema,
    repository: configNameSchema,
    backupId: uuidSchema,
    as: z.enum(restoreTargets).default('new').describe('`new`: another VM, with ids of its own. `original`: the VM that was backed up, which is gone. `replace`: in the place of that VM, which is there and down'),
    requestId: uuidSchema.optional().describe('Chosen by the caller, unique for ever. As a new VM it is needed, and the workflow id must be restore/<requestId>'),
    vmId: uuidSchema.optional().describe('The VM that was backed up. As `original` or `replace` it is needed, and the workflow id must be vm/<engine>/<vmId>: the lock of that VM'),
    method: z.enum(askedMethods).default('appliance').describe('How data enters oVirt. `appliance`: disks are attached to a VM with a worker in it. `transfer`: uploads through a host; needs no appliance. `auto`: the appliance when one answers, else uploads'),
    applianceId: uuidSchema.optional(),
    /** 1-255 characters oVirt accepts. */
    name: z
      .string()
      .regex(/^[\p{L}\p{N}._+-]{1,255}$/u, 'must be 1-255 letters, digits, ".", "_", "+" or "-"')
      .optional()
      .describe('Name of the restored VM. As a new VM it is needed; else the default is the name in the backup'),
    cluster: place.optional().describe('Name or id; default: the cluster the VM came from'),
    diskIds: z.array(uuidSchema).min(1).optional().describe('Only these disks of the backup; default: all of them'),
    storageDomain: place.optional().describe('Name or id, for all disks that no other rule names; default: each disk\'s own storage domain'),
    storageDomainMap: z.array(z.strictObject({ from: place, to: place })).default([]).describe('By the storage domain that disks came from (its id, or its name while the engine has it): name or id of another one'),
    storageDomainOfDisk: z.array(z.strictObject({ diskId: uuidSchema, storageDomain: place })).default([]).describe('By disk of the backup: name or id of a storage domain; wins over the map and over storageDomain'),
    networks: z
      .array(z.strictObject({ from: place, to: place.nullable() }))
      .default([])
      .describe('By the network that NICs were on (<network> or <network>/<vNIC profile>): a vNIC profile by id or as <network>/<profile>, a network by name or id, or null for no network'),
    macs: z.enum(['keep', 'new']).optional().describe('Default: new ones from the cluster\'s pool for a new VM, else the saved ones'),
    macOfNic: z.array(z.strictObject({ nic: place, mac: macSchema })).default([]).describe('By the name of the NIC; wins over macs'),
    oldDisks: z
      .enum(['restored', 'all', 'none'])
      .default('restored')
      .describe('`replace` only: which disks of the old VM are removed once the new one stands. `restored`: those that this restore brought back from the backup. The others stay, detached, and the result names them; shared disks and direct LUNs always stay'),
    start: z.boolean().default(false),
    bandwidthBytesPerSecond: z.number().int().min(65_536).optional(),
  })
  .superRefine((input, context) => {
    const need = (key: 'requestId' | 'name' | 'vmId', why: string): void => {
      if (input[key] === undefined) context.addIssue({ code: 'custom', path: [key], message: `is needed to restore ${why}` });
    };
    if (input.as === 'new') {
      need('requestId', 'as a new VM');
      need('name', 'as a new VM');
    } else need('vmId', input.as === 'original' ? 'as the original' : 'in the place of the VM');
    if (input.as !== 'replace' && input.oldDisks !== 'restored') context.addIssue({ code: 'custom', path: ['oldDisks'], message: 'is for as: replace only' });
    const twice = (path: string, keys: readonly string[]): void => {
      const again = keys.find((key, index) => keys.indexOf(key) < index);
      if (again !== undefined) context.addIssue({ code: 'custom', path: [path], message: `names ${again} twice` });
    };
    twice('diskIds', input.diskIds ?? []);
    twice('storageDomainMap', input.storageDomainMap.map(({ from }) => from));
    twice('storageDomainOfDisk', input.storageDomainOfDisk.map(({ diskId }) => diskId));
    twice('networks', input.networks.map(({ from }) => from));
    twice('macOfNic', input.macOfNic.map(({ nic }) => nic));
  });
export type RestoreVmRequest = z.input<typeof restoreVmInputSchema>;
export type RestoreVmInput = z.output<typeof restoreVmInputSchema>;

export const restoredDiskSchema = z.object({
  sourceDiskId: uuidSchema,
  diskId: uuidSchema,
  alias: z.string(),
  virtualBytes: z.number().int(),
  dataBytes: z.number().int(),
  /** Digest root re-read from the target after reopening; equal to the manifest's. */
  root: z.string(),
});

const namedDiskSchema = z.object({ diskId: uuidSchema, alias: z.string(), why: z.string() });
export type NamedDisk = z.infer<typeof namedDiskSchema>;

export const restoreVmOutputSchema = z.object({
  runId: uuidSchema,
  backupId: uuidSchema,
  vmId: uuidSchema,
  vmName: z.string(),
  disks: z.array(restoredDiskSchema),
  /** Disks that the VM had when it was backed up and that were not restored. */
  leftOut: z.array(namedDiskSchema),
  /** `replace`: disks of the old VM that stay, detached; the new VM does not have them. */
  keptDisks: z.array(namedDiskSchema),
  /** `replace`: disks of the old VM that are gone. */
  removedDiskIds: z.array(uuidSchema),
  started: z.boolean(),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  warnings: z.array(z.string()),
  leftovers: z.array(leftoverSchema),
});
export type RestoreVmOutput = z.infer<typeof restoreVmOutputSchema>;
