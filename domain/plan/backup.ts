// May this VM be backed up now, through this appliance or by image transfers, and which of its disks? Pure: facts in, reasons and choice out.
import type { DiskSettings } from '../disks';
import type { Manifest } from '../manifest';
import { reason, type Reason } from './reasons';

export interface VmFacts {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly statusText: string;
}

export interface DiskFacts {
  readonly settings: DiskSettings;
  readonly status: string;
  readonly storageType: string;
  readonly shareable: boolean;
  readonly contentType: string;
}

export interface SnapshotFacts {
  readonly description: string;
  readonly status: string;
  readonly type: string;
}

export interface BackupFacts {
  readonly vm: VmFacts;
  readonly disks: readonly DiskFacts[];
  readonly snapshots: readonly SnapshotFacts[];
  readonly leaveOutDiskIds: readonly string[];
  readonly quiesce: 'required' | 'best-effort' | 'off';
  /** Holdfast freezes the guest by itself. */
  readonly explicitFreeze?: boolean | undefined;
}

export interface BackupChoice {
  readonly disks: readonly DiskFacts[];
  readonly leftOut: readonly { readonly diskId: string; readonly alias: string; readonly why: string }[];
  readonly reasons: readonly Reason[];
}

/** Of the VM in the engine. */
export interface VmBackupState {
  readonly id: string;
  readonly phase: string;
  readonly phaseText: string;
}

/** A snapshot, or the engine's own backup: what they take and what they refuse. */
interface Ways {
  readonly method: Manifest['method'];
  readonly workableStatus: readonly string[];
  readonly statusText: string;
  readonly container: string;
}

const byAppliance: Ways = { method: 'appliance', workableStatus: ['up', 'down', 'paused'], statusText: 'a snapshot needs it up, paused or down', container: 'a snapshot' };
const byTransfer: Ways = { method: 'transfer', workableStatus: ['up', 'down'], statusText: 'the engine backs up VMs that are up or down', container: 'a VM backup' };

export function chooseBackup(facts: BackupFacts): BackupChoice {
  return choose(facts, byAppliance, unprovenQuiesce(facts));
}

export function chooseTransferBackup(facts: BackupFacts & { readonly vmBackups: readonly VmBackupState[] }): BackupChoice {
  const choice = choose(facts, byTransfer, busyBackup(facts));
  return { ...choice, reasons: [...choice.reasons, ...choice.disks.flatMap((disk) => inactive(disk, facts.vm))] };
}

function choose(facts: BackupFacts, ways: Ways, more: readonly Reason[]): BackupChoice {
  const left = new Set(facts.leaveOutDiskIds);
  const disks = facts.disks.filter((disk) => !left.has(disk.settings.diskId));
  const leftOut = facts.disks
    .filter((disk) => left.has(disk.settings.diskId))
    .map((disk) => ({ diskId: disk.settings.diskId, alias: disk.settings.alias, why: 'left out by choice' }));
  return { disks, leftOut, reasons: [...vmReasons(facts, ways), ...more, ...unknownDisks(facts), ...disks.flatMap((disk) => diskReasons(disk, facts.vm, ways)), ...noDisks(disks, facts.vm)] };
}

function vmReasons({ vm, snapshots }: BackupFacts, { workableStatus, statusText }: Ways): readonly Reason[] {
  const reasons: Reason[] = [];
  if (!workableStatus.includes(vm.status)) reasons.push(reason('vm.status', vm.id, `VM ${vm.name} is ${vm.statusText}; ${statusText}. Wait until the engine has finished, then start again.`));
  if (snapshots.some((each) => each.type === 'preview' || each.status === 'in_preview')) reasons.push(reason('vm.preview', vm.id, `VM ${vm.name} is previewing a snapshot. Commit or undo the preview first.`));
  const busy = snapshots.find((each) => each.status === 'locked');
  if (busy) reasons.push(reason('vm.snapshot-busy', vm.id, `VM ${vm.name} has the snapshot "${busy.description}" that is locked by another operation. Wait until it has ended; if it never does, unlock it on the engine.`));
  return reasons;
}

function unprovenQuiesce({ vm, quiesce, explicitFreeze = false }: BackupFacts): readonly Reason[] {
  if (quiesce !== 'required' || vm.status === 'down' || (explicitFreeze && vm.status === 'up')) return [];
  const what = `VM ${vm.name} is ${vm.statusText} and quiescing is required`;
  if (explicitFreeze) return [reason('quiesce.impossible', vm.id, `${what}, but only the agent of a guest that is up can freeze it. Start it or shut it down, or ask for best-effort.`)];
  return [reason('quiesce.impossible', vm.id, `${what}, but the method "appliance" gets no evidence of a freeze from the engine. Let Holdfast freeze the guest by itself (--explicit-freeze), ask for best-effort, use the method "transfer", or shut the VM down.`)];
}

/** Whether Holdfast freezes the guest: of one that does not run nothing can be frozen. */
export function freezesItself({ explicitFreeze }: { readonly explicitFreeze: boolean }, vm: { readonly status: string }): boolean {
  return explicitFreeze && vm.status === 'up';
}

/** What runs of ours left was released before anything was planned. */
function busyBackup({ vm, vmBackups }: { readonly vm: VmFacts; readonly vmBackups: readonly VmBackupState[] }): readonly Reason[] {
  const busy = vmBackups.find(({ phase }) => phase !== 'succeeded' && phase !== 'failed');
  if (!busy) return [];
  return [reason('vm.backup-busy', vm.id, `VM ${vm.name} is in the VM backup ${busy.id} already (${busy.phaseText}), another product's or one that an earlier run could not end; the engine makes one at a time. Wait until it is over; if it never is, finalize it through the engine's REST API.`)];
}

function inactive({ settings: { diskId, alias, active } }: DiskFacts, vm: VmFacts): readonly Reason[] {
  return active ? [] : [reason('disk.inactive', diskId, `Disk ${alias} (${diskId}) is not active on VM ${vm.name}, and the engine backs up only disks that are. Activate it, or leave it out by choice (--leave-out ${diskId}).`)];
}

function unknownDisks({ vm, disks, leaveOutDiskIds }: BackupFacts): readonly Reason[] {
  const known = new Set(disks.map((disk) => disk.settings.diskId));
  return leaveOutDiskIds.filter((id) => !known.has(id)).map((id) => reason('disk.unknown', id, `Disk ${id} is to be left out, but VM ${vm.name} has no such disk. Its disks: ${[...known].join(', ') || 'none'}.`));
}

function diskReasons(disk: DiskFacts, vm: VmFacts, { container, method }: Ways): readonly Reason[] {
  const { diskId, alias } = disk.settings;
  const name = `Disk ${alias} (${diskId}) of VM ${vm.name}`;
  if (disk.storageType === 'lun') return [reason('disk.lun', diskId, `${name} is a direct LUN, which cannot be in ${container}. Leave it out by choice (--leave-out ${diskId}) and back it up by other means.`)];
  if (disk.shareable) return [reason('disk.shared', diskId, `${name} is shareable, which cannot be in ${container}. Leave it out by choice (--leave-out ${diskId}) and back it up by other means.`)];
  if (disk.storageType !== 'image' || disk.contentType !== 'data') return [reason('disk.unsupported', diskId, `${name} is of a kind that the method "${method}" cannot read (storage ${disk.storageType}, content ${disk.contentType}). Leave it out by choice.`)];
  if (disk.status === 'locked') return [reason('disk.locked', diskId, `${name} is locked by another operation. Wait until it has ended, then start again.`)];
  if (disk.status === 'illegal') return [reason('disk.illegal', diskId, `${name} is illegal: the engine cannot read one of its volumes. Repair or remove it in the engine, or leave it out by choice.`)];
  if (disk.status !== 'ok') return [reason('disk.locked', diskId, `${name} is ${disk.status}. Wait until it is ok.`)];
  return [];
}

function noDisks(disks: readonly DiskFacts[], vm: VmFacts): readonly Reason[] {
  return disks.length > 0 ? [] : [reason('vm.no-disks', vm.id, `VM ${vm.name} has no disk to back up.`)];
}

export interface ApplianceFacts {
  readonly applianceId: string | undefined;
  readonly vm?: VmFacts | undefined;
  readonly snapshots: readonly SnapshotFacts[];
  /** Disks already attached that the run wants to attach. */
  readonly attachedDiskIds: readonly string[];
}

/** `protectedVmId`: the VM that is backed up (undefined for a restore). */
export function applianceReasons(facts: ApplianceFacts, engine: string, protectedVmId: string | undefined, wantedDiskIds: readonly string[]): readonly Reason[] {
  const { applianceId, vm } = facts;
  if (!applianceId) return [reason('appliance.unset', engine, `Engine ${engine} has no appliance: name one in the request or under engines.${engine}.appliances in the workers' configuration.`)];
  if (applianceId === protectedVmId) return [reason('appliance.is-the-vm', applianceId, `The appliance ${vm?.name ?? applianceId} is the VM to be backed up; a VM cannot attach its own snapshot. Use another appliance.`)];
  if (!vm) return [reason('appliance.unknown', applianceId, `Engine ${engine} knows no VM ${applianceId}, which is to be the appliance. Correct the id.`)];
  const reasons: Reason[] = [];
  if (vm.status !== 'up') reasons.push(reason('appliance.down', vm.id, `The appliance ${vm.name} is ${vm.statusText}; disks can be attached and read only while it is up. Start it.`));
  if (facts.snapshots.some((each) => each.type === 'preview' || each.status === 'in_preview')) reasons.push(reason('appliance.preview', vm.id, `The appliance ${vm.name} is previewing a snapshot; the engine attaches nothing to it. Commit or undo the preview.`));
  if (facts.snapshots.some((each) => each.status === 'locked')) reasons.push(reason('appliance.busy', vm.id, `The appliance ${vm.name} has a snapshot that is locked; the engine attaches nothing to it. Wait until that has ended.`));
  for (const diskId of wantedDiskIds.filter((id) => facts.attachedDiskIds.includes(id))) {
    reasons.push(reason('appliance.other', diskId, `Disk ${diskId} is already attached to the appliance ${vm.name}, not by this run. Detach it there, if no other product is using it.`));
  }
  return reasons;
}

/** Room for the data with a margin for qcow2 tables and digests (under 0.1 %). */
export function spaceReasons(repository: string, neededBytes: number, availableBytes: number): readonly Reason[] {
  const wantedBytes = Math.ceil(neededBytes * 1.01) + 16 * 1024 * 1024;
  if (availableBytes >= wantedBytes) return [];
  return [reason('repository.full', repository, `Repository ${repository} has ${availableBytes} bytes free, the backup may need ${wantedBytes}. Make room or use another repository.`)];
}
