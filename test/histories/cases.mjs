// What is recorded: every flow, and the ways in which a run can end or be steered, played on the embedded parts. Each case resolves to the
// handle of a run that has ended; which end it must be is said here and checked by record.mjs.
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const slowly = { bandwidthBytesPerSecond: 2 ** 20 };
const restoredName = 'history-restored';

const isMoving = ({ phase, disks }) => (phase === 'copy' || phase === 'verify') && disks.some(({ dataBytes }) => dataBytes > 0);

/** @typedef {import('@temporalio/client').WorkflowHandle} Handle */
/** @type {readonly { flow: string, name: string, ends: string, play: (stage: import('./stage.mjs').RecordingStage) => Promise<Handle> }[]} */
export const cases = [
  {
    flow: 'findVms',
    name: 'by-search',
    ends: 'COMPLETED',
    play: (stage) => stage.run('findVms', { engine: stage.engine, search: 'status=up' }),
  },
  { flow: 'findVms', name: 'unknown-vm', ends: 'FAILED', play: (stage) => stage.run('findVms', { engine: stage.engine, vms: ['nobody'] }) },
  { flow: 'backupVm', name: 'completed', ends: 'COMPLETED', play: (stage) => stage.run('backupVm', backupOf(stage, stage.demo)) },
  { flow: 'backupVm', name: 'refused', ends: 'FAILED', play: (stage) => stage.run('backupVm', backupOf(stage, stage.appliance)) },
  { flow: 'backupVm', name: 'steered', ends: 'COMPLETED', play: steered },
  {
    flow: 'backupVm',
    name: 'cancelled-in-copy',
    ends: 'CANCELLED',
    play: (stage) => cancelledInCopy(stage, 'backupVm', { ...backupOf(stage, stage.demo), ...slowly }),
  },
  { flow: 'backupVm', name: 'failed-in-copy', ends: 'FAILED', play: failedInCopy },
  { flow: 'backupVm', name: 'after-terminated', ends: 'COMPLETED', play: afterTerminated },
  { flow: 'backupVm', name: 'transfer-full', ends: 'COMPLETED', play: (stage) => stage.run('backupVm', { ...byTransfer(stage), kind: 'full', witness: 'always' }) },
  { flow: 'backupVm', name: 'transfer-incremental', ends: 'COMPLETED', play: (stage) => stage.run('backupVm', { ...byTransfer(stage), kind: 'incremental', strict: true, witness: 'always' }) },
  { flow: 'backupVm', name: 'transfer-chosen', ends: 'COMPLETED', play: (stage) => stage.run('backupVm', { ...backupOf(stage, stage.demo), method: 'auto' }) },
  { flow: 'backupVm', name: 'transfer-steered', ends: 'COMPLETED', play: (stage) => steered(stage, { ...byTransfer(stage), kind: 'full' }) },
  { flow: 'backupVm', name: 'transfer-cancelled-in-copy', ends: 'CANCELLED', play: (stage) => cancelledInCopy(stage, 'backupVm', { ...byTransfer(stage), kind: 'full', ...slowly }) },
  { flow: 'backupVm', name: 'transfer-after-terminated', ends: 'COMPLETED', play: (stage) => afterTerminated(stage, { ...byTransfer(stage), kind: 'full' }) },
  { flow: 'backupVm', name: 'transfer-full-instead', ends: 'COMPLETED', play: fullInstead },
  { flow: 'backupVm', name: 'transfer-unusable-checkpoint', ends: 'COMPLETED', play: unusableCheckpoint },
  { flow: 'backupVm', name: 'transfer-ticket-lost', ends: 'COMPLETED', play: ticketLost },
  {
    flow: 'listBackups',
    name: 'of-vm',
    ends: 'COMPLETED',
    play: (stage) => stage.run('listBackups', { engine: stage.engine, vmId: stage.demo.id }),
  },
  {
    flow: 'listRuns',
    name: 'of-vm',
    ends: 'COMPLETED',
    play: (stage) => stage.run('listRuns', { engine: stage.engine, vmId: stage.demo.id }),
  },
  {
    flow: 'listHoldings',
    name: 'of-engine',
    ends: 'COMPLETED',
    play: (stage) => stage.run('listHoldings', { engine: stage.engine }),
  },
  {
    flow: 'listAlerts',
    name: 'of-engine',
    ends: 'COMPLETED',
    play: (stage) => stage.run('listAlerts', { engine: stage.engine }),
  },
  { flow: 'acknowledgeAlerts', name: 'of-engine', ends: 'COMPLETED', play: (stage) => stage.run('acknowledgeAlerts', { engine: stage.engine }) },
  { flow: 'checkBackupAwareness', name: 'never-backed-up', ends: 'COMPLETED', play: (stage) => stage.run('checkBackupAwareness', { engine: stage.engine }) },
  { flow: 'showBackupAwareness', name: 'of-engine', ends: 'COMPLETED', play: (stage) => stage.run('showBackupAwareness', { engine: stage.engine }) },
  { flow: 'setBackupAwareness', name: 'of-engine', ends: 'COMPLETED', play: (stage) => stage.run('setBackupAwareness', { engine: stage.engine, alertPeriodDays: 2 }) },
  { flow: 'listVmAwareness', name: 'of-engine', ends: 'COMPLETED', play: (stage) => stage.run('listVmAwareness', { engine: stage.engine }) },
  { flow: 'forwardEvents', name: 'nothing-left', ends: 'COMPLETED', play: (stage) => stage.run('forwardEvents', { engine: stage.engine, sink: 'log' }) },
  {
    flow: 'launchScheduled',
    name: 'check',
    ends: 'COMPLETED',
    play: (stage) => stage.run('launchScheduled', { flow: 'checkBackupAwareness', workflowId: `awareness/${stage.engine}`, input: { engine: stage.engine } }),
  },
  {
    flow: 'runDoctor',
    name: 'all-is-well',
    ends: 'COMPLETED',
    play: (stage) => stage.run('runDoctor', {}),
  },
  {
    flow: 'runDoctor',
    name: 'unserved-queue',
    ends: 'COMPLETED',
    play: (stage) => stage.run('runDoctor', { repository: 'nowhere', answerSeconds: 2 }),
  },
  {
    flow: 'rebuildCatalog',
    name: 'completed',
    ends: 'COMPLETED',
    play: (stage) => stage.run('rebuildCatalog', { repository: stage.repository }),
  },
  {
    flow: 'restoreVm',
    name: 'refused',
    ends: 'FAILED',
    play: async (stage) => stage.run('restoreVm', await restoreOf(stage, stage.demo.name)),
  },
  {
    flow: 'restoreVm',
    name: 'cancelled-in-copy',
    ends: 'CANCELLED',
    play: async (stage) => cancelledInCopy(stage, 'restoreVm', { ...(await restoreOf(stage)), ...slowly }),
  },
  { flow: 'restoreVm', name: 'completed-and-started', ends: 'COMPLETED', play: restoredAndStarted },
  { flow: 'restoreVm', name: 'by-transfer', ends: 'COMPLETED', play: (stage) => thrownAway(stage, async () => stage.run('restoreVm', { ...(await restoreOf(stage)), method: 'transfer' })) },
  {
    flow: 'restoreVm',
    name: 'by-transfer-cancelled-in-copy',
    ends: 'CANCELLED',
    play: async (stage) => cancelledInCopy(stage, 'restoreVm', { ...(await restoreOf(stage)), method: 'transfer', ...slowly }),
  },
  { flow: 'verifyBackup', name: 'chain', ends: 'COMPLETED', play: async (stage) => stage.run('verifyBackup', await verificationOf(stage)) },
  {
    flow: 'verifyBackup',
    name: 'cancelled',
    ends: 'CANCELLED',
    play: async (stage) => cancelledInCopy(stage, 'verifyBackup', { ...(await verificationOf(stage)), ...slowly }),
  },
  { flow: 'restoreVm', name: 'replaced', ends: 'COMPLETED', play: (stage) => onOwnVm(stage, (request) => stage.run('restoreVm', { ...request, as: 'replace' })) },
  { flow: 'restoreVm', name: 'as-original', ends: 'COMPLETED', play: (stage) => onOwnVm(stage, async (request) => {
    await stage.lab.removeWithDisks(request.vmId);
    return stage.run('restoreVm', { ...request, as: 'original' });
  }) },
];

function backupOf({ engine, repository }, vm) {
  return { engine, vmId: vm.id, repository };
}

/** Its disks have change tracking in the lab. */
function byTransfer(stage) {
  return { ...backupOf(stage, stage.demo), method: 'transfer' };
}

/** Of the newest backup that lies on another one. */
async function verificationOf({ engine, repository, demo, client, start }) {
  const listing = await start('listBackups', { engine, repository, vmId: demo.id });
  const { backups } = await client.workflow.result(listing.workflowId);
  const backup = backups.find(({ baseBackupId }) => baseBackupId !== null);
  if (!backup) throw new Error('demo has no backup that lies on another one: record backupVm/transfer-incremental first');
  return { engine, repository, backupId: backup.backupId, chain: true };
}

async function restoreOf({ engine, repository, demo, client, start }, name = restoredName) {
  const listing = await start('listBackups', { engine, repository, vmId: demo.id });
  const { backups } = await client.workflow.result(listing.workflowId);
  if (backups.length === 0) throw new Error('there is no backup of demo to restore: record backupVm/completed first');
  return { engine, repository, backupId: backups[0].backupId, requestId: randomUUID(), name };
}

/** Paused while it copies, slowed down while it copies, and set free: each of them ends an attempt and begins another. */
async function steered(stage, input = backupOf(stage, stage.demo)) {
  const handle = await stage.start('backupVm', { ...input, ...slowly });
  await stage.untilProgress(handle, 'it copies', isMoving);
  await handle.signal('pause');
  await untilIdle(handle);
  await handle.signal('resume');
  await untilBusy(handle);
  await handle.executeUpdate('setBandwidth', { args: [{ bytesPerSecond: 4 * 2 ** 20 }] });
  await untilBusy(handle);
  await handle.executeUpdate('setBandwidth', { args: [{ bytesPerSecond: null }] });
  return stage.ended(handle);
}

async function cancelledInCopy(stage, flow, input) {
  const handle = await stage.start(flow, input);
  await stage.untilProgress(handle, 'it copies', isMoving);
  await handle.cancel();
  return stage.ended(handle);
}

/** A second device with the first disk's serial comes up while the run is paused: which one is the disk cannot be known, so the copy fails for good. */
async function failedInCopy(stage) {
  const handle = await stage.start('backupVm', backupOf(stage, stage.demo));
  await handle.signal('pause');
  const { disks } = await stage.untilProgress(handle, 'it waits before the copy', ({ phase, paused }) => phase === 'copy' && paused);
  const impostor = join(stage.devices, `scsi-0QEMU_QEMU_HARDDISK_impostor-${disks[0].diskId}`);
  await writeFile(impostor, '');
  try {
    await handle.signal('resume');
    return await stage.ended(handle);
  } finally {
    await rm(impostor);
  }
}

/** A terminated run undoes nothing: the next one on its VM finds its snapshot, attachments and half-written backup, and releases them first. */
async function afterTerminated(stage, input = backupOf(stage, stage.demo)) {
  const handle = await stage.start('backupVm', { ...input, ...slowly });
  await stage.untilProgress(handle, 'it copies', isMoving);
  await handle.terminate('recorded as what the next run finds');
  return stage.run('backupVm', input);
}

/** The host has forgotten what changed, which the engine's checkpoints do not tell: the run undoes what it had begun and makes a full backup. */
async function fullInstead(stage) {
  await stage.fault({ kind: 'bitmaps-forgotten', vmId: stage.demo.id });
  return stage.run('backupVm', byTransfer(stage));
}

/** As above, since checkpoints of no use go first. */
async function unusableCheckpoint(stage) {
  await stage.run('backupVm', { ...byTransfer(stage), kind: 'full' });
  return fullInstead(stage);
}

/** The daemon forgets the ticket of a copy under way: the run asks for another transfer, and the copy goes on. */
async function ticketLost(stage) {
  const handle = await stage.start('backupVm', { ...byTransfer(stage), kind: 'full', ...slowly });
  await stage.untilProgress(handle, 'it copies', isMoving);
  await stage.fault({ kind: 'ticket-lost' });
  await handle.executeUpdate('setBandwidth', { args: [{ bytesPerSecond: null }] });
  return stage.ended(handle);
}

/** On a small VM of the case's own, down and backed up. */
async function onOwnVm(stage, play) {
  const { engine, repository, lab } = stage;
  const { id: vmId } = await lab.engine('POST', '/vms', { name: 'history-thin', cluster: { name: 'Default' }, template: { name: 'tiny-template' } });
  await lab.waitForStatus(vmId, 'down');
  try {
    const backup = await stage.run('backupVm', { engine, repository, vmId });
    return await play({ engine, repository, vmId, backupId: (await backup.result()).backup.backupId });
  } finally {
    await lab.removeWithDisks(vmId);
  }
}

/** The original goes down first: both have the same MAC address. */
async function restoredAndStarted(stage) {
  await stage.lab.bring(stage.demo.id, 'down');
  try {
    return await thrownAway(stage, async () => stage.run('restoreVm', { ...(await restoreOf(stage)), start: true }));
  } finally {
    await stage.lab.bring(stage.demo.id, 'up');
  }
}

/** The restored VM makes room for the next case's. */
async function thrownAway(stage, play) {
  try {
    return await play();
  } finally {
    const restored = await stage.lab.findVm(restoredName);
    if (restored) await stage.lab.removeWithDisks(restored.id);
  }
}

const copiesOf = async (handle) =>
  (await handle.describe()).raw.pendingActivities.filter(({ activityType }) => ['backupDisk', 'backupDiskByTransfer'].includes(activityType.name));

/** No attempt is left that could still come to an end. */
async function untilIdle(handle) {
  while ((await copiesOf(handle)).length > 0) await sleep(100);
}

async function untilBusy(handle) {
  while (!(await copiesOf(handle)).some(({ lastHeartbeatTime }) => lastHeartbeatTime)) await sleep(100);
}
