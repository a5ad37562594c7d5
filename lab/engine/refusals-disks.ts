// Rows of the refusal table: disks, disk attachments and storage domains. See refusals.ts.
import type { Refusal } from './refusals';

const rules = 'engine-rules 3';
const backup = 'engine-rules 2';
const locked = ': The following disks are locked: {disks}. Please try again in a few minutes.';
const onBackupDomain = 'Running VM can not contain disks which are stored on a backup storage domain.';

export const diskRefusals = {
  'attach-disk/unknown': { operation: 'attach disk', condition: 'the disk does not exist', http: 400, text: 'Cannot attach Virtual Disk. The specified disk does not exist.', source: rules },
  'attach-disk/snapshot-unknown': { operation: 'attach disk', condition: 'the snapshot does not exist or does not have that disk', http: 400, text: "Cannot attach Virtual Disk. VM's Snapshot does not exist.", source: `${rules}; AppErrors` },
  'attach-disk/snapshot-not-regular': { operation: 'attach disk', condition: 'the snapshot is the active one', http: 409, text: 'Cannot attach Virtual Disk. The operation is only allowed for regular snapshots.', source: rules },
  'attach-disk/snapshot-status': { operation: 'attach disk', condition: 'the snapshot is locked or in preview', http: 409, text: 'Cannot attach Virtual Disk. The snapshot is in {status} status.', source: rules },
  'attach-disk/illegal': { operation: 'attach disk', condition: 'the active volume is illegal', http: 400, text: 'Cannot attach Virtual Disk. Disk is in an illegal state. Illegal disks can only be deleted.', source: `${rules}; second sentence from AppErrors` },
  'attach-disk/locked': { operation: 'attach disk', condition: 'the disk is locked', http: 409, text: `Cannot attach Virtual Disk${locked}`, source: rules },
  'attach-disk/vm-status': { operation: 'attach disk', condition: 'the VM is neither Up, Paused nor Down', http: 409, text: 'Cannot attach Virtual Disk because the VM is in {status} status.', source: rules },
  'attach-disk/boot-in-use': { operation: 'attach disk', condition: 'the VM has a boot disk already', http: 409, text: 'Cannot attach Virtual Disk. Disk {disk} in VM {vm} is already marked as boot.', source: `${rules}; text believed` },
  'attach-disk/already-attached': { operation: 'attach disk', condition: 'this disk, or any snapshot of it, is attached to this VM', http: 409, text: 'Cannot attach Virtual Disk. The disk is already attached to VM.', source: rules },
  'attach-disk/not-shareable': { operation: 'attach disk', condition: 'a disk that is not shareable is attached elsewhere', http: 409, text: 'Cannot attach Virtual Disk. The disk is not shareable and is already attached to a VM.', source: `${rules}; AppErrors` },
  'attach-disk/backup-domain': { operation: 'attach disk', condition: 'the disk is on a backup storage domain', http: 400, text: `Cannot attach Virtual Disk. ${onBackupDomain}`, source: backup },
  'attach-disk/domain-status': { operation: 'attach disk', condition: "the disk's domain is not active", http: 409, text: "Cannot attach Virtual Disk. The relevant Storage Domain's status is {status}.", source: rules },
  'attach-disk/interface': { operation: 'attach disk', condition: 'the VM runs and the interface cannot be hot-plugged', http: 400, text: 'Cannot hot plug Virtual Disk. The {interface} interface does not support hot plug.', source: `${rules}; text believed` },
  'attach-disk/during-snapshot': { operation: 'attach disk', condition: 'a snapshot of the VM that gets the disk is locked', http: 409, text: 'Cannot attach Virtual Disk. The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.', source: rules },
  'attach-disk/preview': { operation: 'attach disk', condition: 'the VM that gets the disk previews a snapshot', http: 409, text: 'Cannot attach Virtual Disk. VM is previewing a Snapshot.', source: rules },
  'attach-disk/lun': { operation: 'attach disk', condition: 'a LUN would have to be plugged into a running VM', http: 400, text: 'Cannot hot plug Virtual Disk. The lab has no LUN behind disk {disk}: direct LUNs are records only.', source: 'limit of the lab' },
  'plug-disk/already': { operation: 'PUT active=true', condition: 'the disk is active', http: 409, text: 'Disk is already activated.', source: rules },
  'unplug-disk/already': { operation: 'PUT active=false', condition: 'the disk is not active', http: 409, text: 'Disk is already deactivated.', source: rules },
  'plug-disk/backup-domain': { operation: 'PUT active=true', condition: 'the VM runs and the disk is on a backup storage domain', http: 400, text: `Cannot hot plug Virtual Disk. ${onBackupDomain}`, source: backup },
  'plug-disk/vm-status': { operation: 'PUT active', condition: 'the VM is neither Up, Paused nor Down', http: 409, text: '{C} because the VM is in {status} status.', source: rules },
  'detach-disk/vm-status': { operation: 'detach disk', condition: 'the VM is neither Up nor Down', http: 409, text: 'Cannot detach Virtual Disk because the VM is in {status} status.', source: rules },
  'detach-disk/in-snapshot': { operation: 'detach disk', condition: "the VM's own disk has snapshots", http: 409, text: "Cannot detach Virtual Disk. The disk is already configured in a snapshot. In order to detach it, remove the disk's snapshots.", source: rules },

  'add-disk/domain-unknown': { operation: 'add disk', condition: 'the domain does not exist', http: 400, text: "Cannot add Virtual Disk. Storage Domain doesn't exist.", source: 'AppErrors' },
  'add-disk/domain-status': { operation: 'add disk', condition: 'the domain is not active', http: 409, text: "Cannot add Virtual Disk. The relevant Storage Domain's status is {status}.", source: rules },
  'add-disk/configuration': { operation: 'add disk', condition: 'cow and preallocated, or raw with incremental backup', http: 409, text: 'Cannot add Virtual Disk. Disk configuration ({format} {allocation} backup-{backup}) is incompatible with the storage domain type.', source: rules },
  'add-disk/low-space': { operation: 'add disk', condition: 'the domain is below its critical space or the disk does not fit', http: 409, text: 'Cannot add Virtual Disk. Low disk space on Storage Domain {domain}.', source: rules },
  'add-disk/shareable-cow': { operation: 'add disk', condition: 'a shareable disk that is not raw', http: 409, text: 'Cannot add Virtual Disk. The selected disk configuration is not supported.', source: `${rules}; AppErrors` },
  'add-disk/image-id-used': { operation: 'add disk', condition: 'the volume id is in use', http: 409, text: 'Cannot add Virtual Disk. One of the Template Images already exists.', source: rules },
  'add-disk/id-used': { operation: 'add disk', condition: 'the disk id is in use', http: 409, text: 'Cannot add Virtual Disk. The selected disk ID: {id} is already used by the following existing disk: {disk}.', source: rules },
  'remove-disk/vm-not-down': { operation: 'remove disk', condition: 'plugged to a VM that is not down', http: 409, text: 'Cannot remove Virtual Disk. At least one of the VMs is not down.', source: rules },
  'remove-disk/locked': { operation: 'remove disk', condition: 'the disk is locked', http: 409, text: `Cannot remove Virtual Disk${locked}`, source: rules },
  'remove-disk/during-snapshot': { operation: 'remove disk', condition: 'its VM has a locked snapshot', http: 409, text: 'Cannot remove Virtual Disk. The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.', source: rules },
  'remove-disk/preview': { operation: 'remove disk', condition: 'its VM previews a snapshot', http: 409, text: 'Cannot remove Virtual Disk. VM is previewing a Snapshot.', source: rules },
  'update-disk/locked': { operation: 'edit disk', condition: 'the disk is locked', http: 409, text: `Cannot edit Virtual Disk${locked}`, source: rules },

  'domain/backup-in-use': { operation: 'PUT backup=true', condition: 'an active VM has a plugged image disk there', http: 409, text: 'Cannot edit Storage. The storage domain contains disks which are attached to running VMs or VMs with leases.', source: backup },
  'domain/deactivate-status': { operation: 'deactivate domain', condition: 'it is not active', http: 409, text: "Cannot deactivate Storage. The relevant Storage Domain's status is {status}.", source: 'engine-rules 6' },
  'domain/deactivate-in-use': { operation: 'deactivate domain', condition: 'a VM that is not down has a plugged disk there', http: 409, text: 'Cannot deactivate Storage. VMs in a state other than "Down" or "Suspended" were detected.', source: 'engine-rules 6' },
  'domain/activate-status': { operation: 'activate domain', condition: 'it is active already', http: 409, text: "Cannot activate Storage. The relevant Storage Domain's status is {status}.", source: 'engine-rules 6' },
} as const satisfies Readonly<Record<string, Refusal>>;
