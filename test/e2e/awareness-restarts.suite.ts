// Between an alert and its end everything that carries it may die: it is raised once and cleared once.
import { until } from '../client/harness';
import { openEngineLog, type EngineLog } from './support/engine-log';
import { useStack } from './support/stack';

const stack = useStack();
const limitMs = 60_000;
let log: EngineLog;
beforeAll(() => {
  log = openEngineLog(stack());
});
afterAll(() => log.close());

const alerts = async () => (await stack().client.listAlerts({ engine: stack().engine, state: 'all' })).alerts.filter(({ key }) => key.endsWith('/engine-backup'));

test('worker, Temporal and PostgreSQL die between raise and clear: one alert, one clear', async () => {
  const { parts, client, engine } = stack();
  await until('the schedule\'s first check has raised the alert', async () => (await alerts()).length > 0, limitMs);
  await until('it shows in the engine\'s log', async () => (await log.events('alert')).length === 1, limitMs);
  const [worker, temporal, postgres] = [parts.part('worker-control'), parts.part('temporal'), parts.part('postgres')];
  for (const part of [worker, temporal, postgres]) await part.crash('SIGKILL');
  for (const part of [postgres, temporal, worker]) await part.start();
  await until('a check is answered again', () => client.checkBackupAwareness({ engine }).then(({ warnings }) => warnings.length === 0, () => false), limitMs);
  for (const scope of ['db', 'files']) await log.completed(scope);
  expect((await client.checkBackupAwareness({ engine })).engineBackup).toMatchObject({ state: 'fresh' });
  expect(await alerts()).toEqual([expect.objectContaining({ code: 'awareness.no-full-backup', clearedWhy: 'a full backup of the engine is there' })]);
  await until('its end shows in the engine\'s log', async () => (await log.events('normal')).length > 0, limitMs);
  expect([(await log.events('alert')).length, (await log.events('normal')).length]).toEqual([0, 1]);
}, 240_000);
