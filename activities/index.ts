// All activities, grouped by the role of the worker that runs them. Workflows import only the types.
import { createAttachmentActivities, type AttachmentActivities } from './attachments';
import { createChainActivities, type ChainActivities } from './chains';
import { createCheckpointActivities, type CheckpointActivities } from './checkpoints';
import { createAwarenessActivities, type AwarenessActivities } from './awareness';
import { createCatalogActivities, createScanActivities, type CatalogActivities, type ScanActivities } from './catalog';
import { createApplianceCheckActivities, createCopyActivities, type ApplianceCheckActivities, type CopyActivities } from './copies';
import { createCopySlotActivities, type CopySlotActivities } from './copy-slots';
import type { ApplianceDependencies, AwarenessDependencies, ControlDependencies, MoverCopyDependencies, MoverDependencies } from './dependencies';
import { createDiskActivities, type DiskActivities } from './disks';
import { createFreezeActivities, type FreezeActivities } from './freezes';
import { createNoticeActivities, type NoticeActivities } from './notices';
import { createInventoryActivities, type InventoryActivities } from './inventory';
import { createPlanActivities, type PlanActivities } from './plan';
import { createPlanTransferActivities, type PlanTransferActivities } from './plan-transfer';
import { createReplacedConfigurationActivities, type ReplacedConfigurationActivities } from './replaced-configurations';
import { createReplacedVmActivities, type ReplacedVmActivities } from './replaced-vms';
import { createRepositoryActivities, type RepositoryActivities } from './repository';
import { createRunActivities, type RunActivities } from './runs';
import { createSnapshotActivities, type SnapshotActivities } from './snapshots';
import { withFailures } from './to-failure';
import { createTransferCopyActivities, type TransferCopyActivities } from './transfer-copies';
import { createTransferActivities, type TransferActivities } from './transfers';
import { createVmBackupActivities, type VmBackupActivities } from './vm-backups';
import { withHeartbeats } from './alive';
import { createVerificationActivities, type VerificationActivities } from './verifications';
import { createVmActivities, type VmActivities } from './vms';

export type ControlActivities = RunActivities & PlanActivities & PlanTransferActivities & SnapshotActivities & VmBackupActivities & FreezeActivities & CheckpointActivities & TransferActivities & AttachmentActivities & DiskActivities & VmActivities &
  ReplacedVmActivities & CopySlotActivities & VerificationActivities & CatalogActivities & InventoryActivities;
/** Queue `holdfast` too: awareness needs what runs do not (schedules, sinks). */
export type AwarenessControl = AwarenessActivities & NoticeActivities;
/** Queue `mover.<repository>.quick`. */
export type MoverQuickActivities = RepositoryActivities & ChainActivities & ReplacedConfigurationActivities & ScanActivities;
/** Queue `mover.<repository>`. */
export type MoverCopyActivities = TransferCopyActivities;
/** Queue `appliance.<engine>.<vmId>.quick`. */
export type ApplianceQuickActivities = ApplianceCheckActivities;
/** Queue `appliance.<engine>.<vmId>`. */
export type ApplianceCopyActivities = CopyActivities;

/** Everything but copies, which heartbeat with their own figures. */
function calls<T extends object>(activities: T): T {
  return withFailures(withHeartbeats(activities));
}

export function createControlActivities(dependencies: ControlDependencies): ControlActivities {
  return calls({
    ...createRunActivities(dependencies),
    ...createPlanActivities(dependencies),
    ...createPlanTransferActivities(dependencies),
    ...createSnapshotActivities(dependencies),
    ...createVmBackupActivities(dependencies),
    ...createFreezeActivities(dependencies),
    ...createCheckpointActivities(dependencies),
    ...createTransferActivities(dependencies),
    ...createAttachmentActivities(dependencies),
    ...createDiskActivities(dependencies),
    ...createVmActivities(dependencies),
    ...createReplacedVmActivities(dependencies),
    ...createCopySlotActivities(dependencies),
    ...createVerificationActivities(dependencies),
    ...createCatalogActivities(dependencies),
    ...createInventoryActivities(dependencies),
  });
}

export function createAwarenessControl(dependencies: AwarenessDependencies): AwarenessControl {
  return calls({ ...createAwarenessActivities(dependencies), ...createNoticeActivities(dependencies) });
}

export function createMoverQuickActivities(dependencies: MoverDependencies): MoverQuickActivities {
  return calls({ ...createRepositoryActivities(dependencies), ...createChainActivities(dependencies), ...createReplacedConfigurationActivities(dependencies), ...createScanActivities(dependencies) });
}

export function createMoverCopyActivities(dependencies: MoverCopyDependencies): MoverCopyActivities {
  return withFailures(createTransferCopyActivities(dependencies));
}

export function createApplianceQuickActivities(dependencies: ApplianceDependencies): ApplianceQuickActivities {
  return calls(createApplianceCheckActivities(dependencies));
}

export function createApplianceCopyActivities(dependencies: ApplianceDependencies): ApplianceCopyActivities {
  return withFailures(createCopyActivities(dependencies));
}
