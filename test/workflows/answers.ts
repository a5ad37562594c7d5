// What the scripted activities answer when nothing is told otherwise: a VM with disks that is backed up and restored without trouble.
import { randomUUID } from 'node:crypto';
import type { VmChainBackup } from '../../activities/chains';
import type { KindChoice } from '../../domain/chain';
import type { DiskSettings } from '../../domain/disks';
import type { RunSettings } from '../../domain/flows/settings';
import type { BackupSummary } from '../../domain/manifest';
import type { AllActivities } from './script';

export const applianceId = 'aaaaaaaa-0000-4000-8000-000000000001';
export const clusterId = 'cccccccc-0000-4000-8000-000000000001';
export const domainId = 'dddddddd-0000-4000-8000-000000000001';
export const engine = 'lab';
export const repository = 'main';
const createdAt = '2026-11-21T05:00:00.000Z';

export function disk(alias: string): DiskSettings {
  return {
    diskId: randomUUID(), alias, description: `the disk ${alias}`, virtualBytes: 64 * 1024 * 1024, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false,
    interface: 'virtio_scsi', bootable: alias === 'a', active: true, readOnly: false, passDiscard: false, storageDomainId: domainId,
  };
}

export function summary(changes: Partial<BackupSummary> = {}): BackupSummary {
  return {
    backupId: randomUUID(), repository, engine, vmId: randomUUID(), vmName: 'demo', method: 'appliance', kind: 'full', baseBackupId: null, reason: { code: 'kind.asked', text: 'A full backup was asked for.' }, checkpointId: null, witnessed: false, consistency: 'unknown',
    createdAt, sealedAt: '2026-11-21T05:01:00.000Z', virtualBytes: 0, dataBytes: 0, imageBytes: 0, disks: [], manifestSha256: 'b'.repeat(64), ...changes,
  };
}

export const settings: RunSettings = {
  snapshotPrefix: 'Holdfast', applianceIds: [applianceId], disksAtOnce: 1, heartbeatSeconds: 10, callSeconds: 20,
  deadlines: { snapshotSeconds: 60, attachSeconds: 60, workerSeconds: 60, undoSeconds: 60, queueSeconds: 60 },
};

export interface World {
  readonly vmId: string;
  readonly disks: readonly DiskSettings[];
  readonly settings: RunSettings;
}

/** Of a VM backup by the method `transfer`. */
/** The engine's for the VM backup that is asked for under this key. */
export const vmBackupIdOf = (key: unknown): string => `eeee${String(key).slice(4)}`;
export const checkpointId = (which: 'old' | 'last' | 'new'): string => `eeeeeeee-0000-4000-8000-00000000000${['old', 'last', 'new'].indexOf(which)}`;

/** An earlier backup by the method `transfer`, which the next one may lie on. */
export function chainBackup(disks: readonly DiskSettings[], changes: Partial<VmChainBackup> = {}): VmChainBackup {
  return { backupId: randomUUID(), kind: 'full', baseBackupId: null, createdAt, checkpointId: checkpointId('last'), disks: disks.map(({ diskId, virtualBytes }) => ({ diskId, virtualBytes, baseBackupId: null })), witnessed: true, ...changes };
}

/** On the newest backup that is not damaged, unless a full one is wanted; one old checkpoint is needed by nobody. */
export function choiceOf(disks: readonly DiskSettings[], wanted: string, backups: readonly VmChainBackup[]): KindChoice {
  const base = wanted === 'full' ? undefined : backups.find(({ damage }) => damage === undefined);
  const removable = { removableCheckpointIds: [checkpointId('old')], removableAfterFullIds: [checkpointId('old'), checkpointId('last')] };
  if (!base) return { kind: 'full', baseBackupId: null, fromCheckpointId: null, disks: disks.map(({ diskId }) => ({ diskId, mode: 'full' })), reason: { code: 'chain.first', text: 'There is no backup yet.' }, notes: [], ...removable };
  return {
    kind: 'incremental', baseBackupId: base.backupId, fromCheckpointId: base.checkpointId, disks: disks.map(({ diskId }) => ({ diskId, mode: 'incremental' })), reason: { code: 'chain.continued', text: 'It continues a chain.' }, notes: [],
    ...removable,
  };
}

const root = 'd'.repeat(64);
const done = (): Promise<void> => Promise.resolve();
const answer = <T>(value: T) => (): Promise<T> => Promise.resolve(value);

export function goodAnswers({ vmId, disks, settings: given }: World): AllActivities {
  const sizes = disks.map((each) => ({ ...each, dataBytes: 1000, root }));
  return {
    openRun: answer(given),
    closeRun: done,
    listEarlierHoldings: answer([]),
    listEarlierRuns: answer([]),
    forgetLeftover: done,
    listHeldDisks: answer([]),
    holdVm: done,
    keepProducts: done,
    planBackup: answer({ product: 'oVirt Engine', version: '4.5.8', vm: { id: vmId, name: 'demo', status: 'up', clusterId, clusterName: 'Default' }, disks, leftOut: [], neededBytes: 1000, reasons: [] }),
    planTransferBackup: ({ wanted, backups }) => Promise.resolve({ product: 'oVirt Engine', version: '4.5.8', vm: { id: vmId, name: 'demo', status: 'up', clusterId, clusterName: 'Default' }, disks, leftOut: [], neededBytes: 1000, reasons: [], choice: choiceOf(disks, wanted, backups) }),
    planRestore: ({ saved, as, diskIds }) => {
      const wanted = (saved?.disks ?? []).map((each) => each.diskId).filter((id) => diskIds?.includes(id) ?? true);
      const old = { name: 'demo', removed: disks.map(({ diskId, alias }) => ({ diskId, alias })), kept: [] };
      return Promise.resolve({
        clusterId, domainOfDisk: Object.fromEntries(wanted.map((id) => [id, domainId])), sameDiskIds: as === 'original' ? wanted : [], nics: [{ mac: '', network: 'ovirtmgmt', profile: 'ovirtmgmt' }], leftOut: [],
        ...(as === 'replace' ? { old } : {}), reasons: [],
      });
    },
    ensureSnapshot: answer({ snapshotId: randomUUID(), createdAt, consistency: { level: 'unknown', evidence: 'the engine tells nothing' } }),
    ensureSnapshotGone: done,
    ensureVmBackup: ({ vmBackupKey, fromCheckpointId }) =>
      Promise.resolve({ vmBackupId: vmBackupIdOf(vmBackupKey), checkpointId: checkpointId('new'), createdAt, snapshotId: null, style: 'live', disks: disks.map(({ diskId }) => ({ diskId, mode: fromCheckpointId === null ? 'full' : 'incremental' })), consistency: { level: 'unknown', evidence: 'the engine tells nothing' } }),
    ensureVmBackupEnded: answer({ vmIsPaused: false }),
    ensureThawed: done,
    removeCheckpoint: done,
    ensureTransfer: ({ transferKey }) => Promise.resolve({ transferId: transferKey }),
    ensureTransferEnded: done,
    attachSnapshotDisk: done,
    attachToAppliance: done,
    attachRestoredDisk: done,
    detachDisk: done,
    createDisk: done,
    removeDisk: done,
    takeCopySlot: answer({ granted: true }),
    giveBackCopySlot: done,
    findVmsOnEngine: answer({ vms: [], more: false }),
    startVm: done,
    removeRestoredVm: done,
    holdReplacedVm: done,
    removeReplacedVm: done,
    releaseReplacedVm: done,
    removeReplacedDisk: done,
    nameRun: done,
    recordVerification: done,
    indexBackup: done,
    listBackupsInCatalog: answer({ backups: [], more: false }),
    listRunsInCatalog: answer({ runs: [], more: false }),
    listHoldingsInCatalog: answer({ holdings: [], more: false }),
    listAlertsInCatalog: answer({ alerts: [], more: false }),
    refreshInventory: answer({ vms: 0, removed: 0 }),
    judgeVms: answer({ vms: 0, objectives: [], uncovered: { vms: 0, wrong: {}, examples: [] } }),
    listVmAwarenessInCatalog: answer({ vms: [], more: false }),
    beginRebuild: answer({ since: createdAt }),
    indexBackups: done,
    finishRebuild: answer({ removed: 0, indexed: 0 }),
    scanRepository: answer({ backups: [], unreadable: [] }),
    checkRepository: answer([]),
    readVmChain: answer([]),
    checkBase: answer(null),
    checkChain: answer([]),
    saveConfiguration: done,
    sealBackup: ({ backupId, disks: sealed }) =>
      Promise.resolve(summary({ backupId, vmId, dataBytes: sealed.reduce((sum, each) => sum + each.dataBytes, 0), disks: sealed.map((each) => ({ diskId: each.settings.diskId, alias: each.settings.alias, virtualBytes: each.settings.virtualBytes, dataBytes: each.dataBytes, root })) })),
    dropPartialBackup: answer('dropped' as const),
    readBackup: ({ backupId }) => Promise.resolve({ backup: summary({ backupId, vmId }), origin: { clusterId, clusterName: 'Default' }, leftOut: [], nics: [{ name: 'nic1', mac: '56:6f:00:00:00:01', network: 'ovirtmgmt', profile: 'ovirtmgmt' }], disks: sizes }),
    createVmFromBackup: done,
    unmarkVm: done,
    saveReplacedVm: done,
    putBackReplacedVm: done,
    dropReplacedVm: done,
    checkAppliance: answer([]),
    findDevice: answer({ transport: 'san' }),
    backupDiskByTransfer: answer({ dataBytes: 1000, transport: 'tcp' }),
    restoreDiskByTransfer: answer({ dataBytes: 1000 }),
    witnessTransfer: answer({ root }),
    verifyDisk: answer({ root, dataBytes: 1000 }),
    backupDisk: answer({ dataBytes: 1000, transport: 'san' }),
    restoreDisk: answer({ dataBytes: 1000 }),
    proveDisk: answer({ root }),
  };
}
