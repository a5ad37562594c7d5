// What exists in the engine and in the repository at one moment, to prove that a refused run has made nothing: compared before and after.
import { readdir } from 'node:fs/promises';
import { z } from 'zod';
import type { Stack } from './stack';
import { ask } from './vms';

export interface Estate {
  readonly vms: readonly string[];
  readonly disks: readonly string[];
  readonly snapshots: readonly string[];
  readonly attachments: readonly string[];
  /** Everything that happened, log-ins apart. */
  readonly events: readonly string[];
  readonly repository: readonly string[];
}

const eventSchema = z.object({ id: z.string(), code: z.coerce.number(), description: z.string() });
/** USER_VDC_LOGIN and USER_VDC_LOGOUT: each process logs in for itself. */
const logInCodes: readonly number[] = [30, 31];

export async function estateOf(stack: Stack, repositoryPath = stack.parts.repository.path): Promise<Estate> {
  const vms = await ask.vms(stack);
  const snapshots: string[] = [];
  const attachments: string[] = [];
  for (const { id, name } of vms) {
    for (const snapshot of await ask.snapshots(stack, id)) snapshots.push(`${name}: ${snapshot.id} ${snapshot.description} ${snapshot.snapshot_status}`);
    for (const attachment of await ask.attachments(stack, id)) attachments.push(`${name}: ${attachment.id}`);
  }
  return {
    vms: vms.map(({ id, name }) => `${id} ${name}`).sort(),
    disks: (await ask.disks(stack)).map(({ id, alias }) => `${id} ${alias}`).sort(),
    snapshots: snapshots.sort(),
    attachments: attachments.sort(),
    events: await eventsOf(stack),
    repository: (await readdir(repositoryPath, { recursive: true })).sort(),
  };
}

async function eventsOf({ lab }: Stack): Promise<readonly string[]> {
  const { event } = z.object({ event: z.array(eventSchema).default([]) }).parse(await lab.engine('GET', '/events?max=2000'));
  return event.filter(({ code }) => !logInCodes.includes(code)).map(({ id, code, description }) => `${id} ${code} ${description}`);
}
