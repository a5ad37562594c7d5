// Changes of a VM's disks that are over when they are told: by its guest when it runs, else by qemu-io, which keeps a qcow2's bitmaps as QEMU does.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Stack } from './stack';
import { ask, until, volumePath, type EngineDisk, type TestVm } from './vms';

const run = promisify(execFile);
const blockBytes = 65_536;
let changes = 0;

/** Of a raw disk, which is read in full each time, only so much ever gets content. */
const rawBlocks = 4;

/** Random bytes to each disk, in places that move on through its first 4 MiB; `at`: there. */
export async function change(stack: Stack, vm: TestVm, { blocks = 3, at }: { readonly blocks?: number; readonly at?: number } = {}): Promise<void> {
  const place = at === undefined ? (changes++ * 7) % 60 : Math.floor(at / blockBytes);
  const { status } = z.object({ status: z.string() }).parse(await stack.lab.engine('GET', `/vms/${vm.id}`));
  const writes = await Promise.all(vm.disks.map(async ({ id, virtualBytes }): Promise<Write> => {
    const disk = await ask.disk(stack, id);
    if (!disk) throw new Error(`the engine has no disk ${id}`);
    if (disk.format === 'raw') return { disk, place: place % rawBlocks, blocks: 1 };
    // A raw disk below a snapshot is a cow one, and may be too small.
    return { disk, place: place % (Math.floor(virtualBytes / blockBytes) - blocks + 1), blocks };
  }));
  if (status === 'up') return byGuest(stack, vm, writes);
  for (const write of writes) await byQemuIo(stack, write);
}

interface Write {
  readonly disk: EngineDisk;
  readonly place: number;
  readonly blocks: number;
}

async function byGuest({ lab }: Stack, { id: vmId }: TestVm, writes: readonly Write[]): Promise<void> {
  const commands = writes.map(({ disk, place, blocks }) => `dd if=/dev/urandom of=$(disk-by-serial ${disk.id}) bs=${blockBytes} count=${blocks} seek=${place} oflag=direct conv=notrunc 2>&1`);
  let lastWords = '';
  // Right after its start the guest may still be finding its disks.
  const written = await until('the guest has written', () => lab.guest(vmId, `set -e; ${commands.join('; ')}; echo done`).then((text) => text.includes('done'), (error: unknown) => {
    lastWords = String(error);
    return false;
  })).catch(() => false);
  if (!written) throw new Error(`the guest of VM ${vmId} does not write: ${lastWords}`);
}

async function byQemuIo(stack: Stack, { disk, place, blocks }: Write): Promise<void> {
  const content = path.join(stack.parts.state, `change-${disk.id}`);
  await writeFile(content, randomBytes(blocks * blockBytes));
  await run('qemu-io', ['-f', disk.format === 'cow' ? 'qcow2' : 'raw', '-c', `write -s ${content} ${place * blockBytes} ${blocks * blockBytes}`, await volumePath(stack, disk)], { env: stack.env });
  await rm(content);
}
