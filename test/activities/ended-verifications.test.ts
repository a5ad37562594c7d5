// A verification that was terminated closes nothing in the catalog and takes no VM's lock: whoever lists runs finds out from Temporal, here a
// real one. No worker is needed: an execution that nobody serves runs until it is terminated.
import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { createCatalogActivities } from '../../activities/catalog';
import type { ControlDependencies } from '../../activities/dependencies';
import { createRunActivities } from '../../activities/runs';
import type { Catalog } from '../../adapters/catalog/port';
import { HoldfastError } from '../../domain/failures';
import type { Run } from '../../domain/flows/queries';
import { workflowIds } from '../../domain/ids';
import { isExecutionRunning } from '../../worker/executions';
import { startCatalog, type TestCatalog } from '../support/catalog';
import { startTemporal, type TestTemporal } from '../support/temporal';

Runtime.install({ logger: new DefaultLogger('ERROR') });
let started: TestCatalog;
let temporal: TestTemporal;
let connection: NativeConnection;
let clientConnection: Connection;
let client: Client;
let catalog: Catalog;
beforeAll(async () => {
  [started, temporal] = await Promise.all([startCatalog(), startTemporal()]);
  ({ catalog } = started);
  connection = await NativeConnection.connect({ address: temporal.address });
  clientConnection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection: clientConnection, namespace: temporal.namespace });
}, 120_000);
afterAll(async () => {
  await clientConnection.close();
  await connection.close();
  await Promise.all([started.stop(), temporal.stop()]);
});

const engine = 'lab';
const dependencies = (changes: Partial<Pick<ControlDependencies, 'isExecutionRunning' | 'catalog'>> = {}): ControlDependencies =>
  ({
    catalog,
    engineOf: (name: string) => {
      if (name !== engine) throw new HoldfastError('config.invalid', `no engine ${name}`);
      return {};
    },
    isExecutionRunning: (execution) => isExecutionRunning(connection, temporal.namespace, execution),
    ...changes,
  }) as Partial<ControlDependencies> as ControlDependencies;

async function listed(runId: string, changes: Parameters<typeof dependencies>[0] = {}): Promise<Run | undefined> {
  return (await createCatalogActivities(dependencies(changes)).listRunsInCatalog({ runId, page: { limit: 1, offset: 0 } })).runs[0];
}

const start = (backupId: string): Promise<WorkflowHandle> => client.workflow.start('verifyBackup', { taskQueue: 'nobody', workflowId: workflowIds.verify(backupId), args: [] });

/** As a flow opens it. */
async function open(backupId: string, row: { readonly workflowType?: string; readonly engine?: string; readonly workflowId?: string } = {}): Promise<string> {
  const runId = randomUUID();
  await catalog.openRun({ runId, workflowId: workflowIds.verify(backupId), workflowType: 'verifyBackup', engine, vmName: 'demo', repository: 'main', backupId, ...row });
  return runId;
}

const terminated = { outcome: 'failed', failure: { code: 'run.terminated' }, endedAt: expect.any(String) as string };

test('one that runs stays open; once it is terminated the next list closes it, and says so once', async () => {
  const backupId = randomUUID();
  const handle = await start(backupId);
  const runId = await open(backupId);
  expect(await listed(runId)).toMatchObject({ outcome: 'running', failure: null });
  await handle.terminate();
  const closed = await listed(runId);
  expect(closed).toMatchObject(terminated);
  expect(await listed(runId)).toEqual(closed);
});

test('the list of open runs is without it already', async () => {
  const backupId = randomUUID();
  await (await start(backupId)).terminate();
  await open(backupId);
  const { runs } = await createCatalogActivities(dependencies()).listRunsInCatalog({ outcome: 'running', page: { limit: 100, offset: 0 } });
  expect(runs.filter((run) => run.backupId === backupId)).toEqual([]);
});

test('one that Temporal has forgotten is over', async () => {
  expect(await listed(await open(randomUUID()))).toMatchObject(terminated);
});

test('while the next verification of the backup runs, the earlier one is closed and the next one is not', async () => {
  const backupId = randomUUID();
  await (await start(backupId)).terminate();
  const earlier = await open(backupId);
  const handle = await start(backupId);
  const later = await open(backupId);
  expect([(await listed(earlier))?.outcome, (await listed(later))?.outcome]).toEqual(['failed', 'running']);
  await handle.terminate();
  expect((await listed(later))?.outcome).toBe('failed');
});

test('the next run on any VM closes it too, and does not take it for one on its VM', async () => {
  const runId = await open(randomUUID());
  expect(await createRunActivities(dependencies()).listEarlierRuns({ engine, vmId: randomUUID(), runId: randomUUID() })).toEqual([]);
  expect((await catalog.listRuns({ runId, page: { limit: 1, offset: 0 } }))[0]).toMatchObject(terminated);
});

test('one that closes itself meanwhile keeps its own end', async () => {
  const runId = await open(randomUUID());
  const closing = async (): Promise<boolean> => (await catalog.closeRun({ runId, outcome: 'completed', warnings: [], leftovers: [] }), false);
  expect(await listed(runId, { isExecutionRunning: closing })).toMatchObject({ outcome: 'completed', failure: null });
});

test('runs that the next one on their VM closes, and those of an engine that another namespace serves, are nobody\'s business here', async () => {
  const backupId = randomUUID();
  const backup = await open(backupId, { workflowType: 'backupVm', workflowId: workflowIds.vm(engine, backupId) });
  const elsewhere = await open(randomUUID(), { engine: 'elsewhere' });
  for (const runId of [backup, elsewhere]) expect(await listed(runId)).toMatchObject({ outcome: 'running' });
});
