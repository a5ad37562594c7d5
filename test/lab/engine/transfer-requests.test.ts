// What the answer to a request for an image transfer says, what becomes of one that cannot begin, and what it means for others.
import { childText } from '../../../lab/engine/xml';
import { actOn, askTransfer, begin, diskStatus, finish, phaseOf, refusedTransfer, trackedVm, transfer, until } from './backup-client';
import { Lab } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  lab.imageio.failing = 'nothing';
  await lab.remove();
});

async function codes(): Promise<number[]> {
  return (await lab.xml('GET', '/events')).children.map((row) => Number(childText(row, 'code')));
}

test('the answer to the request has the ticket already, and the format that was asked for or the volume has', async () => {
  const diskId = await lab.disk('d');
  const created = await askTransfer(lab, `<disk id="${diskId}"/>`, 'download', '');
  expect(created.status).toBe(201);
  for (const part of ['<phase>transferring<', '<format>cow<', '<transfer_url>https://']) expect(created.text).toContain(part);
  await lab.idle();
});

test('what is read between two polls is finalized at the first', async () => {
  const diskId = await lab.disk('d');
  const id = await transfer(lab, `<disk id="${diskId}"/>`);
  lab.imageio.of(id).transferredBytes = 1024 ** 3;
  await lab.engine.advanceClock(1);
  expect(phaseOf(lab, id)).toBe('finished_success');
});

test('a disk that another VM reads a snapshot of cannot be transferred while that VM runs', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'source');
  const snapshotId = await lab.snapshot(vmId);
  const appliance = await lab.vm('appliance');
  await lab.attach(appliance, diskId, '<active>true</active>', snapshotId);
  expect((await askTransfer(lab, `<disk id="${diskId}"/>`)).status).toBe(201);
  for (const { id } of lab.engine.context.store.tables.transfers.all()) await actOn(lab, id, 'cancel');
  await lab.idle();
  await lab.start(appliance);
  expect((await askTransfer(lab, `<disk id="${diskId}"/>`)).text).toContain('is plugged to non-Down VMs: appliance');
});

test('a transfer whose engine died within the request stays as it is until it is cancelled', async () => {
  const diskId = await lab.disk('d');
  lab.host.hold('exportVolume');
  void askTransfer(lab, `<disk id="${diskId}"/>`).catch(() => undefined);
  const transfers = (): readonly { readonly id: string; readonly phase: string }[] => lab.engine.context.store.tables.transfers.all();
  await until('the transfer', () => transfers().length === 1);
  lab = await lab.restart();
  await lab.idle();
  await lab.engine.advanceClock(60);
  const id = transfers()[0]?.id ?? '';
  expect([phaseOf(lab, id), await diskStatus(lab, diskId), (await codes()).includes(1031)]).toEqual(['initializing', 'locked', false]);
  await actOn(lab, id, 'cancel');
  await lab.idle();
  expect([phaseOf(lab, id), await diskStatus(lab, diskId), lab.host.exports()]).toEqual(['finished_failure', 'ok', []]);
});

test('what is asked of a transfer within its own request is answered, and lost', async () => {
  const diskId = await lab.disk('d');
  const open = lab.host.hold('exportVolume');
  const asked = askTransfer(lab, `<disk id="${diskId}"/>`);
  await until('the transfer', () => lab.engine.context.store.tables.transfers.all().length === 1);
  const id = lab.engine.context.store.tables.transfers.all()[0]?.id ?? '';
  expect([phaseOf(lab, id), await actOn(lab, id, 'cancel')]).toEqual(['initializing', 200]);
  open();
  expect((await asked).status).toBe(201);
  await lab.idle();
  expect(phaseOf(lab, id)).toBe('transferring');
});

test('the end of a transfer in a live backup says that the disk is ok, which it is not for anybody else', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'live', 'live');
  const backupId = await begin(lab, vmId, [diskId], 'live');
  expect(await diskStatus(lab, diskId)).toBe('locked');
  await actOn(lab, await transfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`), 'finalize');
  await lab.idle();
  expect(await diskStatus(lab, diskId)).toBe('ok');
  expect((await lab.api('DELETE', `/disks/${diskId}`)).text).toContain('Disk is locked. Please try again later.');
  await finish(lab, vmId, backupId);
});

test('a disk in a hybrid backup, or one that is downloaded, cannot be edited', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'held');
  await begin(lab, vmId, [diskId], 'hybrid');
  const loose = await lab.disk('loose');
  await transfer(lab, `<disk id="${loose}"/>`);
  const edit = async (id: string): Promise<string> => (await lab.api('PUT', `/disks/${id}`, { body: '<disk><alias>other</alias></disk>' })).text;
  expect([await edit(diskId), await edit(loose)]).toEqual([
    expect.stringContaining('Disk is locked. Please try again later.'),
    expect.stringContaining('Disk loose is being transferred.'),
  ]);
});

// TransferDiskImageCommand.executeCommand has no result then: a 400 without a message, and a transfer that goes on to its end.
test('no such host, or a volume that the host cannot open: failed at once; no ticket: an upload waits, a download is over', async () => {
  const [a, b, c, d] = [await lab.disk('a'), await lab.disk('b'), await lab.disk('c'), await lab.disk('d')];
  const lost = await refusedTransfer(lab, `<disk id="${a}"/><host id="11111111-2222-4333-8444-555555555555"/>`);
  expect([phaseOf(lab, lost), await diskStatus(lab, a), await codes()]).toEqual(['finished_failure', 'ok', expect.arrayContaining([1031, 1067, 1034])]);
  lab.host.failNext('exportVolume', 'no-such-volume');
  const unopened = await refusedTransfer(lab, `<disk id="${d}"/>`, 'upload', '<format>cow</format>');
  expect([phaseOf(lab, unopened), await diskStatus(lab, d), (await codes()).includes(1068)]).toEqual(['finished_failure', 'gone', false]);
  lab.imageio.failing = 'adding';
  const [up, down] = [await refusedTransfer(lab, `<disk id="${b}"/>`, 'upload'), await refusedTransfer(lab, `<disk id="${c}"/>`)];
  expect([phaseOf(lab, up), phaseOf(lab, down), await codes()]).toEqual([
    'paused_system',
    'finished_failure',
    expect.arrayContaining([1069]),
  ]);
  // The URL of the ticket that the daemon never got; resumed, the upload is paused for it again.
  expect(childText(await lab.xml('GET', `/imagetransfers/${up}`), 'transfer_url')).toContain('/images/');
  lab.imageio.failing = 'nothing';
  expect(await actOn(lab, up, 'resume')).toBe(200);
  await until('the poll', async () => phaseOf(lab, up) === 'paused_system' && (await codes()).includes(1065));
});
