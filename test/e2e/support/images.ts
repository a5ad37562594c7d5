// A backup in the repository as a stranger sees it who has qemu-img and nothing of Holdfast, and its manifest.
import { execFile } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { BackupSummary } from '../../../client';
import { rootsAt, type Moment } from './moments';
import type { Stack } from './stack';
import { digestOfVolume } from './vms';

const run = promisify(execFile);

const reason = z.object({ code: z.string(), text: z.string() });
const manifestSchema = z.object({
  kind: z.string(),
  base: z.object({ backupId: z.string() }).nullable(),
  reason,
  notes: z.array(reason),
  checkpoint: z.object({ id: z.string() }).nullable(),
  vmBackup: z.object({ id: z.string(), style: z.string() }).nullable(),
  consistency: z.object({ level: z.string(), evidence: z.string() }),
  disks: z.array(z.object({
    settings: z.object({ diskId: z.string(), alias: z.string() }),
    image: z.object({ file: z.string(), base: z.object({ backupId: z.string() }).nullable() }),
    mode: z.string(), witnessed: z.boolean(), dataBytes: z.number(), transport: z.string(),
  })),
});
export type TransferManifest = z.infer<typeof manifestSchema>;

type Named = Pick<BackupSummary, 'vmId' | 'backupId'>;

const directoryOf = ({ parts }: Stack, { vmId, backupId }: Named): string => path.join(parts.repository.path, 'vms', vmId, backupId);

export async function transferManifest(stack: Stack, backup: Named): Promise<TransferManifest> {
  return manifestSchema.parse(JSON.parse(await readFile(path.join(directoryOf(stack, backup), 'manifest.json'), 'utf8')));
}

export const codesOf = (notes: readonly { readonly code: string }[]): string[] => notes.map(({ code }) => code).sort();

/** Every image passes the check, names the one that it lies on by a relative path, and gives with it the bytes of its moment. */
export async function expectImages(stack: Stack, backup: Named, moment: Moment): Promise<void> {
  const { disks } = await transferManifest(stack, backup);
  const content: Record<string, string> = {};
  for (const { settings, image } of disks) {
    const file = path.join(directoryOf(stack, backup), image.file);
    await run('qemu-img', ['check', '-q', file], { env: stack.env });
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', file], { env: stack.env })).stdout) as Record<string, unknown>;
    expect([info['backing-filename'], info['backing-filename-format']]).toEqual(image.base === null ? [undefined, undefined] : [`../${image.base.backupId}/${image.file}`, 'qcow2']);
    content[settings.alias] = await digestOfVolume(stack, file, 'qcow2');
  }
  expect(content).toEqual(rootsAt(moment));
}

const mapSchema = z.array(z.object({ start: z.number(), length: z.number(), depth: z.number(), data: z.boolean(), zero: z.boolean(), offset: z.number().optional() }));

/** Flips one bit of what a disk's image holds itself, behind `from` of the disk; returns where in the disk, and how to take it back. */
export async function flipBit(stack: Stack, backup: Named, diskId: string, from = 0): Promise<{ readonly at: number; readonly mend: () => Promise<void> }> {
  const file = path.join(directoryOf(stack, backup), `${diskId}.qcow2`);
  const map = mapSchema.parse(JSON.parse((await run('qemu-img', ['map', '--output=json', file], { env: stack.env })).stdout));
  const own = map.find(({ start, length, depth, data, zero, offset }) => depth === 0 && data && !zero && offset !== undefined && start + length > from);
  if (own?.offset === undefined) throw new Error(`${file} holds no data of its own`);
  const start = Math.max(own.start, from);
  const offset = own.offset + start - own.start;
  const flip = async (): Promise<void> => {
    const image = await open(file, 'r+');
    try {
      const byte = Buffer.alloc(1);
      await image.read(byte, 0, 1, offset);
      await image.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, offset);
    } finally {
      await image.close();
    }
  };
  await flip();
  return { at: start, mend: flip };
}
