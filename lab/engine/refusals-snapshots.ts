// Rows of the refusal table: snapshots (create, remove, preview, commit, undo, restore). See refusals.ts.
import type { Refusal } from './refusals';

const rules = 'engine-rules 3';
const during = 'The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.';
const locked = ': The following disks are locked: {disks}. Please try again in a few minutes.';
const illegal = 'The following attached disks are in ILLEGAL status: {disks} - please remove them and try again.';
const attached = "The following VM's disks snapshots are attached to other VMs (Disk Alias/Snapshot Description/VM attached to): {list}. Please detach them from those VMs and try again.";

export const snapshotRefusals = {
  'create-snapshot/disk-unknown': { operation: 'create snapshot', condition: 'a named disk does not exist', http: 400, text: 'Cannot create Snapshot. The following disk(s) ID(s) does not exist: {disks}.', source: rules },
  'create-snapshot/not-snapable': { operation: 'create snapshot', condition: 'a named disk is shareable or a LUN', http: 400, text: 'Cannot create Snapshot. Snapshot is not allowed for the following disk(s): {disks}.', source: rules },
  'create-snapshot/not-attached': { operation: 'create snapshot', condition: 'a named disk is not attached to the VM', http: 400, text: 'Cannot create Snapshot. The following disk(s) are not attached to the VM {vm}: {disks}.', source: rules },
  'create-snapshot/vm-status': { operation: 'create snapshot', condition: 'the VM is NotResponding, ImageLocked, …', http: 409, text: 'Cannot create Snapshot because the VM is in {status} status.', source: rules },
  'create-snapshot/during-snapshot': { operation: 'create snapshot', condition: 'a snapshot of the VM is locked', http: 409, text: `Cannot create Snapshot. ${during}`, source: rules },
  'create-snapshot/preview': { operation: 'create snapshot', condition: 'the VM previews a snapshot', http: 409, text: 'Cannot create Snapshot. VM is previewing a Snapshot.', source: rules },
  'create-snapshot/memory': { operation: 'create snapshot', condition: 'the memory of a running VM is asked for (the default)', http: 400, text: 'Cannot create Snapshot. The lab does not save memory: send persist_memorystate=false.', source: 'limit of the lab' },
  'create-snapshot/disks-locked': { operation: 'create snapshot', condition: 'a disk is locked', http: 409, text: `Cannot create Snapshot${locked}`, source: rules },
  'create-snapshot/disks-illegal': { operation: 'create snapshot', condition: 'a disk is illegal', http: 500, text: `Cannot create Snapshot. ${illegal}`, source: rules },
  'create-snapshot/image-id-used': { operation: 'create snapshot', condition: 'a predefined volume id is in use', http: 409, text: 'Cannot create Snapshot. Image IDs {images} are already used by a snapshot.', source: rules },
  'create-snapshot/domain-status': { operation: 'create snapshot', condition: 'a disk\'s domain is not active', http: 409, text: "Cannot create Snapshot. The relevant Storage Domain's status is {status}.", source: rules },
  'create-snapshot/low-space': { operation: 'create snapshot', condition: 'the domain is below its critical space', http: 409, text: 'Cannot create Snapshot. Low disk space on Storage Domain {domain}.', source: rules },

  'remove-snapshot/during-snapshot': { operation: 'remove snapshot', condition: 'a locked snapshot shares a disk', http: 409, text: `Cannot remove Snapshot. ${during}`, source: rules },
  'remove-snapshot/preview': { operation: 'remove snapshot', condition: 'the VM previews a snapshot', http: 409, text: 'Cannot remove Snapshot. VM is previewing a Snapshot.', source: rules },
  'remove-snapshot/not-regular': { operation: 'remove snapshot', condition: 'it is the active one', http: 409, text: 'Cannot remove Snapshot. The operation is only allowed for regular snapshots.', source: rules },
  'remove-snapshot/vm-status': { operation: 'remove snapshot', condition: 'the VM is neither Down, Up nor Paused', http: 409, text: 'Cannot remove Snapshot. VM {vm} must be in status Down, Up or Paused.', source: rules },
  'remove-snapshot/attached': { operation: 'remove snapshot', condition: 'a disk of it is attached to another VM, active or not', http: 409, text: `Cannot remove Snapshot. ${attached}`, source: rules },
  'remove-snapshot/disks-locked': { operation: 'remove snapshot', condition: 'a disk is locked', http: 409, text: `Cannot remove Snapshot${locked}`, source: rules },
  'remove-snapshot/disks-illegal': { operation: 'remove snapshot', condition: 'a disk is illegal and the VM is down', http: 500, text: `Cannot remove Snapshot. ${illegal}`, source: rules },
  'remove-snapshot/unplugged': { operation: 'remove snapshot', condition: 'the VM runs and a disk of the snapshot is not plugged', http: 409, text: 'Cannot remove Snapshot. The following disks are either unplugged or unattached: {disks}.', source: rules },
  'remove-snapshot/domain-status': { operation: 'remove snapshot', condition: 'a disk\'s domain is not active', http: 409, text: "Cannot remove Snapshot. The relevant Storage Domain's status is {status}.", source: rules },
  'remove-snapshot/low-space': { operation: 'remove snapshot', condition: 'the domain is below its critical space', http: 409, text: 'Cannot remove Snapshot. Low disk space on Storage Domain {domain}.', source: rules },

  'preview-snapshot/vm-not-down': { operation: 'preview snapshot', condition: 'the VM is not down', http: 409, text: 'Cannot preview Snapshot. At least one of the VMs is not down.', source: rules },
  'preview-snapshot/unknown': { operation: 'preview snapshot', condition: 'the snapshot does not exist', http: 400, text: "Cannot preview Snapshot. VM's Snapshot does not exist.", source: `${rules}; AppErrors` },
  'preview-snapshot/during-snapshot': { operation: 'preview snapshot', condition: 'a snapshot of the VM is locked', http: 409, text: `Cannot preview Snapshot. ${during}`, source: rules },
  'preview-snapshot/preview': { operation: 'preview snapshot', condition: 'a preview is on already', http: 409, text: 'Cannot preview Snapshot. VM is previewing a Snapshot.', source: rules },
  'preview-snapshot/no-configuration': { operation: 'preview snapshot', condition: 'the active snapshot is named, which has no configuration', http: 400, text: 'Cannot preview Snapshot. The snapshot {snapshot} of VM {vm} has no configuration available. Please choose a snapshot with configuration available.', source: `${rules}; AppErrors` },
  'preview-snapshot/disks-illegal': { operation: 'preview snapshot', condition: 'a disk is illegal', http: 500, text: `Cannot preview Snapshot. ${illegal}`, source: rules },
  'preview-snapshot/disks-locked': { operation: 'preview snapshot', condition: 'a disk is locked', http: 409, text: `Cannot preview Snapshot${locked}`, source: rules },
  'preview-snapshot/not-attached': { operation: 'preview snapshot', condition: 'a disk of the snapshot left the VM', http: 409, text: 'Cannot preview Snapshot. The following disks are either unplugged or unattached: {disks}.', source: rules },
  'preview-snapshot/domain-status': { operation: 'preview snapshot', condition: 'a disk\'s domain is not active', http: 409, text: "Cannot preview Snapshot. The relevant Storage Domain's status is {status}.", source: rules },
  'commit-snapshot/not-in-preview': { operation: 'commit or undo a preview', condition: 'the VM previews nothing', http: 409, text: '{C}. VM is not in preview mode.', source: 'text believed' },
  'commit-snapshot/attached': { operation: 'commit a preview', condition: 'a snapshot disk that would go is attached to another VM', http: 409, text: `Cannot revert to Snapshot. ${attached}`, source: rules },
  'commit-snapshot/vm-not-down': { operation: 'commit or undo a preview', condition: 'the VM runs from the preview', http: 409, text: '{C}. At least one of the VMs is not down.', source: rules },
} as const satisfies Readonly<Record<string, Refusal>>;
