// The flows' suites on one stage; each is a file of its own beside this. One alone: `npx jest test/workflows/one-stage -t 'restoreVm in place'`.
// Of their tables, which stop a run at every step by a failure and by a cancel, `npm test` takes one of the two for half of the steps; `npm run test:flows` takes both for all.
import { tellSeed } from '../support/share';
import { shareStage } from './stage';

tellSeed();
shareStage();

const suites: Readonly<Record<string, () => unknown>> = {
  'backupVm ends': () => jest.requireActual('./backup-vm-ends.suite'),
  'backupVm by appliance': () => jest.requireActual('./backup-vm.suite'),
  'backupVm by transfer': () => jest.requireActual('./backup-transfer.suite'),
  'backupVm by transfer, planned': () => jest.requireActual('./backup-transfer-plan.suite'),
  'backupVm by transfer, turned': () => jest.requireActual('./backup-transfer-turns.suite'),
  'backupVm with a frozen guest': () => jest.requireActual('./backup-freeze.suite'),
  messages: () => jest.requireActual('./messages.suite'),
  'restoreVm as a new VM': () => jest.requireActual('./restore-vm.suite'),
  'restoreVm in place': () => jest.requireActual('./restore-vm-replace.suite'),
  'restoreVm by transfer': () => jest.requireActual('./restore-transfer.suite'),
  verifyBackup: () => jest.requireActual('./verify-backup.suite'),
  'flows of the catalog': () => jest.requireActual('./catalog-flows.suite'),
};

for (const [name, register] of Object.entries(suites)) describe(name, () => void register());
