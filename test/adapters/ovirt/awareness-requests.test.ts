// What each call of awareness sends, and how the engine's spellings and refusals are read.
import { clientOf, failureOf, type ScriptedEngine, type ScriptedReply, type SeenRequest, startScriptedEngine, vmId } from './scripted-engine';

let server: ScriptedEngine;
let client: ReturnType<typeof clientOf>;
let answer: (request: SeenRequest) => ScriptedReply;

beforeEach(async () => {
  server = await startScriptedEngine((request) => (request.path === '/sso/oauth/token' ? undefined : answer(request)));
  client = clientOf(server.url);
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const last = (): { line: string; query: SeenRequest['query']; body: unknown } => {
  const request = server.requests.at(-1);
  return { line: `${request?.method ?? ''} ${request?.path ?? ''}`, query: request?.query ?? {}, body: request?.body ? (JSON.parse(request.body) as unknown) : undefined };
};
const refused = (detail: string): ScriptedReply => ({ status: 400, body: { fault: { reason: 'Operation Failed', detail } } });
const wire = { id: '4711', code: '9804', custom_id: '7', origin: 'Holdfast', severity: 'alert', description: 'old backup', time: 1_772_524_800_000 };
const read = { id: '4711', customId: 7, severity: 'alert', description: 'old backup', time: '2026-03-03T08:00:00.000Z' };

test.each([
  ['an engine too old to tell', {}, {}],
  ['one that was never backed up', { engine_backup: {} }, {}],
  ['dates as numbers, digits or text', { engine_backup: { last_db_backup: 1_772_524_800_000, last_engine_backup: '1772524800000', last_dwh_backup: 5 } }, { db: '2026-03-03T08:00:00.000Z', files: '2026-03-03T08:00:00.000Z' }],
  ['one scope only', { engine_backup: { last_engine_backup: '2026-03-03T09:00:00+01:00' } }, { files: '2026-03-03T08:00:00.000Z' }],
])('the dates of engine backups: %s', async (_what, body, expected) => {
  answer = () => ({ status: 200, body: { product_info: {}, ...body } });
  await expect(client.engineBackupDates()).resolves.toEqual(expected);
  expect(last().line).toBe('GET /api');
});

test('a date that is none is a form that we do not know, and not "never backed up"', async () => {
  answer = () => ({ status: 200, body: { engine_backup: { last_db_backup: 'soon' } } });
  expect(await failureOf(client.engineBackupDates())).toMatchObject({ code: 'engine.protocol', message: expect.stringContaining('engine_backup.last_db_backup') as string });
});

test('an event goes out under our origin, about its VM, and comes back as it is listed', async () => {
  answer = () => ({ status: 201, body: wire });
  await expect(client.postEvent({ customId: 7, severity: 'alert', description: 'old backup', vmId })).resolves.toEqual(read);
  expect(last()).toEqual({ line: 'POST /api/events', query: {}, body: { origin: 'Holdfast', custom_id: '7', severity: 'alert', description: 'old backup', vm: { id: vmId } } });
});

test('a custom id that is used is an answer; every other refusal is a failure', async () => {
  const post = () => client.postEvent({ customId: 7, severity: 'normal', description: 'cleared' });
  answer = () => refused('[External Event with this custom id already exists.]');
  await expect(post()).resolves.toBeUndefined();
  answer = () => refused('[Cannot add External Event. Illegal operation.]');
  expect(await failureOf(post())).toMatchObject({ code: 'engine.refused' });
});

test('the list asks for our origin, and leaves out what the search finds beside it', async () => {
  answer = () => ({ status: 200, body: { event: [wire, { ...wire, id: '4712', origin: 'holdfast' }] } });
  await expect(client.listPostedEvents()).resolves.toEqual([read]);
  expect(last()).toMatchObject({ line: 'GET /api/events', query: { search: 'origin=Holdfast', max: '1000' } });
});

test('an event that is gone may be deleted', async () => {
  answer = () => ({ status: 404, body: { fault: { reason: 'Operation Failed', detail: 'Entity not found: 4711' } } });
  await expect(client.deleteEvent('4711')).resolves.toBeUndefined();
  expect(last().line).toBe('DELETE /api/events/4711');
});
