// `holdfast awareness`, as operators see it: nobody is exempt unknowingly.
import { exitCodes } from '../../client/cli/exit-codes';
import { runCli, startStandIns, type StandIns } from './harness';

let standIns: StandIns;
beforeAll(async () => {
  standIns = await startStandIns();
}, 120_000);
afterAll(() => standIns.stop());

const run = (...argv: readonly string[]): ReturnType<typeof runCli> => runCli(['awareness', ...argv, '--address', standIns.temporal.address, '--namespace', standIns.temporal.namespace]);
const told = async (...argv: readonly string[]): Promise<string> => {
  const { code, out, err } = await run(...argv);
  expect([code, err]).toEqual([exitCodes.ok.code, '']);
  return out;
};

test('exempt VMs are counted where they are not listed', async () => {
  expect(await told('status', '--engine', 'lab')).toMatch(/exempt +2 VMs need no backup by the configuration as of the last check: holdfast awareness status --vms --state exempt\n/);
  expect(await told('check', '--engine', 'lab')).toMatch(/^7 VMs judged: 0 without a fresh backup, 0 covered by no objective; 2 VMs need no backup by the configuration\. holdfast/);
  expect(await told('status', '--vms', '--engine', 'lab')).toMatch(/^VM[^\n]*\ndb-1 +never +daily[^\n]*\n2 VMs need no backup by the configuration: --state exempt\n$/);
  expect(await told('status', '--vms', '--engine', 'lab', '--objective', 'scratch')).toMatch(/^Every VM that is judged has a fresh backup[^\n]*\n2 VMs need no backup/);
});

test('they are listed when asked for, and another state is no place for them', async () => {
  expect(await told('status', '--vms', '--engine', 'lab', '--state', 'exempt')).toMatch(/^VM[^\n]*\ntmp-1 +exempt +scratch[^\n]*\ntmp-2 +exempt +scratch[^\n]*\n$/);
  expect(await told('status', '--vms', '--engine', 'lab', '--state', 'too-old')).toBe('No VM is too-old.\n');
  expect((await run('status', '--vms', '--engine', 'lab', '--state', 'fresh')).err).toMatch(/never, too-old, not-verified, uncovered, exempt/);
});

test('a worker that knows no exemptions is understood', async () => {
  for (const command of ['status', 'check']) expect(await told(command, '--engine', 'older')).not.toMatch(/no backup by the configuration/);
});
