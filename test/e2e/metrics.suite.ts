// What a Prometheus sees of the workers: Temporal's own metrics and ours, while a snapshot is held and after a backup.
import { untilPhase } from './support/copies';
import { useStack, type Stack, type WorkerConfigFile } from './support/stack';
import { makeVm, mib, until } from './support/vms';

/** Below those of outgoing connections, and each process its own: they must be in the configuration before anything is started. */
const firstPort = 32_000 + (process.pid % 380) * 2;
const ports = { control: firstPort, appliance: firstPort + 1 };
const measured = (worker: keyof typeof ports) => (config: WorkerConfigFile): WorkerConfigFile => ({ ...config, metrics: { address: `127.0.0.1:${ports[worker]}` } });
const stackOf = useStack({ configure: { control: measured('control'), appliance: measured('appliance') } });
let stack: Stack;
beforeAll(() => {
  stack = stackOf();
});

interface Sample {
  readonly labels: string;
  readonly value: number;
}

async function samples(worker: keyof typeof ports, metric: string): Promise<readonly Sample[]> {
  const text = await (await fetch(`http://127.0.0.1:${ports[worker]}/metrics`)).text();
  return text.split('\n').flatMap((line) => {
    const match = /^(\w+)(\{.*\})? ([0-9.e+-]+)$/.exec(line);
    return match?.[1] === metric ? [{ labels: match[2] ?? '', value: Number(match[3]) }] : [];
  });
}

const valueOf = (found: readonly Sample[], ...labels: string[]): number | undefined => found.find((sample) => labels.every((label) => sample.labels.includes(label)))?.value;

test('bytes moved, phases, holdings and the age of snapshots are served beside Temporal\'s own metrics', async () => {
  const vm = await makeVm(stack, 'measured', [{ alias: 'measured_Disk1', format: 'cow', sizeMib: 64, dataMib: 48 }]);
  const handle = stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, bandwidthBytesPerSecond: 2 * mib }));
  await untilPhase(handle, 'copy');
  await until('a snapshot that is held shows with its age', async () => {
    const age = valueOf(await samples('control', 'holdfast_oldest_snapshot_seconds'), `engine="${stack.engine}"`);
    return age !== undefined && age > 0;
  }, 60_000);
  expect(valueOf(await samples('control', 'holdfast_holdings'), 'kind="snapshot"', 'state="held"')).toBe(1);
  await until('the copy shows as one that holds a slot', async () => valueOf(await samples('control', 'holdfast_copy_slots'), 'state="held"') === 1, 60_000);
  await handle.setBandwidth(null);
  const { backup } = await handle.result();

  // The copy was steered once: what the second attempt found done is not counted twice.
  const moved = valueOf(await samples('appliance', 'holdfast_moved_bytes_total'), 'activity="backupDisk"') ?? 0;
  expect(moved).toBeGreaterThan(backup.dataBytes / 2);
  expect(moved).toBeLessThanOrEqual(backup.dataBytes * 1.5);
  const phases = await samples('control', 'holdfast_phase_seconds_count');
  for (const phase of ['planning', 'snapshot', 'copy', 'seal']) expect(valueOf(phases, `phase="${phase}"`, 'workflow="backupVm"')).toBeGreaterThan(0);
  await until('the snapshot is not held any more', async () => valueOf(await samples('control', 'holdfast_holdings'), 'kind="snapshot"', 'state="held"') === 0, 60_000);
  expect(valueOf(await samples('control', 'holdfast_copy_slots'), 'state="held"')).toBe(0);
  expect((await samples('appliance', 'temporal_activity_execution_latency_seconds_count')).length).toBeGreaterThan(0);
}, 180_000);
