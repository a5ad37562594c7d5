// Rows of the refusal table: virtual machines, their configuration, NICs, tags and posted events. See refusals.ts.
import type { Refusal } from './refusals';

const rules = 'engine-rules 3';
const observed = 'engine-rules 7';
const during = 'The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.';

export const vmRefusals = {
  'start-vm/running': { operation: 'start VM', condition: 'it is not down', http: 409, text: 'Cannot run VM. VM is running.', source: 'AppErrors' },
  'start-vm/during-snapshot': { operation: 'start VM', condition: 'a snapshot of it is locked', http: 409, text: `Cannot run VM. ${during}`, source: rules },
  'start-vm/disks-locked': { operation: 'start VM', condition: 'a plugged disk is locked', http: 409, text: 'Cannot run VM: The following disks are locked: {disks}. Please try again in a few minutes.', source: rules },
  'start-vm/domain-status': { operation: 'start VM', condition: "a plugged disk's domain is not active", http: 409, text: "Cannot run VM. The relevant Storage Domain's status is {status}.", source: rules },
  'start-vm/disks-illegal': { operation: 'start VM', condition: 'a plugged disk is illegal', http: 500, text: 'Cannot run VM. The following attached disks are in ILLEGAL status: {disks} - please remove them and try again.', source: rules },
  'start-vm/backup-domain': { operation: 'start VM', condition: 'a plugged image disk is on a backup storage domain', http: 400, text: 'Cannot run VM. Running VM can not contain disks which are stored on a backup storage domain.', source: 'engine-rules 2' },
  'shutdown-vm/not-running': { operation: 'shut down VM', condition: 'it is down', http: 409, text: 'Cannot shutdown VM. VM is not running.', source: 'AppErrors' },
  'freeze-vm/not-up': { operation: 'freeze or thaw', condition: 'the VM is not up', http: 409, text: '{C}. VM is not up.', source: 'AppErrors' },
  'freeze-vm/failed': { operation: 'freeze or thaw', condition: 'the guest agent does not answer or fails', http: 400, text: '', source: `${observed}: a failing backend is a 400 with detail []` },

  'add-vm/name-used': { operation: 'add VM', condition: 'the name is in use', http: 409, text: 'Cannot add VM. The VM name is already in use, please choose a unique name and try again.', source: 'text believed' },
  'add-vm/cluster-unknown': { operation: 'add VM', condition: 'the cluster does not exist', http: 400, text: 'Cannot add VM. Cluster ID is not valid.', source: 'AppErrors' },
  'add-vm/template-unknown': { operation: 'add VM', condition: 'the template is not Blank', http: 400, text: "Cannot add VM. The relevant Template doesn't exist.", source: 'AppErrors' },
  'import-vm/cluster-unknown': { operation: 'add VM from configuration', condition: 'the cluster does not exist', http: 400, text: "Cannot import VM. The relevant Cluster doesn't exist.", source: 'engine-rules 6' },
  'import-vm/mac-used': { operation: 'add VM from configuration', condition: 'a MAC address is in use', http: 409, text: 'Cannot import VM. The following MAC addresses are already in use: {macs}.', source: `${observed}; text believed` },
  'import-vm/name-used': { operation: 'add VM from configuration', condition: 'the name is in use', http: 409, text: 'Import VM failed - VM Name already exists in the Data Center. Please rename the VM in the Data Center first', source: 'engine-rules 6, end believed' },
  'import-vm/id-used': { operation: 'add VM from configuration', condition: 'the id is in use', http: 409, text: 'Import VM failed - VM ID already exists in the system. Please remove the VM ({vm}) from the system first', source: 'engine-rules 6' },
  'import-vm/nic-id-used': { operation: 'add VM from configuration', condition: 'a NIC id is in use: rolled back', http: 400, text: 'Internal Engine Error', source: observed },
  'import-vm/ovf': { operation: 'add VM from configuration', condition: 'the reader crashes on the OVF', http: 400, text: '{error}', source: `${observed}; lower-cased` },
  'update-vm/name-used': { operation: 'edit VM', condition: 'the name is in use', http: 409, text: 'Cannot edit VM. VM with the same name already exists.', source: 'AppErrors' },

  'remove-vm/running': { operation: 'remove VM', condition: 'it is not down', http: 409, text: 'Cannot remove VM. VM is running.', source: 'ovirt-api 1.4' },
  'remove-vm/delete-protected': { operation: 'remove VM', condition: 'it is protected', http: 409, text: 'Cannot remove VM. Delete protection is enabled. In order to delete, disable Delete protection first.', source: 'text believed' },
  'remove-vm/during-snapshot': { operation: 'remove VM', condition: 'a snapshot of it is locked', http: 409, text: `Cannot remove VM. ${during}`, source: rules },
  'remove-vm/preview': { operation: 'remove VM', condition: 'it previews a snapshot', http: 409, text: 'Cannot remove VM. VM is previewing a Snapshot.', source: rules },
  'remove-vm/disks-locked': { operation: 'remove VM', condition: 'a disk of it is locked', http: 409, text: 'Cannot remove VM: The following disks are locked: {disks}. Please try again in a few minutes.', source: rules },
  'remove-vm/attached': { operation: 'remove VM', condition: 'a snapshot disk of it is attached to another VM', http: 409, text: "Cannot remove VM. The following VM's disks snapshots are attached to other VMs (Disk Alias/Snapshot Description/VM attached to): {list}. Please detach them from those VMs and try again.", source: rules },
  'remove-vm/detach-with-snapshots': { operation: 'remove VM with detach_only', condition: 'a disk of it has snapshots', http: 409, text: 'Cannot remove VM. The following disk(s) have snapshots: {disks}.', source: 'text believed' },

  'nic/name-used': { operation: 'add NIC', condition: 'the VM has a NIC of that name', http: 409, text: 'Cannot add Interface. The Network Interface name is already in use.', source: 'text believed' },
  'nic/mac-used': { operation: 'add NIC', condition: 'the MAC address is in use', http: 409, text: 'Cannot add Interface. MAC Address {mac} is already in use.', source: 'text believed' },
  'nic/remove-plugged': { operation: 'remove NIC', condition: 'the VM runs and the NIC is plugged', http: 409, text: 'Cannot remove Interface. The VM Network Interface is plugged to a running VM.', source: 'text believed' },
  'tag/name-used': { operation: 'add tag', condition: 'the name is in use', http: 409, text: 'Cannot add Tag. Tag name already exists.', source: 'text believed' },
  'event/origin': { operation: 'add event', condition: 'the origin is oVirt', http: 400, text: "Cannot add External Event. Origin 'oVirt' is reserved for internal events.", source: `${observed}; text believed` },
  'event/custom-id-used': { operation: 'add event', condition: 'origin and custom id are in use', http: 400, text: 'External Event with this custom id already exists.', source: 'engine-rules 7' },
} as const satisfies Readonly<Record<string, Refusal>>;
