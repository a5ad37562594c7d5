// Suites that take the stack as it comes up, one after the other on the same one; each is a file of its own beside this. One alone:
// `npx jest test/e2e/one-stack -t '^doctor'`. `npm test` takes four of them, by a seed that it prints; `npm run test:e2e` takes all. Suites that need another environment, or start and stop everything themselves, have their own.
import { someSuites, tellSeed } from '../support/share';
import { shareStack } from './support/stack';

tellSeed();
shareStack({ temporalForgets: true, env: { HOLDFAST_TEST_WRONG_PASSWORD: 'not the password' } });

const suites: Readonly<Record<string, () => unknown>> = {
  doctor: () => jest.requireActual('./doctor.suite'),
  appliance: () => jest.requireActual('./appliance.suite'),
  quiesce: () => jest.requireActual('./quiesce.suite'),
  ISV: () => jest.requireActual('../isv/isv.suite'),
  'bench incremental': () => jest.requireActual('../bench/incremental.suite'),
  // From here on each has workers of its own configuration: side by side, they are started once between two suites.
  'appliance, steered': () => jest.requireActual('./appliance-control.suite'),
  awareness: () => jest.requireActual('./awareness.suite'),
  metrics: () => jest.requireActual('./metrics.suite'),
  'bad input': () => jest.requireActual('./bad-input.suite'),
  // Last: it takes the user's permits away.
  permissions: () => jest.requireActual('./permissions.suite'),
};

for (const [name, register] of someSuites(suites, 2, ['appliance', 'ISV'])) describe(name, () => void register());
