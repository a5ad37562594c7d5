// Changes of a VM's disks that are over when they are told: by its guest when it runs, else by qemu-io, which keeps a qcow2's bitmaps as QEMU does.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Stack } from './stack';
import { ask, until, volumePath, type TestVm } from './vms';

const run = promisify(execFile);
const blockBytes = 65_536;
let changes = 0;

/** Random bytes to each disk, in places that move on through its first 4 MiB; `at`: there. */
export async function change(stack: Stack, vm: TestVm, { blocks = 3, at }: { readonly blocks?: number; readonly at?: number } = {}): Promise<void> {
  const place = at === undefined ? (changes++ * 7) % 60 : Math.floor(at / blockBytes);
  const { status } = z.object({ status: z.string() }).parse(await stack.lab.engine('GET', `/vms/${vm.id}`));
  if (status === 'up') return byGuest(stack, vm, place, blocks);
  for (const { id } of vm.disks) await byQemuIo(stack, id, place, blocks);
}

async function byGuest({ lab }: Stack, vm: TestVm, place: number, blocks: number): Promise<void> {
  const write = (id: string): string => `dd if=/dev/urandom of=$(disk-by-serial ${id}) bs=${blockBytes} count=${blocks} seek=${place} oflag=direct conv=notrunc 2>/dev/null`;
  // Right after its start the guest may still be finding its disks.
  await until('the guest has written', () => lab.guest(vm.id, `set -e; ${vm.disks.map(({ id }) => write(id)).join('; ')}; echo done`).then((text) => text.includes('done'), () => false));
}

async function byQemuIo(stack: Stack, diskId: string, place: number, blocks: number): Promise<void> {
  const disk = await ask.disk(stack, diskId);
  if (!disk) throw new Error(`the engine has no disk ${diskId}`);
  const content = path.join(stack.parts.state, `change-${diskId}`);
  await writeFile(content, randomBytes(blocks * blockBytes));
  await run('qemu-io', ['-f', disk.format === 'cow' ? 'qcow2' : 'raw', '-c', `write -s ${content} ${place * blockBytes} ${blocks * blockBytes}`, await volumePath(stack, disk)], { env: stack.env });
  await rm(content);
}
