// Backup awareness over the whole stack: the lab's engine logs its own backups as a real one does, a Temporal Schedule checks, and the warning is in
// the engine's own event log for as long as it is true.
import type { PostedEvent } from '../../adapters/ovirt/port';
import { exitCodes } from '../../client/cli/exit-codes';
import { runCli, until } from '../client/harness';
import { openEngineLog, type EngineLog } from './support/engine-log';
import { makeVm } from './support/vms';
import { useStack, type WorkerConfigFile } from './support/stack';

/** Every VM but the appliance, which is not judged, and those that need no backup. */
const objectives = [{ name: 'scratch', vms: { name: 'scratch-*' }, exempt: true }, { name: 'daily', vms: { name: '*' }, maxAgeHours: 24 }];
const judged = (config: WorkerConfigFile): WorkerConfigFile => {
  const { engines } = config as { readonly engines: Record<string, object> };
  return { ...config, engines: Object.fromEntries(Object.entries(engines).map(([name, of]) => [name, { ...of, awareness: { vms: objectives } }])) };
};
const stack = useStack({ configure: { control: judged } });
const engine = 'lab';
const key = 'awareness/lab/engine-backup';

let log: EngineLog;
beforeAll(() => {
  log = openEngineLog(stack());
});
afterAll(async () => {
  await log.close();
  await stack().client.setBackupAwareness({ engine, checkPeriodHours: null, alertPeriodDays: null });
});

const check = (): ReturnType<ReturnType<typeof stack>['client']['checkBackupAwareness']> => stack().client.checkBackupAwareness({ engine });
const shows = (count: number, severity: PostedEvent['severity'] = 'alert'): Promise<unknown> => until(`${count} ${severity} events show in the engine's log`, async () => (await log.events(severity)).length === count, 60_000);
const openAlerts = async (): Promise<readonly string[]> => (await stack().client.listAlerts({ engine })).alerts.filter((alert) => alert.key === key).map(({ code }) => code);

test('a worker that starts makes the schedule, and the first check finds an engine that was never backed up', async () => {
  await until('the schedule\'s first check has raised the alert', async () => (await openAlerts()).length > 0, 60_000);
  expect(await openAlerts()).toEqual(['awareness.no-full-backup']);
  await shows(1);
  const { schedule, settings } = await stack().client.showBackupAwareness({ engine });
  expect(schedule).toMatchObject({ id: 'backup-awareness/lab', exists: true, paused: false });
  expect(settings).toEqual({ checkPeriodHours: 6, alertPeriodDays: 1 });
});

test('however often it is checked, it is one alert; db alone clears nothing; files too does', async () => {
  expect((await check()).engineBackup).toMatchObject({ state: 'no-full-backup', alert: 'kept' });
  await log.completed('db');
  expect((await check()).engineBackup).toMatchObject({ state: 'no-full-backup', alert: 'kept', text: expect.stringContaining('files has never been backed up') as string });
  await shows(1);
  await log.completed('files');
  expect((await check()).engineBackup).toMatchObject({ state: 'fresh', alert: 'cleared' });
  expect(await openAlerts()).toEqual([]);
  await shows(0);
  await shows(1, 'normal');
});

test('a limit that passes raises it again, a deleted event is posted again, and a short period is seen firing', async () => {
  await stack().client.setBackupAwareness({ engine, alertPeriodDays: 1 / 86_400, checkPeriodHours: 2 / 3600 });
  await until('the schedule has raised the alert', async () => (await openAlerts()).length > 0, 60_000);
  expect(await openAlerts()).toEqual(['awareness.old-backup']);
  await shows(1);
  const [shown] = await log.events('alert');
  await log.api.deleteEvent(shown?.id ?? '');
  await until('another event tells of the same alert', async () => (await log.events('alert')).some(({ id }) => id !== shown?.id), 60_000);
  expect(await openAlerts()).toEqual(['awareness.old-backup']);
  // From here on only the tests check.
  await stack().client.setBackupAwareness({ engine, checkPeriodHours: null });
  await check();
});

test('a VM without a backup is listed and warned of, until it has one; the appliance is not judged, and an exempt VM only listed as such', async () => {
  const { client, repository, track } = stack();
  const vm = await makeVm(stack(), 'unprotected', [{ alias: 'unprotected_Disk1', format: 'cow', sizeMib: 8, dataMib: 4 }]);
  await makeVm(stack(), 'scratch-1', []);
  const listed = async () => (await client.listVmAwareness({ engine, page: { limit: 500, offset: 0 } })).vms;
  const before = await check();
  expect(before).toMatchObject({ warnings: [], vms: { uncovered: 0, exempt: 1, alerts: { open: 1 } } });
  expect((await listed()).filter(({ vmName }) => vmName === 'unprotected')).toEqual([expect.objectContaining({ vmId: vm.id, state: 'never', objective: 'daily', newestBackupAt: null })]);
  expect((await listed()).map(({ vmName }) => vmName)).not.toContain('appliance');
  expect(await client.listVmAwareness({ engine, state: 'exempt' })).toMatchObject({ vms: [{ vmName: 'scratch-1', objective: 'scratch', newestBackupAt: null }], exempt: 1 });
  expect((await listed()).map(({ vmName }) => vmName)).not.toContain('scratch-1');
  const alert = (await client.listAlerts({ engine })).alerts.find((each) => each.key === 'awareness/lab/vms/daily');
  expect(alert).toMatchObject({ code: 'awareness.vms-without-fresh-backup', message: expect.stringContaining('holdfast awareness status --vms') as string });
  await track(await client.backupVm({ engine, vmId: vm.id, repository })).result();
  const after = await check();
  expect((await listed()).map(({ vmName }) => vmName)).not.toContain('unprotected');
  expect(after.vms?.withoutFreshBackup).toBe((before.vms?.withoutFreshBackup ?? 0) - 1);
}, 180_000);

test('acknowledging silences and never clears; disabling clears, and pauses the schedule', async () => {
  const cli = (...argv: readonly string[]): ReturnType<typeof runCli> => runCli([...argv, '--address', stack().parts.temporal.address, '--namespace', stack().parts.temporal.namespace]);
  const acknowledged = await cli('alerts', '--ack', key);
  expect([acknowledged.code, acknowledged.out]).toEqual([exitCodes.ok.code, '1 acknowledged; they stay until what they tell of is over.\n']);
  expect(await openAlerts()).toEqual(['awareness.old-backup']);
  const wrong = await cli('awareness', 'check', '--engine', engine);
  expect([wrong.code, wrong.out]).toEqual([exitCodes.failed.code, expect.stringContaining('engine-backup --mode=backup --scope=all')]);
  expect((await cli('awareness', 'set', '--engine', engine, '--check-period', '-1')).code).toBe(exitCodes.ok.code);
  await until('the last check has cleared the alert', async () => (await openAlerts()).length === 0, 60_000);
  await shows(0);
  expect((await cli('awareness', 'status', '--engine', engine)).out).toMatch(/check +disabled \(set\)[\s\S]*next check +paused\n +exempt +1 VM needs no backup[^\n]*\nNo warnings\./);
});
