// The embedded parts on a poorer machine: without FUSE, and with nobody who names a Python to them.
import { laneTests } from './support/lane';
import { shareStack, useStack } from './support/stack';

// `npm test` names it for everybody; `npm start` has nobody who does.
delete process.env['HOLDFAST_SDK_PYTHON'];
shareStack({ temporalForgets: true, env: { HOLDFAST_FUSE: 'off' } });

// The appliance's data path where FUSE is missing: disks are read through the NBD socket of the appliance's QEMU.
describe('with HOLDFAST_FUSE=off', () => {
  laneTests(useStack(), () => 'socket');
});

describe('transfers', () => void jest.requireActual('./embedded-transfer.suite'));
