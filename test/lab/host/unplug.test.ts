// Unplugging from guests that are not at their best: one that has the disk mounted, one that cannot answer, one that was frozen by a lab
// that died.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { QmpClient } from '../../../lab/host/qmp-client';
import type { VmDisk } from '../../../lab/host';
import { ext4Disk, inGuest, openTestHost, startVm, untilStatus, type TestHost } from './lab-host';

jest.setTimeout(120_000);

let lab: TestHost;
beforeAll(async () => {
  lab = await openTestHost();
});
afterAll(() => lab.close());

const observe = async (vmId: string): Promise<QmpClient> => {
  const { observe: socket } = JSON.parse(await fs.readFile(path.join(lab.stateDir, 'vms', vmId, 'sockets.json'), 'utf8')) as { observe: string };
  return QmpClient.connect(socket, { timeoutMs: 5_000 });
};

it.each(['virtio_scsi', 'virtio'] as const)('a mounted %s disk is unmounted first and is clean afterwards', async (bus) => {
  const disk: VmDisk = { ...(await ext4Disk(lab)), bus };
  const vmId = await startVm(lab, 'mounted', [disk]);
  await inGuest(lab, vmId, 'echo dirty > /data/0/file');
  await lab.host.unplugDisk(vmId, disk.diskId);
  expect(await inGuest(lab, vmId, 'grep -c /data/ /proc/mounts || ls /sys/block | grep -E "^(sd|vd)" || echo none')).toBe('0\nnone');
  const image = path.join(lab.stateDir, 'check.raw');
  execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', lab.host.volumePath(disk.top), image]);
  execFileSync('e2fsck', ['-fn', image], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` } });
  await lab.host.plugDisk(vmId, disk);
  expect(await inGuest(lab, vmId, `mount $(disk-by-serial ${disk.diskId}) /mnt && cat /mnt/file`)).toBe('dirty');
  await lab.host.stopVm(vmId);
});

it('a guest that cannot let go is reported as busy, keeps its disk and its by-id entry, and lets go later', async () => {
  const disk: VmDisk = { ...(await ext4Disk(lab)), bus: 'virtio' };
  const vmId = await startVm(lab, 'busy', []);
  await lab.host.plugDisk(vmId, disk);
  await inGuest(lab, vmId, `disk-by-serial ${disk.diskId}`);
  const observer = await observe(vmId);
  await observer.execute('stop');
  await untilStatus(lab, vmId, 'paused');
  await expect(lab.host.unplugDisk(vmId, disk.diskId)).rejects.toMatchObject({ code: 'device-busy' });
  expect(await fs.readdir(lab.host.devicesDirectory(vmId))).toHaveLength(1);
  await observer.execute('cont');
  await lab.host.unplugDisk(vmId, disk.diskId);
  expect(await observer.execute('query-block-exports')).toEqual([]);
  expect(await observer.execute('query-named-block-nodes', { flat: true })).toEqual([]);
  observer.close();
  await lab.host.removeDisk(lab.domainId, disk.diskId);
  await lab.host.stopVm(vmId);
});

it('a guest that a dying lab left frozen and held still is let go by the next one', async () => {
  const vmId = await startVm(lab, 'left frozen', [await ext4Disk(lab)]);
  await lab.host.freeze(vmId);
  await fs.writeFile(path.join(lab.stateDir, 'vms', vmId, 'frozen-by-host'), '{}'); // as during a snapshot
  await fs.writeFile(path.join(lab.stateDir, 'vms', vmId, 'held-by-host'), '{}'); // as while a merge changes over
  const observer = await observe(vmId);
  await lab.host.close({ stopVms: false });
  await observer.execute('stop');
  observer.close();
  lab = await lab.reopen();
  await untilStatus(lab, vmId, 'up');
  expect(await inGuest(lab, vmId, 'echo thawed > /data/0/thawed && sync && cat /data/0/thawed')).toBe('thawed');
  await lab.host.stopVm(vmId);
});
