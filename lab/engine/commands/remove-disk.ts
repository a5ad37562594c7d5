// Removes a disk with its whole chain; goes on after the answer.
import { imagesOf, isRunning, needDisk, type Context } from '../context';
import { newId, type Actor } from '../events';
import { refuse } from '../refusals';
import type { DiskRecord } from '../state/model';
import type { RemoveDiskOperation } from '../state/operations';
import { leaveCheckpoints } from './backup-state';
import { inPreview, refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot } from './checks';
import { forgetAttachment } from './plug-disk';

export function removeDisk(context: Context, diskId: string, actor: Actor): { readonly jobId: string; readonly settled: Promise<void> } {
  const { store } = context;
  const disk = needDisk(context, diskId);
  const vmIds = store.tables.attachments.where((attachment) => attachment.diskId === diskId).map(({ vmId }) => vmId);
  const release = context.locks.take('remove disk', 'Cannot remove Virtual Disk', [
    { kind: 'DISK', id: disk.id, mode: 'exclusive', othersGet: { key: 'lock/remove-disk', parameters: { disk: disk.alias } } },
    ...vmIds.map((id) => ({ kind: 'VM', id, mode: 'shared', othersGet: { key: 'lock/remove-disk', parameters: { disk: disk.alias } } }) as const),
  ]);
  try {
    validateRemoval(context, disk);
    const operation = store.write((): RemoveDiskOperation => {
      store.tables.disks.patch(disk.id, { locked: true });
      const row: RemoveDiskOperation = {
        kind: 'remove-disk',
        id: newId(),
        ...actor,
        ...context.jobs.open(`Removing Disk ${disk.alias}`, actor),
        diskId,
      };
      store.tables.operations.put(row);
      return row;
    });
    const settled = context.background.run(`remove disk ${diskId}`, async () => {
      try {
        await carryOutRemoval(context, operation);
      } finally {
        release();
      }
    });
    return { jobId: operation.jobId, settled };
  } catch (error) {
    release();
    throw error;
  }
}

function validateRemoval(context: Context, disk: DiskRecord): void {
  const { store } = context;
  const { vms, attachments } = store.tables;
  const holders = attachments.where((attachment) => attachment.diskId === disk.id);
  const running = holders
    .filter((attachment) => attachment.active)
    .some(({ vmId }) => {
      const vm = vms.get(vmId);
      return vm !== undefined && isRunning(vm);
    });
  if (running) throw refuse('remove-disk/vm-not-down');
  if (store.tables.templates.all().some((template) => template.disks.some(({ diskId }) => diskId === disk.id)))
    throw refuse('remove-disk/template');
  refuseInactiveDomains(context, [disk], 'remove-disk/domain-status');
  // RemoveDiskCommand.canRemoveVmImageDisk: of a disk of no VM nobody asks; a lost backup's scratch disks are locked and can be removed.
  if (disk.contentType !== 'backup_scratch') refuseLockedDisks([disk], 'remove-disk/locked');
  for (const { vmId } of holders) {
    refuseLockedSnapshot(context, vmId, 'remove-disk/during-snapshot');
    if (inPreview(context, vmId)) throw refuse('remove-disk/preview');
  }
}

export async function carryOutRemoval(context: Context, operation: RemoveDiskOperation): Promise<void> {
  const { store, host, events, jobs } = context;
  const disk = store.tables.disks.get(operation.diskId);
  if (disk === undefined) return;
  const domain = store.tables.domains.get(disk.domainId);
  const subject = { disk: disk.alias, ...(domain === undefined ? {} : { domain }) };
  try {
    if (disk.domainId !== undefined) await host.removeDisk(disk.domainId, disk.id);
  } catch (error) {
    context.log(`remove disk ${disk.id}: ${String(error)}`);
    store.write(() => {
      store.tables.disks.patch(disk.id, { locked: false });
      store.tables.operations.delete(operation.id);
      events.record('diskRemovalFailed', operation, subject);
      jobs.end(operation.jobId, 'failed');
    });
    return;
  }
  context.volumes.forget();
  store.write(() => {
    dropDisk(context, disk);
    store.tables.operations.delete(operation.id);
    events.record('diskRemoved', operation, subject);
    jobs.end(operation.jobId, 'finished');
  });
}

/** Forgets a disk with its chain and all attachments. */
export function dropDisk(context: Context, disk: DiskRecord): void {
  const { images, disks, attachments } = context.store.tables;
  leaveCheckpoints(context, disk.id);
  for (const { vmId } of attachments.where((attachment) => attachment.diskId === disk.id)) forgetAttachment(context, vmId, disk.id);
  for (const image of imagesOf(context, disk.id)) images.delete(image.id);
  disks.delete(disk.id);
}
