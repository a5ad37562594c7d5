// What can be made to go wrong in the lab, as a table: what each fault takes, what it does, and where it was seen. Pure; nothing
// here is active until somebody asks for it on the control port. (A "fault" in ../faults.ts is the engine's own word for a refusal.)
import { z } from 'zod';
import { backupFaultKinds, backupFaultParameters } from './kinds-backups';
import { call, count, seconds, uuid } from './parameters';

const everyCall = { path: '/**', nth: 1 } as const;
export type BackupKindWord = 'live' | 'cold' | 'hybrid';
const everyBackup = ['live', 'cold', 'hybrid'] as const;

interface KindRow {
  readonly parameters: z.ZodType;
  readonly does: string;
  /** The kinds of backup whose way it crosses; absent: it belongs to no kind in particular. */
  readonly backups?: readonly BackupKindWord[];
  readonly source: string;
}

export const faultKinds = {
  'lost-reply': {
    parameters: z.strictObject({ kind: z.literal('lost-reply'), call, times: count.default(1) }),
    does: 'the call is carried out, then the connection is cut without an answer (refused calls do not count)',
    source: 'ovirt-api 4 no. 18: before a repeated POST look up what the first one did',
  },
  'server-error': {
    parameters: z.strictObject({
      kind: z.literal('server-error'),
      call: call.default(everyCall),
      status: z.union([z.literal(500), z.literal(502), z.literal(503)]).default(503),
      times: count.optional(),
      seconds: seconds.optional(),
    }),
    does: 'answers with an HTML page and does nothing; `times` calls (1), or for `seconds` from the first one on',
    source: 'engine-rules 7: clients must survive HTML in any error; ovirt-api 4 no. 18',
  },
  conflict: {
    parameters: z.strictObject({ kind: z.literal('conflict'), call, times: count.optional(), seconds: seconds.optional() }),
    does: 'refuses with 409 "Related operation is currently in progress"; `times` calls (1), or for `seconds` from the first one on',
    source: 'engine-rules 1: a lock conflict answers at once with the holder’s text',
  },
  'slow-snapshot': {
    parameters: z.strictObject({ kind: z.literal('slow-snapshot'), vmId: uuid.optional(), seconds: seconds.optional() }),
    does: 'new snapshots (of one VM) stay locked for `seconds`, else until the fault is released; then they are made',
    source: 'ovirt-api 4 no. 2: a snapshot stays locked after a crash of engine or host',
  },
  'merge-failure': {
    parameters: z.strictObject({
      kind: z.literal('merge-failure'),
      vmId: uuid.optional(),
      diskId: uuid.optional(),
      times: count.default(1),
      illegal: z.boolean().default(false),
    }),
    does: 'merges of a disk fail: events 359 and 357, the snapshot is ok again; with `illegal` the top volume is illegal until a live retry succeeds',
    source: 'engine-rules 5, Remove snapshot; ovirt-api 4 no. 4',
  },
  'token-expiry': {
    parameters: z.strictObject({ kind: z.literal('token-expiry'), call: call.optional(), everyCalls: count.min(2).optional() }),
    does: 'every session ends: now, after a call, or again and again before each `everyCalls`th call',
    source: 'ovirt-api 4 no. 19; engine-rules 7 SSO',
  },
  'engine-restart': {
    parameters: z.strictObject({
      kind: z.literal('engine-restart'),
      call: call.optional(),
      downSeconds: z.number().nonnegative().default(0),
      forgetBackups: z.boolean().optional(),
    }),
    does: 'the engine stops (connections cut, locks and sessions gone), is away for `downSeconds`, and starts on its state; VMs go on; with `forgetBackups` running backups are nobody’s any more: failed, event 10814',
    backups: everyBackup,
    source: 'engine-rules 5, Engine restart',
  },
  'qemu-killed': {
    parameters: z.strictObject({ kind: z.literal('qemu-killed'), vmId: uuid, call: call.optional() }),
    does: 'SIGKILL to the QEMU of a VM: the VM is down, event 119; the bitmaps that it recorded are inconsistent',
    backups: ['live', 'hybrid'],
    source: 'ovirt-api 4 no. 16',
  },
  'stuck-unplug': {
    parameters: z.strictObject({
      kind: z.literal('stuck-unplug'),
      vmId: uuid.optional(),
      diskId: uuid.optional(),
      seconds: seconds.optional(),
    }),
    does: 'unplugging a disk of a running VM is accepted but the disk stays there for `seconds`, else until the fault is released',
    source: 'ovirt-api 4 no. 20: a snapshot disk left attached to the appliance blocks the removal of the snapshot',
  },
  'illegal-disk': {
    parameters: z.strictObject({ kind: z.literal('illegal-disk'), diskId: uuid, call: call.optional() }),
    does: 'the disk is illegal, now or after a call, until the fault is released',
    source: 'ovirt-api 4 no. 4; engine-rules 3: refusals over illegal disks',
  },
  'foreign-snapshot': {
    parameters: z.strictObject({
      kind: z.literal('foreign-snapshot'),
      vmId: uuid,
      description: z.string().min(1).default('Holdfast backup of something else'),
      call: call.optional(),
    }),
    does: 'another product takes a snapshot of the VM, now or after a call as soon as the VM is free; it stays when the fault is released',
    source: 'ovirt-api 4 no. 21: the description is the only free mark, never delete by prefix alone',
  },
  ...backupFaultKinds,
} as const satisfies Readonly<Record<string, KindRow>>;

export type FaultKind = keyof typeof faultKinds;

export const faultSchema = z.discriminatedUnion('kind', [
  faultKinds['lost-reply'].parameters,
  faultKinds['server-error'].parameters,
  faultKinds.conflict.parameters,
  faultKinds['slow-snapshot'].parameters,
  faultKinds['merge-failure'].parameters,
  faultKinds['token-expiry'].parameters,
  faultKinds['engine-restart'].parameters,
  faultKinds['qemu-killed'].parameters,
  faultKinds['stuck-unplug'].parameters,
  faultKinds['illegal-disk'].parameters,
  faultKinds['foreign-snapshot'].parameters,
  ...backupFaultParameters,
]);
export type Fault = z.infer<typeof faultSchema>;
export type FaultOf<Kind extends FaultKind> = Extract<Fault, { readonly kind: Kind }>;
export type CallPattern = z.infer<typeof call>;

/** Whether a call is one that the pattern names. */
export function isCall(pattern: CallPattern, method: string, path: string): boolean {
  if (pattern.method !== undefined && pattern.method !== method) return false;
  const expression = pattern.path
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
  return new RegExp(`^${expression}/?$`).test(path);
}
