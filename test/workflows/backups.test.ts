// The suites of backupVm on one stage; each is a file of its own beside this. One alone: `npx jest test/workflows/backups -t 'by transfer, turned'`.
// `npm test` takes three of them, and of their tables, which stop a run at every step by a failure and by a cancel, one of the two for a quarter of the steps; `npm run test:flows` takes all.
import { someSuites, tellSeed } from '../support/share';
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
};

for (const [name, register] of someSuites(suites, 3)) describe(name, () => void register());
