// The heart of an appliance backup on the host's side: snapshot a VM whose guest keeps writing, attach the snapshot's volume to a
// second VM, read it by id from outside the guest, detach it, merge. Once over FUSE, once over NBD sockets.
import fs from 'node:fs/promises';
import path from 'node:path';
import { ext4Disk, inGuest, nextOf, openTestHost, startVm, type TestHost } from './lab-host';
import { copyOfEntry, digestOfVolume } from './volume-content';
import type { VmDisk } from '../../../lab/host';

jest.setTimeout(180_000);

/** FUSE is there when this user may open /dev/fuse (libfuse 3 does so itself) and mount: as root, or through the setuid helper. */
async function fuseIsHere(): Promise<boolean> {
  const opens = await fs.access('/dev/fuse', fs.constants.R_OK | fs.constants.W_OK).then(
    () => true,
    () => false,
  );
  const helper = await fs.stat('/usr/bin/fusermount3').catch(() => undefined);
  return opens && (process.getuid?.() === 0 || ((helper?.mode ?? 0) & 0o4000) !== 0);
}

describe.each(['auto', 'off'] as const)('a snapshot attached to a second VM (fuse: %s)', (fuse) => {
  let lab: TestHost;
  let demo: string;
  let appliance: string;
  let disks: readonly VmDisk[];

  let expectedKind: 'file' | 'socket';

  beforeAll(async () => {
    expectedKind = fuse === 'auto' && (await fuseIsHere()) ? 'file' : 'socket';
    lab = await openTestHost({ fuse });
    disks = [await ext4Disk(lab, { before: 'the old days' }), await ext4Disk(lab, { before: 'second disk' }, { format: 'raw' })];
    demo = await startVm(lab, 'demo', disks);
    appliance = await startVm(lab, 'appliance', []);
  });
  afterAll(() => lab.close());

  it('shows the snapshot, hides what the appliance writes, and merges back under the running guest', async () => {
    await inGuest(lab, demo, '(i=0; while [ ! -e /run/stop ]; do i=$((i+1)); echo $i > /data/0/counter; echo $i > /data/1/counter; sync; done) >/dev/null 2>&1 &');
    const steps = disks.map(nextOf);
    const outcome = await lab.host.snapshot(demo, steps);
    expect(outcome.frozen).toBe(true);
    expect(await inGuest(lab, demo, 'cat /run/fsfreeze-hook.log')).toMatch(/freeze\n\d+ thaw$/);
    await inGuest(lab, demo, 'echo new > /data/0/after; echo new > /data/1/after; sync');

    for (const [index, disk] of disks.entries()) {
      const snapshotDisk: VmDisk = { ...disk, transient: true, bus: index === 0 ? 'virtio_scsi' : 'virtio' };
      await lab.host.plugDisk(appliance, snapshotDisk);
      const [entry, ...others] = await fs.readdir(lab.host.devicesDirectory(appliance));
      expect(others).toEqual([]);
      expect(entry).toBe(index === 0 ? `scsi-0QEMU_QEMU_HARDDISK_${disk.diskId}` : `virtio-${disk.diskId.slice(0, 20)}`);
      const entryPath = path.join(lab.host.devicesDirectory(appliance), entry ?? '');
      const before = await copyOfEntry(entryPath, disk.diskId);
      expect(before.kind).toBe(expectedKind);

      const device = await inGuest(lab, appliance, `disk-by-serial ${disk.diskId}`);
      expect(await inGuest(lab, appliance, `mount -t ext4 ${device} /mnt && cat /mnt/before && ls /mnt && echo spoiled > /mnt/before && umount /mnt`)).not.toContain('after');
      await inGuest(lab, appliance, `dd if=/dev/urandom of=${device} bs=1M count=4 conv=fsync 2>/dev/null`);
      expect(await copyOfEntry(entryPath, disk.diskId)).toEqual(before);
      expect(before.digest).toBe(await digestOfVolume(lab, disk.top));

      await lab.host.unplugDisk(appliance, disk.diskId);
      expect(await fs.readdir(lab.host.devicesDirectory(appliance))).toEqual([]);
      expect(await fs.readdir(path.join(lab.stateDir, 'vms', appliance, 'overlays'))).toEqual([]);
    }

    const percents: number[] = [];
    await Promise.all(
      steps.map(({ diskId, current, next }) => lab.host.merge(demo, { diskId, base: current, top: next, topIsActive: true }, (percent) => void percents.push(percent))),
    );
    expect(percents).toContain(100);
    expect(await inGuest(lab, demo, 'touch /run/stop; cat /data/0/before /data/0/after /data/1/after; test -s /data/0/counter && echo counted')).toBe('the old daysnew\nnew\ncounted');
    for (const { next } of steps) await expect(lab.host.volumeInfo(next)).rejects.toMatchObject({ code: 'no-such-volume' });
  });
});
