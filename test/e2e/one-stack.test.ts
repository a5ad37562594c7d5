// Suites that take the stack as it comes up, one after the other on the same one; each is a file of its own beside this. One alone:
// `npx jest test/e2e/one-stack -t doctor`. Suites that need another environment, or start and stop everything themselves, have their own.
import { shareStack } from './support/stack';

shareStack({ env: { HOLDFAST_TEST_WRONG_PASSWORD: 'not the password' } });

const suites: Readonly<Record<string, () => unknown>> = {
  doctor: () => jest.requireActual('./doctor.suite'),
  appliance: () => jest.requireActual('./appliance.suite'),
  'appliance, steered': () => jest.requireActual('./appliance-control.suite'),
  quiesce: () => jest.requireActual('./quiesce.suite'),
  metrics: () => jest.requireActual('./metrics.suite'),
  'bad input': () => jest.requireActual('./bad-input.suite'),
  ISV: () => jest.requireActual('../isv/isv.suite'),
  'bench incremental': () => jest.requireActual('../bench/incremental.suite'),
  // Last: it takes the user's permits away.
  permissions: () => jest.requireActual('./permissions.suite'),
};

for (const [name, register] of Object.entries(suites)) describe(name, () => void register());
