// The engine is killed, or restarted by the lab, in the middle of backups and transfers: what it drove goes on with its locks, what nobody
// drives any more is failed with event 10814.
import { randomUUID } from 'node:crypto';
import { childText } from '../../../lab/engine/xml';
import { askBackup, begin, backupRow, checkpointCount, finish, phaseOf, trackedVm, transfer, until, type Kind } from './backup-client';
import { Lab } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

test.each(['live', 'cold', 'hybrid'] as const)('%s: ready stays ready, locked as before, and can be finalized', async (kind: Kind) => {
  const { vmId, diskId } = await trackedVm(lab, 'stays', kind);
  const id = await begin(lab, vmId, [diskId], kind);
  const before = lab.engine.context.locks.list();
  lab = await lab.restart();
  await lab.idle();
  expect([backupRow(lab, id)?.phase, lab.engine.context.locks.list()]).toEqual(['ready', before]);
  const again = await transfer(lab, `<disk id="${diskId}"/><backup id="${id}"/>`);
  await lab.action(`/imagetransfers/${again}/finalize`);
  await lab.idle();
  await finish(lab, vmId, id);
  expect([backupRow(lab, id)?.phase, await checkpointCount(lab, vmId), lab.engine.context.locks.list()]).toEqual(['succeeded', 1, []]);
});

// Where the engine dies while a backup starts, and what becomes of it.
test.each([
  ['live', 'createVolume', 'ready'],
  ['live', 'startLiveBackup', 'failed'],
  ['cold', 'addBitmaps', 'ready'],
  ['hybrid', 'snapshot', 'ready'],
] as const)('%s: killed at "%s" the backup is %s', async (kind, step, phase) => {
  const { vmId, diskId } = await trackedVm(lab, 'dies', kind);
  lab.host.hold(step);
  const id = /id="([0-9a-f-]+)"/.exec((await askBackup(lab, vmId, [diskId], kind)).text)?.[1] ?? '';
  if (step === 'startLiveBackup') await until('starting', () => backupRow(lab, id)?.phase === 'starting');
  lab = await lab.restart();
  await lab.idle();
  expect([backupRow(lab, id)?.phase, await checkpointCount(lab, vmId)]).toEqual([phase, phase === 'ready' ? 1 : 0]);
  if (phase === 'ready') await finish(lab, vmId, id);
  expect((await lab.xml('GET', '/disks')).children.map((disk) => [childText(disk, 'content_type'), childText(disk, 'status')])).toEqual([
    ['data', 'ok'],
  ]);
  expect((await lab.xml('GET', `/vms/${vmId}/snapshots`)).children).toHaveLength(1);
});

test('killed while a hybrid backup merges its snapshot: the merge goes on and the backup succeeds', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'merges', 'live');
  const id = await begin(lab, vmId, [diskId], 'hybrid');
  lab.host.hold('merge');
  await lab.action(`/vms/${vmId}/backups/${id}/finalize`);
  await until('the merge', () => backupRow(lab, id)?.phase === 'removing_snapshot');
  lab = await lab.restart();
  await lab.idle();
  expect([backupRow(lab, id)?.phase, (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children.length]).toEqual(['succeeded', 1]);
});

test('backups that nobody drives any more are failed with event 10814; what they left lies about', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'lost', 'live');
  const id = await begin(lab, vmId, [diskId], 'live');
  await lab.engine.restart(0, true);
  lab.token = await lab.logIn('admin@internal');
  await lab.idle();
  expect([backupRow(lab, id)?.phase, (await lab.api('GET', '/events?search=type%3D10814')).text]).toEqual([
    'failed',
    expect.stringContaining(id),
  ]);
  const disks = (await lab.xml('GET', '/disks')).children.map((disk) => [childText(disk, 'content_type'), childText(disk, 'status')]);
  expect([disks, await checkpointCount(lab, vmId), lab.engine.context.locks.list()]).toEqual([
    [
      ['data', 'ok'],
      ['backup_scratch', 'locked'],
    ],
    1,
    [],
  ]);
});

// Its command has another id than the backup, by which the engine looks for it (GetUnmonitoredBackups).
test.each(['live', 'cold', 'hybrid'] as const)('%s: a backup that the client named is failed by a restart, and what it holds is not let go', async (kind) => {
  const { vmId, diskId } = await trackedVm(lab, 'named', kind === 'live' ? 'live' : 'cold');
  const id = randomUUID();
  await askBackup(lab, vmId, [diskId], kind, '', id);
  await lab.idle();
  const before = lab.engine.context.locks.list();
  await lab.engine.restart(0);
  lab.token = await lab.logIn('admin@internal');
  await lab.idle();
  const codes = async (...wanted: readonly number[]): Promise<number[]> => Promise.all(wanted.map(async (code) => (await lab.xml('GET', `/events?search=type%3D${code}`)).children.length));
  const snapshots = async (): Promise<number> => (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children.length;
  if (kind === 'hybrid') {
    expect([backupRow(lab, id)?.phase, await codes(10_814, 10_793), lab.engine.context.locks.list(), await snapshots(), await checkpointCount(lab, vmId)]).toEqual(['succeeded', [1, 1], [], 2, 1]);
    return;
  }
  expect([backupRow(lab, id)?.phase, await codes(10_814, 10_792), lab.engine.context.locks.list()]).toEqual(['failed', [1, 0], before]);
  expect((await lab.action(`/vms/${vmId}/backups/${id}/finalize`)).text).toContain("is already in 'failed' phase");
  await lab.engine.advanceClock(41 * 60);
  const disks = (await lab.xml('GET', '/disks')).children.map((disk) => [childText(disk, 'content_type'), childText(disk, 'status')]);
  expect([backupRow(lab, id), await codes(10_792), lab.engine.context.locks.list(), disks, await checkpointCount(lab, vmId)]).toEqual([undefined, [1], [], [['data', 'ok']], 0]);
});

test('a transfer goes on over a restart of the engine: the daemon knows nothing of it', async () => {
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`);
  const { ticket } = lab.imageio.of(id);
  await lab.engine.restart(0);
  lab.token = await lab.logIn('admin@internal');
  expect([phaseOf(lab, id), lab.imageio.of(id).ticket.uuid, (await lab.api('DELETE', `/disks/${diskId}`)).status]).toEqual([
    'transferring',
    ticket.uuid,
    409,
  ]);
  await lab.action(`/imagetransfers/${id}/finalize`);
  await lab.idle();
  expect(phaseOf(lab, id)).toBe('finished_success');
});

test('with the tickets gone too, an upload is paused and a download is over', async () => {
  const [a, b] = [await lab.disk('a'), await lab.disk('b')];
  const [up, down] = [await transfer(lab, `<disk id="${a}"/>`, 'upload'), await transfer(lab, `<disk id="${b}"/>`)];
  lab = await lab.restart();
  await until('the poll', () => phaseOf(lab, up) === 'paused_system' && phaseOf(lab, down) === 'finished_failure');
  expect((await lab.api('GET', '/events?search=type%3D1065')).text).toContain('1065');
});

test('killed while a checkpoint is removed and while a disk grows: both are finished', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'both');
  const id = await begin(lab, vmId, [diskId], 'cold');
  const checkpoint = backupRow(lab, id)?.toCheckpointId ?? '';
  await finish(lab, vmId, id);
  const other = await lab.disk('grows');
  lab.host.hold('removeBitmap');
  lab.host.hold('resizeVolume');
  void lab.api('DELETE', `/vms/${vmId}/checkpoints/${checkpoint}`).catch(() => undefined);
  void lab
    .api('PUT', `/disks/${other}`, { body: `<disk><provisioned_size>${2 * 1024 ** 3}</provisioned_size></disk>` })
    .catch(() => undefined);
  await until('both operations', () => lab.engine.context.store.tables.operations.all().length === 2);
  lab = await lab.restart();
  await lab.idle();
  expect([await checkpointCount(lab, vmId), childText(await lab.xml('GET', `/disks/${other}`), 'provisioned_size')]).toEqual([
    0,
    String(2 * 1024 ** 3),
  ]);
});
