// Rows of the refusal table: what nobody may do to a VM that is in a backup. See refusals.ts.
import { duringBackup, type Refusal } from './refusal';

export const inBackupRefusals = {
  'remove-snapshot/in-backup': {
    operation: 'remove snapshot',
    condition: 'the VM is in a backup, hybrid too',
    http: 409,
    text: `Cannot remove Snapshot. ${duringBackup}`,
    source: 'engine-rules 3, Remove snapshot',
  },
  'remove-vm/in-backup': {
    operation: 'remove VM',
    condition: 'the VM is in a backup, hybrid too',
    http: 409,
    text: `Cannot remove VM. ${duringBackup}`,
    source: 'engine-rules 3, Start VM',
  },
  'start-vm/in-backup': {
    operation: 'start VM',
    condition: 'the VM is in a hybrid backup, and the engine remembers a live or cold one',
    http: 409,
    text: `Cannot run VM. ${duringBackup}`,
    source: 'RunVmCommand.validate, VmCommand.isVmDuringBackup',
  },
  'stop-vm/in-backup': {
    operation: 'stop VM without force',
    condition: 'the VM is in a hybrid backup, and the engine remembers a live or cold one',
    http: 409,
    text: `Cannot stop VM. ${duringBackup}`,
    source: 'StopVmCommandBase.validate, VmCommand.isVmDuringBackup',
  },
  'shutdown-vm/in-backup': {
    operation: 'shut down VM without force',
    condition: 'the VM is in a live backup, or in a hybrid one while the engine remembers a live or cold one',
    http: 409,
    text: `Cannot shutdown VM. ${duringBackup}`,
    source: 'engine-rules 3, Start VM',
  },
} as const satisfies Readonly<Record<string, Refusal>>;
