// Rows of the refusal table: disks, their attachments and storage domains. See refusals.ts.
import { disksLocked, duringSnapshot, type Refusal } from './refusal';
import { attachmentRefusals } from './refusals-attachments';

const rules = 'engine-rules 3';
const backup = 'engine-rules 2';
const addToVm = 'AddDiskCommand.checkIfImageDiskCanBeAdded';

export const diskRefusals = {
  ...attachmentRefusals,

  'add-disk/domain-unknown': {
    operation: 'add disk',
    condition: 'the domain does not exist',
    http: 400,
    text: "Cannot add Virtual Disk. Storage Domain doesn't exist.",
    source: 'AppErrors',
  },
  'add-disk/domain-status': {
    operation: 'add disk',
    condition: 'the domain is not active',
    http: 409,
    text: "Cannot add Virtual Disk. The relevant Storage Domain's status is {status}.",
    source: rules,
  },
  'add-disk/configuration': {
    operation: 'add disk',
    condition: 'cow and preallocated, or raw with incremental backup',
    http: 409,
    text: 'Cannot add Virtual Disk. Disk configuration ({format} {allocation} backup-{backup}) is incompatible with the storage domain type.',
    source: rules,
  },
  'add-disk/low-space': {
    operation: 'add disk',
    condition: 'the domain is below its critical space or the disk does not fit',
    http: 409,
    text: 'Cannot add Virtual Disk. Low disk space on Storage Domain {domain}.',
    source: rules,
  },
  'add-disk/shareable-cow': {
    operation: 'add disk',
    condition: 'a shareable disk that is not raw',
    http: 409,
    text: "Cannot add Virtual Disk. Disk's volume format is not supported for shareable disk.",
    source: `${rules}; AppErrors, SHAREABLE_DISK_IS_NOT_SUPPORTED_BY_VOLUME_FORMAT`,
  },
  'add-disk/image-id-used': {
    operation: 'add disk',
    condition: 'the volume id is in use',
    http: 409,
    text: 'Cannot add Virtual Disk. One of the Template Images already exists.',
    source: rules,
  },
  'add-disk/id-used': {
    operation: 'add disk',
    condition: 'the disk id is in use',
    http: 409,
    text: 'Cannot add Virtual Disk. The selected disk ID: {id} is already used by the following existing disk: {disk}.',
    source: rules,
  },
  'add-disk/during-snapshot': {
    operation: 'add disk to a VM',
    condition: 'a snapshot of the VM is locked',
    http: 409,
    text: `Cannot add Virtual Disk. ${duringSnapshot}`,
    source: addToVm,
  },
  'add-disk/preview': {
    operation: 'add disk to a VM',
    condition: 'the VM previews a snapshot',
    http: 409,
    text: 'Cannot add Virtual Disk. VM is previewing a Snapshot.',
    source: addToVm,
  },
  'remove-disk/vm-not-down': {
    operation: 'remove disk',
    condition: 'plugged to a VM that is not down',
    http: 409,
    text: 'Cannot remove Virtual Disk. At least one of the VMs is not down.',
    source: rules,
  },
  'remove-disk/template': {
    operation: 'remove disk',
    condition: "the disk is a template's",
    http: 400,
    text: "Cannot remove Virtual Disk. A storage domain must be specified when deleting one of a template's disk's copies.",
    source: 'RemoveDiskCommand.canRemoveDiskBasedOnImageStorageCheck; AppErrors',
  },
  'remove-disk/domain-status': {
    operation: 'remove disk',
    condition: "the disk's domain is not active",
    http: 409,
    text: "Cannot remove Virtual Disk. The relevant Storage Domain's status is {status}.",
    source: 'RemoveDiskCommand.canRemoveDiskBasedOnImageStorageCheck',
  },
  'remove-disk/locked': {
    operation: 'remove disk',
    condition: 'the disk is locked',
    http: 409,
    text: 'Cannot remove Virtual Disk. Related operation is currently in progress. Please try again later.',
    source: 'RemoveDiskCommand.canRemoveDiskBasedOnImageStorageCheck, ACTION_TYPE_FAILED_OBJECT_LOCKED',
  },
  'remove-disk/during-snapshot': {
    operation: 'remove disk',
    condition: 'its VM has a locked snapshot',
    http: 409,
    text: `Cannot remove Virtual Disk. ${duringSnapshot}`,
    source: rules,
  },
  'remove-disk/preview': {
    operation: 'remove disk',
    condition: 'its VM previews a snapshot',
    http: 409,
    text: 'Cannot remove Virtual Disk. VM is previewing a Snapshot.',
    source: rules,
  },
  'update-disk/locked': {
    operation: 'edit disk',
    condition: 'the disk is locked',
    http: 409,
    text: `Cannot edit Virtual Disk${disksLocked}`,
    source: rules,
  },

  'domain/backup-in-use': {
    operation: 'PUT backup=true',
    condition: 'an active VM has a plugged image disk there',
    http: 409,
    text: 'Cannot edit Storage. The storage domain contains disks which are attached to running VMs or VMs with leases.',
    source: backup,
  },
  'domain/deactivate-status': {
    operation: 'deactivate domain',
    condition: 'it is not active',
    http: 409,
    text: "Cannot deactivate Storage. The relevant Storage Domain's status is {status}.",
    source: 'engine-rules 6',
  },
  'domain/deactivate-in-use': {
    operation: 'deactivate domain',
    condition: 'a VM that is not down has a plugged disk there',
    http: 409,
    text: 'Cannot deactivate Storage. VMs in a state other than "Down" or "Suspended" were detected.\n-Please ensure all VMs associated with this Storage Domain are stopped and in the Down or Suspended state first.',
    source: 'engine-rules 6; AppErrors, DETECTED_ACTIVE_VMS',
  },
  'domain/activate-status': {
    operation: 'activate domain',
    condition: 'it is active already',
    http: 409,
    text: "Cannot activate Storage. The relevant Storage Domain's status is {status}.",
    source: 'engine-rules 6',
  },
} as const satisfies Readonly<Record<string, Refusal>>;
