// runDoctor on a real Temporal with stand-in activities: who is asked, side by side, what becomes of silence and of broken looks. And the short
// flows listHoldings and listAlerts.
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { check, checkIds, checkTable, ok, problem, type Check, type CheckGroup, type CheckId } from '../../domain/doctor/checks';
import type { Installation, RunDoctorOutput } from '../../domain/flows/doctor';
import { taskQueues } from '../../domain/ids';
import { workflowBundle } from '../../worker/workflow-bundle';
import { startTemporal, type TestTemporal } from '../support/temporal';
import { payloadBytes } from './payloads';
import { ending } from './stage';

const engine = 'lab';
const repository = 'main';
const applianceId = 'aaaaaaaa-0000-4000-8000-000000000001';
const installation: Installation = { engines: [{ name: engine, applianceIds: [applianceId] }], repositories: [repository] };

type Activities = Record<string, (input: never) => Promise<unknown>>;
type QueueName = 'control' | 'mover' | 'quick' | 'copies';

const queueOf: Readonly<Record<QueueName, string>> = {
  control: taskQueues.control,
  mover: taskQueues.moverQuick(repository),
  quick: taskQueues.applianceQuick(engine, applianceId),
  copies: taskQueues.applianceCopies(engine, applianceId),
};

const all = (group: CheckGroup, object: string): Check[] => checkIds.filter((id) => checkTable[id].group === group && !id.startsWith('queue.')).map((id) => check(id, object, ok('fine')));
const answering: Activities = { answerQueue: () => Promise.resolve({ worker: 'a stand-in' }) };
const healthy: Readonly<Record<QueueName, Activities>> = {
  control: {
    ...answering,
    describeInstallation: () => Promise.resolve(installation),
    examineControl: () => Promise.resolve(all('control', 'control worker')),
    examineEngine: () => Promise.resolve(all('engine', 'engine lab')),
    examineApplianceVm: () => Promise.resolve(all('appliance-vm', 'appliance')),
    listHoldingsInCatalog: (query) => Promise.resolve({ holdings: [], more: false, asked: query }),
    listAlertsInCatalog: (query) => Promise.resolve({ alerts: [], more: true, asked: query }),
  },
  mover: { ...answering, examineMover: () => Promise.resolve({ checks: all('mover', 'repository main'), repositoryId: 'an id' }) },
  quick: { ...answering, examineAppliance: () => Promise.resolve(all('appliance', 'appliance')) },
  copies: answering,
};

let temporal: TestTemporal;
let connection: NativeConnection;
let clientConnection: Connection;
let client: Client;
/** A worker with flows costs a second of a core: one serves all runs, each with its own answers. */
let controlAnswers = healthy.control;
let control: Worker;
let controlEnded: Promise<void>;
beforeAll(async () => {
  // A worker that does not know an activity is one of the tests: its complaint would bury the output.
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  temporal = await startTemporal();
  connection = await NativeConnection.connect({ address: temporal.address });
  clientConnection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection: clientConnection, namespace: temporal.namespace });
  const activities = Object.fromEntries(Object.keys(healthy.control).map((name) => [name, (input: never) => controlAnswers[name]?.(input)]));
  control = await Worker.create({ connection, namespace: temporal.namespace, taskQueue: queueOf.control, activities, workflowBundle: await workflowBundle() });
  controlEnded = control.run();
}, 120_000);
afterAll(async () => {
  control.shutdown();
  await controlEnded;
  await clientConnection.close();
  await connection.close();
  await temporal.stop();
});

/** One run with these workers; `undefined` is a worker that is not there. */
async function run(flow: string, input: unknown, changes: Partial<Record<QueueName, Activities | undefined>> = {}): Promise<Awaited<ReturnType<typeof ending>> & { readonly largestBytes: number }> {
  controlAnswers = changes.control ?? healthy.control;
  const workers: Worker[] = [];
  for (const name of ['mover', 'quick', 'copies'] as const) {
    const activities = name in changes ? changes[name] : healthy[name];
    if (activities) workers.push(await Worker.create({ connection, namespace: temporal.namespace, taskQueue: queueOf[name], activities }));
  }
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    const handle = await client.workflow.start(flow, { workflowId: `doctor/${randomUUID()}`, taskQueue: taskQueues.control, args: [input] });
    const end = await ending(handle);
    return { ...end, largestBytes: Math.max(...payloadBytes(await handle.fetchHistory())) };
  } finally {
    for (const worker of workers) worker.shutdown();
    await running;
  }
}

async function doctor(input: object = {}, changes: Partial<Record<QueueName, Activities | undefined>> = {}): Promise<RunDoctorOutput> {
  const end = await run('runDoctor', { answerSeconds: 2, ...input }, changes);
  expect(end.status).toBe('COMPLETED');
  return end.output as RunDoctorOutput;
}

const of = ({ checks }: RunDoctorOutput, id: CheckId): Check | undefined => checks.find((each) => each.id === id);

test('with everybody there every check of the table is made, once', async () => {
  const output = await doctor();
  expect(output.checks.map(({ id }) => id).sort()).toEqual([...checkIds].sort());
  expect(output.count).toEqual({ ok: checkIds.length, warning: 0, problem: 0, skipped: 0 });
});

test('what the movers found reaches the appliance\'s worker, to compare repositories with', async () => {
  const seen: unknown[] = [];
  await doctor({}, { quick: { ...healthy.quick, examineAppliance: (input) => { seen.push(input); return Promise.resolve([]); } } });
  expect(seen).toEqual([{ engine, vmId: applianceId, repositoryIds: { [repository]: 'an id' } }]);
});

test('the queues alone ask nobody to look', async () => {
  const output = await doctor({ scope: 'queues' });
  expect(output.checks.map(({ id }) => id).sort()).toEqual(['queue.appliance', 'queue.control', 'queue.copies', 'queue.mover']);
});

test('a mover that is not there is a problem, its checks are skipped, and all others go on', async () => {
  const output = await doctor({}, { mover: undefined });
  expect(of(output, 'queue.mover')).toMatchObject({ verdict: 'problem', text: 'no worker picked up a question within 2 s', remedy: checkTable['queue.mover'].remedy });
  const others = checkIds.filter((id) => checkTable[id].group === 'mover' && id !== 'queue.mover');
  expect(others.map((id) => of(output, id)?.verdict)).toEqual(others.map(() => 'skipped'));
  expect(output.count).toEqual({ ok: checkIds.length - others.length - 1, warning: 0, problem: 1, skipped: others.length });
});

test('an appliance whose copy slots are all taken is a warning; one whose worker is dead is a problem', async () => {
  expect(of(await doctor({}, { copies: undefined }), 'queue.copies')).toMatchObject({ verdict: 'warning', text: expect.stringContaining('every one is taken by a copy') as string });
  const dead = await doctor({}, { copies: undefined, quick: undefined });
  expect([of(dead, 'queue.copies')?.verdict, of(dead, 'queue.appliance')?.verdict]).toEqual(['problem', 'problem']);
});

test('a look that breaks off is a problem of its group, not the end of the doctor', async () => {
  const broken = await doctor({}, { control: { ...healthy.control, examineEngine: () => Promise.reject(ApplicationFailure.nonRetryable('the bug is here')) } });
  const checks = broken.checks.filter(({ object }) => object === 'engine lab');
  expect(checks[0]).toMatchObject({ verdict: 'problem', text: expect.stringContaining('the bug is here') as string });
  expect(checks.slice(1).every(({ verdict }) => verdict === 'skipped')).toBe(true);
  expect(of(broken, 'repository.writable')?.verdict).toBe('ok');
});

test('a worker of an older Holdfast is found by what it does not know', async () => {
  const output = await doctor({}, { quick: { checkAppliance: () => Promise.resolve([]) } });
  expect(of(output, 'queue.appliance')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('answerQueue') as string });
});

test('what a worker finds wrong is handed on as it is, and counted', async () => {
  const wrong = check('repository.space', 'repository main', problem('0 B are free'));
  const output = await doctor({}, { mover: { ...healthy.mover, examineMover: () => Promise.resolve({ checks: [wrong] }) } });
  expect(of(output, 'repository.space')).toEqual(wrong);
  expect(output.count.problem).toBe(1);
});

test('a mover is told whose hosts it has to reach', async () => {
  const asked: unknown[] = [];
  await doctor({}, { mover: { ...healthy.mover, examineMover: (input) => (asked.push(input), Promise.resolve({ checks: [] })) } });
  expect(asked).toEqual([{ repository, engines: installation.engines }]);
});

test('a chosen repository is asked even if the control worker does not know it; none at all is said', async () => {
  const elsewhere = await doctor({ repository: 'elsewhere' }, { mover: undefined });
  expect(elsewhere.checks.filter(({ id }) => id === 'queue.mover').map(({ object, verdict }) => [object, verdict])).toEqual([['repository elsewhere', 'problem']]);
  const none = await doctor({}, { control: { ...healthy.control, describeInstallation: () => Promise.resolve({ ...installation, repositories: [] }) } });
  expect(of(none, 'queue.mover')).toMatchObject({ verdict: 'warning', remedy: expect.stringContaining('--repository') as string });
});

test('an engine that is not configured is refused, with the names there are', async () => {
  expect(await run('runDoctor', { engine: 'other' })).toMatchObject({ status: 'FAILED', code: 'input.invalid', message: expect.stringContaining('It has: lab') as string });
});

test.each([[{ answerSeconds: 0 }], [{ scope: 'some' }], [{ surprise: 1 }], [undefined]])('refuses %j', async (input) => {
  expect(await run('runDoctor', input)).toMatchObject({ status: 'FAILED', code: 'input.invalid' });
});

test('twenty engines stay far below what Temporal carries', async () => {
  const engines = Array.from({ length: 20 }, (_, index) => ({ name: `engine-${index}`, applianceIds: [] }));
  const { status, largestBytes } = await run('runDoctor', { answerSeconds: 5 }, { control: { ...healthy.control, describeInstallation: () => Promise.resolve({ engines, repositories: [] }) } });
  expect(status).toBe('COMPLETED');
  expect(largestBytes).toBeLessThan(256 * 1024);
});

test.each([
  ['listHoldings', { engine: 'lab', state: 'leftover' }, { holdings: [], more: false }],
  ['listAlerts', { engine: 'lab', state: 'all' }, { alerts: [], more: true }],
] as const)('%s asks with its page filled in, and refuses what it does not know', async (flow, input, answer) => {
  expect((await run(flow, input)).output).toEqual({ ...answer, asked: { ...input, page: { limit: 100, offset: 0 } } });
  expect(await run(flow, { ...input, surprise: 1 })).toMatchObject({ status: 'FAILED', code: 'input.invalid' });
});
