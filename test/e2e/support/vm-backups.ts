// VM backups, checkpoints and transfers as the engine's API tells them.
import { z } from 'zod';
import type { Stack } from './stack';
import type { TestVm } from './vms';

const checkpointsSchema = z.object({ checkpoint: z.array(z.object({ id: z.string(), description: z.string().default(''), state: z.string() })).default([]) });
const transfersSchema = z.object({ image_transfer: z.array(z.object({ id: z.string(), phase: z.string(), direction: z.string(), image: z.object({ id: z.string() }), transferred: z.coerce.number() })).default([]) });

/** Oldest first. */
export async function checkpointIds({ lab }: Stack, { id }: Pick<TestVm, 'id'>): Promise<readonly string[]> {
  return checkpointsSchema.parse(await lab.engine('GET', `/vms/${id}/checkpoints`)).checkpoint.map((checkpoint) => checkpoint.id);
}

/** What the host's daemon gave out through each download of the disk, oldest first; a range that was read twice counts once. */
export async function readBytes({ lab }: Stack, diskId: string): Promise<readonly number[]> {
  const { image_transfer: transfers } = transfersSchema.parse(await lab.engine('GET', '/imagetransfers'));
  return transfers.filter(({ image, direction }) => image.id === diskId && direction === 'download').map(({ transferred }) => transferred);
}
