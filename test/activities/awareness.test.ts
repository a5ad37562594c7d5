// Judging and telling, on a real PostgreSQL, with an engine that refuses and loses replies, and a webhook that is a real server.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DefaultLogger } from '@temporalio/worker';
import { MockActivityEnvironment } from '@temporalio/testing';
import { Client } from 'pg';
import { createAwarenessControl, type AwarenessControl } from '../../activities';
import type { AwarenessDependencies } from '../../activities/dependencies';
import { createCatalog } from '../../adapters/catalog/catalog';
import type { Catalog, Notice } from '../../adapters/catalog/port';
import { postWebhook, signatureOf } from '../../adapters/webhook/webhook';
import type { CompletedEngineBackup } from '../../domain/awareness/engine-backup';
import { sinkNames, type SinkName } from '../../domain/flows/alerts';
import { FakeEngine } from '../fakes/fake-engine';
import { startPostgres, type TestPostgres } from '../support/postgres';

const engine = 'lab';
const key = 'awareness/lab/engine-backup';
const secret = 'shared with the receiver';
const dayMs = 86_400_000;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let postgres: TestPostgres;
let receiver: Server;
let received: Received[];
let refusals: number;
beforeAll(async () => {
  postgres = await startPostgres();
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const refused = (refusals -= 1) >= 0;
      if (!refused) received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(refused ? 503 : 204).end();
    });
  }).listen(0, '127.0.0.1');
});
afterAll(async () => {
  receiver.close();
  await postgres.stop();
});

let catalog: Catalog;
let sql: Client;
let fake: FakeEngine;
let completed: CompletedEngineBackup[];
let logged: Notice[];
let logRefusals: number;
let policy: { checkPeriodHours: number; alertPeriodDays: number };
let activities: AwarenessControl;
beforeEach(async () => {
  const url = await postgres.createDatabase();
  catalog = createCatalog({ url, sinksOf: () => sinkNames });
  await catalog.migrate();
  sql = new Client({ connectionString: url });
  await sql.connect();
  fake = new FakeEngine();
  [completed, logged, received, refusals, logRefusals] = [[], [], [], 0, 0];
  policy = { checkPeriodHours: 6, alertPeriodDays: 1 };
  const dependencies: AwarenessDependencies = {
    catalog,
    engineOf: () => fake,
    awarenessOf: () => ({ policy, fqdn: 'engine.example', source: 'catalog', judgesVms: true }),
    engineBackupsOf: () => ({ read: () => Promise.resolve({ completed, elsewhere: [{ fqdn: 'other.example', scope: 'db', doneAtMs: 0 }] }) }),
    schedules: { ensureAwareness: () => Promise.resolve(), describe: (id) => Promise.resolve({ id, exists: true, paused: false }) },
    tellWebhook: (notice) => postWebhook({ url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, secret: () => secret }, { ...notice }),
    tellLog: (notice) => {
      if ((logRefusals -= 1) >= 0) throw new Error('the disk of the log is full');
      logged.push(notice);
    },
  };
  activities = createAwarenessControl(dependencies);
});
afterEach(async () => {
  await sql.end();
  await catalog.close();
});

const run = <T>(activity: () => Promise<T>): Promise<T> => new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }).run(activity);
const judge = (): ReturnType<AwarenessControl['judgeEngineBackup']> => run(() => activities.judgeEngineBackup({ engine }));
const deliver = (sink: SinkName): ReturnType<AwarenessControl['deliverNotices']> => run(() => activities.deliverNotices({ engine, sink }));
const fullBackup = (ageMs = 0): void => void (completed = (['db', 'files'] as const).map((scope) => ({ scope, doneAtMs: Date.now() - ageMs })));
const shown = async (): Promise<readonly string[]> => (await fake.listPostedEvents()).map(({ severity, description }) => `${severity}: ${description.split(/[.:]/)[0] ?? ''}`);

describe('judging', () => {
  test('raised once, kept, cleared by a full backup only; the history stays, with what it was judged by', async () => {
    expect(await judge()).toMatchObject({ state: 'no-full-backup', alert: 'raised', elsewhere: ['other.example'], notBelieved: 0 });
    expect((await judge()).alert).toBe('kept');
    completed = [{ scope: 'db', doneAtMs: Date.now() }];
    expect(await judge()).toMatchObject({ state: 'no-full-backup', alert: 'kept' });
    fullBackup();
    expect(await judge()).toMatchObject({ state: 'fresh', alert: 'cleared' });
    expect((await judge()).alert).toBe('none');
    const [alert, ...others] = await catalog.listAlerts({ engine, state: 'all' });
    expect(others).toEqual([]);
    expect(alert).toMatchObject({ key, code: 'awareness.no-full-backup', clearedWhy: 'a full backup of the engine is there', evidence: { fqdn: 'engine.example', source: 'catalog' } });
    expect(await catalog.listAlerts({ engine })).toEqual([]);
    fullBackup(dayMs + 1000);
    expect(await judge()).toMatchObject({ state: 'old-backup', alert: 'raised' });
    expect((await catalog.listAlerts({ engine, state: 'all' })).map(({ code }) => code)).toEqual(['awareness.old-backup', 'awareness.no-full-backup']);
  });

  test('twenty checks at once raise one alert and tell each sink once', async () => {
    const changes = (await Promise.all(Array.from({ length: 20 }, judge))).map(({ alert }) => alert);
    expect(changes.filter((change) => change === 'raised')).toHaveLength(1);
    expect(changes.filter((change) => change === 'kept')).toHaveLength(19);
    expect([...(await catalog.listDueSinks())].sort((one, other) => one.sink.localeCompare(other.sink))).toEqual(['engine-events', 'log', 'webhook'].map((sink) => ({ engine, sink, notices: 1 })));
  });

  test('reminds once a day, until somebody acknowledges it, which does not clear', async () => {
    await judge();
    await sql.query("UPDATE holdfast.alerts SET raised_at = now() - interval '25 hours'");
    expect((await judge()).alert).toBe('reminded');
    expect((await judge()).alert).toBe('kept');
    await sql.query("UPDATE holdfast.alerts SET reminded_at = now() - interval '25 hours'");
    expect(await run(() => activities.acknowledgeAlerts({ key }))).toEqual({ acknowledged: 1 });
    expect(await run(() => activities.acknowledgeAlerts({ key }))).toEqual({ acknowledged: 0 });
    expect((await judge()).alert).toBe('kept');
    expect((await catalog.listAlerts({ engine })).map(({ acknowledgedAt }) => typeof acknowledgedAt)).toEqual(['string']);
  });

  test('what an operator sets wins over the configuration, until it is taken back; disabled clears', async () => {
    fullBackup(2 * dayMs);
    expect((await judge()).state).toBe('old-backup');
    expect(await run(() => activities.setAwareness({ engine, alertPeriodDays: 3 }))).toEqual({ settings: { checkPeriodHours: 6, alertPeriodDays: 3 } });
    expect(await judge()).toMatchObject({ state: 'fresh', alert: 'cleared' });
    await run(() => activities.setAwareness({ engine, alertPeriodDays: null }));
    expect((await judge()).alert).toBe('raised');
    await run(() => activities.setAwareness({ engine, checkPeriodHours: -1 }));
    expect(await judge()).toMatchObject({ state: 'disabled', alert: 'cleared' });
    expect(await run(() => activities.planCheck({ engine }))).toEqual({ judgesVms: false });
  });

  test('one alert for each objective that VMs miss; those of an objective that is gone are cleared', async () => {
    const finding = (objective: string, text?: string) => ({ objective, vms: 2, wrong: {}, examples: [], ...(text === undefined ? {} : { text }) });
    const uncovered = { vms: 0, wrong: {}, examples: [] };
    const settle = (...objectives: readonly ReturnType<typeof finding>[]): ReturnType<AwarenessControl['settleVmAlerts']> => run(() => activities.settleVmAlerts({ engine, findings: { vms: 4, objectives, uncovered } }));
    expect(await settle(finding('gold', '2 of 2 VMs'), finding('silver', '1 of 2 VMs'))).toEqual({ raised: 2, open: 2, cleared: 0 });
    expect(await settle(finding('gold', '1 of 2 VMs'))).toEqual({ raised: 0, open: 1, cleared: 1 });
    expect((await catalog.listAlerts({ engine })).map((alert) => [alert.key, alert.message])).toEqual([['awareness/lab/vms/gold', '1 of 2 VMs']]);
    expect(await settle(finding('gold'))).toEqual({ raised: 0, open: 0, cleared: 1 });
    // An objective that exempts its VMs now has no finding any more.
    expect(await settle(finding('gold', '2 of 2 VMs'))).toMatchObject({ open: 1 });
    expect(await settle()).toEqual({ raised: 0, open: 0, cleared: 1 });
  });
});

describe('telling the engine\'s event log', () => {
  test('an alert event while it lasts, a normal one when it is over, after two tries that failed', async () => {
    await judge();
    fake.refuseNext('postEvent', 'engine.unavailable');
    await expect(deliver('engine-events')).rejects.toMatchObject({ type: 'engine.unavailable' });
    fake.refuseNext('postEvent', 'engine.unavailable');
    await expect(deliver('engine-events')).rejects.toMatchObject({ type: 'engine.unavailable' });
    expect(await deliver('engine-events')).toEqual({ delivered: 1 });
    expect(await shown()).toEqual(['alert: There is no full backup of engine lab']);
    fullBackup();
    await judge();
    expect(await deliver('engine-events')).toEqual({ delivered: 1 });
    expect(await shown()).toEqual(['normal: Cleared (a full backup of the engine is there)']);
    expect(await deliver('engine-events')).toEqual({ delivered: 0 });
  });

  test('a reply that is lost is found again by its custom id, and posted once', async () => {
    await judge();
    fake.loseReply('postEvent');
    await expect(deliver('engine-events')).rejects.toThrow();
    expect(await deliver('engine-events')).toEqual({ delivered: 1 });
    expect(await shown()).toHaveLength(1);
  });

  test('custom ids that another catalog has used are passed over', async () => {
    for (const customId of [1, 2, 3]) await fake.postEvent({ customId, severity: 'normal', description: 'of an earlier installation' });
    await judge();
    await deliver('engine-events');
    expect((await fake.listPostedEvents()).map(({ customId }) => customId)).toEqual([4, 3, 2, 1]);
  });

  test('all of them at once, however many, and those that come after as well', async () => {
    for (const customId of [1, 90, 4711]) await fake.postEvent({ customId, severity: 'normal', description: 'of an earlier installation' });
    const list = jest.spyOn(fake, 'listPostedEvents');
    await judge();
    await deliver('engine-events');
    expect(list).toHaveBeenCalledTimes(1);
    fullBackup();
    await judge();
    await deliver('engine-events');
    expect(list).toHaveBeenCalledTimes(1);
    list.mockRestore();
    expect((await fake.listPostedEvents())[0]).toMatchObject({ customId: 4713, severity: 'normal' });
  });

  test('an event that was deleted or aged out is posted again while the alert lasts, once however many checks see it', async () => {
    await judge();
    await deliver('engine-events');
    expect(await run(() => activities.keepAlertsShown({ engine }))).toEqual({ again: 0 });
    for (const lost of [async () => fake.deleteEvent((await fake.listPostedEvents())[0]?.id ?? ''), async () => {
      await Promise.resolve();
      fake.forgetPostedEvents();
    }]) {
      await lost();
      await Promise.all([1, 2, 3].map(() => run(() => activities.keepAlertsShown({ engine }))));
      expect(await deliver('engine-events')).toEqual({ delivered: 1 });
      expect(await shown()).toHaveLength(1);
    }
  });

  test('an alert that was over before it could be told leaves no alert event', async () => {
    await judge();
    fullBackup();
    await judge();
    expect(await deliver('engine-events')).toEqual({ delivered: 2 });
    expect(await shown()).toEqual(['normal: Cleared (a full backup of the engine is there)']);
  });

  test('a reminder takes the place of the event before it', async () => {
    await judge();
    await deliver('engine-events');
    const [first] = await fake.listPostedEvents();
    await sql.query("UPDATE holdfast.alerts SET raised_at = now() - interval '25 hours'");
    await judge();
    await deliver('engine-events');
    const after = await fake.listPostedEvents();
    expect(after).toHaveLength(1);
    expect(after[0]?.id).not.toBe(first?.id);
  });

  test('what engine-backup logs in the catalog under the engine\'s name is forwarded once; other names are not', async () => {
    for (const [scope, status, fqdn] of [['db', 0, 'engine.example'], ['db', 1, 'engine.example'], ['files', -1, 'engine.example'], ['db', 1, 'other.example']] as const) {
      await sql.query("SELECT holdfast.LogEngineBackupEvent($1, '2026-11-27T01:00:00Z', $2, 'No space left', $3, '/var/log/b.log')", [scope, status, fqdn]);
    }
    expect(await catalog.adoptEngineBackupEvents({ engine, fqdn: 'engine.example' })).toBe(3);
    expect(await catalog.adoptEngineBackupEvents({ engine, fqdn: 'engine.example' })).toBe(0);
    expect(await deliver('engine-events')).toEqual({ delivered: 3 });
    expect((await fake.listPostedEvents()).map(({ severity, description }) => [severity, description])).toEqual([
      ['error', 'Backup of the engine failed: scope files, at 2026-11-27T01:00:00Z, log /var/log/b.log. No space left'],
      ['normal', 'Backup of the engine completed: scope db, at 2026-11-27T01:00:00Z, log /var/log/b.log. No space left'],
      ['normal', 'Backup of the engine started: scope db, at 2026-11-27T01:00:00Z, log /var/log/b.log. No space left'],
    ]);
  });
});

test('the webhook gets a signed notice after two tries that it refused, and keeps no other sink waiting', async () => {
  await judge();
  refusals = 2;
  await expect(deliver('webhook')).rejects.toMatchObject({ type: 'webhook.failed', message: expect.stringMatching(/127\.0\.0\.1:\d+ answered notice \d+ with 503/) as string });
  expect(await deliver('log')).toEqual({ delivered: 1 });
  await expect(deliver('webhook')).rejects.toMatchObject({ type: 'webhook.failed' });
  expect(await deliver('webhook')).toEqual({ delivered: 1 });
  const [{ headers, body } = { headers: {}, body: '' }] = received;
  expect(JSON.parse(body)).toMatchObject({ engine, kind: 'raised', severity: 'alert', code: 'awareness.no-full-backup', alert: { key } });
  expect(headers['x-holdfast-signature']).toBe(signatureOf(secret, body));
  expect(headers['x-holdfast-delivery']).toBe((JSON.parse(body) as Notice).noticeId);
});

test('the log gets what it could not take twice', async () => {
  await judge();
  logRefusals = 2;
  await expect(deliver('log')).rejects.toThrow('the disk of the log is full');
  await expect(deliver('log')).rejects.toThrow('the disk of the log is full');
  expect(await deliver('log')).toEqual({ delivered: 1 });
  expect(logged.map(({ kind, code }) => [kind, code])).toEqual([['raised', 'awareness.no-full-backup']]);
});
