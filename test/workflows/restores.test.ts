// The suites of the other flows on one stage, as backups.test.ts has those of backupVm: side by side, because they wait more than they compute.
import { someSuites, tellSeed } from '../support/share';
import { shareStage } from './stage';

tellSeed();
shareStage();

const suites: Readonly<Record<string, () => unknown>> = {
  messages: () => jest.requireActual('./messages.suite'),
  'restoreVm as a new VM': () => jest.requireActual('./restore-vm.suite'),
  'restoreVm in place': () => jest.requireActual('./restore-vm-replace.suite'),
  'restoreVm by transfer': () => jest.requireActual('./restore-transfer.suite'),
  verifyBackup: () => jest.requireActual('./verify-backup.suite'),
  'flows of the catalog': () => jest.requireActual('./catalog-flows.suite'),
};

for (const [name, register] of someSuites(suites, 3)) describe(name, () => void register());
