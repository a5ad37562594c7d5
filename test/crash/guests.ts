// Cells with a running guest: the host freezes its file systems around the snapshot, and whoever dies meanwhile, the guest writes again soon.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Stack } from '../e2e/support/stack';
import { ask, makeVm, until, volumePath, type TestVm } from '../e2e/support/vms';
import type { CellPlan } from './cell';
import { macOfNobody, type Lane } from './lane';
import { failing, well, type Shape } from './shapes';

const run = promisify(execFile);
const thawLimitMs = 10_000;

const backup = { flow: 'backupVm', method: 'appliance' } as const;
const transfer = { flow: 'backupVm', method: 'transfer', makes: { kind: 'full' } } as const;
/** By Holdfast itself, through the engine. */
const frozenByUs = { explicitFreeze: true, quiesce: 'required' } as const;

/** Takes the step that only a run takes which fails while its guest may be frozen. */
export const frozenAndFailed: Shape = { name: 'backup that freezes the guest and fails', ...backup, asks: frozenByUs, ...failing('ensureSnapshot') };

/** Backups of a running VM: the host freezes it around a snapshot, the engine is told that it must be frozen (a live one), or Holdfast freezes it. */
export const guestShapes: readonly Shape[] = [
  { name: 'backup around which the host freezes the guest', ...backup, ...well },
  { name: 'backup that freezes the guest', ...backup, asks: frozenByUs, ...well },
  { name: 'live backup by transfer', ...transfer, asks: { kind: 'full', quiesce: 'required', witness: 'never' }, ...well },
  { name: 'backup by transfer that freezes the guest', ...transfer, asks: { kind: 'full', witness: 'never', ...frozenByUs }, ...well },
];

/** Steps in which the guest may stand still, or the engine holds it. */
export const guestSteps: readonly string[] = ['ensureSnapshot', 'ensureVmBackup', 'ensureVmBackupEnded', 'ensureThawed'];

/** Up, with an ext4 that the guest mounts as /data/0. Its content is the guest's business: nobody else knows its digest. */
export async function guestVm(stack: Stack, name: string): Promise<TestVm> {
  const vm = await makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'cow', sizeMib: 16, dataMib: 0, backup: 'incremental' }], { mac: macOfNobody() });
  const scratch = await mkdtemp(path.join(stack.parts.state, 'mkfs-'));
  for (const { id, virtualBytes } of vm.disks) {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`the engine has no disk ${id}`);
    const raw = path.join(scratch, id);
    await writeFile(raw, '');
    await truncate(raw, virtualBytes);
    await run('mkfs.ext4', ['-q', '-F', raw], { env: { ...stack.env, PATH: `${stack.env['PATH'] ?? ''}:/usr/sbin:/sbin` } });
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'qcow2', raw, await volumePath(stack, disk)], { env: stack.env });
  }
  await rm(scratch, { recursive: true, force: true });
  await stack.lab.bring(vm.id, 'up');
  await until('the guest has mounted its disk', () => stack.lab.guest(vm.id, 'grep -c " /data/0 " /proc/mounts || true').then((text) => text.trim() === '1', () => false));
  return { ...vm, disks: vm.disks.map((disk) => ({ ...disk, root: '' })) };
}

async function writesAgain({ stack, vm }: Lane): Promise<readonly string[]> {
  const endMs = Date.now() + thawLimitMs;
  for (;;) {
    try {
      await stack.lab.guest(vm.id, 'date > /data/0/thawed && sync', 2_000);
      return [];
    } catch (error) {
      if (Date.now() > endMs) return [`the guest does not write ${thawLimitMs / 1000} s after the run: ${String(error)}`];
    }
  }
}

/** The same cell, on the lane whose VM runs. */
export function onGuest(plan: CellPlan): CellPlan {
  return { ...plan, name: `${plan.name}, with a running guest`, alsoJudge: async (lane, started, end) => [...((await plan.alsoJudge?.(lane, started, end)) ?? []), ...(await writesAgain(lane))] };
}
