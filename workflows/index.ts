// The registered workflow types: the exported names are what clients start.
export { backupVm } from './backup-vm';
export { restoreVm } from './restore-vm';
export { findVms } from './find-vms';
export { listBackups, listRuns, rebuildCatalog } from './catalog';
