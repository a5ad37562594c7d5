// What a restore must be able to put back: the configuration and attachments of the VM that it replaces. Written once, durable before that
// VM is touched; gone when the new VM stands or the old one is back. No backup, and never listed as one.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { diskInterfaces } from '../../domain/disks';
import { uuidSchema } from '../../domain/ids';
import { createFile, makeDirectories, readIfThere, syncDirectory } from './files';
import { replacedDirectory, replacedFile } from './layout';
import type { ReplacedVm } from './port';
import { corrupt } from './read-manifest';

const replacedVmSchema = z.object({
  format: z.literal('holdfast-replaced-vm'),
  version: z.literal(1),
  vmId: uuidSchema,
  name: z.string(),
  comment: z.string(),
  clusterId: uuidSchema,
  ovf: z.string().min(1),
  attachments: z.array(z.object({ diskId: uuidSchema, interface: z.enum(diskInterfaces), bootable: z.boolean(), active: z.boolean(), readOnly: z.boolean(), passDiscard: z.boolean() })),
});

/** The first one stays: a repeat may come when half of the VM is gone already. */
export async function saveReplacedVm(root: string, runId: string, vm: ReplacedVm): Promise<void> {
  const directory = join(root, replacedDirectory);
  await makeDirectories(root, directory);
  await createFile(directory, replacedFile(runId), `${JSON.stringify({ format: 'holdfast-replaced-vm', version: 1, ...vm }, undefined, 2)}\n`);
}

export async function readReplacedVm(repository: string, root: string, runId: string): Promise<ReplacedVm | undefined> {
  const path = join(root, replacedDirectory, replacedFile(runId));
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const parsed = replacedVmSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw corrupt(repository, path, 'it is not what a restore saved of the VM that it replaces');
  const { vmId, name, comment, clusterId, ovf, attachments } = parsed.data;
  return { vmId, name, comment, clusterId, ovf, attachments };
}

export async function dropReplacedVm(root: string, runId: string): Promise<void> {
  const path = join(root, replacedDirectory, replacedFile(runId));
  if ((await readIfThere(path)) === undefined) return;
  await rm(path, { force: true });
  await syncDirectory(join(root, replacedDirectory));
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
