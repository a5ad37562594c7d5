// Removes a VM: with its own disks and their chains, or (detach_only) leaving the disks floating. The VM is gone when the request is answered
// (RemoveVmCommand: removeVmFromDb in executeVmCommand); its disks are locked until the host has removed them.
import { attachmentsOf, imagesOf, needVm, ownImageDisks, snapshotsOf, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { DiskRecord, VmRecord } from '../state/model';
import type { RemoveVmOperation } from '../state/operations';
import { unfinishedBackup } from './backup-state';
import { attachedElsewhere, refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot, refuseRunning } from './checks';
import { dropDisk } from './remove-disk';
import { forgetAttachment } from './plug-disk';

export function removeVm(
  context: Context,
  vmId: string,
  detachOnly: boolean,
  actor: Actor,
): { readonly jobId: string; readonly settled: Promise<void> } {
  const vm = needVm(context, vmId);
  const release = context.locks.take('remove VM', 'Cannot remove VM', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/related-operation' } },
  ]);
  try {
    const own = ownImageDisks(context, vm.id).map(({ disk }) => disk);
    validate(context, vm, own, detachOnly);
    const operation = record(context, vm, detachOnly ? [] : [...own, ...ownLuns(context, vm)], actor);
    return { jobId: operation.jobId, settled: context.background.run(`remove VM ${vm.name}`, () => carryOut(context, operation)) };
  } finally {
    release();
  }
}

/** A LUN that is not shared goes with the VM, as a record (RemoveVmCommand: removeLunDisk). */
function ownLuns(context: Context, vm: VmRecord): DiskRecord[] {
  return attachmentsOf(context, vm.id)
    .flatMap(({ diskId }) => context.store.tables.disks.get(diskId) ?? [])
    .filter(({ kind, shareable }) => kind === 'lun' && !shareable);
}

/** In the order of RemoveVmCommand, whose detach_only asks for the template before the snapshots, even of a VM without disks. A preview does not keep it. */
function validate(context: Context, vm: VmRecord, own: readonly DiskRecord[], detachOnly: boolean): void {
  if (vm.deleteProtected) throw refuse('remove-vm/delete-protected');
  if (detachOnly && vm.templateId !== undefined) throw refuse('remove-vm/detach-from-template');
  if (detachOnly && own.some((disk) => imagesOf(context, disk.id).length > 1)) throw refuse('remove-vm/detach-with-snapshots');
  refuseRunning(vm, 'remove-vm/running');
  refuseLockedSnapshot(context, vm.id, 'remove-vm/during-snapshot');
  refuseInactiveDomains(context, own, 'remove-vm/domain-status');
  refuseLockedDisks(own, 'remove-vm/disks-locked');
  if (vm.status === 'image_locked') throw refuse('remove-vm/locked');
  const list = detachOnly ? '' : attachedElsewhere(context, vm.id);
  if (list !== '') throw refuse('remove-vm/attached', { list });
  if (unfinishedBackup(context, vm.id) !== undefined) throw refuse('remove-vm/in-backup');
}

function record(context: Context, vm: VmRecord, disks: readonly DiskRecord[], actor: Actor): RemoveVmOperation {
  const { store } = context;
  return store.write(() => {
    for (const disk of disks) store.tables.disks.patch(disk.id, { locked: true });
    const operation: RemoveVmOperation = {
      kind: 'remove-vm',
      id: newId(),
      ...actor,
      ...context.jobs.open(`Removing VM ${vm.name} from system`, actor),
      vmId: vm.id,
      vmName: vm.name,
      diskIds: disks.map(({ id }) => id),
    };
    store.tables.operations.put(operation);
    forgetVm(context, vm.id);
    context.events.record('vmRemoved', actor, { vm });
    return operation;
  });
}

function forgetVm(context: Context, vmId: string): void {
  const { vms, nics, snapshots, taggedVms, checkpoints, backups } = context.store.tables;
  for (const { diskId } of attachmentsOf(context, vmId)) forgetAttachment(context, vmId, diskId);
  for (const nic of nics.where((candidate) => candidate.vmId === vmId)) nics.delete(nic.id);
  for (const snapshot of snapshotsOf(context, vmId)) snapshots.delete(snapshot.id);
  for (const table of [checkpoints, backups] as const) for (const row of table.all()) if (row.vmId === vmId) table.delete(row.id);
  for (const tagged of taggedVms.where((candidate) => candidate.vmId === vmId)) taggedVms.delete(tagged.id);
  vms.delete(vmId);
}

export async function carryOut(context: Context, operation: RemoveVmOperation): Promise<void> {
  const { store, host } = context;
  const left: string[] = [];
  for (const diskId of operation.diskIds) {
    const disk = store.tables.disks.get(diskId);
    if (disk === undefined) continue;
    try {
      if (disk.domainId !== undefined) await host.removeDisk(disk.domainId, disk.id);
      store.write(() => {
        dropDisk(context, disk);
      });
    } catch (error) {
      context.log(`remove VM ${operation.vmName}: disk ${diskId}: ${String(error)}`);
      left.push(diskId);
    }
  }
  context.volumes.forget();
  store.write(() => {
    for (const diskId of left) store.tables.disks.patch(diskId, { locked: false });
    store.tables.operations.delete(operation.id);
    context.jobs.end(operation.jobId, left.length === 0 ? 'finished' : 'failed');
  });
}
