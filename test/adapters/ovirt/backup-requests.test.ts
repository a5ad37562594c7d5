// What each call about VM backups, checkpoints and image transfers sends, how the engine's spellings are read, and which refusals are fine.
import { clientOf, diskId, failureOf, type ScriptedEngine, type ScriptedReply, type SeenRequest, snapshotId, startScriptedEngine, vmId } from './scripted-engine';

const [backupId, checkpointId, otherCheckpointId, transferId] = ['ba', 'c1', 'c2', '7a'].map((start) => `${start}000000-0000-4000-8000-000000000001`) as [string, string, string, string];
const zero = '00000000-0000-0000-0000-000000000000';
const urls = { transfer_url: 'https://host-1.example:54322/images/t', proxy_url: 'https://engine.example:54323/images/t' };

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
const refused = (status: number, detail: string): ScriptedReply => ({ status, body: { fault: { reason: 'Operation Failed', detail }, status: 'failed' } });

describe('VM backups', () => {
  const wire = { id: backupId, phase: 'initializing', description: 'Holdfast', creation_date: 1_772_524_800_000, vm: { id: vmId } };
  const read = { id: backupId, description: 'Holdfast', phase: 'initializing', phaseText: 'initializing', createdAt: '2026-03-03T08:00:00.000Z' };
  const request = { vmId, diskIds: [diskId], requireConsistency: false, legacy: false, description: 'Holdfast', correlationId: 'our-key' };

  test('a full one, whose id the engine gives, of named disks, of whatever kind the engine likes', async () => {
    answer = () => ({ status: 201, body: wire });
    await expect(client.startVmBackup(request)).resolves.toEqual(read);
    expect(last()).toEqual({ line: `POST /api/vms/${vmId}/backups`, query: {}, body: { description: 'Holdfast', disks: { disk: [{ id: diskId }] } } });
    expect(server.requests.at(-1)?.headers['correlation-id']).toBe('our-key');
  });

  test('a live or cold one since a checkpoint, that shall fail with the freeze', async () => {
    answer = () => ({ status: 201, body: { ...wire, from_checkpoint_id: checkpointId, to_checkpoint_id: otherCheckpointId } });
    await expect(client.startVmBackup({ ...request, fromCheckpointId: checkpointId, requireConsistency: true, legacy: true })).resolves.toEqual({ ...read, fromCheckpointId: checkpointId, toCheckpointId: otherCheckpointId });
    expect(last()).toMatchObject({ query: { legacy: 'true', require_consistency: 'true' }, body: { from_checkpoint_id: checkpointId } });
  });

  test.each([
    ['a phase that is not told', {}, { phase: 'other', phaseText: 'unknown' }],
    ['a phase that is new', { phase: 'preparing_scratch_disk' }, { phase: 'other', phaseText: 'preparing_scratch_disk' }],
    ['no checkpoint, spelled in three ways', { phase: 'ready', from_checkpoint_id: '', to_checkpoint_id: zero }, { phase: 'ready', phaseText: 'ready' }],
    ['a hybrid one', { phase: 'ready', snapshot: { id: snapshotId } }, { phase: 'ready', phaseText: 'ready', snapshotId }],
    ['a date as text', { phase: 'failed', creation_date: '2026-03-03T09:00:00.000+01:00' }, { phase: 'failed', phaseText: 'failed' }],
  ])('%s', async (_what, changes, expected) => {
    answer = () => ({ body: { id: backupId, creation_date: wire.creation_date, ...changes } });
    await expect(client.getVmBackup(vmId, backupId)).resolves.toEqual({ id: backupId, createdAt: read.createdAt, ...expected });
    expect(last().line).toBe(`GET /api/vms/${vmId}/backups/${backupId}`);
  });

  test('disks tell how they are read as long as the engine does', async () => {
    const [told, silent, odd] = [1, 2, 3].map((n) => `d100000${n}-0000-4000-8000-000000000001`);
    answer = () => ({ body: { disk: [{ id: told, backup_mode: 'incremental', status: 'locked' }, { id: silent }, { id: odd, backup_mode: 'sideways' }] } });
    await expect(client.listVmBackupDisks(vmId, backupId)).resolves.toEqual([{ diskId: told, mode: 'incremental' }, { diskId: silent }, { diskId: odd }]);
    answer = () => ({ body: { backup: [{ ...wire, phase: 'ready' }] } });
    await expect(client.listVmBackups(vmId)).resolves.toEqual([{ ...read, phase: 'ready', phaseText: 'ready' }]);
    answer = () => ({ body: {} });
    await expect(Promise.all([client.listVmBackups(vmId), client.listVmBackupDisks(vmId, backupId)])).resolves.toEqual([[], []]);
  });

  test('its scratch disks: searched by their description, and looked at once more', async () => {
    const description = `Backup ${backupId} scratch disk`;
    answer = () => ({ body: { disk: [{ id: diskId, description, content_type: 'backup_scratch' }, { id: transferId, description, content_type: 'data' }, { id: checkpointId, description: `${description} for sale`, content_type: 'backup_scratch' }] } });
    await expect(client.listScratchDiskIds(backupId)).resolves.toEqual([diskId]);
    expect(last()).toEqual({ line: 'GET /api/disks', query: { search: `description="${description}"` }, body: undefined });
    answer = () => ({ body: {} });
    await expect(client.listScratchDiskIds(backupId)).resolves.toEqual([]);
  });

  test.each([
    [404, ''],
    [400, `[vm '${vmId}' backup '${backupId}' is already in 'FINALIZING' phase, no need to stop the backup again]`],
    [400, `[vm '${vmId}' backup '${backupId}' is already stopped, no need to stop the backup again]`],
    [400, `[backup '${backupId}' is in 'CREATING_SCRATCH_DISKS' phase, premature backup stop was initiated.]`],
  ])('ending one that is gone, ending, or not ready: %i %s', async (status, detail) => {
    answer = () => (detail === '' ? { status } : refused(status, detail));
    await expect(client.finalizeVmBackup(vmId, backupId)).resolves.toBeUndefined();
    expect(last()).toEqual({ line: `POST /api/vms/${vmId}/backups/${backupId}/finalize`, query: {}, body: {} });
  });

  test.each([
    [409, '[Cannot stop VM backup. There is an active image transfer for VM backup]', 'engine.locked'],
    [400, '[]', 'engine.unavailable'],
    [403, '[User is not authorized to perform this action.]', 'engine.forbidden'],
  ])('ending one that the engine does not end: %i %s', async (status, detail, code) => {
    answer = () => refused(status, detail);
    expect((await failureOf(client.finalizeVmBackup(vmId, backupId))).code).toBe(code);
  });
});

describe('checkpoints', () => {
  test('a line of them; without a state they are fine, with an unknown one they are not', async () => {
    const creation_date = 1_772_524_800_000;
    answer = () => ({ body: { checkpoint: [{ id: checkpointId, creation_date }, { id: otherCheckpointId, parent_id: checkpointId, state: 'invalid', creation_date }, { id: transferId, parent_id: otherCheckpointId, state: 'melted', creation_date }] } });
    const createdAt = '2026-03-03T08:00:00.000Z';
    await expect(client.listCheckpoints(vmId)).resolves.toEqual([
      { id: checkpointId, parentId: null, state: 'created', createdAt },
      { id: otherCheckpointId, parentId: checkpointId, state: 'invalid', createdAt },
      { id: transferId, parentId: otherCheckpointId, state: 'invalid', createdAt },
    ]);
    expect(last()).toEqual({ line: `GET /api/vms/${vmId}/checkpoints`, query: {}, body: undefined });
  });

  test('their disks; one that is gone has none, and is removed', async () => {
    answer = () => ({ body: { disk: [{ id: diskId, alias: 'demo_Disk1' }] } });
    await expect(client.listCheckpointDiskIds(vmId, checkpointId)).resolves.toEqual([diskId]);
    expect(last().line).toBe(`GET /api/vms/${vmId}/checkpoints/${checkpointId}/disks`);
    answer = () => ({ status: 404 });
    await expect(client.listCheckpointDiskIds(vmId, checkpointId)).resolves.toBeUndefined();
    await expect(client.removeCheckpoint(vmId, checkpointId)).resolves.toBeUndefined();
    expect(last().line).toBe(`DELETE /api/vms/${vmId}/checkpoints/${checkpointId}`);
    answer = () => refused(409, '[Cannot remove Checkpoint. The VM is during a backup operation.]');
    expect((await failureOf(client.removeCheckpoint(vmId, checkpointId))).code).toBe('engine.locked');
  });
});

describe('image transfers', () => {
  const wire = { id: transferId, phase: 'initializing', direction: 'download', image: { id: diskId }, host: { id: vmId }, active: 'false', inactivity_timeout: '600' };
  const read = { id: transferId, phase: 'initializing', phaseText: 'initializing', direction: 'download', diskId, inactivityTimeoutSeconds: 600 };
  const request = { diskId, direction: 'download', inactivityTimeoutSeconds: 600, timeoutPolicy: 'pause', correlationId: transferId } as const;

  test('one of the raw content, found again by its correlation id', async () => {
    answer = () => ({ status: 201, body: wire });
    await expect(client.createTransfer(request)).resolves.toEqual(read);
    const body = { disk: { id: diskId }, direction: 'download', format: 'raw', inactivity_timeout: '600', timeout_policy: 'pause' };
    expect(last()).toEqual({ line: 'POST /api/imagetransfers', query: {}, body });
    expect(server.requests.at(-1)?.headers['correlation-id']).toBe(transferId);
    await client.createTransfer({ ...request, vmBackupId: backupId });
    expect(last().body).toEqual({ ...body, backup: { id: backupId } });
  });

  test.each([
    ['with its ticket', { phase: 'transferring', ...urls }, { phase: 'transferring', phaseText: 'transferring', transferUrl: urls.transfer_url, proxyUrl: urls.proxy_url }],
    ['without one', { phase: 'finished_success', transfer_url: undefined }, { phase: 'finished_success', phaseText: 'finished_success' }],
    ['in a phase that is new', { phase: 'melting' }, { phase: 'other', phaseText: 'melting' }],
    ['in one that is not told', { phase: undefined }, { phase: 'other', phaseText: 'unknown' }],
  ])('%s', async (_what, changes, expected) => {
    answer = () => ({ body: { ...wire, ...changes } });
    await expect(client.getTransfer(transferId)).resolves.toEqual({ ...read, ...expected });
    answer = () => ({ body: { image_transfer: [{ ...wire, ...changes }] } });
    await expect(client.listTransfers()).resolves.toEqual([{ ...read, ...expected }]);
  });

  test('one that is gone is not there', async () => {
    answer = () => ({ status: 404 });
    await expect(client.getTransfer(transferId)).resolves.toBeUndefined();
  });

  test.each(['extend', 'resume', 'finalize', 'cancel'] as const)('%s', async (action) => {
    answer = () => ({ body: { status: 'complete' } });
    const ask = { extend: client.extendTransfer, resume: client.resumeTransfer, finalize: client.finalizeTransfer, cancel: client.cancelTransfer }[action];
    await ask(transferId);
    expect(last()).toEqual({ line: `POST /api/imagetransfers/${transferId}/${action}`, query: {}, body: {} });
  });

  test('one that is not paused has been resumed; any other refusal counts', async () => {
    answer = () => refused(409, "[Cannot resume image transfer as it's not in a paused state.]");
    await expect(client.resumeTransfer(transferId)).resolves.toBeUndefined();
    expect((await failureOf(client.cancelTransfer(transferId))).code).toBe('engine.conflict');
    answer = () => refused(403, '[User is not authorized to perform this action.]');
    expect((await failureOf(client.resumeTransfer(transferId))).code).toBe('engine.forbidden');
  });

  test('no message and no log has the ticket', async () => {
    const lines: unknown[] = [];
    const talkative = clientOf(server.url, { log: (line) => lines.push(line) });
    answer = () => ({ body: { ...wire, ...urls, direction: 'sideways' } });
    const failure = await failureOf(talkative.getTransfer(transferId));
    await talkative.close();
    expect(failure.code).toBe('engine.protocol');
    expect(JSON.stringify([failure.message, failure.details, lines])).not.toMatch(/images\/t/);
  });
});

test.each([['freezeVm', 'freezefilesystems'], ['thawVm', 'thawfilesystems']] as const)('%s', async (call, path) => {
  answer = () => ({ body: { status: 'complete' } });
  await client[call](vmId);
  expect(last()).toEqual({ line: `POST /api/vms/${vmId}/${path}`, query: {}, body: {} });
});
