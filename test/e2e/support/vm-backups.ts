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

/** Of the disk, in both directions, as far as the engine remembers. */
export async function transferIds(stack: Stack, diskId: string): Promise<readonly string[]> {
  return (await transfersOf(stack, diskId)).map(({ id }) => id);
}

export async function transfersOf({ lab }: Stack, diskId: string): Promise<z.infer<typeof transfersSchema>['image_transfer']> {
  return transfersSchema.parse(await lab.engine('GET', '/imagetransfers')).image_transfer.filter(({ image }) => image.id === diskId);
}

/** What the host's daemon gave out through each download of the disk, oldest first; a range that was read twice counts once. */
export async function readBytes(stack: Stack, diskId: string): Promise<readonly number[]> {
  return (await transfersOf(stack, diskId)).filter(({ direction }) => direction === 'download').map(({ transferred }) => transferred);
}

const eventsSchema = z.object({ event: z.array(z.object({ code: z.coerce.number(), description: z.string() })).default([]) });

/** Of this code, whose text names the object. */
export async function eventsOf({ lab }: Stack, code: number, object: string): Promise<readonly string[]> {
  const { event: events } = eventsSchema.parse(await lab.engine('GET', '/events?max=2000'));
  return events.filter((event) => event.code === code && event.description.includes(object)).map(({ description }) => description);
}
