// What an administrator does to the engine by hand: takes away what a run has left, writes to a disk whose VM is down.
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Stack } from '../e2e/support/stack';
import { ask, mib, until, volumePath, type TestDisk, type TestVm } from '../e2e/support/vms';
import type { Lane } from './lane';
import { checkpointsOf } from './outside';

const run = promisify(execFile);
const changedBytes = 192 * 1024;

/** Some bytes of each disk, at a place that begins and ends within a block of the digests. */
export async function changed(stack: Stack, { disks }: TestVm): Promise<void> {
  for (const disk of disks) await changedAt(stack, disk, randomInt(disk.virtualBytes / mib) * mib + 4096 * randomInt(200), changedBytes);
}

/** While the disk's VM is down; QEMU notes it in the bitmaps of its checkpoints. */
export async function changedAt(stack: Stack, { id }: Pick<TestDisk, 'id'>, fromBytes: number, bytes: number): Promise<void> {
  const disk = await ask.disk(stack, id);
  if (!disk) throw new Error(`the engine has no disk ${id}`);
  await run('qemu-io', ['-f', disk.format === 'cow' ? 'qcow2' : 'raw', '-c', `write -P ${randomInt(1, 256)} ${fromBytes} ${bytes}`, await volumePath(stack, disk)], { env: stack.env });
}

export async function checkpointRemoved({ stack, vm }: Pick<Lane, 'stack' | 'vm'>, checkpointId: string): Promise<void> {
  await stack.lab.engine('DELETE', `/vms/${vm.id}/checkpoints/${checkpointId}`);
  await until(`checkpoint ${checkpointId} is removed`, async () => !(await checkpointsOf(stack, vm.id)).includes(checkpointId));
}

const idSchema = z.looseObject({ id: z.string(), phase: z.string(), image: z.looseObject({ id: z.string() }).optional() });
const openSchema = z.object({ image_transfer: z.array(idSchema).default([]), backup: z.array(idSchema).default([]) });
const isOver = ({ phase }: { readonly phase: string }): boolean => ['finished_success', 'finished_failure', 'succeeded', 'failed'].includes(phase);

/** Image transfers of the VM's disks and VM backups of it: ended. */
export async function transfersEnded({ lab }: Stack, { id: vmId, disks }: TestVm): Promise<void> {
  const transfers = async () => openSchema.parse(await lab.engine('GET', '/imagetransfers')).image_transfer.filter((each) => !isOver(each) && disks.some(({ id }) => id === each.image?.id));
  for (const { id } of await transfers()) await lab.engine('POST', `/imagetransfers/${id}/cancel`, {});
  await until('the image transfers are over', async () => (await transfers()).length === 0);
  const backups = async () => openSchema.parse((await lab.engine('GET', `/vms/${vmId}/backups`)) ?? {}).backup.filter((each) => !isOver(each));
  for (const { id } of await backups()) await lab.engine('POST', `/vms/${vmId}/backups/${id}/finalize`, {});
  await until('the VM backups are over', async () => (await backups()).length === 0);
}

/** Detached from the appliance, and nothing else at work on them: the VM goes with its disks. */
export async function vmRemoved({ stack, vm, applianceId }: Lane): Promise<void> {
  const { lab } = stack;
  await transfersEnded(stack, vm);
  const attached = (await ask.attachments(stack, applianceId)).filter(({ id }) => vm.disks.some((disk) => disk.id === id));
  for (const { id } of attached) await lab.engine('DELETE', `/vms/${applianceId}/diskattachments/${id}`);
  for (const { id } of vm.disks) await until(`disk ${id} is detached`, async () => (await ask.attachments(stack, applianceId)).every((attachment) => attachment.id !== id));
  await lab.removeWithDisks(vm.id);
}
