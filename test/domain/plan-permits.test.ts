// Rights for one backup or restore: where a permission has to be given so that it counts, object by object.
import type { PermissionFacts } from '../../domain/doctor/judge-engine';
import { lackingRights, rightsForBackup, rightsForRestore, rightsForTransferBackup, type NeededRight } from '../../domain/plan/permits';

const vm = { id: 'v', name: 'demo', clusterId: 'c' };
const appliance = { id: 'a', name: 'appliance', clusterId: 'c2' };
const places = { dataCenterOf: () => 'dc' };
const backup = rightsForBackup({ vm, appliance, disks: [{ diskId: 'd', alias: 'root', storageDomainId: 's' }] }, places);
const restore = rightsForRestore({ clusterId: 'c', appliance, storageDomainIds: ['s', 's'], start: true }, places);
const everything = [...new Set([...backup, ...restore].map(({ permit }) => permit))];

const permission = (on: string, permits: readonly string[] = everything): PermissionFacts => ({ role: 'Backup', on, permits });
const lacking = (rights: readonly NeededRight[], ...held: readonly PermissionFacts[]): readonly string[] => lackingRights('lab', held, rights).map(({ object }) => object);

test.each<[string, readonly PermissionFacts[], readonly string[]]>([
  ['nothing', [], ['manipulate_vm_snapshots', 'configure_vm_storage', 'attach_disk']],
  ['all on System', [permission('system')], []],
  ['all on the data center', [permission('data_center dc')], []],
  ['all on the VM\'s cluster: the appliance is in another', [permission('cluster c')], ['configure_vm_storage']],
  ['all on both clusters', [permission('cluster c'), permission('cluster c2')], []],
  ['all on the VM and the appliance', [permission('vm v'), permission('vm a')], []],
  ['disks by their storage domain, the rest by VM', [permission('storage_domain s', ['attach_disk']), permission('vm v', ['manipulate_vm_snapshots']), permission('vm a', ['configure_vm_storage'])], []],
  ['the disk itself', [permission('disk d', ['attach_disk'])], ['manipulate_vm_snapshots', 'configure_vm_storage']],
  ['another data center', [permission('data_center other')], ['manipulate_vm_snapshots', 'configure_vm_storage', 'attach_disk']],
])('a backup, with %s', (_what, held, expected) => {
  expect(lacking(backup, ...held)).toEqual(expected);
});

test.each<[string, readonly PermissionFacts[], readonly string[]]>([
  ['nothing', [], ['create_disk', 'attach_disk', 'delete_disk', 'configure_vm_storage', 'create_vm', 'import_export_vm', 'delete_vm', 'stop_vm', 'run_vm']],
  ['all on System', [permission('system')], []],
  ['all on the data center: a configuration is imported on System', [permission('data_center dc')], ['import_export_vm']],
  ['clusters and storage domain', [permission('cluster c'), permission('cluster c2'), permission('storage_domain s'), permission('system', ['import_export_vm'])], []],
])('a restore, with %s', (_what, held, expected) => {
  expect(lacking(restore, ...held)).toEqual(expected);
});

const byTransfer = rightsForTransferBackup({ vm, disks: [{ diskId: 'd', alias: 'root', storageDomainId: 's' }, { diskId: 'e', alias: 'data', storageDomainId: 's2' }] }, places);
const forTransfer = ['backup_disk', 'edit_disk_properties', 'create_disk'];
test.each<[string, readonly PermissionFacts[], readonly string[]]>([
  ['nothing', [], forTransfer],
  ['all on System', [permission('system', forTransfer)], []],
  ['all on the VM: transfers are ended on System', [permission('vm v', forTransfer)], ['create_disk']],
  ['one disk of two', [permission('disk d', forTransfer), permission('system', ['create_disk'])], ['backup_disk', 'edit_disk_properties']],
  ['each disk in its way', [permission('disk d', forTransfer), permission('storage_domain s2', forTransfer), permission('system', ['create_disk'])], []],
  ['all that the method appliance needs', [permission('system')], forTransfer.filter((permit) => !everything.includes(permit))],
])('a backup by transfer, with %s', (_what, held, expected) => {
  expect(lacking(byTransfer, ...held)).toEqual(expected);
});

test('a restore by transfer uploads into its disks and needs no appliance', () => {
  const rights = rightsForRestore({ clusterId: 'c', method: 'transfer', storageDomainIds: ['s'], start: false }, places);
  expect(lacking(rights, permission('system'))).toEqual(['edit_disk_properties']);
  expect(lacking(rights, permission('system', everything.filter((permit) => permit !== 'create_disk')), permission('storage_domain s', ['create_disk', 'edit_disk_properties']))).toEqual(['create_disk']);
  expect(lacking(rights, permission('system'), permission('storage_domain s', ['edit_disk_properties']))).toEqual([]);
  expect(rights.map(({ why }) => why).join()).not.toContain('appliance');
});

test('a VM that is not to be started needs no run_vm', () => {
  expect(rightsForRestore({ clusterId: 'c', storageDomainIds: ['s'], start: false }, places).map(({ permit }) => permit)).not.toContain('run_vm');
});

test('a VM that is replaced is removed with its disks, and the new one gets its comment', () => {
  const rights = rightsForRestore({ clusterId: 'c', storageDomainIds: ['s'], start: false, asOriginal: true, replaced: { vm: { id: 'old', name: 'demo', clusterId: 'c3' }, isFromTemplate: true, disks: [{ diskId: 'd', alias: 'root', storageDomainId: 's2' }] } }, places);
  const onCluster = permission('cluster c');
  expect(lacking(rights, onCluster, permission('storage_domain s'), permission('system', ['import_export_vm']))).toEqual(['edit_vm_properties', 'delete_vm', 'configure_vm_storage', 'delete_disk']);
  expect(lacking(rights, permission('cluster c', [...everything, 'edit_vm_properties']), permission('storage_domain s'), permission('system', ['import_export_vm']), permission('vm old', ['delete_vm', 'configure_vm_storage']), permission('storage_domain s2', ['delete_disk']))).toEqual([]);
});

test('a reason names permit, purpose and remedy, once for all objects', () => {
  const [reason] = lackingRights('lab', [], backup);
  expect(reason).toEqual({ code: 'engine.permit', object: 'manipulate_vm_snapshots', text: expect.stringMatching(/^The user of engine lab lacks the permit manipulate_vm_snapshots \(create and remove a snapshot of VM demo\)\. Give it a role/) as string });
  expect(lackingRights('lab', [], restore).filter(({ object }) => object === 'configure_vm_storage')).toHaveLength(1);
});

test('freezing a guest is allowed on its VM, whichever way the data goes', () => {
  const sources = { vm, disks: [], freezes: true };
  for (const rights of [rightsForBackup(sources, places), rightsForTransferBackup(sources, places)]) {
    expect(lacking(rights, permission('vm a'), permission('system', ['manipulate_vm_snapshots', ...forTransfer]))).toEqual(['configure_vm_storage']);
    expect(lacking(rights, permission('vm v', ['configure_vm_storage']), permission('system', ['manipulate_vm_snapshots', ...forTransfer]))).toEqual([]);
  }
});
