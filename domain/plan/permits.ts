// What the engine's user must be allowed for one backup or restore, judged before anything is made. Pure: the user's permissions and the
// objects in, reasons out. What an installation needs as a whole is the doctor's (domain/doctor/judge-engine).
import type { PermissionFacts } from '../doctor/judge-engine';
import type { Manifest } from '../manifest';
import { reason, type Reason } from './reasons';

/** A permission counts on the object and on all that it lies in: `on` lists them as permissions name them, `<scope> <id>`. */
export interface NeededRight {
  readonly permit: string;
  readonly why: string;
  readonly on: readonly string[];
}

interface PlacedVm {
  readonly id: string;
  readonly name: string;
  readonly clusterId: string;
}

export interface Places {
  /** Absent: not known, and a permission on the data center does not help then. */
  readonly dataCenterOf: (clusterId: string) => string | undefined;
}

const inCluster = (clusterId: string, { dataCenterOf }: Places): readonly string[] => {
  const dataCenterId = dataCenterOf(clusterId);
  return [`cluster ${clusterId}`, ...(dataCenterId === undefined ? [] : [`data_center ${dataCenterId}`])];
};
const onVm = (vm: PlacedVm, places: Places): readonly string[] => [`vm ${vm.id}`, ...inCluster(vm.clusterId, places)];

export interface BackupObjects {
  readonly vm: PlacedVm;
  readonly appliance?: PlacedVm | undefined;
  readonly disks: readonly { readonly diskId: string; readonly alias: string; readonly storageDomainId?: string | undefined }[];
  /** Holdfast freezes the guest by itself. */
  readonly freezes?: boolean | undefined;
}

const onDisk = ({ diskId, storageDomainId }: BackupObjects['disks'][number], vm: PlacedVm, places: Places): readonly string[] => [`disk ${diskId}`, ...(storageDomainId === undefined ? [] : [`storage_domain ${storageDomainId}`]), ...onVm(vm, places)];

const toFreeze = ({ vm, freezes = false }: Pick<BackupObjects, 'vm' | 'freezes'>, places: Places): readonly NeededRight[] => (freezes ? [{ permit: 'configure_vm_storage', why: `freeze and thaw the guest of VM ${vm.name}`, on: onVm(vm, places) }] : []);

/** By the method `appliance`. */
export function rightsForBackup({ vm, appliance, disks, freezes }: BackupObjects, places: Places): readonly NeededRight[] {
  return [
    { permit: 'manipulate_vm_snapshots', why: `create and remove a snapshot of VM ${vm.name}`, on: onVm(vm, places) },
    ...(appliance ? [{ permit: 'configure_vm_storage', why: `attach disks to the appliance ${appliance.name} and detach them`, on: onVm(appliance, places) }] : []),
    ...disks.map((disk) => ({ permit: 'attach_disk', why: `attach disk ${disk.alias}`, on: onDisk(disk, vm, places) })),
    ...toFreeze({ vm, freezes }, places),
  ];
}

/** Starting a transfer is asked for on its disk; ending, extending and resuming one on System, whatever the disk. */
const actOnTransfers: NeededRight = { permit: 'create_disk', why: 'act on image transfers, which the engine checks on System', on: [] };

/** By the method `transfer`. A hybrid backup's own snapshot is the engine's business: nobody is asked for a permit. */
export function rightsForTransferBackup({ vm, disks, freezes }: Omit<BackupObjects, 'appliance'>, places: Places): readonly NeededRight[] {
  return [
    ...disks.flatMap((disk) => [
      { permit: 'backup_disk', why: `start, end and tidy up after a VM backup of disk ${disk.alias}`, on: onDisk(disk, vm, places) },
      { permit: 'edit_disk_properties', why: `open an image transfer of disk ${disk.alias}`, on: onDisk(disk, vm, places) },
    ]),
    actOnTransfers,
    ...toFreeze({ vm, freezes }, places),
  ];
}

export interface RestoreObjects {
  readonly clusterId: string;
  /** `transfer`: no appliance, and uploads in its place. */
  readonly method?: Manifest['method'] | undefined;
  readonly appliance?: PlacedVm | undefined;
  readonly storageDomainIds: readonly string[];
  readonly start: boolean;
  /** The restored VM gets its own comment back in place of our mark. */
  readonly asOriginal?: boolean;
  /** The VM that goes, with the disks that go with it; one made from a template lets its disks go one by one. */
  readonly replaced?: { readonly vm: PlacedVm; readonly isFromTemplate: boolean; readonly disks: BackupObjects['disks'] } | undefined;
}

export function rightsForRestore({ clusterId, method = 'appliance', appliance, storageDomainIds, start, asOriginal = false, replaced }: RestoreObjects, places: Places): readonly NeededRight[] {
  const cluster = inCluster(clusterId, places);
  const [, ...center] = cluster;
  const onNewDisks = [
    ...[['create_disk', 'create disks'], ['attach_disk', 'attach the new disks'], ['delete_disk', 'remove the new disks when the restore is undone']],
    ...(method === 'transfer' ? [['edit_disk_properties', 'open image transfers of the new disks']] : []),
  ];
  const onNewVm = (permit: string, why: string): NeededRight => ({ permit, why, on: cluster });
  return [
    ...[...new Set(storageDomainIds)].flatMap((id) =>
      onNewDisks.map(([permit = '', why = '']) => ({ permit, why: `${why} on storage domain ${id}`, on: [`storage_domain ${id}`, ...center] })),
    ),
    ...(method === 'transfer' ? [actOnTransfers] : []),
    ...(appliance ? [{ permit: 'configure_vm_storage', why: `attach disks to the appliance ${appliance.name} and detach them`, on: onVm(appliance, places) }] : []),
    onNewVm('create_vm', 'create the VM'),
    // The engine asks on the storage domain that a configuration comes from; it comes from none, and above that is System alone.
    { permit: 'import_export_vm', why: 'create a VM from its saved configuration, which the engine checks on System', on: [] },
    onNewVm('configure_vm_storage', 'attach the new disks to the VM'),
    onNewVm('delete_vm', 'remove the VM when the restore is undone'),
    onNewVm('stop_vm', 'stop the VM when the restore is undone'),
    ...(start ? [onNewVm('run_vm', 'start the VM')] : []),
    ...(asOriginal ? [onNewVm('edit_vm_properties', 'give the VM its comment back')] : []),
    ...(replaced ? rightsToReplace(replaced, places) : []),
  ];
}

function rightsToReplace({ vm, isFromTemplate, disks }: NonNullable<RestoreObjects['replaced']>, places: Places): readonly NeededRight[] {
  return [
    { permit: 'delete_vm', why: `remove VM ${vm.name}, which is replaced`, on: onVm(vm, places) },
    ...(isFromTemplate ? [{ permit: 'configure_vm_storage', why: `detach the disks of VM ${vm.name}, which is replaced`, on: onVm(vm, places) }] : []),
    ...disks.map((disk) => ({ permit: 'delete_disk', why: `remove disk ${disk.alias} of VM ${vm.name}, which is replaced`, on: onDisk(disk, vm, places) })),
  ];
}

/** One reason per permit, whatever it is lacked for. */
export function lackingRights(engine: string, held: readonly PermissionFacts[], needed: readonly NeededRight[]): readonly Reason[] {
  const has = ({ permit, on }: NeededRight): boolean => held.some((permission) => permission.permits.includes(permit) && (permission.on === 'system' || on.includes(permission.on)));
  const lacking = needed.filter((right) => !has(right));
  return [...new Set(lacking.map(({ permit }) => permit))].map((permit) => {
    const what = [...new Set(lacking.filter((right) => right.permit === permit).map(({ why }) => why))].join('; ');
    return reason('engine.permit', permit, `The user of engine ${engine} lacks the permit ${permit} (${what}). Give it a role with that permit; docs/operators.md lists them under "The engine's user".`);
  });
}
