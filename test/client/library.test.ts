// The library against a real Temporal: what programs rely on. And what happens when nobody is there: no server, no namespace, no worker.
import { Client, Connection } from '@temporalio/client';
import { HoldfastCancelledError, HoldfastClient, HoldfastClientError, HoldfastRunError } from '../../client';
import type { Progress } from '../../client';
import { startTemporal } from '../support/temporal';
import type { TestTemporal } from '../support/temporal';
import { freePort } from '../support/ports';
import { runCli, startCli, startStandIns, until } from './harness';
import type { StandIns } from './harness';
import { backup, estate, leftSnapshot, vmNamed } from './stand-ins/estate';

const backupOf = (name: Parameters<typeof vmNamed>[0]) => ({ engine: 'lab', vmId: vmNamed(name), repository: 'main' });

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => Promise.reject(new Error('it did not fail')), (error: unknown) => error);
}

describe('with workers', () => {
  let standIns: StandIns;
  let client: HoldfastClient;

  beforeAll(async () => {
    standIns = await startStandIns({ inFile: true });
    client = await HoldfastClient.connect({ address: standIns.temporal.address, uiUrl: 'http://ui.test/' });
  }, 180_000);

  afterAll(async () => {
    await client.close();
    await standIns.stop();
  }, 60_000);

  test('a backup runs under the VM\'s lock, without Temporal timeouts, and with a title for people', async () => {
    const handle = await client.backupVm(backupOf('demo'), { vmName: 'demo' });
    expect(handle.workflowId).toBe(`vm/lab/${vmNamed('demo')}`);
    expect(handle.runUrl).toBe(`http://ui.test/namespaces/default/workflows/vm%2Flab%2F${vmNamed('demo')}/${handle.temporalRunId}`);
    const description = await client.temporal.workflow.getHandle(handle.workflowId).describe();
    const config = description.raw.executionConfig;
    for (const timeout of [config?.workflowExecutionTimeout, config?.workflowRunTimeout]) expect(Number(timeout?.seconds ?? 0)).toBe(0);
    expect(await description.staticSummary()).toBe('Back up demo of lab to main (full, appliance)');
    expect(await handle.result()).toMatchObject({ backup: { ...backup } });
  });

  test('watch hands on progress while the run lasts, then gives the result', async () => {
    const seen: Progress[] = [];
    const handle = await client.backupVm(backupOf('demo'));
    const result = await handle.watch((progress) => void seen.push(progress), { intervalMs: 100 });
    expect(result.runId).toBe(estate.runId);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen[0]).toMatchObject({ vmName: 'demo', phase: 'copy' });
    const count = seen.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(seen).toHaveLength(count);
  });

  test('a signal ends the watching, not the run', async () => {
    const handle = await client.backupVm(backupOf('slow'));
    const reason = new Error('seen enough');
    const controller = new AbortController();
    const watching = handle.watch(() => controller.abort(reason), { intervalMs: 100, signal: controller.signal });
    await expect(watching).rejects.toBe(reason);
    expect((await handle.status()).status).toBe('RUNNING');
    await handle.cancel();
    await failureOf(handle.result());
  });

  test('a cancelled run is told apart, with what was undone', async () => {
    const handle = await client.backupVm(backupOf('slow'));
    await until('a worker has it', async () => (await handle.status()).pickedUp);
    await handle.cancel();
    const error = await failureOf(handle.result());
    expect(error).toBeInstanceOf(HoldfastCancelledError);
    expect(error).toMatchObject({ code: 'run.cancelled', run: { flow: 'backupVm', workflowId: handle.workflowId }, details: { undone: ['remove the snapshot'] } });
  });

  test('a failure carries its code, its traces and what is left', async () => {
    const error = await failureOf((await client.backupVm(backupOf('broken'))).result());
    expect(error).toBeInstanceOf(HoldfastRunError);
    expect(error).not.toBeInstanceOf(HoldfastCancelledError);
    expect(error).toMatchObject({ code: 'repository.full', details: { leftovers: [leftSnapshot], undone: [expect.stringContaining('detach'), expect.stringContaining('drop')] } });
  });

  test('a terminated run says that nothing was undone', async () => {
    const handle = await client.backupVm(backupOf('slow'));
    await client.temporal.workflow.getHandle(handle.workflowId).terminate('a test');
    expect(await failureOf(handle.result())).toMatchObject({ code: 'run.terminated', message: expect.stringContaining('nothing was undone') as string });
  });

  test('a handle stays with its execution when the VM has a newer run', async () => {
    const first = await client.backupVm(backupOf('demo'));
    await first.result();
    const second = await client.backupVm(backupOf('demo'));
    expect((await first.status()).status).toBe('COMPLETED');
    expect((await second.status()).status).toBe('RUNNING');
    await second.result();
  });

  test('attach knows what it attached to, and refuses what is not a backup or restore', async () => {
    const restore = await client.restoreVm({ engine: 'lab', repository: 'main', backupId: estate.backupId, name: 'demo-2' });
    expect(restore.workflowId).toMatch(/^restore\/[0-9a-f-]{36}$/);
    const attached = await client.attach(restore.workflowId);
    expect(attached).toMatchObject({ flow: 'restoreVm', temporalRunId: restore.temporalRunId });
    expect(await attached.result()).toMatchObject({ vmName: 'demo-2' });
    await client.temporal.workflow.execute('findVms', { taskQueue: 'holdfast', workflowId: 'find/lab/a-test', args: [{ engine: 'lab', vms: [], page: { limit: 1, offset: 0 } }] });
    expect(await failureOf(client.attach('find/lab/a-test'))).toMatchObject({ code: 'client.protocol' });
  });

  test('a server that restarts does not end a watch', async () => {
    const handle = await client.backupVm(backupOf('slow'));
    const troubles: Error[] = [];
    const watching = failureOf(handle.watch(() => undefined, { intervalMs: 100, onTrouble: (error) => void troubles.push(error) }));
    await standIns.temporal.kill();
    await until('the trouble is told', () => troubles.length > 0, 60_000);
    await standIns.temporal.restart();
    await until('Temporal takes the cancel', () => handle.cancel().then(() => true, () => false), 60_000);
    expect(await watching).toMatchObject({ code: 'run.cancelled' });
  }, 180_000);

  test('resolves a VM by name or id, and says which ids share a name', async () => {
    expect((await client.resolveVm('lab', 'demo')).id).toBe(vmNamed('demo'));
    expect((await client.resolveVm('lab', vmNamed('slow'))).name).toBe('slow');
    expect(await failureOf(client.resolveVm('lab', 'twin'))).toMatchObject({ code: 'client.ambiguous' });
  });

  test('a request that cannot be valid is refused before anything is sent', async () => {
    const error = await failureOf(client.backupVm({ engine: 'Lab!', vmId: 'demo', repository: 'main', extra: 1 } as never));
    expect(error).toBeInstanceOf(HoldfastClientError);
    expect(error).toMatchObject({ code: 'input.invalid', message: expect.stringMatching(/engine: must be 1-63[\s\S]*vmId: must be a UUID[\s\S]*"extra"/) as string });
    expect(await failureOf(client.restoreVm({ engine: 'lab', repository: 'main', backupId: estate.backupId, name: 'a b' }))).toMatchObject({ message: expect.stringMatching(/name: .*; it is "a b"/) as string });
  });

  test('works around a Temporal client that the caller made, and leaves its connection open', async () => {
    const connection = await Connection.connect({ address: standIns.temporal.address });
    const own = new HoldfastClient(new Client({ connection }));
    expect((await own.listBackups()).backups).toHaveLength(1);
    await own.close();
    expect((await own.listRuns()).runs).toHaveLength(1);
    await connection.close();
  });
});

describe('without workers', () => {
  let temporal: TestTemporal;

  beforeAll(async () => {
    temporal = await startTemporal();
  }, 60_000);

  afterAll(() => temporal.stop(), 60_000);

  test('a question gives up with what to start, and cancels itself', async () => {
    const connection = await Connection.connect({ address: temporal.address });
    const client = new HoldfastClient(new Client({ connection }), { address: temporal.address, patience: { pickUpMs: 500, answerMs: 500 } });
    expect(await failureOf(client.listBackups())).toMatchObject({ code: 'client.no-answer', message: expect.stringContaining('Start a worker with role "control"') as string });
    await connection.close();
  });

  test('a backup is started all the same: it waits in Temporal for a worker', async () => {
    const client = await HoldfastClient.connect({ address: temporal.address });
    const handle = await client.backupVm(backupOf('demo'));
    expect(await handle.status()).toMatchObject({ status: 'RUNNING', pickedUp: false });
    await client.close();
  });

  test('the command says that nobody answers, and Ctrl-C does not wait for the query that hangs', async () => {
    const client = await HoldfastClient.connect({ address: temporal.address });
    const { workflowId } = await client.backupVm(backupOf('slow'));
    await client.close();
    const watching = startCli(['show', workflowId, '--watch', '--address', temporal.address]);
    await until('it says so', () => watching.out().includes('The run cannot be asked just now; it goes on by itself. No worker answered'));
    // By now the next query hangs; its own deadline is 10 s.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const interruptedAtMs = Date.now();
    watching.interrupt();
    expect((await watching.ended).code).toBe(130);
    expect(Date.now() - interruptedAtMs).toBeLessThan(9_000);
  }, 60_000);

  test('an unknown namespace is named', async () => {
    const run = await runCli(['list', 'backups', '--address', temporal.address, '--namespace', 'nowhere']);
    expect(run.code).toBe(5);
    expect(run.err).toContain(`Temporal at ${temporal.address} has no namespace "nowhere"`);
  });

  test('a server that stays away ends the waiting in the end, and closing leaves nothing behind that could throw', async () => {
    const doomed = await startTemporal();
    const client = await HoldfastClient.connect({ address: doomed.address, patience: { reconnectMs: 1_000 } });
    const handle = await client.backupVm(backupOf('demo'));
    const watching = failureOf(handle.watch(() => undefined, { intervalMs: 100 }));
    await doomed.stop();
    expect(await watching).toMatchObject({ code: 'client.unreachable', message: expect.stringContaining(`Cannot reach Temporal at ${doomed.address}`) as string });
    const abandoned = failureOf(handle.result());
    await client.close();
    await abandoned;
    // A retry of the SDK's that fires into the closed connection would throw here, outside of every promise.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }, 120_000);
});

test('no server: exit code 5, with the address, where it came from and what to do', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const run = await runCli(['list', 'runs', '--json'], { environment: { HOLDFAST_TEMPORAL_ADDRESS: address } });
  expect(run.code).toBe(5);
  expect(run.err).toContain(`Cannot reach Temporal at ${address}: `);
  expect(run.err).toContain('This address comes from HOLDFAST_TEMPORAL_ADDRESS');
  expect(JSON.parse(run.out)).toMatchObject({ error: { code: 'client.unreachable', exitCode: 5 } });
}, 60_000);
