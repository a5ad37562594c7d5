// All activities, grouped by the role of the worker that runs them. Workflows import only the types.
import { createAttachmentActivities, type AttachmentActivities } from './attachments';
import { createCatalogActivities, createScanActivities, type CatalogActivities, type ScanActivities } from './catalog';
import { createApplianceCheckActivities, createCopyActivities, type ApplianceCheckActivities, type CopyActivities } from './copies';
import type { ApplianceDependencies, ControlDependencies, MoverDependencies } from './dependencies';
import { createDiskActivities, type DiskActivities } from './disks';
import { createPlanActivities, type PlanActivities } from './plan';
import { createRepositoryActivities, type RepositoryActivities } from './repository';
import { createRunActivities, type RunActivities } from './runs';
import { createSnapshotActivities, type SnapshotActivities } from './snapshots';
import { withFailures } from './to-failure';
import { createVmActivities, type VmActivities } from './vms';

export type ControlActivities = RunActivities & PlanActivities & SnapshotActivities & AttachmentActivities & DiskActivities & VmActivities & CatalogActivities;
/** Queue `mover.<repository>.quick`. */
export type MoverQuickActivities = RepositoryActivities & ScanActivities;
/** Queue `appliance.<engine>.<vmId>.quick`. */
export type ApplianceQuickActivities = ApplianceCheckActivities;
/** Queue `appliance.<engine>.<vmId>`. */
export type ApplianceCopyActivities = CopyActivities;

export function createControlActivities(dependencies: ControlDependencies): ControlActivities {
  return withFailures({
    ...createRunActivities(dependencies),
    ...createPlanActivities(dependencies),
    ...createSnapshotActivities(dependencies),
    ...createAttachmentActivities(dependencies),
    ...createDiskActivities(dependencies),
    ...createVmActivities(dependencies),
    ...createCatalogActivities(dependencies),
  });
}

export function createMoverQuickActivities(dependencies: MoverDependencies): MoverQuickActivities {
  return withFailures({ ...createRepositoryActivities(dependencies), ...createScanActivities(dependencies) });
}

export function createApplianceQuickActivities(dependencies: ApplianceDependencies): ApplianceQuickActivities {
  return withFailures(createApplianceCheckActivities(dependencies));
}

export function createApplianceCopyActivities(dependencies: ApplianceDependencies): ApplianceCopyActivities {
  return withFailures(createCopyActivities(dependencies));
}
