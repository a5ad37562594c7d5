// Backups of the engine itself, as the lab's engine tells of them: out of a real PostgreSQL database with the procedure that engine-backup calls.
import { join } from 'node:path';
import { Client } from 'pg';
import { serveControl, type ControlServer } from '../../../lab/control/server';
import { child, childText } from '../../../lab/engine/xml';
import { PostgresEngineDatabase } from '../../../lab/engine-database/engine-database';
import { startPostgres, type TestPostgres } from '../../support/postgres';
import { ControlClient } from './control-client';
import { Lab } from './lab-client';

let postgres: TestPostgres;
let database: PostgresEngineDatabase;
let engineDatabase: Client;
let lab: Lab;
let control: ControlServer;
let ask: ControlClient;
let url: string;
beforeAll(async () => {
  postgres = await startPostgres();
}, 60_000);
beforeEach(async () => {
  url = await postgres.createDatabase();
  database = new PostgresEngineDatabase(url, () => undefined);
  lab = await Lab.start(undefined, 1800, database);
  control = await serveControl(join(lab.directory, 'control.sock'), lab.engine);
  ask = new ControlClient(join(lab.directory, 'control.sock'));
  await lab.xml('GET', '');
  engineDatabase = new Client({ connectionString: url });
  await engineDatabase.connect();
});
afterEach(async () => {
  await engineDatabase.end();
  await control.close();
  await lab.remove();
  await database.close();
});
afterAll(() => postgres.stop());

const log = (scope: string, doneAt: string, status: number, message = '') => engineDatabase.query('SELECT LogEngineBackupEvent($1, $2, $3, $4, $5, $6)', [scope, doneAt, status, message, 'engine.example', '/l']);
const at = (hour: number): string => `2026-11-27T${String(hour).padStart(2, '0')}:00:00.000Z`;
const events = async (): Promise<string[]> => (await lab.xml('GET', '/events')).children.map((event) => `${childText(event, 'code') ?? ''} ${childText(event, 'severity') ?? ''} ${childText(event, 'description') ?? ''}`).filter((line) => line.startsWith('902'));
const post = (customId: number): Promise<{ status: number; text: string }> => lab.api('POST', '/events', { body: `<event><origin>Holdfast</origin><severity>alert</severity><custom_id>${customId}</custom_id><description>old backup</description></event>` });

test('the API root has the newest completed backup of each scope, in XML and in JSON, and nothing where there is none', async () => {
  expect(child(await lab.xml('GET', ''), 'engine_backup')).toBeUndefined();
  await log('db', at(1), 1);
  await log('db', at(3), 1);
  await log('db', at(4), -1, 'no space');
  await log('files', at(2), 0);
  const backup = child(await lab.xml('GET', ''), 'engine_backup');
  expect(backup?.children.map(({ name }) => name)).toEqual(['last_db_backup']);
  expect(new Date((backup && childText(backup, 'last_db_backup')) ?? '').toISOString()).toBe(at(3));
  await log('files', at(5), 1);
  await log('dwhdb', at(6), 1);
  await log('cinderlib', at(7), 1);
  await log('keycloak', at(8), 1);
  await log('grafanadb', at(9), 1);
  const { text } = await lab.api('GET', '', { headers: { Accept: 'application/json' } });
  const root = JSON.parse(text) as { engine_backup: Record<string, number> };
  expect(Object.fromEntries(Object.entries(root.engine_backup).map(([name, value]) => [name, new Date(value).toISOString()]))).toEqual({
    last_cinder_backup: at(7), last_db_backup: at(3), last_dwh_backup: at(6), last_engine_backup: at(5), last_grafana_backup: at(9), last_keycloak_backup: at(8),
  });
});

test('what is logged shows among the events; a success of any scope takes every alert away', async () => {
  await log('db', at(1), 0, 'Backup Started');
  await log('db', at(2), -1, 'Failed');
  expect(await events()).toEqual(['9026 error Failed', '9024 normal Backup Started']);
  await engineDatabase.query("INSERT INTO audit_log (log_time, log_type, severity, message) VALUES (now(), 9022, 10, 'There is no full backup available')");
  expect((await events())[0]).toBe('9022 alert There is no full backup available');
  await log('dwhdb', at(3), 1, 'Backup Finished');
  expect(await events()).toEqual(['9025 normal Backup Finished', '9024 normal Backup Started']);
});

test('an event of the log that is deleted by its id is deleted in the database', async () => {
  await log('db', at(1), 0, 'Backup Started');
  const [event] = (await lab.xml('GET', '/events?search=type%3D9024')).children;
  await lab.api('DELETE', `/events/${event?.attributes['id'] ?? ''}`);
  expect(await events()).toEqual([]);
  expect((await engineDatabase.query('SELECT deleted FROM audit_log')).rows).toEqual([{ deleted: true }]);
});

test('the procedure is as weak as the real one: any scope, an unknown status in silence, one finishing call of a scope and time', async () => {
  await log('anything', at(1), 1);
  await log('db', at(1), 7);
  expect((await engineDatabase.query('SELECT scope FROM engine_backup_log')).rows).toEqual([{ scope: 'anything' }]);
  await expect(engineDatabase.query("BEGIN; SELECT LogEngineBackupEvent('db', now(), -1, '', 'e', '/l'); SELECT LogEngineBackupEvent('db', now(), 1, '', 'e', '/l'); COMMIT")).rejects.toMatchObject({ code: '23505' });
  await engineDatabase.query('ROLLBACK');
});

test('holdfast_reader reads the log of backups and nothing else', async () => {
  await engineDatabase.query('SET ROLE holdfast_reader');
  await expect(engineDatabase.query('SELECT * FROM public.engine_backup_log')).resolves.toMatchObject({ rows: [] });
  for (const statement of ['SELECT * FROM audit_log', 'DELETE FROM engine_backup_log', "SELECT LogEngineBackupEvent('db', now(), 1, '', 'e', '/l')"]) {
    await expect(engineDatabase.query(statement)).rejects.toMatchObject({ code: '42501' });
  }
});

test('a second engine on the same database finds its schema there', async () => {
  await log('db', at(1), 1);
  const another = new PostgresEngineDatabase(url, () => undefined);
  expect([...(await another.newestBackups(['db', 'files']))]).toEqual([['db', new Date(at(1))]]);
  await another.close();
});

test('a custom id is used by a deleted event, too, and free when the event has aged out', async () => {
  const created = await post(7);
  expect([created.status, (await post(7)).status]).toEqual([201, 400]);
  const id = /<event [^>]*id="(\d+)"/.exec(created.text)?.[1] ?? '';
  await lab.api('DELETE', `/events/${id}`);
  expect((await post(7)).text).toContain('External Event with this custom id already exists.');
  await log('db', at(1), 0, 'Backup Started');
  expect((await ask.ask('POST', '/events/age')).status).toBe(200);
  expect((await lab.xml('GET', '/events')).children).toEqual([]);
  expect((await lab.api('GET', `/events/${id}`)).status).toBe(404);
  expect((await engineDatabase.query('SELECT 1 FROM audit_log')).rowCount).toBe(0);
  expect((await post(7)).status).toBe(201);
});

test('events age out after thirty days of the engine\'s clock, or as many as the setting says', async () => {
  await post(1);
  await lab.engine.advanceClock(29 * 86_400);
  expect((await post(1)).status).toBe(400);
  await lab.engine.advanceClock(2 * 86_400);
  expect((await post(1)).status).toBe(201);
  await ask.ask('PUT', '/settings', { auditLogAgingDays: 1 });
  await lab.engine.advanceClock(86_401);
  expect((await post(1)).status).toBe(201);
});

test('while the database is away the root and the list of events tell what they told last; then both go on', async () => {
  await log('db', at(1), 1, 'Backup Finished');
  expect(await events()).toHaveLength(1);
  expect(child(await lab.xml('GET', ''), 'engine_backup')).toBeDefined();
  await engineDatabase.end();
  await postgres.kill();
  expect(child(await lab.xml('GET', ''), 'engine_backup')).toBeDefined();
  expect(await events()).toHaveLength(1);
  await postgres.restart();
  engineDatabase = new Client({ connectionString: url });
  await engineDatabase.connect();
  expect(child(await lab.xml('GET', ''), 'engine_backup')).toBeDefined();
}, 60_000);

test('a lab without a database says nothing of backups', async () => {
  const plain = await Lab.start();
  expect(child(await plain.xml('GET', ''), 'engine_backup')).toBeUndefined();
  await plain.remove();
});
