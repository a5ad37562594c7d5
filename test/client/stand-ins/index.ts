// Stand-ins for the registered flows: same names, same schemas, same messages, no engine. What a VM's name promises, its run does.
import { ApplicationFailure, CancellationScope, condition, isCancellation, setHandler, sleep } from '@temporalio/workflow';
import type { CheckBackupAwarenessOutput, ShowBackupAwarenessInput, ShowBackupAwarenessOutput } from '../../../domain/flows/awareness';
import type { BackupVmInput, BackupVmOutput } from '../../../domain/flows/backup-vm';
import type { Progress } from '../../../domain/flows/progress';
import type { FindVmsInput, FindVmsOutput, ListBackupsInput, ListBackupsOutput, ListRunsInput, ListRunsOutput, RebuildCatalogInput, RebuildCatalogOutput } from '../../../domain/flows/queries';
import type { RestoreVmInput, RestoreVmOutput } from '../../../domain/flows/restore-vm';
import type { ListVmAwarenessInput, ListVmAwarenessOutput } from '../../../domain/flows/vm-awareness';
import { reason, refusalText } from '../../../domain/plan/reasons';
import { pauseSignal, progressQuery, resumeSignal, setBandwidthUpdate } from '../../../workflows/messages';
import type { VerifyBackupInput, VerifyBackupOutput } from '../../../domain/flows/verify-backup';
import { backup, estate, leftSnapshot, runs, vmAwareness, vmNamed } from './estate';

const diskBytes = 4 * 1024 ** 3;

function failure(type: string, message: string, details: Record<string, unknown> = {}): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [details] });
}

type Told = { -readonly [Key in keyof Progress]: Progress[Key] };

function tellProgress(vmName: string): Told {
  const told: Told = {
    runId: estate.runId,
    vmName,
    phase: 'copy',
    paused: false,
    bandwidthBytesPerSecond: null,
    disks: [{ diskId: estate.diskId, alias: `${vmName}_Disk1`, virtualBytes: diskBytes, positionBytes: 0, dataBytes: 0, bytesPerSecond: 200 * 1024 ** 2, state: 'copying', waitingFor: null }],
    notes: [],
    consistency: null, trouble: null,
    warnings: [],
    undone: [],
    leftovers: [],
  };
  setHandler(progressQuery, () => told);
  setHandler(pauseSignal, () => void (told.paused = true));
  setHandler(resumeSignal, () => void (told.paused = false));
  setHandler(setBandwidthUpdate, ({ bytesPerSecond }) => {
    told.bandwidthBytesPerSecond = bytesPerSecond;
    return { bytesPerSecond };
  });
  return told;
}

function setPosition(told: Told, positionBytes: number): void {
  told.disks = told.disks.map((disk) => ({ ...disk, positionBytes }));
}

export async function backupVm(input: BackupVmInput): Promise<BackupVmOutput> {
  const name = estate.vms.find((vm) => vm.id === input.vmId)?.name ?? '';
  const told = tellProgress(name);
  if (name === 'refused') {
    const reasons = [reason('disk.locked', estate.diskId, 'Disk data1 is locked: wait for its task.'), reason('appliance.down', 'x', 'Appliance app1 is down: start it.')];
    throw failure('plan.refused', refusalText('The backup of VM refused', reasons), { reasons });
  }
  if (name === 'broken') {
    told.undone = ['detach disk broken_Disk1 from the appliance', 'drop the partial backup'];
    told.leftovers = [leftSnapshot];
    throw failure('repository.full', 'Repository main has 1.0 GiB free, disk broken_Disk1 needs more.', { leftovers: [leftSnapshot] });
  }
  if (name === 'slow') await untilCancelled(told);
  // Timers of the dev server are about a second coarse.
  for (let step = 1; step <= 2; step += 1) {
    await sleep(500);
    setPosition(told, (diskBytes / 2) * step);
  }
  told.phase = 'done';
  const result = { runId: estate.runId, backup: { ...backup, repository: input.repository }, consistencyEvidence: 'host froze the guest', notes: [], witnessedDiskIds: [], seconds: 1.6, bytesPerSecond: 200 * 1024 ** 2 };
  return { ...result, warnings: ['the snapshot took long'], leftovers: [] };
}

async function untilCancelled(told: Told): Promise<void> {
  try {
    await condition(() => false);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => {
      told.phase = 'cleanup';
      await sleep(200);
      told.undone = ['remove the snapshot'];
    });
    throw error;
  }
}

export async function restoreVm(input: RestoreVmInput): Promise<RestoreVmOutput> {
  const told = tellProgress(input.name ?? 'demo');
  if (input.backupId !== estate.backupId) throw failure('backup.not-found', `Repository ${input.repository} has no backup ${input.backupId}.`);
  await sleep(300);
  told.phase = 'done';
  return {
    runId: estate.runId,
    backupId: input.backupId,
    vmId: input.as === 'new' ? estate.createdVmId : (input.vmId ?? ''),
    vmName: input.name ?? 'demo',
    disks: [{ sourceDiskId: estate.diskId, diskId: estate.diskId, alias: 'demo_Disk1', virtualBytes: diskBytes, dataBytes: 1024, root: 'ab'.repeat(32) }],
    leftOut: [],
    keptDisks: input.as === 'replace' ? [{ diskId: estate.createdVmId, alias: 'added later', why: 'not among the disks that were restored from the backup' }] : [],
    removedDiskIds: [],
    started: input.start,
    seconds: 3,
    bytesPerSecond: 1024,
    warnings: [],
    leftovers: [],
  };
}

export async function verifyBackup(input: VerifyBackupInput): Promise<VerifyBackupOutput> {
  const told = tellProgress('demo');
  told.phase = 'verify';
  await sleep(300);
  const disk = { diskId: estate.diskId, alias: 'demo_Disk1', virtualBytes: diskBytes, dataBytes: 1024 };
  if (input.backupId === estate.decayedBackupId) {
    const found = { code: 'digest.mismatch', message: 'block 7 does not have its digest' };
    throw failure(found.code, `A backup of VM demo is not what was sealed. backup ${input.backupId}: disk demo_Disk1: ${found.message}`, { backups: [{ backupId: input.backupId, kind: 'full', outcome: 'failed', failure: null, disks: [{ ...disk, root: null, failure: found }] }] });
  }
  const passed = (backupId: string, kind: 'full' | 'incremental') => ({ backupId, kind, outcome: 'passed' as const, failure: null, disks: [{ ...disk, root: 'ab'.repeat(32), failure: null }] });
  const backups = [passed(input.backupId, 'incremental'), ...(input.chain ? [passed(estate.createdVmId, 'full')] : [])];
  return { runId: estate.runId, backupId: input.backupId, vmName: 'demo', backups, seconds: 2, bytesPerSecond: 1024 ** 2, warnings: [], leftovers: [] };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function findVms(input: FindVmsInput): Promise<FindVmsOutput> {
  for (const wanted of input.vms) {
    if (!estate.vms.some((vm) => vm.id === wanted || vm.name === wanted)) throw failure('engine.not-found', `Engine ${input.engine} has no VM "${wanted}".`);
  }
  const found = estate.vms.filter((vm) => input.vms.length === 0 || input.vms.includes(vm.id) || input.vms.includes(vm.name));
  const { offset, limit } = input.page;
  return { vms: found.slice(offset, offset + limit), more: found.length > offset + limit };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function listBackups(input: ListBackupsInput): Promise<ListBackupsOutput> {
  const wanted = (input.backupId ?? backup.backupId) === backup.backupId && (input.vmName ?? 'demo') === 'demo' && (input.vmId ?? vmNamed('demo')) === vmNamed('demo');
  return { backups: wanted ? [{ ...backup, verification: { outcome: 'passed', verifiedAt: '2026-11-21T03:00:00.000Z', runId: estate.runId, dataBytes: 1024, failure: null } }] : [], more: false };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function listRuns(input: ListRunsInput): Promise<ListRunsOutput> {
  return { runs: runs.filter((run) => (input.runId ?? run.runId) === run.runId && (input.outcome ?? run.outcome) === run.outcome), more: false };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function rebuildCatalog(input: RebuildCatalogInput): Promise<RebuildCatalogOutput> {
  if (input.repository !== estate.repository) throw failure('repository.unknown', `No worker serves repository ${input.repository}.`);
  return { indexed: 7, removed: 1, unreadable: [{ path: 'vms/x/y', reason: 'manifest.json is not JSON' }] };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function listVmAwareness(input: ListVmAwarenessInput): Promise<ListVmAwarenessOutput> {
  const ofObjective = vmAwareness.filter(({ objective }) => (input.objective ?? objective) === objective);
  return { vms: ofObjective.filter(({ state }) => (input.state === undefined ? state !== 'exempt' : state === input.state)), more: false, exempt: ofObjective.filter(({ state }) => state === 'exempt').length };
}

/** An engine named "older" is served by a worker that knows no exemptions. */
// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function showBackupAwareness({ engine }: ShowBackupAwarenessInput): Promise<ShowBackupAwarenessOutput> {
  return {
    settings: { checkPeriodHours: 6, alertPeriodDays: 1 }, settingsFrom: { checkPeriodHours: 'configuration', alertPeriodDays: 'configuration' }, source: 'catalog', fqdn: 'engine.example.com',
    schedule: { id: `backup-awareness/${engine}`, exists: true, paused: false }, alerts: [], events: [], ...(engine === 'older' ? {} : { exemptVms: 2 }),
  };
}

// oxlint-disable-next-line typescript/require-await -- a flow is async by contract
export async function checkBackupAwareness({ engine }: { readonly engine: string }): Promise<CheckBackupAwarenessOutput> {
  return { vms: { judged: 7, withoutFreshBackup: 0, uncovered: 0, ...(engine === 'older' ? {} : { exempt: 2 }), alerts: { raised: 0, open: 0, cleared: 0 } }, warnings: [] };
}
