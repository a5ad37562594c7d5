// Every refusal of the engine in one table: who refuses, when, with which code and which text, and where that was
// found. A test walks the rows and provokes each. `{x}` is filled in; `{C}` is the phrase of the one who asks.
import { operationFailed, HttpFault } from './faults';
import { disksLocked, type Refusal } from './refusal';
import { backupRefusals } from './refusals-backups';
import { diskRefusals } from './refusals-disks';
import { snapshotRefusals } from './refusals-snapshots';
import { permissionRefusals } from './refusals-permissions';
import { vmRefusals } from './refusals-vms';

/** "Cannot <action> <type>", as the requester's own operation says it. */
export type Phrase = `Cannot ${string}`;

export const refusals = {
  ...snapshotRefusals,
  ...diskRefusals,
  ...vmRefusals,
  ...backupRefusals,
  ...permissionRefusals,
  'lock/create-snapshot': {
    operation: 'any on the same VM',
    condition: 'a snapshot of the VM is being created',
    http: 409,
    text: '{C}. Snapshot is currently being created for VM {vm}.',
    source: 'engine-rules 1, CreateSnapshotForVm',
  },
  'lock/related-operation': {
    operation: 'any on the same VM, disk or domain',
    condition: 'a short operation holds it (attach, add disk, preview, start, domain)',
    http: 409,
    text: '{C}. Related operation is currently in progress. Please try again later.',
    source: 'engine-rules 1',
  },
  'lock/hot-plug-disk': {
    operation: 'any on the same disk',
    condition: 'the disk is being plugged or unplugged',
    http: 409,
    text: `{C}${disksLocked}`,
    source: 'engine-rules 1, Hot(un)plug',
  },
  'lock/hot-plug-vm': {
    operation: 'any that wants the VM alone',
    condition: 'a disk of the VM is being plugged or unplugged',
    http: 409,
    text: '{C}: VM is locked. Please try again in a few minutes.',
    source: 'engine-rules 1, Hot(un)plug',
  },
  'lock/remove-disk': {
    operation: 'any on the same disk',
    condition: 'the disk is being removed',
    http: 409,
    text: '{C}. Disk {disk} is being removed.',
    source: 'engine-rules 1, RemoveDisk',
  },
} as const satisfies Readonly<Record<string, Refusal>>;

export type RefusalKey = keyof typeof refusals;
export type RefusalParameters = Readonly<Record<string, string>>;

export function refuse(key: RefusalKey, parameters: RefusalParameters = {}): HttpFault {
  const row: Refusal = refusals[key];
  const text = row.text.replace(/\{(\w+)\}/g, (whole, name: string) => parameters[name] ?? whole);
  return row.plain ? new HttpFault(row.http, 'fault', 'Operation Failed', text) : operationFailed(row.http, text);
}
