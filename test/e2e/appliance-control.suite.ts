// Whoever steers or disturbs a run: cancel in each phase, pause and bandwidth in the middle of a disk, one run per VM, a terminated run's
// leftovers, and the death of the worker that copies.
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastCancelledError, HoldfastClientError, type BackupHandle, type BackupSummary, type RestoreHandle } from '../../client';
import { sometimes } from '../support/sometimes';
import { bytesReadBy, durablePosition, partialFiles, qemuPid, untilPhase, untilProgress, type Position } from './support/copies';
import { estateOf } from './support/estate';
import { rootsOf } from './support/lane';
import { configFileOf, useStack, type Stack, type WorkerConfigFile } from './support/stack';
import { slowFreeze } from './support/trouble';
import { ask, makeVm, mib, until, type TestVm } from './support/vms';

const limitMs = 120_000;
const dataMib = 96;
/** What a process reads beside the disk: digests, tables, read-ahead of the kernel. Half of what is durable when a test disturbs the copy. */
const slackBytes = 16 * mib;
/** So long that whatever waited for a heartbeat's timeout, or a share of it, would not come in time. */
const slowHeart = (config: WorkerConfigFile): WorkerConfigFile => ({ ...config, heartbeatSeconds: 240 });
/** What a copy is told it obeys within a second or two; here a slow machine has its time, and a quarter of the heartbeat's has not. */
const atOnceMs = 40_000;
const stackOf = useStack({ configure: { control: slowHeart, appliance: slowHeart } });
let stack: Stack;
let vm: TestVm;
let other: TestVm;

beforeAll(async () => {
  stack = stackOf();
  vm = await makeVm(stack, 'steered', [{ alias: 'steered_Disk1', format: 'cow', sizeMib: 128, dataMib }], { start: true });
  other = await makeVm(stack, 'other', [{ alias: 'other_Disk1', format: 'raw', sizeMib: 16, dataMib: 4 }]);
}, limitMs);

async function backUp(mibPerSecond?: number, vmId = vm.id): Promise<BackupHandle> {
  const limit = mibPerSecond === undefined ? {} : { bandwidthBytesPerSecond: mibPerSecond * mib };
  return stack.track(await stack.client.backupVm({ engine: stack.engine, vmId, repository: stack.repository, ...limit }));
}

async function restore({ backupId }: BackupSummary, name: string, mibPerSecond: number): Promise<RestoreHandle> {
  return stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId, name, bandwidthBytesPerSecond: mibPerSecond * mib }));
}

async function atOnce<T>(what: string, work: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const late = sleep(atOnceMs, undefined, { signal: ended.signal }).then(() => Promise.reject(new Error(`${what} took longer than ${atOnceMs / 1000} s`)), () => new Promise<never>(() => undefined));
  return Promise.race([work, late]).finally(() => ended.abort());
}

/** Cancels and returns how it ended, once everything is undone. */
async function cancelled(handle: BackupHandle | RestoreHandle): Promise<HoldfastCancelledError> {
  const { runId } = await handle.progress();
  await handle.cancel();
  const error: unknown = await atOnce<unknown>('the cancel', handle.result()).then(() => new Error('the run was not cancelled'), (reason: unknown) => reason);
  if (!(error instanceof HoldfastCancelledError)) throw error;
  expect((await handle.status()).status).toBe('CANCELLED');
  expect(error.details.leftovers).toEqual([]);
  const { runs } = await stack.client.listRuns({ runId });
  expect(runs.map(({ outcome, leftovers }) => ({ outcome, leftovers }))).toEqual([{ outcome: 'cancelled', leftovers: [] }]);
  return error;
}

const midCopy = async (handle: BackupHandle): Promise<Position> => {
  await untilPhase(handle, 'copy');
  return until('a third of the disk is durable', async () => {
    const position = await durablePosition(stack, vm.id, vm.disks[0]?.id ?? '');
    return position && position.dataBytes > (dataMib / 3) * mib && position;
  });
};

describe('cancel', () => {
  sometimes('while the snapshot is being made', async () => {
    await slowFreeze(stack, vm, 2);
    stack.afterwards(() => slowFreeze(stack, vm, 0));
    const handle = await backUp();
    await untilPhase(handle, 'snapshot');
    expect((await cancelled(handle)).details.undone).toEqual(['remove the snapshot']);
    expect(await partialFiles(stack, vm.id)).toEqual([]);
  }, limitMs);

  sometimes('in the middle of a disk', async () => {
    const handle = await backUp(16);
    await midCopy(handle);
    expect((await cancelled(handle)).details.undone).toEqual(['detach disk steered_Disk1 from the appliance', 'drop the partial backup', 'remove the snapshot']);
    expect(await partialFiles(stack, vm.id)).toEqual([]);
  }, limitMs);

  sometimes('while a restore writes', async () => {
    const { backup } = await (await backUp()).result();
    const { vms, disks, attachments } = await estateOf(stack);
    const handle = await restore(backup, 'never', 8);
    await untilProgress(handle, 'the restore writes', (progress) => progress.phase === 'copy' && progress.disks.some(({ state }) => state === 'copying'));
    await sleep(1000);
    expect((await cancelled(handle)).details.undone).toEqual(['detach the new disk steered_Disk1 from the appliance', 'remove the new disk steered_Disk1']);
    expect(await estateOf(stack)).toMatchObject({ vms, disks, attachments });
  }, limitMs);
});

/** What the appliance's QEMU has read so far, for whomever: of the source no byte comes from elsewhere. */
const bytesServed = async (): Promise<number> => bytesReadBy(await qemuPid(stack, stack.applianceId));

sometimes('pause stands still, resume goes on in the middle of the disk with the new bandwidth, and the backup is right', async () => {
  const handle = await backUp(16);
  await midCopy(handle);
  await handle.pause();
  await until('the attempt has ended', async () => !(await partialFiles(stack, vm.id)).some((file) => file.endsWith('.lock')), atOnceMs);
  const [position, before] = [await durablePosition(stack, vm.id, vm.disks[0]?.id ?? ''), await bytesServed()];
  await sleep(2000);
  expect((await handle.progress()).paused).toBe(true);
  expect(await durablePosition(stack, vm.id, vm.disks[0]?.id ?? '')).toEqual(position);
  const meanwhile = await bytesServed();
  expect(meanwhile - before).toBeLessThan(2 * mib);
  await handle.setBandwidth(512 * mib);
  await handle.resume();
  const { backup } = await handle.result();
  expect((await bytesServed()) - meanwhile).toBeLessThan(backup.dataBytes - (position?.dataBytes ?? 0) + slackBytes);
  expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
}, limitMs);

sometimes('a new bandwidth counts at once, in the middle of a disk', async () => {
  const handle = await backUp(1);
  await untilPhase(handle, 'copy');
  await until('the copy is under way', async () => ((await durablePosition(stack, vm.id, vm.disks[0]?.id ?? ''))?.dataBytes ?? 0) > mib);
  await handle.setBandwidth(512 * mib);
  // With the old one, or when it came with a heartbeat's timeout, it would take a minute and a half.
  const { backup } = await atOnce('the rest of the copy', handle.result());
  expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
}, limitMs);

test('one run per VM: a second one is refused while the first runs, another VM\'s is not', async () => {
  const first = await backUp(4);
  await untilPhase(first, 'copy');
  const error: unknown = await backUp().then(() => undefined, (reason: unknown) => reason);
  if (!(error instanceof HoldfastClientError)) throw new Error('a second run was started');
  expect(error.code).toBe('client.already-running');
  expect(error.message).toContain(`vm/${stack.engine}/${vm.id}`);
  const { backup } = await (await backUp(undefined, other.id)).result();
  expect(rootsOf(backup.disks)).toEqual(rootsOf(other.disks));
  expect((await first.status()).status).toBe('RUNNING');
  await cancelled(first);
}, limitMs);

sometimes('what a terminated run has left is released by the next run on the VM', async () => {
  const first = await backUp(16);
  await midCopy(first);
  const { runId } = await first.progress();
  await stack.client.temporal.workflow.getHandle(first.workflowId, first.temporalRunId).terminate('by a test');
  expect((await ask.snapshots(stack, vm.id)).map(({ description }) => description)).toEqual([expect.stringMatching(/^Holdfast backup /)]);
  expect((await ask.attachments(stack, stack.applianceId)).map(({ id }) => id)).toEqual(vm.disks.map(({ id }) => id));
  const { backup, warnings, leftovers } = await (await backUp()).result();
  expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
  expect(leftovers).toEqual([]);
  for (const kind of ['attachment', 'snapshot']) expect(warnings).toContainEqual(expect.stringContaining(`released what an earlier run (${runId}) had left: ${kind}`));
  expect((await stack.client.listRuns({ runId })).runs.map(({ outcome }) => outcome)).toEqual(['failed']);
  expect(await partialFiles(stack, vm.id)).toEqual([]);
}, limitMs);

/** A worker that is dead is missed after a few seconds: the control worker tells each run after how many. */
async function quickHeart(): Promise<void> {
  const [part, file] = [stack.parts.part('worker-control'), configFileOf(stack.parts.state, 'control')];
  await part.stop();
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as WorkerConfigFile), heartbeatSeconds: 4 }));
  await part.start();
}

sometimes('a worker that is killed in the middle of a disk: the backup completes, and reads again only what was not durable', async () => {
  await quickHeart();
  const handle = await backUp(16);
  await midCopy(handle);
  await stack.parts.part('worker-appliance').crash('SIGKILL');
  const position = await durablePosition(stack, vm.id, vm.disks[0]?.id ?? '');
  const before = await bytesServed();
  await stack.parts.part('worker-appliance').start();
  const { backup, warnings } = await handle.result();
  expect((await bytesServed()) - before).toBeLessThan(backup.dataBytes - (position?.dataBytes ?? 0) + slackBytes);
  expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
  expect(warnings).toEqual([]);
}, limitMs);
