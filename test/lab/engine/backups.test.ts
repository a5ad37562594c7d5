// VM backups over the fake host: what each kind locks, which phases and events it has, which checkpoints it leaves.
import { childText, type XmlNode } from '../../../lab/engine/xml';
import { askBackup, backUp, backupBody, backupRow, begin, finalize, finish, from, trackedVm, until } from './backup-client';
import { Lab, newSnapshot } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

async function backup(vmId: string, id: string): Promise<XmlNode> {
  return lab.xml('GET', `/vms/${vmId}/backups/${id}`);
}

async function phase(vmId: string, id: string): Promise<string | undefined> {
  return childText(await backup(vmId, id), 'phase');
}

async function checkpoints(vmId: string): Promise<(string | undefined)[][]> {
  const rows = (await lab.xml('GET', `/vms/${vmId}/checkpoints`)).children;
  return rows.map((row) => [row.attributes['id'], childText(row, 'parent_id'), childText(row, 'state')]);
}

async function diskRows(): Promise<(string | undefined)[][]> {
  const rows = (await lab.xml('GET', '/disks')).children;
  return rows.map((row) => [childText(row, 'content_type'), childText(row, 'format'), childText(row, 'status')]);
}

function idOf(text: string): string {
  return /id="([0-9a-f-]+)"/.exec(text)?.[1] ?? '';
}

test('live: scratch disks that everybody sees, disks locked and the VM too until the end, then only a checkpoint is left', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'live', 'live');
  const resume = lab.host.hold('createVolume');
  const reply = await lab.api('POST', `/vms/${vmId}/backups?legacy=true&correlation_id=live-1`, { body: backupBody([diskId]) });
  const id = idOf(reply.text);
  expect([reply.status, await phase(vmId, id), childText(await backup(vmId, id), 'to_checkpoint_id')]).toEqual([
    201,
    'initializing',
    undefined,
  ]);
  const start = lab.host.hold('startLiveBackup');
  resume();
  await until('starting', async () => (await phase(vmId, id)) === 'starting');
  expect(await diskRows()).toEqual([
    ['data', 'cow', 'locked'],
    ['backup_scratch', 'cow', 'ok'],
  ]);
  start();
  await until('ready', async () => (await phase(vmId, id)) === 'ready');
  const node = await backup(vmId, id);
  const checkpoint = childText(node, 'to_checkpoint_id');
  expect([node.children.some(({ name }) => name === 'host'), node.children.some(({ name }) => name === 'snapshot')]).toEqual([true, false]);
  expect(lab.host.liveBackups()).toEqual([id]);
  expect((await lab.action(`/vms/${vmId}/stop`)).status).toBe(409);
  const stop = lab.host.hold('stopLiveBackup');
  const stopping = finalize(lab, vmId, id);
  await until('finalizing', async () => (await phase(vmId, id)) === 'finalizing');
  stop();
  expect((await stopping).status).toBe(200);
  await lab.idle();
  expect([await phase(vmId, id), await diskRows(), lab.host.liveBackups(), lab.engine.context.locks.list()]).toEqual([
    'succeeded',
    [['data', 'cow', 'ok']],
    [],
    [],
  ]);
  expect(await checkpoints(vmId)).toEqual([[checkpoint, undefined, 'created']]);
  expect(await lab.eventCodes('live-1')).toEqual([10_790, 10_799, 10_805, 10_794, 10_793]);
  const [job] = (await lab.json('GET', '/jobs?search=correlation_id%3Dlive-1'))['job'] as { status: string }[];
  expect(job?.status).toBe('finished');
});

test('cold: a bitmap in the volume and locks, no scratch disk; the VM cannot start meanwhile', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'cold');
  const id = await begin(lab, vmId, [diskId], 'cold');
  expect([await phase(vmId, id), await diskRows()]).toEqual(['ready', [['data', 'cow', 'locked']]]);
  expect((await lab.action(`/vms/${vmId}/start`)).text).toContain('Cannot run VM. The VM is during a backup operation.');
  await finish(lab, vmId, id);
  await lab.start(vmId);
  expect(await checkpoints(vmId)).toHaveLength(1);
});

test('hybrid: a snapshot that finalizing merges away; the VM stays free, and finalizing before ready is only noted', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'hybrid', 'live');
  const release = lab.host.hold('snapshot');
  const reply = await lab.api('POST', `/vms/${vmId}/backups?correlation_id=hybrid-1`, { body: backupBody([diskId]) });
  const id = idOf(reply.text);
  expect([await phase(vmId, id), (await finalize(lab, vmId, id)).status]).toEqual(['starting', 200]);
  expect((await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') })).text).toContain(
    'Snapshot is currently being created',
  );
  release();
  await until('the end', async () => (await phase(vmId, id)) === 'succeeded');
  expect(await lab.eventCodes('hybrid-1')).toEqual([45, 10_790, 10_796, 68, 342, 356, 10_793]);
  expect((await lab.xml('GET', `/vms/${vmId}/snapshots`)).children).toHaveLength(1);

  const second = await begin(lab, vmId, [diskId], 'hybrid', from((await checkpoints(vmId))[0]?.[0] ?? ''));
  const [own] = (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children;
  expect([own && childText(own, 'description'), await diskRows()]).toEqual(['Auto-generated for Backup VM', [['data', 'cow', 'ok']]]);
  expect((await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('meanwhile') })).status).toBe(201);
  await lab.idle();
  expect((await lab.action(`/vms/${vmId}/stop`)).status).toBe(200);
  await finish(lab, vmId, second);
  const left = (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children.map((row) => childText(row, 'description'));
  expect([left, await checkpoints(vmId), lab.engine.context.locks.list()]).toEqual([
    ['meanwhile', 'Active VM'],
    [expect.anything(), expect.anything()],
    [],
  ]);
});

test('hybrid: a merge that fails leaves the snapshot and event 10813, and the backup has succeeded', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'leftover', 'live');
  const id = await begin(lab, vmId, [diskId], 'hybrid');
  lab.host.failNext('merge', 'job-failed');
  await finish(lab, vmId, id);
  expect([await phase(vmId, id), (await lab.api('GET', '/events?search=type%3D10813')).text]).toEqual([
    'succeeded',
    expect.stringContaining("during backup of VM 'leftover'"),
  ]);
  expect((await lab.xml('GET', `/vms/${vmId}/snapshots`)).children).toHaveLength(2);
});

test('each disk is told for itself whether it comes in full: raw, without incremental backup, new since the checkpoint', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'modes', 'live');
  const raw = await lab.disk('raw', '', 'raw');
  const plain = await lab.disk('plain');
  for (const id of [raw, plain]) await lab.attach(vmId, id);
  const checkpoint = await backUp(lab, vmId, [diskId, raw, plain], 'live');
  const added = await lab.disk('added', '<backup>incremental</backup>');
  await lab.attach(vmId, added);
  const all = [diskId, raw, plain, added];
  const id = await begin(lab, vmId, all, 'live', from(checkpoint));
  const modes = async (): Promise<(string | undefined)[]> =>
    (await lab.xml('GET', `/vms/${vmId}/backups/${id}/disks`)).children.map((disk) => childText(disk, 'backup_mode'));
  expect([await modes(), childText(await lab.xml('GET', `/disks/${diskId}`), 'backup_mode')]).toEqual([
    ['incremental', 'full', 'full', 'full'],
    'incremental',
  ]);
  expect(lab.engine.context.store.tables.backups.get(id)?.disks.map((disk) => disk.export?.dirty)).toEqual([true, false, false, false]);
  await finish(lab, vmId, id);
  expect(await modes()).toEqual([undefined, undefined, undefined, undefined]);
  const inIt = (await lab.xml('GET', `/vms/${vmId}/checkpoints/${(await checkpoints(vmId))[1]?.[0] ?? ''}/disks`)).children;
  expect(inIt.map((disk) => disk.attributes['id'])).toEqual([diskId, added]);
});

test('raw disks alone: no checkpoint live and cold, one without disks hybrid; shareable disks are dropped without a word', async () => {
  const vmId = await lab.vm('raw');
  const [raw, shared] = [await lab.disk('raw', '', 'raw'), await lab.disk('shared', '<shareable>true</shareable>', 'raw')];
  for (const id of [raw, shared]) await lab.attach(vmId, id);
  const cold = await begin(lab, vmId, [raw, shared], 'cold');
  expect([childText(await backup(vmId, cold), 'to_checkpoint_id'), backupRow(lab, cold)?.disks.map(({ diskId }) => diskId)]).toEqual([
    undefined,
    [raw],
  ]);
  await finish(lab, vmId, cold);
  expect(await checkpoints(vmId)).toEqual([]);
  expect(await backUp(lab, vmId, [raw], 'hybrid')).toBe((await checkpoints(vmId))[0]?.[0]);
});

test('a start that fails takes everything back: no checkpoint, no scratch disk, no lock', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'fails', 'live');
  lab.host.failNext('freeze', 'freeze-failed');
  const strict = await lab.api('POST', `/vms/${vmId}/backups?legacy=true&require_consistency=true`, { body: backupBody([diskId]) });
  await lab.idle();
  expect([await phase(vmId, idOf(strict.text)), await checkpoints(vmId), await diskRows(), lab.engine.context.locks.list()]).toEqual([
    'failed',
    [],
    [['data', 'cow', 'ok']],
    [],
  ]);
  lab.host.failNext('freeze', 'freeze-failed');
  expect(await phase(vmId, await begin(lab, vmId, [diskId], 'live'))).toBe('ready');
  lab.host.failNext('addBitmaps', 'qemu-failed');
  const other = await trackedVm(lab, 'fails-cold');
  expect(await phase(other.vmId, await begin(lab, other.vmId, [other.diskId], 'cold'))).toBe('failed');
  lab.host.failNext('snapshot', 'qemu-failed');
  const third = await trackedVm(lab, 'fails-hybrid', 'live');
  expect([await phase(third.vmId, await begin(lab, third.vmId, [third.diskId], 'hybrid')), await checkpoints(third.vmId)]).toEqual([
    'failed',
    [],
  ]);
});

test('finalizing a live backup too early ends it as failed', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'early', 'live');
  const release = lab.host.hold('startLiveBackup');
  const id = idOf((await askBackup(lab, vmId, [diskId], 'live')).text);
  expect((await finalize(lab, vmId, id)).status).toBe(400);
  release();
  await lab.idle();
  expect([await phase(vmId, id), lab.host.liveBackups(), await checkpoints(vmId)]).toEqual(['failed', [], []]);
});

test('force stops a VM in spite of its live backup, which can still be finalized', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'forced', 'live');
  const id = await begin(lab, vmId, [diskId], 'live');
  expect((await lab.action(`/vms/${vmId}/stop`, '<action><force>true</force></action>')).status).toBe(200);
  await finish(lab, vmId, id);
  expect(await phase(vmId, id)).toBe('succeeded');
});

test.each(['cold', 'live'] as const)('%s: any checkpoint of the chain may go, its child stands on its parent then', async (kind) => {
  const { vmId, diskId } = await trackedVm(lab, kind, kind);
  const chain = [];
  for (let count = 0; count < 3; count += 1) chain.push(await backUp(lab, vmId, [diskId], kind));
  const [first, second, third] = chain;
  expect((await lab.api('DELETE', `/vms/${vmId}/checkpoints/${second ?? ''}?correlation_id=cp`)).status).toBe(200);
  expect([await checkpoints(vmId), await lab.eventCodes('cp')]).toEqual([
    [
      [first, undefined, 'created'],
      [third, first, 'created'],
    ],
    [10_797],
  ]);
  lab.host.failNext('removeBitmap', 'qemu-failed');
  expect((await lab.api('DELETE', `/vms/${vmId}/checkpoints/${first ?? ''}`)).status).toBe(400);
  expect((await checkpoints(vmId))[0]).toEqual([first, undefined, kind === 'cold' ? 'invalid' : 'created']);
  for (const id of [first, third]) expect((await lab.api('DELETE', `/vms/${vmId}/checkpoints/${id ?? ''}`)).status).toBe(200);
  expect([await checkpoints(vmId), (await lab.api('DELETE', `/vms/${vmId}/checkpoints/${first ?? ''}`)).status]).toEqual([[], 404]);
});

test('going back to an older snapshot removes every checkpoint', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'back');
  const snapshotId = await lab.snapshot(vmId);
  await backUp(lab, vmId, [diskId], 'cold');
  expect(await checkpoints(vmId)).toHaveLength(1);
  await lab.action(`/vms/${vmId}/snapshots/${snapshotId}/restore`);
  expect(await checkpoints(vmId)).toEqual([]);
});

test.each([false, true])('detaching a snapshot disk ends the change tracking of its disk on newer engines only (%s)', async (wipes) => {
  lab.engine.context.settings.detachWipesTracking = wipes;
  const { vmId, diskId } = await trackedVm(lab, 'source');
  const other = await lab.disk('other', '<backup>incremental</backup>');
  await lab.attach(vmId, other);
  const alone = await backUp(lab, vmId, [diskId], 'cold');
  const both = await backUp(lab, vmId, [diskId, other], 'cold');
  const appliance = await lab.vm('appliance');
  await lab.attach(appliance, diskId, '', await lab.snapshot(vmId));
  await lab.api('DELETE', `/vms/${appliance}/diskattachments/${diskId}`);
  expect((await checkpoints(vmId)).map(([id]) => id)).toEqual(wipes ? [both] : [alone, both]);
  const left = (await lab.xml('GET', `/vms/${vmId}/checkpoints/${both}/disks`)).children.map((disk) => disk.attributes['id']);
  expect(left).toEqual(wipes ? [other] : [diskId, other]);
});

test.each(['live', 'cold'] as const)('of a VM below 4.7 a backup is %s unasked', async (kind) => {
  const { vmId, diskId } = await trackedVm(lab, `unasked-${kind}`, kind);
  lab.engine.context.settings.vmsBelow47 = [vmId];
  const id = await begin(lab, vmId, [diskId], 'hybrid');
  expect(backupRow(lab, id)).toMatchObject({ kind, phase: 'ready' });
  await finish(lab, vmId, id);
});

test('a disk grows on its own and in its attachment, never shrinks, and its checkpoints stay', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'grows', 'live');
  const checkpoint = await backUp(lab, vmId, [diskId], 'live');
  const gib = 1024 ** 3;
  await lab.xml('PUT', `/disks/${diskId}`, `<disk><provisioned_size>${2 * gib}</provisioned_size></disk>`);
  const nested = `<disk_attachment><disk><provisioned_size>${3 * gib}</provisioned_size></disk></disk_attachment>`;
  await lab.xml('PUT', `/vms/${vmId}/diskattachments/${diskId}`, nested);
  const disk = await lab.xml('GET', `/disks/${diskId}`);
  expect([childText(disk, 'provisioned_size'), childText(disk, 'status')]).toEqual([String(3 * gib), 'ok']);
  const id = await begin(lab, vmId, [diskId], 'live', from(checkpoint));
  expect(backupRow(lab, id)?.disks[0]).toMatchObject({ mode: 'incremental', export: { sizeBytes: 3 * gib } });
});

test('a finished backup is forgotten: 15 minutes after success, 30 after a failure', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'old');
  const good = await begin(lab, vmId, [diskId], 'cold');
  await finish(lab, vmId, good);
  lab.host.failNext('addBitmaps', 'qemu-failed');
  const bad = await begin(lab, vmId, [diskId], 'cold');
  const seen = async (): Promise<number[]> =>
    Promise.all([good, bad].map(async (id) => (await lab.api('GET', `/vms/${vmId}/backups/${id}`)).status));
  await lab.engine.advanceClock(14 * 60);
  expect(await seen()).toEqual([200, 200]);
  await lab.engine.advanceClock(11 * 60);
  expect(await seen()).toEqual([404, 200]);
  await lab.engine.advanceClock(11 * 60);
  expect(await seen()).toEqual([404, 404]);
});

test('what the engine does not read is refused: use_active, an element of another engine', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'strict');
  for (const path of [`/vms/${vmId}/backups?use_active=true`, `/vms/${vmId}/backups`])
    expect((await lab.api('POST', path, { body: backupBody([diskId], path.includes('?') ? '' : '<phase>ready</phase>') })).status).toBe(
      400,
    );
  expect((await lab.api('POST', `/vms/${vmId}/backups`, { body: '<backup/>' })).text).toContain('Backup [disks] required for add');
  expect((await lab.api('GET', `/vms/${vmId}/backups/no-uuid`)).status).toBe(404);
});
