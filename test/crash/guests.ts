// Cells with a running guest: the host freezes its file systems around the snapshot, and whoever dies meanwhile, the guest writes again soon.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Stack } from '../e2e/support/stack';
import { ask, makeVm, until, volumePath, type TestVm } from '../e2e/support/vms';
import type { CellPlan } from './cell';
import type { Lane } from './lane';

const run = promisify(execFile);
const thawLimitMs = 10_000;

/** Up, with an ext4 that the guest mounts as /data/0. Its content is the guest's business: nobody else knows its digest. */
export async function guestVm(stack: Stack, name: string): Promise<TestVm> {
  const vm = await makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'raw', sizeMib: 16, dataMib: 0 }]);
  for (const { id } of vm.disks) {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`the engine has no disk ${id}`);
    await run('mkfs.ext4', ['-q', '-F', await volumePath(stack, disk)], { env: { ...stack.env, PATH: `${stack.env['PATH'] ?? ''}:/usr/sbin:/sbin` } });
  }
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
