// Which VM a restore makes: a new one, the original that must be gone, or the original's successor, for which the original must let itself
// be taken away and put back. Pure.
import type { NamedDisk, RestoreVmInput } from '../flows/restore-vm';
import type { DiskFacts, SnapshotFacts, VmFacts } from './backup';
import { reason, type Reason } from './reasons';
import { byIdOrName, type DomainFacts } from './restore-places';

export interface OldVmFacts {
  readonly vm: VmFacts & { readonly clusterId: string; readonly deleteProtected: boolean; readonly poolId?: string | undefined; readonly templateId?: string | undefined };
  readonly snapshots: readonly SnapshotFacts[];
  readonly disks: readonly DiskFacts[];
  /** One of the engine's appliances, or the one that is to write. */
  readonly isAppliance: boolean;
}

/** What `replace` does with the VM that is there. */
export interface OldVm {
  readonly name: string;
  /** The disks that go once the new VM stands. */
  readonly removed: readonly { readonly diskId: string; readonly alias: string }[];
  readonly kept: readonly NamedDisk[];
}

export type TargetAsked = Pick<RestoreVmInput, 'as' | 'vmId' | 'oldDisks'>;

export interface TargetFacts {
  readonly engine: string;
  readonly name: string;
  readonly nameTakenBy?: string | undefined;
  /** Undefined while nobody can read the backup. */
  readonly savedVmId?: string | undefined;
  readonly original?: OldVmFacts | undefined;
  readonly domains: readonly DomainFacts[];
}

export function targetReasons({ as, vmId }: TargetAsked, { engine, name, nameTakenBy, savedVmId, original, domains }: TargetFacts): readonly Reason[] {
  const reasons: Reason[] = [];
  if (as !== 'new' && savedVmId !== undefined && savedVmId !== vmId) reasons.push(reason('backup.other-vm', savedVmId, `The backup is of VM ${savedVmId}, not of VM ${vmId ?? ''} that is to be restored from it. Name the VM of the backup, or another backup.`));
  if (nameTakenBy !== undefined && !(as === 'replace' && nameTakenBy === vmId)) reasons.push(reason('name.taken', nameTakenBy, `A VM named ${name} exists already (${nameTakenBy}). Choose another name.`));
  if (as === 'original' && original) reasons.push(reason('vm.exists', original.vm.id, `VM ${original.vm.name} (${original.vm.id}) exists on engine ${engine}, so it cannot be made again. To put the backup in its place use replace while it is down; to keep it, restore as a new VM.`));
  if (as === 'replace') reasons.push(...(original ? oldVmReasons(original, domains) : [reason('vm.unknown', vmId ?? '', `Engine ${engine} has no VM ${vmId ?? ''} to be replaced. Restore it as the original.`)]));
  return reasons;
}

function oldVmReasons({ vm, snapshots, disks, isAppliance }: OldVmFacts, domains: readonly DomainFacts[]): readonly Reason[] {
  const reasons: Reason[] = [];
  const regular = snapshots.filter(({ type }) => type !== 'active');
  if (isAppliance) reasons.push(reason('appliance.is-the-vm', vm.id, `VM ${vm.name} is an appliance of this engine; it cannot be replaced while Holdfast works through it. Take it out of the workers' configuration and name another appliance.`));
  if (vm.status !== 'down') reasons.push(reason('vm.status', vm.id, `VM ${vm.name} is ${vm.statusText}; only a VM that is down is replaced. Shut it down, or restore as a new VM.`));
  if (regular.some(({ type, status }) => type === 'preview' || status === 'in_preview')) reasons.push(reason('vm.preview', vm.id, `VM ${vm.name} is previewing a snapshot. Commit or undo the preview first.`));
  const busy = regular.find(({ status }) => status === 'locked');
  if (busy) reasons.push(reason('vm.snapshot-busy', vm.id, `VM ${vm.name} has the snapshot "${busy.description}" that is locked by another operation. Wait until it has ended; if it never does, unlock it on the engine.`));
  const kept = regular.filter(({ type, status }) => type === 'regular' && status === 'ok');
  if (kept.length > 0) reasons.push(reason('vm.snapshots', vm.id, `VM ${vm.name} has ${kept.length} of its own snapshots (${kept.map(({ description }) => `"${description}"`).join(', ')}), which would be lost, and the engine does not let go of disks in a snapshot. Remove them, or restore as a new VM.`));
  if (vm.poolId !== undefined) reasons.push(reason('vm.pool', vm.id, `VM ${vm.name} belongs to the VM pool ${vm.poolId}, which does not let it be removed. Detach it from the pool first.`));
  if (vm.deleteProtected) reasons.push(reason('vm.delete-protected', vm.id, `VM ${vm.name} is protected against deletion, so it is not replaced. Switch the protection off if you mean it.`));
  return [...reasons, ...disks.flatMap((disk) => oldDiskReasons(disk, vm, domains))];
}

/** What keeps the engine from letting go of a disk, or would keep the undo from attaching it again. */
function oldDiskReasons({ settings: { diskId, alias, storageDomainId }, status, storageType }: DiskFacts, vm: VmFacts, domains: readonly DomainFacts[]): readonly Reason[] {
  if (storageType === 'lun') return [];
  const name = `Disk ${alias} (${diskId}) of VM ${vm.name}`;
  if (status === 'illegal') return [reason('disk.illegal', diskId, `${name} is illegal: if the restore failed it could not be attached to the VM again. Repair it, or remove the VM by hand and restore it as the original.`)];
  if (status !== 'ok') return [reason('disk.locked', diskId, `${name} is ${status}. Wait until it is ok.`)];
  const domain = byIdOrName(domains, storageDomainId);
  if (domain && domain.status !== 'active') return [reason('domain.inactive', domain.id, `Storage domain ${domain.name} of ${name} is ${domain.status ?? 'unattached'}: the engine does not remove a VM with a disk there. Activate it.`)];
  return [];
}

export function oldVmOf({ as, oldDisks }: TargetAsked, original: OldVmFacts | undefined, restoredIds: readonly string[]): OldVm | undefined {
  if (as !== 'replace' || !original) return undefined;
  const removed: { diskId: string; alias: string }[] = [];
  const kept: NamedDisk[] = [];
  for (const { settings: { diskId, alias }, storageType, shareable } of original.disks) {
    const why = keptWhy(oldDisks, { isLun: storageType === 'lun', shareable, isRestored: restoredIds.includes(diskId) });
    if (why === undefined) removed.push({ diskId, alias });
    else kept.push({ diskId, alias, why });
  }
  return { name: original.vm.name, removed, kept };
}

function keptWhy(oldDisks: RestoreVmInput['oldDisks'], disk: { readonly isLun: boolean; readonly shareable: boolean; readonly isRestored: boolean }): string | undefined {
  if (disk.isLun) return 'a direct LUN is only detached';
  if (disk.shareable) return 'a shareable disk is only detached';
  if (oldDisks === 'none') return 'kept by choice';
  return oldDisks === 'all' || disk.isRestored ? undefined : 'not among the disks that were restored from the backup';
}
