// May this VM be backed up through this appliance now, and which of its disks? Pure: facts in, reasons and choice out.
import type { DiskSettings } from '../disks';
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
}

export interface BackupChoice {
  readonly disks: readonly DiskFacts[];
  readonly leftOut: readonly { readonly diskId: string; readonly alias: string; readonly why: string }[];
  readonly reasons: readonly Reason[];
}

const workableStatus = ['up', 'down', 'paused'];

export function chooseBackup(facts: BackupFacts): BackupChoice {
  const left = new Set(facts.leaveOutDiskIds);
  const disks = facts.disks.filter((disk) => !left.has(disk.settings.diskId));
  const leftOut = facts.disks
    .filter((disk) => left.has(disk.settings.diskId))
    .map((disk) => ({ diskId: disk.settings.diskId, alias: disk.settings.alias, why: 'left out by choice' }));
  return { disks, leftOut, reasons: [...vmReasons(facts), ...unknownDisks(facts), ...disks.flatMap((disk) => diskReasons(disk, facts.vm)), ...noDisks(disks, facts.vm)] };
}

function vmReasons({ vm, snapshots, quiesce }: BackupFacts): readonly Reason[] {
  const reasons: Reason[] = [];
  if (!workableStatus.includes(vm.status)) reasons.push(reason('vm.status', vm.id, `VM ${vm.name} is ${vm.statusText}; a snapshot needs it up, paused or down. Wait until the engine has finished, then start again.`));
  if (snapshots.some((each) => each.type === 'preview' || each.status === 'in_preview')) reasons.push(reason('vm.preview', vm.id, `VM ${vm.name} is previewing a snapshot. Commit or undo the preview first.`));
  const busy = snapshots.find((each) => each.status === 'locked');
  if (busy) reasons.push(reason('vm.snapshot-busy', vm.id, `VM ${vm.name} has the snapshot "${busy.description}" that is locked by another operation. Wait until it has ended; if it never does, unlock it on the engine.`));
  if (quiesce === 'required' && vm.status !== 'down') {
    reasons.push(reason('quiesce.impossible', vm.id, `VM ${vm.name} is ${vm.statusText} and quiescing is required, but the method "appliance" gets no evidence of a freeze from the engine. Ask for best-effort, or shut the VM down.`));
  }
  return reasons;
}

function unknownDisks({ vm, disks, leaveOutDiskIds }: BackupFacts): readonly Reason[] {
  const known = new Set(disks.map((disk) => disk.settings.diskId));
  return leaveOutDiskIds.filter((id) => !known.has(id)).map((id) => reason('disk.unknown', id, `Disk ${id} is to be left out, but VM ${vm.name} has no such disk. Its disks: ${[...known].join(', ') || 'none'}.`));
}

function diskReasons(disk: DiskFacts, vm: VmFacts): readonly Reason[] {
  const { diskId, alias } = disk.settings;
  const name = `Disk ${alias} (${diskId}) of VM ${vm.name}`;
  if (disk.storageType === 'lun') return [reason('disk.lun', diskId, `${name} is a direct LUN, which cannot be in a snapshot. Leave it out by choice (--leave-out ${diskId}) and back it up by other means.`)];
  if (disk.shareable) return [reason('disk.shared', diskId, `${name} is shareable, which cannot be in a snapshot. Leave it out by choice (--leave-out ${diskId}) and back it up by other means.`)];
  if (disk.storageType !== 'image' || disk.contentType !== 'data') return [reason('disk.unsupported', diskId, `${name} is of a kind that the appliance method cannot read (storage ${disk.storageType}, content ${disk.contentType}). Leave it out by choice.`)];
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
