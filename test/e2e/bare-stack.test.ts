// The embedded parts on a poorer machine: without FUSE, and with nobody who names a Python to them. `npm test` takes one of the two suites.
import { someSuites, tellSeed } from '../support/share';
import { laneTests } from './support/lane';
import { shareStack, useStack } from './support/stack';

tellSeed();
// `npm test` names it for everybody; `npm start` has nobody who does.
delete process.env['HOLDFAST_SDK_PYTHON'];
shareStack({ temporalForgets: true, env: { HOLDFAST_FUSE: 'off' } });

const suites: Readonly<Record<string, () => unknown>> = {
  // The appliance's data path where FUSE is missing: disks are read through the NBD socket of the appliance's QEMU.
  'with HOLDFAST_FUSE=off': () => laneTests(useStack(), () => 'socket'),
  transfers: () => jest.requireActual('./embedded-transfer.suite'),
};

for (const [name, register] of someSuites(suites, 1)) describe(name, () => void register());
