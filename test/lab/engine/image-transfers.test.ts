// Image transfers over the fake host and a daemon in memory: phases, tickets, what becomes of the disk, what the engine does by itself.
import { writeFileSync } from 'node:fs';
import { childText, type XmlNode } from '../../../lab/engine/xml';
import { actOn, askTransfer, begin, backUp, diskStatus, finish, from, phaseOf, trackedVm, transfer, transferRow, until } from './backup-client';
import { Lab } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  lab.imageio.failing = 'nothing';
  await lab.remove();
});

async function see(id: string): Promise<XmlNode> {
  return lab.xml('GET', `/imagetransfers/${id}`);
}

async function codes(): Promise<number[]> {
  return (await lab.xml('GET', '/events')).children.map((row) => Number(childText(row, 'code'))).reverse();
}

test.each([
  ['download', 'finalize', 'finished_success', 'ok', [1031, 1032]],
  ['download', 'cancel', 'finished_failure', 'ok', [1031, 1033, 1034]],
  ['upload', 'finalize', 'finished_success', 'ok', [1031, 1032]],
  ['upload', 'cancel', 'finished_failure', 'gone', [1031, 1033, 1034]],
] as const)('%s, %s: %s, and the disk is %s', async (direction, action, last, status, events) => {
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`, direction);
  const before = await see(id);
  expect([childText(before, 'phase'), await diskStatus(lab, diskId)]).toEqual(['transferring', 'locked']);
  const { ticket } = lab.imageio.of(id);
  expect(childText(before, 'transfer_url')).toBe(`https://localhost:54322/images/${ticket.uuid}`);
  expect(ticket).toMatchObject({
    ops: [direction === 'upload' ? 'write' : 'read'],
    sizeBytes: 1024 ** 3,
    timeoutSeconds: 300,
    inactivityTimeoutSeconds: 60,
  });
  expect(await actOn(lab, id, action)).toBe(200);
  await lab.idle();
  const after = await see(id);
  expect([childText(after, 'phase'), childText(after, 'transfer_url'), await diskStatus(lab, diskId)]).toEqual([last, undefined, status]);
  expect((await codes()).filter((code) => code >= 1031 && code < 1080)).toEqual(events);
  expect([lab.host.exports(), lab.imageio.tickets.size, lab.engine.context.locks.list()]).toEqual([[], 0, []]);
  // Over is over: a later request is taken and changes nothing, but what never makes sense is refused still.
  expect([await actOn(lab, id, 'cancel'), await actOn(lab, id, 'resume'), await actOn(lab, id, 'pause'), phaseOf(lab, id)]).toEqual([
    200,
    409,
    direction === 'upload' ? 200 : 400,
    last,
  ]);
});

test('only the disk is told, as the image; bytes of a cow file have its size, an upload of one gets some room', async () => {
  const diskId = await lab.disk('d');
  const download = await transfer(lab, `<disk id="${diskId}"/>`, 'download', '<format>cow</format>');
  const node = await see(download);
  const image = node.children.find(({ name }) => name === 'image')?.attributes['id'];
  expect([image, node.children.some(({ name }) => ['disk', 'backup', 'snapshot'].includes(name))]).toEqual([diskId, false]);
  expect(lab.imageio.of(download).ticket).toMatchObject({ sizeBytes: 196_608, url: expect.stringContaining('file://') as string });
  await actOn(lab, download, 'finalize');
  await lab.idle();
  const upload = await transfer(lab, `<disk id="${diskId}"/>`, 'upload', '<format>cow</format>');
  expect(lab.imageio.of(upload).ticket.sizeBytes).toBe(Math.ceil(1024 ** 3 * 1.1) + 65_536);
});

test('an upload pauses and resumes; paused it waits for ever', async () => {
  const id = await transfer(lab, `<disk id="${await lab.disk('d')}"/>`, 'upload');
  await actOn(lab, id, 'pause');
  await lab.engine.advanceClock(3600);
  expect(phaseOf(lab, id)).toBe('paused_user');
  // The ticket's idle time goes on counting, in the real engine too: who resumes has to be at it before the next poll.
  lab.imageio.of(id).active = true;
  const { renewals } = lab.imageio.of(id);
  await actOn(lab, id, 'resume');
  await lab.idle();
  expect([phaseOf(lab, id), await codes()]).toEqual(['transferring', expect.arrayContaining([1073, 1074])]);
  // What ran out meanwhile is renewed before anybody is told to go on (handleResuming).
  expect(lab.imageio.of(id).renewals).toBe(renewals + 1);
});

test.each([
  ['download', 'legacy', 'finished_failure', 1072],
  ['upload', 'legacy', 'paused_system', 1071],
  ['download', 'pause', 'paused_system', 1077],
  ['upload', 'cancel', 'finished_failure', 1076],
] as const)('a client that is gone: %s, policy %s', async (direction, policy, last, event) => {
  const extra = `<format>raw</format><inactivity_timeout>90</inactivity_timeout><timeout_policy>${policy}</timeout_policy>`;
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`, direction, extra);
  await lab.engine.advanceClock(80);
  await actOn(lab, id, 'extend');
  expect(phaseOf(lab, id)).toBe('transferring');
  lab.imageio.of(id).active = true;
  await lab.engine.advanceClock(80);
  expect(phaseOf(lab, id)).toBe('transferring');
  lab.imageio.of(id).active = false;
  await until('the timeout', () => phaseOf(lab, id) === last);
  await lab.idle();
  expect([(await codes()).includes(event), await diskStatus(lab, diskId)]).toEqual([
    true,
    direction === 'upload' && last === 'finished_failure' ? 'gone' : last === 'finished_failure' ? 'ok' : 'locked',
  ]);
});

test('without a timeout nobody is gone', async () => {
  const id = await transfer(
    lab,
    `<disk id="${await lab.disk('d')}"/>`,
    'download',
    '<format>raw</format><inactivity_timeout>0</inactivity_timeout>',
  );
  await lab.engine.advanceClock(86_400);
  expect(phaseOf(lab, id)).toBe('transferring');
});

test('tickets are renewed about each minute; the second renewal in a row that fails stops the transfer', async () => {
  const id = await transfer(
    lab,
    `<disk id="${await lab.disk('d')}"/>`,
    'upload',
    '<format>raw</format><inactivity_timeout>0</inactivity_timeout>',
  );
  await lab.engine.advanceClock(50);
  expect(lab.imageio.of(id).renewals).toBe(0);
  await lab.engine.advanceClock(15);
  expect(lab.imageio.of(id).renewals).toBe(1);
  lab.imageio.failing = 'renewing';
  await lab.engine.advanceClock(65);
  await until('the second failure', () => phaseOf(lab, id) === 'paused_system');
  expect(await codes()).toContain(1064);
});

test('a download of which every byte was read is finalized by the engine; one that skipped a hole is not', async () => {
  const [whole, holes] = [
    await transfer(lab, `<disk id="${await lab.disk('a')}"/>`),
    await transfer(lab, `<disk id="${await lab.disk('b')}"/>`),
  ];
  lab.imageio.of(holes).transferredBytes = 1024 ** 3 - 4096;
  lab.imageio.of(whole).transferredBytes = 1024 ** 3;
  await until('the engine', () => phaseOf(lab, whole) === 'finished_success');
  await lab.engine.advanceClock(1);
  expect([phaseOf(lab, holes), childText(await see(holes), 'transferred')]).toEqual(['transferring', String(1024 ** 3 - 4096)]);
});

test('while a request still runs a transfer cannot end; a finalize that comes after a cancel wins', async () => {
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`, 'upload');
  lab.imageio.failing = 'removing';
  await actOn(lab, id, 'cancel');
  await lab.idle();
  expect([phaseOf(lab, id), await diskStatus(lab, diskId)]).toEqual(['finalizing_cleanup', 'locked']);
  await actOn(lab, id, 'finalize');
  lab.imageio.failing = 'nothing';
  await until('the end', () => phaseOf(lab, id) === 'finished_success');
  expect(await diskStatus(lab, diskId)).toBe('ok');
});

test('an upload that is not an image of this disk fails its verification, and the disk is removed', async () => {
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`, 'upload', '<format>cow</format>');
  const [image] = lab.engine.context.store.tables.images.where((row) => row.diskId === diskId);
  const volume = { domainId: image?.domainId ?? '', diskId, volumeId: image?.id ?? '' };
  writeFileSync(lab.host.volumeFile(volume), JSON.stringify({ format: 'cow', virtualBytes: 4096 }));
  await actOn(lab, id, 'finalize');
  await lab.idle();
  expect([phaseOf(lab, id), await diskStatus(lab, diskId), (await codes()).includes(1034)]).toEqual(['finished_failure', 'gone', true]);
});

test('of backups: live from the VM, cold and hybrid from a process of its own; dirty when incremental; the disk is not locked for it', async () => {
  for (const kind of ['live', 'cold', 'hybrid'] as const) {
    const { vmId, diskId } = await trackedVm(lab, kind, kind);
    const checkpoint = await backUp(lab, vmId, [diskId], kind);
    const backupId = await begin(lab, vmId, [diskId], kind, from(checkpoint));
    const id = await transfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
    const { ticket } = lab.imageio.of(id);
    expect([ticket.dirty, ticket.url.includes(kind === 'live' ? `backup-${backupId}` : id), lab.host.exports().length]).toEqual([
      true,
      true,
      kind === 'live' ? 0 : 1,
    ]);
    const second = await transfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
    expect(phaseOf(lab, second)).toBe('transferring');
    for (const each of [id, second]) await actOn(lab, each, 'finalize');
    await lab.idle();
    await finish(lab, vmId, backupId);
    expect(lab.host.exports()).toEqual([]);
  }
});

// TransferDiskImageCommand.initializeVds, buildImageTicket: of a VM that is down any host will do, and the ticket is for the socket that its QEMU had.
test('a live backup whose VM is gone still gets a ticket, to nothing', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'gone', 'live');
  const backupId = await begin(lab, vmId, [diskId], 'live');
  await lab.host.killVm(vmId);
  const id = await transfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
  expect([phaseOf(lab, id), (await codes()).includes(1067)]).toEqual(['transferring', false]);
});

test('of a disk snapshot while its VM runs: the disk and the VM are shared, not locked', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'snap', 'live');
  const snapshotId = await lab.snapshot(vmId);
  const [disk] = (await lab.xml('GET', `/vms/${vmId}/snapshots/${snapshotId}/disks`)).children;
  const id = await transfer(
    lab,
    `<snapshot id="${(disk && childText(disk, 'image_id')) ?? ''}"/>`,
    'download',
    '<format>raw</format><shallow>true</shallow>',
  );
  expect([phaseOf(lab, id), await diskStatus(lab, diskId), transferRow(lab, id)?.shallow]).toEqual(['transferring', 'ok', true]);
  expect((await lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`)).text).toContain('Disk snap_Disk1 is being transferred.');
});

test('finished ones are forgotten after their time; actions on what is gone, or never was, answer 200', async () => {
  const [good, bad] = [
    await transfer(lab, `<disk id="${await lab.disk('a')}"/>`),
    await transfer(lab, `<disk id="${await lab.disk('b')}"/>`),
  ];
  await actOn(lab, good, 'finalize');
  await actOn(lab, bad, 'cancel');
  await lab.idle();
  await lab.engine.advanceClock(16 * 60);
  const seen = await Promise.all([good, bad].map(async (id) => (await lab.api('GET', `/imagetransfers/${id}`)).status));
  expect(seen).toEqual([404, 200]);
  for (const action of ['finalize', 'cancel', 'pause', 'resume', 'extend']) expect(await actOn(lab, good, action)).toBe(200);
});

test('a request names one thing, in words that the engine has; upload is the default', async () => {
  const diskId = await lab.disk('d');
  const none = await lab.api('POST', '/imagetransfers', { body: '<image_transfer><direction>download</direction></image_transfer>' });
  const both = await askTransfer(lab, `<disk id="${diskId}"/><snapshot id="${diskId}"/>`);
  const word = await askTransfer(lab, `<disk id="${diskId}"/>`, 'download', '<format>vmdk</format>');
  expect([none.status, both.status, word.status]).toEqual([400, 400, 400]);
  const id = await lab.post('/imagetransfers', `<image_transfer><image id="${diskId}"/></image_transfer>`);
  expect(childText(await see(id), 'direction')).toBe('upload');
  await lab.idle();
});
