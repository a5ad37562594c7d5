// Planning a backup by the method `transfer`: what the engine has of VM, disks and checkpoints, what repository and catalog have of earlier
// backups; the pure decisions judge. Changes nothing. Role control.
import type { Catalog } from '../adapters/catalog/port';
import type { Engine, EngineEvent, VmDisk } from '../adapters/ovirt/port';
import { chooseKind, type ChainBackup, type ChainPolicy, type EngineCheckpoint, type KindChoice, type VmPast } from '../domain/chain';
import type { BackupVmInput } from '../domain/flows/backup-vm';
import { chooseTransferBackup, freezesItself } from '../domain/plan/backup';
import { rightsForTransferBackup } from '../domain/plan/permits';
import { reason } from '../domain/plan/reasons';
import type { VmChainBackup } from './chains';
import { checkpointHoldings } from './checkpoints';
import type { ControlDependencies } from './dependencies';
import { permitReasons } from './permit-reasons';
import { neededBytes, type BackupPlan } from './plan';
import { eventsOfVm } from './vm-events';

export interface PlanTransferInput extends Pick<BackupVmInput, 'engine' | 'vmId' | 'leaveOutDiskIds' | 'quiesce' | 'repository'> {
  readonly runId: string;
  readonly explicitFreeze?: boolean;
  readonly wanted: 'full' | 'incremental' | 'differential' | 'auto';
  readonly strict: boolean;
  readonly policy: ChainPolicy;
  /** As `readVmChain` gave them; `damage` where `checkBase` found any. */
  readonly backups: readonly VmChainBackup[];
}

export interface PlanTransferActivities {
  /** Gives the run in the catalog its VM's name on the way. Without a VM there is no choice. */
  planTransferBackup(input: PlanTransferInput): Promise<BackupPlan & { readonly choice?: KindChoice }>;
}

export function createPlanTransferActivities({ engineOf, catalog }: ControlDependencies): PlanTransferActivities {
  return {
    async planTransferBackup(input) {
      const { engine: name, runId, vmId, leaveOutDiskIds, quiesce, explicitFreeze = false } = input;
      const engine = engineOf(name);
      const [about, vm] = [await engine.about(), await engine.getVm(vmId)];
      if (!vm) return { ...about, disks: [], leftOut: [], neededBytes: 0, reasons: [reason('vm.unknown', vmId, `Engine ${name} knows no VM ${vmId}. Look it up with: holdfast list vms`)] };
      await catalog.nameRun(runId, vm.name);
      const vmDisks = await engine.listVmDisks(vmId);
      const { disks, leftOut, reasons } = chooseTransferBackup({ vm, disks: vmDisks, snapshots: await engine.listSnapshots(vmId), vmBackups: await engine.listVmBackups(vmId), leaveOutDiskIds, quiesce });
      const chosen = vmDisks.filter((disk) => disks.some(({ settings }) => settings.diskId === disk.settings.diskId));
      const choice = await chosenKind({ engine, catalog }, input, chosen);
      const rights = await permitReasons(engine, (places) => rightsForTransferBackup({ vm, disks: chosen.map(({ settings }) => settings), freezes: freezesItself({ explicitFreeze }, vm) }, places));
      const { id, name: vmName, status, clusterId, clusterName } = vm;
      return {
        ...about,
        vm: { id, name: vmName, status, clusterId, ...(clusterName === undefined ? {} : { clusterName }) },
        disks: chosen.map(({ settings }) => settings),
        leftOut,
        // What an incremental backup will need nobody knows before.
        neededBytes: neededBytes(chosen.filter(({ settings }) => modeOf(choice, settings.diskId) === 'full')),
        reasons: [...reasons, ...rights],
        choice,
      };
    },
  };
}

interface Outside {
  readonly engine: Engine;
  readonly catalog: Catalog;
}

function modeOf(choice: KindChoice, diskId: string): 'full' | 'incremental' | undefined {
  return 'refused' in choice ? undefined : choice.disks.find((disk) => disk.diskId === diskId)?.mode;
}

async function chosenKind(outside: Outside, { engine: name, vmId, repository, wanted, strict, policy, backups }: PlanTransferInput, disks: readonly VmDisk[]): Promise<KindChoice> {
  const { engine, catalog } = outside;
  const indexed = await indexedBackups(catalog, name, vmId);
  const here = backups.map((backup) => ({ ...backup, sealed: true, expired: false, verification: indexed.find((row) => row.repository === repository && row.backupId === backup.backupId)?.verification ?? 'none', ageMs: ageOf(backup.createdAt) }) as const);
  return chooseKind({
    wanted,
    strict,
    policy,
    disks: disks.map(({ settings: { diskId, alias, virtualBytes, format, backup } }) => ({ diskId, alias, virtualBytes, tracked: format === 'cow' && backup === 'incremental' })),
    backups: here,
    elsewhere: elsewhereOf(indexed.filter((row) => row.repository !== repository)),
    checkpoints: await checkpointsOf(outside, name, vmId, [...here, ...indexed]),
    past: { ...(await pastOf(engine, vmId, disks)), contradictedBy: await contradictedBy(catalog, { engine: name, vmId, repository, backups }) },
  });
}

/** Minus what passed between the engine's clock and ours: all that is compared was told by the engine. */
function ageOf(at: string): number {
  return Date.now() - Date.parse(at);
}

type Indexed = ChainBackup & { readonly repository: string };

/** What the catalog has of the VM by this method: checkpoints that chains in other repositories need are ours, too, and stay. */
async function indexedBackups(catalog: Catalog, engine: string, vmId: string): Promise<readonly Indexed[]> {
  const rows = await catalog.listBackups({ engine, vmId, page: { limit: 500, offset: 0 } });
  return rows
    .filter(({ method }) => method === 'transfer')
    .map(({ repository, backupId, kind, baseBackupId, checkpointId, verification, createdAt, disks }) => ({
      repository, backupId, kind, baseBackupId, checkpointId, sealed: true, expired: false, verification: verification?.outcome ?? 'none', ageMs: ageOf(createdAt),
      // The catalog knows the chain of backups, not that of each image.
      disks: disks.map(({ diskId, virtualBytes }) => ({ diskId, virtualBytes, baseBackupId: null })),
    }));
}

function elsewhereOf(rows: readonly Indexed[]): readonly (readonly ChainBackup[])[] {
  return [...new Set(rows.map(({ repository }) => repository))].map((repository) => rows.filter((row) => row.repository === repository));
}

async function checkpointsOf({ engine, catalog }: Outside, name: string, vmId: string, backups: readonly Pick<ChainBackup, 'checkpointId'>[]): Promise<readonly EngineCheckpoint[]> {
  const held = (await checkpointHoldings(catalog, name, vmId)).map(({ objectId }) => objectId);
  const own = new Set([...backups.map(({ checkpointId }) => checkpointId), ...held]);
  const found: EngineCheckpoint[] = [];
  for (const { id, parentId, state } of await engine.listCheckpoints(vmId)) {
    const ours = own.has(id);
    found.push({ id, parentId, state, ours, ...(ours ? { diskIds: await engine.listCheckpointDiskIds(vmId, id) } : {}) });
  }
  return found;
}

/** "VM restored from Snapshot", and the start and the end of a commit. */
const restoredEvents: readonly number[] = [47, 94, 95];
const detachedEvent = 2018;

async function pastOf(engine: Engine, vmId: string, disks: readonly VmDisk[]): Promise<VmPast> {
  const aliases = disks.map(({ settings }) => settings.alias).filter((alias) => alias !== '');
  const restored = await eventsOfVm(engine, restoredEvents, (event) => event.vmId === vmId);
  // A snapshot's disk is detached from an appliance: the event is that VM's, and names only the disk.
  const detached = await eventsOfVm(engine, [detachedEvent], ({ vmId: of, description }) => of === vmId || aliases.some((alias) => ` ${description} `.includes(` ${alias} `)));
  return { snapshotRestoredAgeMs: newestAge(restored), detachedAgeMs: newestAge(detached) };
}

const runsLookedAt = 50;

/** In a backup only the witness finds a digest that is not what it should be: it has read the source itself. */
async function contradictedBy(catalog: Catalog, { engine, vmId, repository, backups }: Pick<PlanTransferInput, 'engine' | 'vmId' | 'repository' | 'backups'>): Promise<string | undefined> {
  const sealed = new Set(backups.map(({ backupId }) => backupId));
  const runs = await catalog.listRuns({ engine, vmId, page: { limit: runsLookedAt, offset: 0 } });
  const telling = runs.find((run) => run.workflowType === 'backupVm' && run.repository === repository && (run.failure?.code === 'digest.mismatch' || sealed.has(run.backupId ?? '')));
  return telling?.failure?.code === 'digest.mismatch' ? telling.runId : undefined;
}

function newestAge(events: readonly EngineEvent[]): number | undefined {
  const ages = events.map(({ time }) => ageOf(time ?? ''));
  return ages.length === 0 ? undefined : Math.min(...ages);
}
