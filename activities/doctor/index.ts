// The doctor's activities, grouped by the role of the worker that runs them.
import { withFailures } from '../to-failure';
import { createControlDoctorActivities, type ControlDoctorActivities } from './control';
import type { ApplianceExamination, ControlExamination, MoverExamination, WorkerExamination } from './dependencies';
import { createQueueActivities, type QueueActivities } from './examine';
import { createApplianceDoctorActivities, createMoverDoctorActivities, type ApplianceDoctorActivities, type MoverDoctorActivities } from './workers';

export type { ApplianceExamination, ControlExamination, DaemonSettings, MoverExamination, PlacedRepository, TemporalExamination, WorkerExamination } from './dependencies';
export type { QueueActivities } from './examine';
export type { ControlDoctorActivities, ApplianceDoctorActivities, MoverDoctorActivities };

export type ControlDoctor = ControlDoctorActivities & QueueActivities;
export type MoverDoctor = MoverDoctorActivities & QueueActivities;
export type ApplianceDoctor = ApplianceDoctorActivities & QueueActivities;

export function createControlDoctor(dependencies: ControlExamination): ControlDoctor {
  return withFailures({ ...createControlDoctorActivities(dependencies), ...createQueueActivities(dependencies) });
}

export function createMoverDoctor(dependencies: MoverExamination): MoverDoctor {
  return withFailures({ ...createMoverDoctorActivities(dependencies), ...createQueueActivities(dependencies) });
}

export function createApplianceDoctor(dependencies: ApplianceExamination): ApplianceDoctor {
  return withFailures({ ...createApplianceDoctorActivities(dependencies), ...createQueueActivities(dependencies) });
}

export function createCopiesDoctor(dependencies: WorkerExamination): QueueActivities {
  return withFailures(createQueueActivities(dependencies));
}
