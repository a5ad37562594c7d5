// Planning: reads what the engine has and lets the pure decisions of domain/plan judge it. Changes nothing. Role control.
import type { Engine, VmDisk } from '../adapters/ovirt/port';
import type { DiskSettings } from '../domain/disks';
import type { BackupVmInput } from '../domain/flows/backup-vm';
import { applianceReasons, chooseBackup, type ApplianceFacts, type BackupChoice } from '../domain/plan/backup';
import { reason, type Reason } from '../domain/plan/reasons';
import { chooseRestore, type RestoreChoice } from '../domain/plan/restore';
import type { ControlDependencies } from './dependencies';

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

export interface PlanRestoreInput {
  readonly engine: string;
  readonly name: string;
  readonly disks: readonly (DiskSettings & { readonly dataBytes: number })[];
  readonly origin: { readonly clusterId?: string | undefined; readonly clusterName?: string | undefined };
  readonly clusterId?: string | undefined;
  readonly storageDomainId?: string | undefined;
  readonly applianceId?: string | undefined;
}

export interface PlanActivities {
  /** Gives the run in the catalog its VM's name on the way. */
  planBackup(input: Pick<BackupVmInput, 'engine' | 'vmId' | 'leaveOutDiskIds' | 'quiesce'> & { readonly runId: string; readonly applianceId?: string | undefined }): Promise<BackupPlan>;
  planRestore(input: PlanRestoreInput): Promise<RestoreChoice>;
}

export function createPlanActivities({ engineOf, catalog }: ControlDependencies): PlanActivities {
  return {
    async planBackup({ engine: engineName, runId, vmId, leaveOutDiskIds, quiesce, applianceId }) {
      const engine = engineOf(engineName);
      const [about, vm] = [await engine.about(), await engine.getVm(vmId)];
      if (!vm) {
        const unknown = reason('vm.unknown', vmId, `Engine ${engineName} knows no VM ${vmId}. Look it up with: holdfast list vms`);
        return { ...about, disks: [], leftOut: [], neededBytes: 0, reasons: [unknown, ...applianceReasons(await applianceFacts(engine, applianceId), engineName, vmId, [])] };
      }
      await catalog.nameRun(runId, vm.name);
      const vmDisks = await engine.listVmDisks(vmId);
      const choice = chooseBackup({ vm, disks: vmDisks, snapshots: await engine.listSnapshots(vmId), leaveOutDiskIds, quiesce });
      const chosen = new Set(choice.disks.map((disk) => disk.settings.diskId));
      const appliance = await applianceFacts(engine, applianceId);
      return {
        ...about,
        vm: { id: vm.id, name: vm.name, status: vm.status, clusterId: vm.clusterId, ...(vm.clusterName === undefined ? {} : { clusterName: vm.clusterName }) },
        disks: choice.disks.map((disk) => disk.settings),
        leftOut: choice.leftOut,
        neededBytes: neededBytes(vmDisks.filter((disk) => chosen.has(disk.settings.diskId))),
        reasons: [...choice.reasons, ...applianceReasons(appliance, engineName, vmId, [...chosen])],
      };
    },

    async planRestore(input) {
      const engine = engineOf(input.engine);
      const taken = await engine.findVmByName(input.name);
      const choice = chooseRestore({ ...input, nameTakenBy: taken?.id, clusters: await engine.listClusters(), domains: await engine.listStorageDomains() });
      const appliance = applianceReasons(await applianceFacts(engine, input.applianceId), input.engine, undefined, []);
      return { ...choice, reasons: [...choice.reasons, ...appliance] };
    },
  };
}

async function applianceFacts(engine: Engine, applianceId: string | undefined): Promise<ApplianceFacts> {
  const vm = applianceId === undefined ? undefined : await engine.getVm(applianceId);
  if (!vm) return { applianceId, snapshots: [], attachedDiskIds: [] };
  const attachments = await engine.listAttachments(vm.id);
  return { applianceId, vm, snapshots: await engine.listSnapshots(vm.id), attachedDiskIds: attachments.map((each) => each.diskId) };
}

function neededBytes(disks: readonly VmDisk[]): number {
  return disks.reduce((sum, disk) => sum + Math.min(disk.actualBytes, disk.settings.virtualBytes), 0);
}
