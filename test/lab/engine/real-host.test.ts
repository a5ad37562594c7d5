// One walk over the real host: what the engine says is true of QEMU, of the guests and of the files.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { childText, parseXml, type XmlNode } from '../../../lab/engine/xml';
import { attachment, newSnapshot, send } from './lab-client';
import { realLabDeadlineMs, startRealLab, until, type RealLab } from './real-lab';

let lab: RealLab;
let authorization: string;
beforeAll(async () => {
  lab = await startRealLab();
  const [admin] = lab.engine.accounts;
  authorization = `Basic ${Buffer.from(`${admin?.userName ?? ''}:${admin?.password ?? ''}`).toString('base64')}`;
}, realLabDeadlineMs);
afterAll(async () => {
  await lab.remove();
});

async function api(method: string, path: string, body?: string): Promise<{ status: number; node: XmlNode }> {
  const reply = await send(method, `${lab.engine.url}${path}`, lab.engine.caFile, {
    ...(body === undefined ? {} : { body }),
    headers: { Authorization: authorization, 'Content-Type': 'application/xml' },
  });
  return { status: reply.status, node: reply.text === '' ? { name: '', attributes: {}, children: [], text: '' } : parseXml(reply.text) };
}

async function vmId(name: string): Promise<string> {
  const { node } = await api('GET', `/vms?search=name%3D${name}`);
  return node.children[0]?.attributes['id'] ?? '';
}

async function inGuest(id: string, script: string): Promise<string> {
  const { exitCode, output } = await lab.host.guestExec(id, script);
  if (exitCode !== 0) throw new Error(`${script}: ${output}`);
  return output.trim();
}

test(
  'a snapshot of the running demo reaches the running appliance as it was, and merges away; a deleted file makes its disk illegal',
  async () => {
    const [demo, appliance] = [await vmId('demo'), await vmId('appliance')];
    await until('both guests', async () =>
      (await Promise.all([demo, appliance].map((id) => api('GET', `/vms/${id}`)))).every(({ node }) => childText(node, 'status') === 'up'),
    );
    expect(Number(await inGuest(demo, 'du -sm /data/0 | cut -f1'))).toBeGreaterThan(150);
    await inGuest(demo, 'echo before > /data/0/marker && sync');

    const created = await api('POST', `/vms/${demo}/snapshots`, newSnapshot('real'));
    const snapshotId = created.node.attributes['id'] ?? '';
    const snapshotStatus = async (): Promise<string | undefined> =>
      childText((await api('GET', `/vms/${demo}/snapshots/${snapshotId}`)).node, 'snapshot_status');
    await until('the snapshot', async () => (await snapshotStatus()) === 'ok');
    await inGuest(demo, 'echo after > /data/0/marker && sync');

    const disks = (await api('GET', `/vms/${demo}/snapshots/${snapshotId}/disks`)).node.children;
    const boot = disks.find((disk) => childText(disk, 'alias') === 'demo_Disk1');
    const diskId = boot?.attributes['id'] ?? '';
    expect(disks.map((disk) => [childText(disk, 'format'), childText(disk, 'status')]).sort()).toEqual([
      ['cow', 'ok'],
      ['raw', 'ok'],
    ]);
    expect((await api('POST', `/vms/${appliance}/diskattachments`, attachment(diskId, '<active>true</active>', snapshotId))).status).toBe(
      201,
    );
    const devices = lab.host.devicesDirectory(appliance);
    expect(readdirSync(devices)).toEqual([`scsi-0QEMU_QEMU_HARDDISK_${diskId}`]);
    expect(
      await inGuest(
        appliance,
        'mkdir -p /tmp/look && sleep 1 && mount -o ro,noload /dev/sda /tmp/look && cat /tmp/look/marker && umount /tmp/look',
      ),
    ).toBe('before');

    expect((await api('DELETE', `/vms/${demo}/snapshots/${snapshotId}`)).status).toBe(409);
    expect((await api('DELETE', `/vms/${appliance}/diskattachments/${diskId}`)).status).toBe(200);
    expect(readdirSync(devices)).toEqual([]);
    expect((await api('DELETE', `/vms/${demo}/snapshots/${snapshotId}`)).status).toBe(200);
    await until('the merge', async () => (await api('GET', `/vms/${demo}/snapshots/${snapshotId}`)).status === 404);
    expect(await inGuest(demo, 'cat /data/0/marker')).toBe('after');

    expect((await api('POST', `/vms/${demo}/stop`, '<action/>')).status).toBe(200);
    const [image] = lab.engine.context.store.tables.images.where((candidate) => candidate.diskId === diskId);
    const file = lab.host.volumePath({ domainId: image?.domainId ?? '', diskId, volumeId: image?.id ?? '' });
    expect(existsSync(file)).toBe(true);
    rmSync(file);
    await until('the disk to be illegal', async () => childText((await api('GET', `/disks/${diskId}`)).node, 'status') === 'illegal');
    expect((await api('POST', `/vms/${demo}/start`, '<action/>')).status).toBe(500);
  },
  realLabDeadlineMs,
);
