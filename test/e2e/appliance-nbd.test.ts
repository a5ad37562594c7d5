// The appliance's data path where FUSE is missing: disks are read through the NBD socket of the appliance's QEMU.
import { laneTests } from './support/lane';
import { useStack } from './support/stack';

const stackOf = useStack({ temporalForgets: true, env: { HOLDFAST_FUSE: 'off' } });

describe('with HOLDFAST_FUSE=off', () => {
  laneTests(stackOf, () => 'socket');
});
