// Which reasons an operator reads: all that have to be mended, and none that goes away with another.
import { reason, rootCauses, type ReasonCode } from '../../domain/plan/reasons';

test.each<[string, readonly ReasonCode[], readonly ReasonCode[]]>([
  ['an appliance that is down has neither devices nor a worker that answers', ['appliance.devices', 'appliance.down', 'appliance.no-worker'], ['appliance.down']],
  ['nor has one that the engine does not know', ['appliance.unknown', 'appliance.no-worker'], ['appliance.unknown']],
  ['devices that are missing in an appliance that is up are a reason of their own', ['appliance.devices', 'disk.locked'], ['appliance.devices', 'disk.locked']],
  ['what does not follow stays', ['appliance.down', 'appliance.repository', 'vm.no-disks', 'repository.full'], ['appliance.down', 'appliance.repository', 'vm.no-disks', 'repository.full']],
  ['nothing stays nothing', [], []],
])('%s', (_what, given, told) => {
  expect(rootCauses(given.map((code) => reason(code, 'x', 'text'))).map(({ code }) => code)).toEqual(told);
});
