// Rows of the table of injected faults that have to do with VM backups, checkpoints and image transfers. See kinds.ts.
import { z } from 'zod';
import { call, count, seconds, uuid } from './parameters';

const everyBackup = ['live', 'cold', 'hybrid'] as const;

export const backupFaultKinds = {
  'redefinition-failure': {
    parameters: z.strictObject({ kind: z.literal('redefinition-failure'), vmId: uuid.optional(), times: count.default(1) }),
    does: 'the host cannot redefine the checkpoint that a live incremental backup (or the removal of a checkpoint) starts from: all checkpoints of the VM go, event 10791',
    backups: ['live'],
    source: 'engine-rules 4, Redefine; ovirt-api 4 no. 13',
  },
  'bitmaps-forgotten': {
    parameters: z.strictObject({ kind: z.literal('bitmaps-forgotten'), vmId: uuid, call: call.optional() }),
    does: 'the host loses all bitmaps of the VM’s disks: a live incremental backup cannot be redefined, a transfer of a cold or hybrid one fails (event 1068)',
    backups: everyBackup,
    source: 'engine-rules 4, Redefine; ovirt-api 4 no. 24',
  },
  'lying-bitmap': {
    parameters: z.strictObject({ kind: z.literal('lying-bitmap'), diskId: uuid, bytes: count, call: call.optional() }),
    does: 'the next dirty bitmap that is served of this disk leaves out `bytes` of what was written, from its first dirty extent on',
    backups: everyBackup,
    source: 'issue 5: a bitmap that lies is caught by the witness',
  },
  'scratch-full': {
    parameters: z.strictObject({
      kind: z.literal('scratch-full'),
      vmId: uuid.optional(),
      bytes: z.number().int().nonnegative().default(0),
      times: count.default(1),
    }),
    does: 'scratch disks of the next live backup take no more than `bytes`; 0: one cannot even be made (event 10806, the backup fails)',
    backups: ['live'],
    source: 'ovirt-api 2.6, scratch disks; qemu-lab 8',
  },
  'finalize-failure': {
    parameters: z.strictObject({ kind: z.literal('finalize-failure'), vmId: uuid.optional(), times: count.default(1) }),
    does: 'the host cannot stop a backup: finalizing is a 400, event 10795, the backup fails and its checkpoint goes (of a hybrid backup see `merge-failure`)',
    backups: ['live', 'cold'],
    source: 'engine-rules 4, Finalize; StopVmBackupCommand',
  },
  'slow-finalize': {
    parameters: z.strictObject({
      kind: z.literal('slow-finalize'),
      what: z.enum(['backup', 'transfer']).default('backup'),
      vmId: uuid.optional(),
      diskId: uuid.optional(),
      seconds: seconds.optional(),
    }),
    does: 'a backup of the VM (or, `what`: a transfer of the disk) stays finalizing for `seconds`, else until the fault is released',
    backups: everyBackup,
    source: 'ovirt-api 4 no. 5',
  },
  'ticket-lost': {
    parameters: z.strictObject({ kind: z.literal('ticket-lost'), diskId: uuid.optional(), call: call.optional() }),
    does: 'the daemon forgets the tickets of running transfers (of one disk): clients get 403; at its next poll the engine pauses an upload and cancels a download (event 1065)',
    backups: everyBackup,
    source: 'ovirt-api 4 no. 10; engine-rules 4, Phases',
  },
  'transfer-stopped': {
    parameters: z.strictObject({
      kind: z.literal('transfer-stopped'),
      diskId: uuid.optional(),
      how: z.enum(['pause', 'cancel']),
      call: call.optional(),
    }),
    does: 'the system pauses or cancels running transfers (of one disk), as it does on a timeout',
    backups: everyBackup,
    source: 'ovirt-api 4 no. 9',
  },
  'transfer-purged': {
    parameters: z.strictObject({ kind: z.literal('transfer-purged'), diskId: uuid.optional(), times: count.default(1) }),
    does: 'a finished transfer is gone at once: GET is a 404, actions still answer 200',
    backups: everyBackup,
    source: 'ovirt-api 4 no. 5: purged at once before 4.4.7',
  },
  'foreign-transfer': {
    parameters: z.strictObject({ kind: z.literal('foreign-transfer'), diskId: uuid, call: call.optional() }),
    does: 'another user downloads the disk, which is locked meanwhile; cancelled when the fault is released',
    backups: everyBackup,
    source: 'engine-rules 1: Disk <n> is being transferred',
  },
  'foreign-backup': {
    parameters: z.strictObject({ kind: z.literal('foreign-backup'), vmId: uuid, call: call.optional() }),
    does: 'another product takes a full backup of the VM and finalizes it: its checkpoint stays in the VM’s chain',
    backups: everyBackup,
    source: 'ovirt-api 2.7: the chain is shared between all backup products',
  },
  'foreign-disk': {
    parameters: z.strictObject({
      kind: z.literal('foreign-disk'),
      vmId: uuid,
      format: z.enum(['cow', 'raw']).default('cow'),
      call: call.optional(),
    }),
    does: 'another user gives the VM one more disk of 64 MiB: `cow` with incremental backup (in no checkpoint yet), or `raw` (never in one)',
    backups: everyBackup,
    source: 'ovirt-api 4 no. 14 and 15',
  },
} as const;

export const backupFaultParameters = [
  backupFaultKinds['redefinition-failure'].parameters,
  backupFaultKinds['bitmaps-forgotten'].parameters,
  backupFaultKinds['lying-bitmap'].parameters,
  backupFaultKinds['scratch-full'].parameters,
  backupFaultKinds['finalize-failure'].parameters,
  backupFaultKinds['slow-finalize'].parameters,
  backupFaultKinds['ticket-lost'].parameters,
  backupFaultKinds['transfer-stopped'].parameters,
  backupFaultKinds['transfer-purged'].parameters,
  backupFaultKinds['foreign-transfer'].parameters,
  backupFaultKinds['foreign-backup'].parameters,
  backupFaultKinds['foreign-disk'].parameters,
] as const;
