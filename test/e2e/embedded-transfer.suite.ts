// The embedded parts as `npm start` and `npm run up` make them can move disks through image transfers: their lab has the real data daemon
// although nobody but the set-up asked for it, its certificate is one that the workers' configuration trusts, and a worker takes the copies.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Connection } from '@temporalio/client';
import { openImageioReader, openImageioWriter } from '../../adapters/imageio';
import { createEngine } from '../../adapters/ovirt/engine';
import type { TransferPhase } from '../../adapters/ovirt/port';
import { taskQueues } from '../../domain/ids';
import { until } from '../client/harness';
import { configFileOf, useStack } from './support/stack';

const stack = useStack();

/** Of Temporal's API: temporal.api.enums.v1.TaskQueueType. */
const activityQueue = (2 as unknown) as NonNullable<Parameters<Connection['workflowService']['describeTaskQueue']>[0]['taskQueueType']>;
const sizeBytes = 8 * 1024 ** 2;

interface EngineConfig {
  readonly url: string;
  readonly username: string;
  readonly password: { readonly file: string };
  readonly caFile: string;
}

function engineConfig(): EngineConfig {
  const { parts, engine } = stack();
  const { engines } = JSON.parse(readFileSync(configFileOf(parts.state, 'control'), 'utf8')) as { engines: Record<string, EngineConfig> };
  const config = engines[engine];
  if (config === undefined) throw new Error(`the control worker's configuration has no engine ${engine}`);
  return config;
}

test('a disk is written and read back through the lab\'s data daemon, trusted as the workers are told to trust it', async () => {
  const { url, username, password, caFile } = engineConfig();
  const engine = createEngine({ name: 'lab', url, username, password: () => Promise.resolve(readFileSync(password.file, 'utf8').trim()), caFile });
  stack().afterwards(() => engine.close());
  const demo = await engine.findVmByName('demo');
  const settings = (await engine.listVmDisks(demo?.id ?? ''))[0]?.settings;
  if (settings === undefined) throw new Error('the lab has no VM demo with a disk');
  const diskId = randomUUID();
  const isOk = (): Promise<void> => until('the disk is ok', async () => (await engine.getDisk(diskId))?.status === 'ok');
  await engine.createDisk({ id: diskId, settings: { ...settings, diskId, alias: 'through-imageio', virtualBytes: sizeBytes }, storageDomainId: settings.storageDomainId ?? '' });
  await isOk();
  stack().afterwards(() => engine.removeDisk(diskId));

  const reached = (id: string, phase: TransferPhase): Promise<void> => until(`the transfer is ${phase}`, async () => (await engine.getTransfer(id))?.phase === phase);
  const open = async (direction: 'upload' | 'download'): Promise<{ readonly id: string; readonly transferUrl: string }> => {
    const { id } = await engine.createTransfer({ diskId, direction, inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });
    await reached(id, 'transferring');
    return { id, transferUrl: (await engine.getTransfer(id))?.transferUrl ?? '' };
  };
  const data = randomBytes(sizeBytes);

  const upload = await open('upload');
  const writer = await openImageioWriter({ transferUrl: upload.transferUrl, label: 'disk', sizeBytes, caFile });
  await writer.write(0, data);
  await writer.flush();
  await writer.close();
  await engine.finalizeTransfer(upload.id);
  await reached(upload.id, 'finished_success');
  await isOk();

  const download = await open('download');
  const reader = await openImageioReader({ transferUrl: download.transferUrl, label: 'disk', sizeBytes, caFile });
  const read = Buffer.alloc(sizeBytes);
  await reader.read(0, read);
  await reader.close();
  await engine.finalizeTransfer(download.id);
  await reached(download.id, 'finished_success');
  expect(Buffer.compare(read, data)).toBe(0);
}, 120_000);

test('the worker beside the repository takes copies', async () => {
  const { parts, repository } = stack();
  const connection = await Connection.connect({ address: parts.temporal.address });
  stack().afterwards(() => connection.close());
  const { pollers } = await connection.workflowService.describeTaskQueue({ namespace: parts.temporal.namespace, taskQueue: { name: taskQueues.moverCopies(repository) }, taskQueueType: activityQueue });
  expect(pollers).not.toHaveLength(0);
}, 30_000);
