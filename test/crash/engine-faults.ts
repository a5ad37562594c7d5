// Cells in which the engine and its host do wrong what real ones were seen to do wrong (lab/engine/injected/kinds.ts): the lab says that the fault
// fired, and each cell says how the run must end.
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, until } from '../e2e/support/vms';
import type { CellPlan, UnderWay } from './cell';
import type { End, Ending } from './ending';
import type { LabFault } from './lab-faults';
import type { Lane } from './lane';
import { nextBackup } from './next-backup';
import { foreignMark } from './outside';
import type { Started } from './runs';
import { applianceShapes, type Shape } from './shapes';
import { transferShapes } from './shapes-transfer';

export interface FaultCell extends CellPlan {
  /** The fault would reach other lanes' calls. */
  readonly isEverybodys: boolean;
  /** Waits for deadlines: for the whole matrix only. */
  readonly isLong?: true;
}

const completed: Ending = { outcome: 'completed' };
const cleanupLimitMs = 120_000;

function shapeNamed(name: string): Shape {
  const shape = [...applianceShapes, ...transferShapes].find((each) => each.name === name);
  if (!shape) throw new Error(`there is no shape ${name}`);
  return shape;
}

type Call = readonly [method: 'POST' | 'DELETE', path: (lane: Lane) => string, what: string];
const snapshots = ({ vm }: Lane): string => `/vms/${vm.id}/snapshots`;
const plugs = ({ applianceId }: Lane): string => `/vms/${applianceId}/diskattachments`;
const vmBackups = ({ vm }: Lane): string => `/vms/${vm.id}/backups`;

/** Calls that create or remove something, and the shape whose run makes them. Those without the lane's ids are other lanes' calls as well. */
const ownCalls: readonly (readonly [shape: string, call: Call])[] = [
  ['backup', ['POST', snapshots, 'taking the snapshot']],
  ['backup', ['POST', plugs, 'attaching the snapshot\'s disk']],
  ['backup', ['DELETE', (lane) => `${plugs(lane)}/*`, 'detaching the disk']],
  ['backup', ['DELETE', (lane) => `${snapshots(lane)}/*`, 'removing the snapshot']],
  ['restore', ['POST', plugs, 'attaching the new disk to the appliance']],
  ['restore', ['DELETE', (lane) => `${plugs(lane)}/*`, 'detaching the new disk from the appliance']],
  ['backup by transfer', ['POST', vmBackups, 'starting the VM backup']],
  ['backup by transfer', ['POST', (lane) => `${vmBackups(lane)}/*/finalize`, 'finalizing the VM backup']],
  ['backup by transfer', ['DELETE', ({ vm }) => `/vms/${vm.id}/checkpoints/*`, 'removing the checkpoint']],
];
const everybodysCalls: readonly (readonly [shape: string, call: Call])[] = [
  ['restore', ['POST', () => '/disks', 'creating the disk']],
  ['restore', ['POST', () => '/vms', 'creating the VM']],
  ['restore', ['POST', () => '/vms/*/start', 'starting the VM']],
  ['restore that fails', ['DELETE', () => '/vms/*', 'removing the VM']],
  ['restore that fails', ['DELETE', () => '/disks/*', 'removing the disk']],
  ...['backup by transfer', 'restore by transfer'].flatMap((shape): readonly (typeof ownCalls)[number][] => [
    [shape, ['POST', () => '/imagetransfers', 'beginning the image transfer']],
    [shape, ['POST', () => '/imagetransfers/*/finalize', 'finalizing the image transfer']],
  ]),
];

interface Trouble {
  readonly name: string;
  readonly fault: (call: { readonly method: 'POST' | 'DELETE'; readonly path: string }) => LabFault;
}

const troubles: readonly Trouble[] = [
  { name: 'the reply is lost after it was done', fault: (call) => ({ kind: 'lost-reply', call }) },
  { name: 'refused with 409 for 6 s', fault: (call) => ({ kind: 'conflict', call, seconds: 6 }) },
  { name: 'answered with 500 for 6 s', fault: (call) => ({ kind: 'server-error', call, status: 500, seconds: 6 }) },
];

const callCells: readonly FaultCell[] = [ownCalls, everybodysCalls].flatMap((calls) => calls.flatMap(([shapeName, [method, path, what]]) => troubles.map(({ name, fault }): FaultCell => {
  const shape = shapeNamed(shapeName);
  return { name: `${shapeName}: ${what}: ${name}`, shape, isEverybodys: calls === everybodysCalls, labFaults: (lane) => [fault({ method, path: path(lane) })] };
})));

interface Options extends Partial<CellPlan> {
  readonly isEverybodys?: boolean;
  readonly isLong?: true;
}

function cell(shapeName: string, name: string, labFaults: (lane: Lane) => readonly LabFault[], { isEverybodys = false, ...more }: Options = {}): FaultCell {
  return { name: `${shapeName}: ${name}`, shape: shapeNamed(shapeName), isEverybodys, labFaults, ...more };
}

const engineCells: readonly FaultCell[] = [
  ...['backup', 'restore'].flatMap((shape) => [
    cell(shape, 'the engine answers everything with 503 for 6 s', () => [{ kind: 'server-error', status: 503, seconds: 6 }], { isEverybodys: true }),
    cell(shape, 'every session ends at each third call', () => [{ kind: 'token-expiry', everyCalls: 3 }], { isEverybodys: true }),
  ]),
  cell('backup', 'every session ends when the snapshot is asked for', (lane) => [{ kind: 'token-expiry', call: { method: 'POST', path: snapshots(lane) } }]),
  cell('backup', 'the engine restarts when the snapshot is asked for', (lane) => [restartAfter('POST', snapshots(lane))], { isEverybodys: true, mayFail: true }),
  cell('backup', 'the engine restarts when the disk is attached', (lane) => [restartAfter('POST', plugs(lane))], { isEverybodys: true }),
  cell('backup', 'the engine restarts during the merge', (lane) => [restartAfter('DELETE', `${snapshots(lane)}/*`)], { isEverybodys: true }),
  cell('restore', 'the engine restarts when the disk is created', () => [restartAfter('POST', '/disks')], { isEverybodys: true }),
  cell('restore', 'the engine restarts when the VM is created', () => [restartAfter('POST', '/vms')], { isEverybodys: true }),
  cell('backup by transfer', 'the engine restarts when the VM backup is started', (lane) => [restartAfter('POST', vmBackups(lane))], { isEverybodys: true, mayFail: 'backup.failed' }),
  cell('backup by transfer', 'the engine restarts when the VM backup is finalized', (lane) => [restartAfter('POST', `${vmBackups(lane)}/*/finalize`)], { isEverybodys: true }),
  ...['backup by transfer', 'restore by transfer'].map((shape) => cell(shape, 'the engine restarts when the image transfer is begun', () => [restartAfter('POST', '/imagetransfers')], { isEverybodys: true })),
];

function restartAfter(method: 'POST' | 'DELETE', path: string): LabFault {
  return { kind: 'engine-restart', call: { method, path }, downSeconds: 2 };
}

const vmOf = ({ vm }: Lane): { readonly vmId: string } => ({ vmId: vm.id });

const hostCells: readonly FaultCell[] = [
  cell('backup', 'the snapshot takes 8 s', (lane) => [{ kind: 'slow-snapshot', ...vmOf(lane), seconds: 8 }]),
  cell('backup', 'the snapshot never ends until the run gives up', (lane) => [{ kind: 'slow-snapshot', ...vmOf(lane) }], {
    isLong: true,
    ends: { outcome: 'failed', code: 'wait.deadline' },
    disturb: mendedInCleanup,
  }),
  cell('backup', 'the merge fails once', (lane) => [{ kind: 'merge-failure', ...vmOf(lane) }]),
  cell('backup', 'the merge fails twice, and its volume is illegal meanwhile, under a running guest', (lane) => [{ kind: 'merge-failure', ...vmOf(lane), times: 2, illegal: true }], { bring: 'up' }),
  cell('backup', 'QEMU of the guest dies when its snapshot is asked for', (lane) => [{ kind: 'qemu-killed', ...vmOf(lane), call: { method: 'POST', path: snapshots(lane) } }], { bring: 'up', mayFail: true }),
  cell('backup', 'QEMU of the guest dies when its disk is attached', (lane) => [{ kind: 'qemu-killed', ...vmOf(lane), call: { method: 'POST', path: plugs(lane) } }], { bring: 'up' }),
  cell('backup', 'QEMU of the guest dies during the merge', (lane) => [{ kind: 'qemu-killed', ...vmOf(lane), call: { method: 'DELETE', path: `${snapshots(lane)}/*` } }], { bring: 'up' }),
  cell('backup', 'the disk turns illegal when its snapshot was asked for, and is mended later', (lane) => lane.vm.disks.map(({ id }) => ({ kind: 'illegal-disk', diskId: id, call: { method: 'POST', path: snapshots(lane) } })), {
    ends: { outcome: 'failed', code: 'disk.illegal' },
    disturb: mendedInCleanup,
  }),
  cell('backup', 'the device is never unplugged; released by the next run, once the fault is lifted', (lane) => [{ kind: 'stuck-unplug', vmId: lane.applianceId }], {
    isLong: true,
    ends: { ...completed, leftovers: ['attachment', 'snapshot'] },
    alsoJudge: (lane) => nextBackup(lane, 'appliance', ['attachment', 'snapshot']),
  }),
  cell('restore', 'the device is never unplugged; what the run names is removed by hand, once the fault is lifted', (lane) => [{ kind: 'stuck-unplug', vmId: lane.applianceId }], {
    isLong: true,
    ends: { outcome: 'failed', leftovers: ['attachment', 'disk'] },
    alsoJudge: removedByHand,
  }),
  cell('restore', 'the new disk turns illegal', () => [], { ends: { outcome: 'failed' }, fault: { hold: { activityType: 'attachToAppliance' } }, disturb: newDiskTurnsIllegal }),
  cell('backup', 'another product takes a snapshot with a similar name', (lane) => [{ kind: 'foreign-snapshot', ...vmOf(lane), description: `Holdfast backup ${foreignMark}`, call: { method: 'POST', path: plugs(lane) } }], { alsoJudge: foreignSurvived }),
];

/** The run has given up and undoes itself: now somebody mends it. */
async function mendedInCleanup(_lane: Lane, _run: Started, { handle, faults }: UnderWay): Promise<string> {
  await until('the run gives up', async () => (await handle.progress()).phase === 'cleanup', cleanupLimitMs);
  await sleep(1_000);
  await faults.release();
  return 'mended when the run had given up';
}

/** Unharmed; then it goes as its owner would remove it. */
async function foreignSurvived({ stack, vm }: Lane): Promise<readonly string[]> {
  const found = await ask.snapshots(stack, vm.id);
  const foreign = found.filter(({ description }) => description.endsWith(foreignMark));
  for (const { id } of foreign) {
    await stack.lab.engine('DELETE', `/vms/${vm.id}/snapshots/${id}`);
    await until('the other product\'s snapshot is gone', async () => (await stack.lab.engine('GET', `/vms/${vm.id}/snapshots/${id}`)) === undefined);
  }
  return foreign.length === 1 && foreign[0]?.snapshot_status === 'ok' ? [] : [`another product's snapshot did not survive: ${JSON.stringify(found)}`];
}

/** The engine detaches by itself when the guest lets go at last; the disk is nobody's then but an administrator's. */
async function removedByHand({ stack, applianceId }: Lane, _run: Started, { leftovers }: End): Promise<readonly string[]> {
  const diskId = leftovers.find(({ kind }) => kind === 'disk')?.objectId ?? '';
  await until(`disk ${diskId} is detached`, async () => (await ask.attachments(stack, applianceId)).every(({ id }) => id !== diskId));
  await stack.lab.engine('DELETE', `/disks/${diskId}`);
  await until(`disk ${diskId} is gone`, async () => (await ask.disk(stack, diskId)) === undefined);
  return [];
}

async function newDiskTurnsIllegal(lane: Lane, _run: Started, { faults }: UnderWay): Promise<string> {
  const { stack, vm } = lane;
  await until('the restore is about to attach its disk', async () => (await lane.held()) !== undefined, cleanupLimitMs);
  const made = (await ask.disks(stack)).find(({ id, alias }) => alias === vm.disks[0]?.alias && id !== vm.disks[0].id);
  if (!made) throw new Error('the restore has made no disk');
  await faults.add({ kind: 'illegal-disk', diskId: made.id });
  await lane.letGo();
  return '';
}

export const faultCells: readonly FaultCell[] = [...callCells, ...engineCells, ...hostCells];
