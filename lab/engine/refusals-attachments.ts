// Rows of the refusal table: disk attachments. See refusals.ts.
import type { Refusal } from './refusal';

const rules = 'engine-rules 3';
const backup = 'engine-rules 2';
const locked = ': The following disks are locked: {disks}. Please try again in a few minutes.';
const plugOrUnplug = 'HotPlugDiskToVmCommand.validate, which HotUnPlugDiskFromVmCommand has too';
const onBackupDomain = 'Running VM can not contain disks which are stored on a backup storage domain.';

export const attachmentRefusals = {
  'attach-disk/unknown': {
    operation: 'attach disk',
    condition: 'the disk does not exist',
    http: 400,
    text: 'Cannot attach Virtual Disk. The specified disk does not exist.',
    source: rules,
  },
  'attach-disk/snapshot-unknown': {
    operation: 'attach disk',
    condition: 'the snapshot does not exist or does not have that disk',
    http: 400,
    text: "Cannot attach Virtual Disk. VM's Snapshot does not exist.",
    source: `${rules}; AppErrors`,
  },
  'attach-disk/snapshot-not-regular': {
    operation: 'attach disk',
    condition: 'the snapshot is the active one',
    http: 409,
    text: 'Cannot attach Virtual Disk. The operation is only allowed for regular snapshots.',
    source: rules,
  },
  'attach-disk/snapshot-status': {
    operation: 'attach disk',
    condition: 'the snapshot is locked or in preview',
    http: 409,
    text: 'Cannot attach Virtual Disk. The snapshot is in {status} status.',
    source: rules,
  },
  'attach-disk/illegal': {
    operation: 'attach disk',
    condition: 'the active volume is illegal',
    http: 400,
    text: 'Cannot attach Virtual Disk. Disk is in an illegal state. Disks in an illegal state can only be deleted.',
    source: `${rules}; AppErrors, ILLEGAL_DISK_OPERATION`,
  },
  'attach-disk/locked': {
    operation: 'attach disk',
    condition: 'the disk is locked',
    http: 409,
    text: `Cannot attach Virtual Disk${locked}`,
    source: rules,
  },
  'attach-disk/vm-status': {
    operation: 'attach disk',
    condition: 'the VM is neither Up, Paused nor Down',
    http: 409,
    text: 'Cannot attach Virtual Disk because the VM is in {status} status.',
    source: rules,
  },
  'attach-disk/boot-in-use': {
    operation: 'attach disk',
    condition: 'the VM has a boot disk already',
    http: 409,
    text: 'Cannot attach Virtual Disk. Disk {disk} in VM {vm} is already marked as boot.',
    source: `${rules}; text believed`,
  },
  'attach-disk/already-attached': {
    operation: 'attach disk',
    condition: 'this disk, or any snapshot of it, is attached to this VM',
    http: 409,
    text: 'Cannot attach Virtual Disk. The disk is already attached to VM.',
    source: rules,
  },
  'attach-disk/not-shareable': {
    operation: 'attach disk',
    condition: 'a disk that is not shareable is attached elsewhere',
    http: 409,
    text: 'Cannot attach Virtual Disk. The disk is not shareable and is already attached to a VM.',
    source: `${rules}; AppErrors`,
  },
  'attach-disk/backup-domain': {
    operation: 'attach disk',
    condition: 'the disk is on a backup storage domain',
    http: 400,
    text: `Cannot attach Virtual Disk. ${onBackupDomain}`,
    source: backup,
  },
  'attach-disk/domain-status': {
    operation: 'attach disk',
    condition: "the disk's domain is not active",
    http: 409,
    text: "Cannot attach Virtual Disk. The relevant Storage Domain's status is {status}.",
    source: rules,
  },
  'attach-disk/interface': {
    operation: 'attach disk',
    condition: 'the VM runs and the interface cannot be hot-plugged',
    http: 400,
    text: 'Cannot hot plug Virtual Disk: The disk interface is not supported by the VM OS: {os}.',
    source: `${rules}; AppErrors, DISK_INTERFACE_UNSUPPORTED`,
  },
  'attach-disk/during-snapshot': {
    operation: 'attach disk',
    condition: 'a snapshot of the VM that gets the disk is locked',
    http: 409,
    text: 'Cannot attach Virtual Disk. The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.',
    source: rules,
  },
  'attach-disk/preview': {
    operation: 'attach disk',
    condition: 'the VM that gets the disk previews a snapshot',
    http: 409,
    text: 'Cannot attach Virtual Disk. VM is previewing a Snapshot.',
    source: rules,
  },
  'attach-disk/lun': {
    operation: 'attach disk',
    condition: 'a LUN would have to be plugged into a running VM',
    http: 400,
    text: 'Cannot hot plug Virtual Disk. The lab has no LUN behind disk {disk}: direct LUNs are records only.',
    source: 'limit of the lab',
  },
  'plug-disk/backup-domain': {
    operation: 'PUT active=true',
    condition: 'the VM runs and the disk is on a backup storage domain',
    http: 400,
    text: `Cannot hot plug Virtual Disk. ${onBackupDomain}`,
    source: backup,
  },
  'plug-disk/domain-status': {
    operation: 'PUT active=true',
    condition: "the VM runs and the disk's domain is not active",
    http: 409,
    text: "Cannot hot plug Virtual Disk. The relevant Storage Domain's status is {status}.",
    source: 'HotPlugDiskToVmCommand.imageStorageValidation',
  },
  'plug-disk/during-snapshot': {
    operation: 'PUT active',
    condition: 'a snapshot of the VM is locked',
    http: 409,
    text: '{C}. The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.',
    source: plugOrUnplug,
  },
  'plug-disk/preview': {
    operation: 'PUT active',
    condition: 'the VM previews a snapshot',
    http: 409,
    text: '{C}. VM is previewing a Snapshot.',
    source: plugOrUnplug,
  },
  'plug-disk/vm-status': {
    operation: 'PUT active',
    condition: 'the VM is neither Up, Paused nor Down',
    http: 409,
    text: '{C} because the VM is in {status} status.',
    source: rules,
  },
  'detach-disk/vm-status': {
    operation: 'detach disk',
    condition: 'the VM is neither Up nor Down',
    http: 409,
    text: 'Cannot detach Virtual Disk because the VM is in {status} status.',
    source: rules,
  },
  'detach-disk/not-attached': {
    operation: 'detach disk',
    condition: 'there is no such attachment: a DELETE of it is no 404',
    http: 400,
    text: 'Cannot detach Virtual Disk. The specified disk is not attached to the VM {vm}.',
    source: 'BackendDiskAttachmentResource.remove, DetachDiskFromVmCommand.validate; AppErrors',
  },
  'detach-disk/in-snapshot': {
    operation: 'detach disk',
    condition: "the VM's own disk has snapshots",
    http: 409,
    text: "Cannot detach Virtual Disk. The disk is already configured in a snapshot. In order to detach it, remove the disk's snapshots.",
    source: rules,
  },
} as const satisfies Readonly<Record<string, Refusal>>;
