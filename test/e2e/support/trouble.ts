// Trouble in the lab, made as it comes about in life: a snapshot that takes its time, a volume file that is gone.
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import type { Stack } from './stack';
import { ask, until, volumePath, type TestVm } from './vms';

export async function makeSnapshot(stack: Stack, vm: TestVm, description: string): Promise<string> {
  const { id } = z.object({ id: z.string() }).parse(await stack.lab.engine('POST', `/vms/${vm.id}/snapshots`, { description, persist_memorystate: false }));
  await until('the snapshot is ok', async () => (await ask.snapshots(stack, vm.id)).some((snapshot) => snapshot.id === id && snapshot.snapshot_status === 'ok'));
  return id;
}

export async function removeSnapshot(stack: Stack, vm: TestVm, snapshotId: string): Promise<void> {
  await stack.lab.engine('DELETE', `/vms/${vm.id}/snapshots/${snapshotId}`);
  await until('the snapshot is gone', async () => (await stack.lab.engine('GET', `/vms/${vm.id}/snapshots/${snapshotId}`)) === undefined);
}

export async function deleteVolume(stack: Stack, vm: TestVm): Promise<void> {
  for (const { id } of vm.disks) {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`the engine has no disk ${id}`);
    await rm(await volumePath(stack, disk));
    await until('the lab notices it', async () => (await ask.disk(stack, id))?.status === 'illegal');
  }
}

/** From now on the guest takes its time over each freeze, as one with a slow script does. The host waits eight seconds at most. */
export async function slowFreeze(stack: Stack, vm: TestVm, seconds: number): Promise<void> {
  const hook = '/run/fsfreeze-hook.d/slow';
  await stack.lab.guest(vm.id, `mkdir -p /run/fsfreeze-hook.d; printf '#!/bin/sh\\n[ $1 = freeze ] && sleep ${seconds}\\n' > ${hook}; chmod +x ${hook}`);
}

/** Runs `work` while a snapshot of the running VM is being made. */
export async function duringSnapshot<T>(stack: Stack, vm: TestVm, work: () => Promise<T>): Promise<T> {
  await slowFreeze(stack, vm, 7);
  const making = makeSnapshot(stack, vm, 'takes its time');
  try {
    await until('the disk is locked', async () => (await ask.disk(stack, vm.disks[0]?.id ?? ''))?.status === 'locked');
    return await work();
  } finally {
    await removeSnapshot(stack, vm, await making);
  }
}
