// VMs of a test: made through the engine's API, their disks filled behind its back while nothing runs, so that every byte is known. What
// one asks here is what an administrator in front of the lab could ask.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Stack } from './stack';

const run = promisify(execFile);
export const mib = 1024 ** 2;
const waitLimitMs = 60_000;

export interface DiskWish {
  readonly alias: string;
  readonly format: 'cow' | 'raw';
  readonly sizeMib: number;
  /** MiB of random bytes, in two runs with a hole between and behind them. */
  readonly dataMib: number;
  readonly interface?: 'virtio_scsi' | 'virtio' | 'sata';
  readonly bootable?: boolean;
  readonly sparse?: boolean;
  readonly backup?: 'none' | 'incremental';
  readonly wipeAfterDelete?: boolean;
  readonly shareable?: boolean;
}

export interface TestDisk {
  readonly id: string;
  readonly alias: string;
  readonly virtualBytes: number;
  /** Of the content that was written when it was made. */
  readonly root: string;
}

export interface TestVm {
  readonly id: string;
  readonly name: string;
  readonly disks: readonly TestDisk[];
}

const reference = z.object({ id: z.string() });
const flag = z.union([z.boolean(), z.string()]).transform((value) => value === true || value === 'true');
const number = z.coerce.number();
const diskSchema = z.object({
  id: z.string(), alias: z.string(), image_id: z.string().optional(), status: z.string().optional(), format: z.string().optional(), sparse: flag.optional(), backup: z.string().optional(),
  wipe_after_delete: flag.optional(), provisioned_size: number.optional(), storage_domains: z.object({ storage_domain: z.array(reference) }).optional(),
});
export type EngineDisk = z.infer<typeof diskSchema>;
const attachmentSchema = z.object({ id: z.string(), interface: z.string(), bootable: flag, active: flag, read_only: flag.optional(), pass_discard: flag.optional() });
export type EngineAttachment = z.infer<typeof attachmentSchema>;
const nicSchema = z.object({ id: z.string(), name: z.string(), mac: z.object({ address: z.string() }), interface: z.string().optional() });
const snapshotSchema = z.object({ id: z.string(), description: z.string(), snapshot_status: z.string(), snapshot_type: z.string() });

const listOf = <Schema extends z.ZodType>(element: string, schema: Schema, answer: unknown): z.output<Schema>[] => z.array(schema).parse(z.record(z.string(), z.unknown()).parse(answer)[element] ?? []);

/** What the engine's API says, parsed. */
export const ask = {
  disk: async ({ lab }: Stack, diskId: string): Promise<EngineDisk | undefined> => diskSchema.optional().parse(await lab.engine('GET', `/disks/${diskId}`)),
  disks: async ({ lab }: Stack): Promise<readonly EngineDisk[]> => listOf('disk', diskSchema, await lab.engine('GET', '/disks')),
  vms: async ({ lab }: Stack): Promise<readonly { id: string; name: string; description: string; comment: string }[]> =>
    listOf('vm', z.object({ id: z.string(), name: z.string(), description: z.string().default(''), comment: z.string().default('') }), await lab.engine('GET', '/vms')),
  attachments: async ({ lab }: Stack, vmId: string): Promise<readonly EngineAttachment[]> => listOf('disk_attachment', attachmentSchema, await lab.engine('GET', `/vms/${vmId}/diskattachments`)),
  nics: async ({ lab }: Stack, vmId: string): Promise<readonly z.infer<typeof nicSchema>[]> => listOf('nic', nicSchema, await lab.engine('GET', `/vms/${vmId}/nics`)),
  /** Without the active one. */
  snapshots: async ({ lab }: Stack, vmId: string): Promise<readonly z.infer<typeof snapshotSchema>[]> =>
    listOf('snapshot', snapshotSchema, await lab.engine('GET', `/vms/${vmId}/snapshots`)).filter(({ snapshot_type }) => snapshot_type !== 'active'),
  snapshotDisks: async ({ lab }: Stack, vmId: string, snapshotId: string): Promise<readonly EngineDisk[]> => listOf('disk', diskSchema, await lab.engine('GET', `/vms/${vmId}/snapshots/${snapshotId}/disks`)),
};

export async function until<T>(what: string, look: () => Promise<T | undefined | false>, limitMs = waitLimitMs, pauseMs = 50): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain until ${what}`);
    await sleep(pauseMs);
  }
}

export async function makeVm(stack: Stack, name: string, disks: readonly DiskWish[], options: { readonly description?: string; readonly start?: boolean; readonly mac?: string } = {}): Promise<TestVm> {
  const { lab } = stack;
  const body = { name, description: options.description ?? '', cluster: { name: 'Default' }, template: { name: 'Blank' } };
  const { id } = reference.parse(await lab.engine('POST', '/vms', body));
  await lab.engine('POST', `/vms/${id}/nics`, { name: 'nic1', interface: 'virtio', ...(options.mac === undefined ? {} : { mac: { address: options.mac } }) });
  const made: TestDisk[] = [];
  for (const wish of disks) made.push(await makeDisk(stack, id, wish));
  if (options.start) await lab.bring(id, 'up');
  return { id, name, disks: made };
}

/** To a VM that runs it is plugged once it has its content. */
export async function makeDisk(stack: Stack, vmId: string, wish: DiskWish): Promise<TestDisk> {
  const virtualBytes = wish.sizeMib * mib;
  const disk = {
    alias: wish.alias, provisioned_size: virtualBytes, format: wish.format, sparse: wish.sparse ?? true, backup: wish.backup ?? 'none', shareable: wish.shareable ?? false,
    wipe_after_delete: wish.wipeAfterDelete ?? false, storage_domains: { storage_domain: [{ name: 'data-1' }] },
  };
  const isDown = z.object({ status: z.string() }).parse(await stack.lab.engine('GET', `/vms/${vmId}`)).status === 'down';
  const { id } = reference.parse(await stack.lab.engine('POST', `/vms/${vmId}/diskattachments`, { disk, interface: wish.interface ?? 'virtio_scsi', bootable: wish.bootable ?? false, active: isDown }));
  const ready = await until(`disk ${wish.alias} is made`, async () => (await ask.disk(stack, id))?.status === 'ok' && ask.disk(stack, id));
  const root = await fill(stack, ready, wish);
  if (!isDown) await stack.lab.engine('PUT', `/vms/${vmId}/diskattachments/${id}`, { active: true });
  return { id, alias: wish.alias, virtualBytes, root };
}

/** Writes the content through qemu-img, as nobody has the volume open; returns the digest of what was written. */
async function fill(stack: Stack, disk: EngineDisk, { sizeMib, dataMib, format }: DiskWish): Promise<string> {
  const scratch = await mkdtemp(path.join(stack.parts.state, 'fill-'));
  try {
    const raw = path.join(scratch, 'content');
    const file = await open(raw, 'w');
    const half = Math.ceil(dataMib / 2);
    // Offsets that are on no MiB boundary: copies must not depend on it.
    await file.write(randomBytes(half * mib), 0, half * mib, 4096);
    const second = dataMib - half;
    if (second > 0) await file.write(randomBytes(second * mib), 0, second * mib, Math.floor(sizeMib / 2) * mib + 512 * 1024);
    await file.truncate(sizeMib * mib);
    await file.close();
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', format === 'cow' ? 'qcow2' : 'raw', raw, await volumePath(stack, disk)], { env: stack.env });
    return await rootOf(raw);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Where the lab keeps a volume: behind the engine's back. */
export async function volumePath({ labState }: Stack, { id, image_id, storage_domains }: EngineDisk): Promise<string> {
  const domains = storage_domains?.storage_domain.map((domain) => domain.id) ?? (await readdir(path.join(labState, 'sd')));
  return path.join(labState, 'sd', domains[0] ?? '', 'images', id, image_id ?? '');
}

/** The content of a volume and all below it, by qemu-img alone; -U because its VM may have it open. */
export async function digestOfVolume(stack: Stack, file: string, format: 'qcow2' | 'raw'): Promise<string> {
  const scratch = await mkdtemp(path.join(stack.parts.state, 'read-'));
  try {
    const raw = path.join(scratch, 'content');
    await run('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', file, raw], { env: stack.env });
    return await rootOf(raw);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
const zeros = Buffer.alloc(mib);
const digestOfZeros = sha256(zeros);

/** SHA-256 over the SHA-256 of each MiB: written down here once more on purpose. One buffer for all: a stream's new buffers cost four times as much as the hashing. */
export async function rootOf(name: string): Promise<string> {
  const root = createHash('sha256');
  const buffer = Buffer.alloc(mib);
  const file = await open(name);
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, mib);
      if (bytesRead === 0) return root.digest('hex');
      const block = buffer.subarray(0, bytesRead);
      root.update(block.equals(zeros) ? digestOfZeros : sha256(block));
    }
  } finally {
    await file.close();
  }
}
