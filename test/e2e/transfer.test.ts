// Backups and restores by image transfers against the lab's real QEMU and the real daemon, in suites that share a stack. `npm run test:transfer` runs
// them whole; `npm test` takes a share of three of them, by a seed that it prints. One alone: `HOLDFAST_TESTS=whole npx jest test/e2e/transfer -t witness`.
import { someSuites, tellSeed } from '../support/share';
import { shareStack } from './support/stack';

shareStack({});
tellSeed();

const suites: Readonly<Record<string, () => unknown>> = {
  proofs: () => jest.requireActual('./transfer-proofs.suite'),
  disks: () => jest.requireActual('./transfer-disks.suite'),
  faults: () => jest.requireActual('./transfer-faults.suite'),
  chains: () => jest.requireActual('./transfer-chains.suite'),
  witness: () => jest.requireActual('./transfer-witness.suite'),
  // Here because this stack's Temporal keeps its data. Last: it ends the parts.
  'awareness, restarted': () => jest.requireActual('./awareness-restarts.suite'),
};

for (const [name, register] of someSuites(suites, 2, ['proofs'])) describe(name, () => void register());
