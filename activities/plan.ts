// Planning: reads what the engine has and lets the pure decisions of domain/plan judge it. Changes nothing. Role control.
import type { Cluster, Engine, Vm, VmDisk } from '../adapters/ovirt/port';
import type { DiskSettings } from '../domain/disks';
import type { BackupVmInput } from '../domain/flows/backup-vm';
import { applianceReasons, chooseBackup, freezesItself, type ApplianceFacts, type BackupChoice } from '../domain/plan/backup';
import { rightsForBackup, rightsForRestore } from '../domain/plan/permits';
import { reason, type Reason } from '../domain/plan/reasons';
import type { Manifest } from '../domain/manifest';
import { chooseRestore, nameOf, type RestoreAsked, type RestoreChoice, type RestoreFacts, type SavedVm } from '../domain/plan/restore';
import { wantsMacs } from '../domain/plan/restore-nics';
import type { OldVmFacts } from '../domain/plan/restore-target';
import type { ControlDependencies } from './dependencies';
import { permitReasons } from './permit-reasons';

export interface PlannedVm {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly clusterId: string;
  readonly clusterName?: string;
}

export interface BackupPlan {
  readonly product: string;
  readonly version: string;
  /** Absent when the VM is unknown. */
  readonly vm?: PlannedVm;
  readonly disks: readonly DiskSettings[];
  readonly leftOut: BackupChoice['leftOut'];
  /** Upper bound of the bytes that the images will take. */
  readonly neededBytes: number;
  readonly reasons: readonly Reason[];
}

export interface PlanRestoreInput extends RestoreAsked {
  readonly runId: string;
  /** `transfer` needs no appliance. */
  readonly method?: Manifest['method'];
  /** Undefined when nobody could read the backup. */
  readonly saved?: SavedVm | undefined;
  readonly applianceId?: string | undefined;
  readonly start?: boolean;
  /** Every appliance of the engine: none of them is replaced. */
  readonly applianceIds: readonly string[];
}

export interface PlanActivities {
  /** Gives the run in the catalog its VM's name on the way. */
  planBackup(input: Pick<BackupVmInput, 'engine' | 'vmId' | 'leaveOutDiskIds' | 'quiesce'> & { readonly explicitFreeze?: boolean; readonly runId: string; readonly applianceId?: string | undefined }): Promise<BackupPlan>;
  /** Gives the run in the catalog its VM's name on the way. */
  planRestore(input: PlanRestoreInput): Promise<RestoreChoice>;
}

export function createPlanActivities({ engineOf, catalog }: ControlDependencies): PlanActivities {
  return {
    async planBackup({ engine: engineName, runId, vmId, leaveOutDiskIds, quiesce, explicitFreeze = false, applianceId }) {
      const engine = engineOf(engineName);
      const [about, vm] = [await engine.about(), await engine.getVm(vmId)];
      if (!vm) {
        const unknown = reason('vm.unknown', vmId, `Engine ${engineName} knows no VM ${vmId}. Look it up with: holdfast list vms`);
        return { ...about, disks: [], leftOut: [], neededBytes: 0, reasons: [unknown, ...applianceReasons(await applianceFacts(engine, applianceId), engineName, vmId, [])] };
      }
      await catalog.nameRun(runId, vm.name);
      const vmDisks = await engine.listVmDisks(vmId);
      const choice = chooseBackup({ vm, disks: vmDisks, snapshots: await engine.listSnapshots(vmId), leaveOutDiskIds, quiesce, explicitFreeze });
      const chosen = new Set(choice.disks.map((disk) => disk.settings.diskId));
      const appliance = await applianceFacts(engine, applianceId);
      return {
        ...about,
        vm: { id: vm.id, name: vm.name, status: vm.status, clusterId: vm.clusterId, ...(vm.clusterName === undefined ? {} : { clusterName: vm.clusterName }) },
        disks: choice.disks.map((disk) => disk.settings),
        leftOut: choice.leftOut,
        neededBytes: neededBytes(vmDisks.filter((disk) => chosen.has(disk.settings.diskId))),
        reasons: [
          ...choice.reasons,
          ...applianceReasons(appliance, engineName, vmId, [...chosen]),
          ...(await permitReasons(engine, (places) => rightsForBackup({ vm, appliance: appliance.vm, disks: choice.disks.map((disk) => disk.settings), freezes: freezesItself({ explicitFreeze }, vm) }, places))),
        ],
      };
    },

    async planRestore(input) {
      const { saved, runId } = input;
      const engine = engineOf(input.engine);
      const name = nameOf(input, saved);
      if (name !== '') await catalog.nameRun(runId, name);
      const taken = await engine.findVmByName(name);
      const clusters = await engine.listClusters();
      const original = await oldVmFacts(engine, input);
      const choice = chooseRestore({
        asked: input,
        saved,
        clusters,
        domains: await engine.listStorageDomains(),
        profiles: await engine.listVnicProfiles(),
        nameTakenBy: taken?.id,
        original,
        takenDiskIds: input.as === 'original' ? await takenDiskIds(engine, saved) : [],
        ...(wantsMacs(input) ? await macFacts(engine, clusters) : { macsInUse: [], poolsWithDuplicates: [] }),
      });
      const byTransfer = input.method === 'transfer';
      const appliance = await applianceFacts(engine, byTransfer ? undefined : input.applianceId);
      const { clusterId, domainOfDisk } = choice;
      const objects = { method: input.method, appliance: appliance.vm, storageDomainIds: Object.values(domainOfDisk), start: input.start ?? false, asOriginal: input.as !== 'new', replaced: replacedBy(choice, original) };
      // While nobody knows where the VM is to go, nobody knows what is needed there.
      const rights = clusterId === undefined ? [] : await permitReasons(engine, (places) => rightsForRestore({ ...objects, clusterId }, places));
      return { ...choice, reasons: [...choice.reasons, ...(byTransfer ? [] : applianceReasons(appliance, input.engine, undefined, [])), ...rights] };
    },
  };
}

async function oldVmFacts(engine: Engine, { as, vmId, applianceId, applianceIds }: PlanRestoreInput): Promise<OldVmFacts | undefined> {
  const vm = as === 'new' || vmId === undefined ? undefined : await engine.getVm(vmId);
  return vm && { vm, snapshots: await engine.listSnapshots(vm.id), disks: await engine.listVmDisks(vm.id), isAppliance: vm.id === applianceId || applianceIds.includes(vm.id) };
}

function replacedBy({ old }: RestoreChoice, original: OldVmFacts | undefined): Parameters<typeof rightsForRestore>[0]['replaced'] {
  if (!old || !original) return undefined;
  return { vm: original.vm, isFromTemplate: original.vm.templateId !== undefined, disks: old.removed.map(({ diskId, alias }) => ({ diskId, alias, storageDomainId: original.disks.find(({ settings }) => settings.diskId === diskId)?.settings.storageDomainId })) };
}

async function takenDiskIds(engine: Engine, saved: SavedVm | undefined): Promise<readonly string[]> {
  const taken: string[] = [];
  for (const { diskId } of saved?.disks ?? []) if (await engine.getDisk(diskId)) taken.push(diskId);
  return taken;
}

async function macFacts(engine: Engine, clusters: readonly Cluster[]): Promise<Pick<RestoreFacts, 'macsInUse' | 'poolsWithDuplicates'>> {
  const poolOf = (clusterId: string): string | undefined => clusters.find(({ id }) => id === clusterId)?.macPoolId;
  const poolsWithDuplicates: string[] = [];
  for (const id of new Set(clusters.flatMap(({ macPoolId }) => macPoolId ?? []))) if (await engine.macPoolAllowsDuplicates(id)) poolsWithDuplicates.push(id);
  const macsInUse = (await engine.listNics()).map(({ mac, vmId, vmName, clusterId }) => ({ mac, vmId, vmName, macPoolId: poolOf(clusterId) }));
  return { macsInUse, poolsWithDuplicates };
}

async function applianceFacts(engine: Engine, applianceId: string | undefined): Promise<ApplianceFacts & { readonly vm?: Vm }> {
  const vm = applianceId === undefined ? undefined : await engine.getVm(applianceId);
  if (!vm) return { applianceId, snapshots: [], attachedDiskIds: [] };
  const attachments = await engine.listAttachments(vm.id);
  return { applianceId, vm, snapshots: await engine.listSnapshots(vm.id), attachedDiskIds: attachments.map((each) => each.diskId) };
}

export function neededBytes(disks: readonly VmDisk[]): number {
  return disks.reduce((sum, disk) => sum + Math.min(disk.actualBytes, disk.settings.virtualBytes), 0);
}
