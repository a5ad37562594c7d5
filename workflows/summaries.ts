// The sentence beside each activity in the Temporal UI's timeline, history and pending activities: what it does, and to which object. Pure
// but for the proxy at the end. A summary is no part of what a replay compares, so these may be reworded at any time.
import { proxyActivities, type ActivityInterfaceFor, type ActivityOptions } from '@temporalio/workflow';
import type { ApplianceCopyActivities, ApplianceQuickActivities, ControlActivities, MoverCopyActivities, MoverQuickActivities } from '../activities';
import { clippedLine, humanRate } from '../domain/units';

type All = ControlActivities & MoverQuickActivities & MoverCopyActivities & ApplianceQuickActivities & ApplianceCopyActivities;
/** How people call the object of an id: a disk's alias, the VM's name. Undefined when the run knows none. */
export type NameOf = (id: string) => string | undefined;
/** Of what runs call; the questions' few activities need none. */
type Summaries = { readonly [Name in keyof All]?: (input: Parameters<All[Name]>[0], called: (id: string) => string) => string };

const summaries: Summaries = {
  openRun: () => 'open the run in the catalog',
  closeRun: ({ outcome, leftovers }) => `close the run in the catalog: ${outcome}, ${leftovers.length} left behind`,
  listEarlierHoldings: () => 'what earlier runs on this VM still hold',
  listEarlierRuns: () => 'earlier runs on this VM that were never closed',
  forgetLeftover: ({ kind, mark }) => `no leftover any more: ${kind} ${mark}`,
  listHeldDisks: () => 'disks that this run created',
  holdVm: ({ vmId }) => `write down that this run creates VM ${vmId}`,
  keepProducts: () => 'the new VM and its disks are to stay',
  takeCopySlot: ({ diskId }, called) => `is it the turn of ${called(diskId)} to be copied?`,
  giveBackCopySlot: ({ diskId }, called) => `give back the copy slot of ${called(diskId)}`,
  planBackup: ({ vmId }, called) => `plan the backup of ${called(vmId)}`,
  planRestore: ({ as, name, saved }) => `plan the restore ${as === 'replace' ? 'in the place of' : 'as'} ${name ?? saved?.name ?? 'the original'}`,
  ensureSnapshot: ({ vmId }, called) => `snapshot of ${called(vmId)}`,
  ensureSnapshotGone: ({ vmId }, called) => `remove the snapshot of ${called(vmId)} and wait for the merge`,
  ensureThawed: ({ vmId }, called) => `thaw the guest of ${called(vmId)}`,
  planTransferBackup: ({ vmId }, called) => `plan the backup of ${called(vmId)} by image transfers`,
  ensureVmBackup: ({ vmId, fromCheckpointId }, called) => `VM backup of ${called(vmId)}${fromCheckpointId === null ? '' : ', what changed'}`,
  ensureVmBackupEnded: ({ vmId }, called) => `end the VM backup of ${called(vmId)}`,
  removeCheckpoint: ({ checkpointId }) => `remove checkpoint ${checkpointId}, which no backup needs`,
  ensureTransfer: ({ diskId, direction }, called) => `${direction} of ${called(diskId)}`,
  ensureTransferEnded: ({ diskId, direction, outcome }, called) => `${outcome} the ${direction} of ${called(diskId)}`,
  attachSnapshotDisk: ({ diskId }, called) => `attach ${called(diskId)} to the appliance`,
  attachToAppliance: ({ diskId }, called) => `attach ${called(diskId)} to the appliance`,
  attachRestoredDisk: ({ settings }) => `attach ${settings.alias} to the new VM`,
  detachDisk: ({ diskId }, called) => `detach ${called(diskId)} from the appliance`,
  createDisk: ({ settings }) => `create disk ${settings.alias}`,
  removeDisk: ({ diskId }, called) => `remove ${called(diskId)}`,
  startVm: ({ vmId }, called) => `start ${called(vmId)}`,
  removeRestoredVm: ({ vmId }, called) => `remove ${called(vmId)}`,
  unmarkVm: ({ vmId }, called) => `give ${called(vmId)} its own comment back`,
  holdReplacedVm: ({ vmId }, called) => `write down that ${called(vmId)} is to be replaced`,
  saveReplacedVm: ({ vmId }, called) => `save the configuration of the old ${called(vmId)}`,
  removeReplacedVm: ({ vmId }, called) => `take the old ${called(vmId)} away, keeping its disks`,
  putBackReplacedVm: ({ vmId }, called) => `put the old ${called(vmId)} back`,
  dropReplacedVm: ({ vmId }, called) => `forget the configuration of the old ${called(vmId)}`,
  releaseReplacedVm: ({ vmId, fate }, called) => (fate === 'back' ? `the old ${called(vmId)} is back` : `${called(vmId)} is replaced`),
  removeReplacedDisk: ({ diskId }, called) => `remove the old disk ${called(diskId)}`,
  nameRun: ({ vmName }) => `the run is about VM ${vmName}`,
  recordVerification: ({ backupId, failure }) => `write down that backup ${backupId} ${failure ? 'is not what was sealed' : 'is what was sealed'}`,
  indexBackup: ({ backupId }) => `enter backup ${backupId} into the catalog`,
  checkRepository: ({ repository }) => `room in repository ${repository}?`,
  readVmChain: ({ vmId }, called) => `earlier backups of ${called(vmId)} in the repository`,
  checkBase: ({ backupId }) => `can another backup lie on ${backupId}?`,
  checkChain: ({ backupId }) => `is all there that backup ${backupId} lies on?`,
  saveConfiguration: ({ vmId }, called) => `save the configuration of ${called(vmId)} and its disks`,
  sealBackup: ({ backupId }) => `seal backup ${backupId}`,
  dropPartialBackup: ({ backupId }) => `drop the partial backup ${backupId}`,
  readBackup: ({ backupId }) => `read backup ${backupId}`,
  createVmFromBackup: ({ name }) => `create VM ${name} from the saved configuration`,
  checkAppliance: () => 'is the appliance ready?',
  findDevice: ({ diskId }, called) => `find the device of ${called(diskId)} in the appliance`,
  backupDiskByTransfer: ({ diskId, baseBackupId, bandwidthBytesPerSecond }, called) => `copy ${baseBackupId === null ? '' : 'what changed of '}${called(diskId)} into the repository${limit(bandwidthBytesPerSecond)}`,
  restoreDiskByTransfer: ({ diskId, bandwidthBytesPerSecond }, called) => `write ${called(diskId)}${limit(bandwidthBytesPerSecond)}`,
  witnessTransfer: ({ diskId }, called) => `let the host bear witness for ${called(diskId)}`,
  verifyDisk: ({ diskId, bandwidthBytesPerSecond }, called) => `re-read ${called(diskId)} and compare every digest${limit(bandwidthBytesPerSecond)}`,
  backupDisk: ({ diskId, bandwidthBytesPerSecond }, called) => `copy ${called(diskId)} into the repository${limit(bandwidthBytesPerSecond)}`,
  restoreDisk: ({ diskId, bandwidthBytesPerSecond }, called) => `write ${called(diskId)}${limit(bandwidthBytesPerSecond)}`,
  proveDisk: ({ diskId, bandwidthBytesPerSecond }, called) => `re-read ${called(diskId)} and compare every digest${limit(bandwidthBytesPerSecond)}`,
};

function limit(bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? '' : `, at most ${humanRate(bytesPerSecond)}`;
}

const longestBytes = 150;

export function summaryOf(activity: string, input: unknown, nameOf: NameOf): string | undefined {
  const summary = (summaries as Readonly<Record<string, ((input: never, called: (id: string) => string) => string) | undefined>>)[activity];
  return summary && clippedLine(summary(input as never, (id) => nameOf(id) ?? id), longestBytes);
}

/** `proxyActivities` whose every call carries its summary. */
export function summarizedActivities<Activities extends object>(options: ActivityOptions, nameOf: NameOf): ActivityInterfaceFor<Activities> {
  const plain = proxyActivities(options);
  return new Proxy({} as ActivityInterfaceFor<Activities>, {
    get: (_, activity) => (input: unknown) => {
      const name = String(activity);
      const summary = summaryOf(name, input, nameOf);
      return plain[name]?.executeWithOptions(summary === undefined ? {} : { summary }, input === undefined ? [] : [input]);
    },
  });
}
