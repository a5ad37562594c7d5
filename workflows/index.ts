// The registered workflow types: the exported names are what clients start.
export { backupVm } from './backup-vm';
export { restoreVm } from './restore-vm';
export { verifyBackup } from './verify-backup';
export { findVms } from './find-vms';
export { listAlerts, listBackups, listHoldings, listRuns, rebuildCatalog } from './catalog';
export { runDoctor } from './run-doctor';
export { acknowledgeAlerts, checkBackupAwareness, forwardEvents, launchScheduled, listVmAwareness, setBackupAwareness, showBackupAwareness } from './awareness';
