// The contender: a process that holds what a worker in the appliance holds, and runs the product's own `backupDisk`, as Temporal would call
// it, once for each order. Not a variant for the benchmark: repository, lock, durable position, digests and heartbeats are all there.
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { mkdir } from 'node:fs/promises';
import { createCopyActivities } from '../../activities/copies';
import { createRepository } from '../../adapters/repository/repository';
import { childCpuSeconds } from '../measure/processes';
import { orderSchema, type Copied } from './order';

const repositoryName = 'bench';
/** As in worker/compose.ts. */
const heartbeatMs = 1_000;

/** There is no workflow that could hear a copy's reports: the one thing left out. */
const nobody = { withAbortSignal: (_signal: AbortSignal, work: () => unknown) => work(), workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) } } as unknown as Client;

async function copy(message: unknown): Promise<Copied> {
  const { devices, repositoryPath, ...of } = orderSchema.parse(message);
  await mkdir(repositoryPath, { recursive: true });
  const repository = createRepository({ name: repositoryName, path: repositoryPath });
  await repository.open();
  const activities = createCopyActivities({ devices, repositoryOf: () => repository, now: () => new Date(), heartbeatMs });
  const environment = new MockActivityEnvironment({ heartbeatTimeoutMs: 30_000 }, { client: nobody, logger: new DefaultLogger('ERROR') });
  const childrenBefore = childCpuSeconds();
  const ownBefore = process.cpuUsage();
  const startedMs = performance.now();
  await environment.run((input: Parameters<typeof activities.backupDisk>[0]) => activities.backupDisk(input), { engine: 'bench', runId: of.backupId, repository: repositoryName, ...of });
  const seconds = (performance.now() - startedMs) / 1000;
  const own = process.cpuUsage(ownBefore);
  return { seconds, cpuSeconds: (own.user + own.system) / 1e6 + childCpuSeconds() - childrenBefore };
}

process.on('message', (message) => {
  const failed = (error: unknown): Copied => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  void copy(message).catch(failed).then((copied) => process.send?.(copied));
});
process.once('disconnect', () => process.exit());
