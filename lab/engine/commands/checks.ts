// Validations that several operations share. Each refuses with the row of the operation that asks.
import { aliases, isRunning, ownImageDisks, snapshotsOf, statusWord, type Context } from '../context';
import { refuse, type RefusalKey, type RefusalParameters } from '../refusals';
import type { DiskRecord, VmRecord } from '../state/model';
import { illegalDisks } from '../disk-status';

export function refuseLockedSnapshot(context: Context, vmId: string, key: RefusalKey, parameters: RefusalParameters = {}): void {
  if (snapshotsOf(context, vmId).some((snapshot) => snapshot.status === 'locked')) throw refuse(key, parameters);
}

export function inPreview(context: Context, vmId: string): boolean {
  return snapshotsOf(context, vmId).some((snapshot) => snapshot.status === 'in_preview' || snapshot.type === 'preview');
}

export function refusePreview(context: Context, vmId: string, key: RefusalKey, parameters: RefusalParameters = {}): void {
  if (inPreview(context, vmId)) throw refuse(key, parameters);
}

export function refuseLockedDisks(disks: readonly DiskRecord[], key: RefusalKey): void {
  const locked = disks.filter((disk) => disk.locked);
  if (locked.length > 0) throw refuse(key, { disks: aliases(locked) });
}

export async function refuseIllegalDisks(context: Context, disks: readonly DiskRecord[], key: RefusalKey): Promise<void> {
  const found = await illegalDisks(context, disks);
  if (found !== '') throw refuse(key, { disks: found });
}

export function refuseInactiveDomains(
  { store }: Context,
  disks: readonly DiskRecord[],
  key: RefusalKey,
  parameters: Readonly<Record<string, string>> = {},
): void {
  const inactive = disks
    .map((disk) => store.tables.domains.get(disk.domainId))
    .find((domain) => domain !== undefined && domain.status !== 'active');
  if (inactive !== undefined) throw refuse(key, { ...parameters, status: statusWord(inactive.status) });
}

const gib = 1024 ** 3;

/** Below its critical space a domain takes nothing new. */
export async function refuseLowSpace(
  { store, host }: Context,
  domainIds: readonly (string | undefined)[],
  key: RefusalKey,
  neededBytes = 0,
): Promise<void> {
  for (const id of new Set(domainIds)) {
    const domain = store.tables.domains.get(id);
    if (domain === undefined) continue;
    const { availableBytes } = await host.domainSpace(domain.id);
    if (availableBytes - neededBytes < domain.criticalGib * gib) throw refuse(key, { domain: domain.name });
  }
}

/**
 * Disks of the VM of which other VMs hold a snapshot, active or not. Of *any* snapshot, whichever is to go, and in the engine's own punctuation
 * (VmValidator.vmNotHavingDeviceSnapshotsAttachedToOtherVms, DiskImagesValidator.diskImagesSnapshotsNotAttachedToOtherVms: it goes by the disk's id).
 */
export function attachedElsewhere(context: Context, vmId: string): string {
  const { attachments, snapshots, vms } = context.store.tables;
  return ownImageDisks(context, vmId)
    .flatMap(({ disk }) =>
      attachments
        .where(({ diskId, snapshotId }) => diskId === disk.id && snapshotId !== undefined)
        .map((held) => `${disk.alias} ,${snapshots.get(held.snapshotId)?.description ?? ''}, ${vms.get(held.vmId)?.name ?? ''}`),
    )
    .join('%n');
}

export function refuseRunning(vm: VmRecord, key: RefusalKey, parameters: Readonly<Record<string, string>> = {}): void {
  if (isRunning(vm)) throw refuse(key, { ...parameters, vm: vm.name });
}

export function refuseStatus(
  vm: VmRecord,
  allowed: readonly VmRecord['status'][],
  key: RefusalKey,
  parameters: Readonly<Record<string, string>> = {},
): void {
  if (!allowed.includes(vm.status)) throw refuse(key, { ...parameters, vm: vm.name, status: statusWord(vm.status) });
}
