// What the API tells of a VM backup at each moment, and what the engine does where a client would rather not have it: own snapshots that cannot be
// removed, checkpoints that cannot be redefined.
import { childText } from '../../../lab/engine/xml';
import { askBackup, backUp, begin, checkpointCount, finish, from, trackedVm } from './backup-client';
import { Lab } from './lab-client';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

/** Phase, whether a checkpoint and a snapshot are named, and the modes of the disks. */
async function told(vmId: string, id: string): Promise<unknown[]> {
  const node = await lab.xml('GET', `/vms/${vmId}/backups/${id}`);
  const modes = (await lab.xml('GET', `/vms/${vmId}/backups/${id}/disks`)).children.map((disk) => childText(disk, 'backup_mode'));
  return [childText(node, 'phase'), childText(node, 'to_checkpoint_id') !== undefined, node.children.some(({ name }) => name === 'snapshot'), modes];
}

test('hybrid: disks and checkpoint are told when it is ready, the snapshot as long as it is there, and the modes for good', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'told', 'live');
  const release = lab.host.hold('snapshot');
  const id = /id="([0-9a-f-]+)"/.exec((await askBackup(lab, vmId, [diskId], 'hybrid')).text)?.[1] ?? '';
  expect(await told(vmId, id)).toEqual(['starting', false, true, []]);
  release();
  await lab.idle();
  expect(await told(vmId, id)).toEqual(['ready', true, true, ['full']]);
  await finish(lab, vmId, id);
  expect(await told(vmId, id)).toEqual(['succeeded', true, false, ['full']]);
});

test('hybrid: its own snapshot is removed as anybody would remove it: refused, it stays, with event 10813', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'busy');
  const id = await begin(lab, vmId, [diskId], 'hybrid');
  const release = lab.host.hold('startVm');
  await lab.action(`/vms/${vmId}/start`);
  await finish(lab, vmId, id);
  release();
  await lab.idle();
  const leftovers = (await lab.xml('GET', '/events?search=type%3D10813')).children.length;
  expect([...(await told(vmId, id)), leftovers]).toEqual(['succeeded', true, true, ['full'], 1]);
  expect((await lab.xml('GET', `/vms/${vmId}/snapshots`)).children).toHaveLength(2);
});

test('live: a disk of the checkpoint that is not active any more cannot be redefined, which costs every checkpoint', async () => {
  const { vmId, diskId } = await trackedVm(lab, 'inactive', 'live');
  const other = await lab.disk('other');
  await lab.attach(vmId, other);
  const checkpoint = await backUp(lab, vmId, [diskId, other], 'live');
  await lab.xml('PUT', `/vms/${vmId}/diskattachments/${other}`, '<disk_attachment><active>false</active></disk_attachment>');
  await lab.idle();
  expect([(await askBackup(lab, vmId, [diskId], 'live', from(checkpoint))).status, await checkpointCount(lab, vmId)]).toEqual([400, 0]);
});

test.each(['live', 'cold'] as const)('%s: one that fails goes on naming the checkpoint that it did not come to', async (kind) => {
  const { vmId, diskId } = await trackedVm(lab, `names-${kind}`, kind);
  lab.host.failNext(kind === 'live' ? 'startLiveBackup' : 'addBitmaps', 'qemu-failed');
  const id = await begin(lab, vmId, [diskId], kind);
  expect([...(await told(vmId, id)), await checkpointCount(lab, vmId)]).toEqual(['failed', true, false, [undefined], 0]);
});
