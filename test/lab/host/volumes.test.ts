// Volumes as files: what is created, what is refused while a QEMU has it open, what counts as damaged. Real images, real locks.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { VmDisk, VolumeFormat } from '../../../lab/host';
import { copyOfEntry, digestOfVolume } from './volume-content';
import { ext4Disk, inGuest, newVolume, nextOf, openTestHost, plainDisk, ref, startVm, type TestHost } from './lab-host';

jest.setTimeout(120_000);
const MiB = 1024 * 1024;

let lab: TestHost;
beforeAll(async () => {
  lab = await openTestHost();
});
afterAll(() => lab.close());

describe('a new volume', () => {
  it.each<[VolumeFormat, boolean, boolean]>([
    ['cow', true, false],
    ['raw', true, false],
    ['raw', false, true],
  ])('%s, sparse %s: has its size and takes space only when asked to', async (format, sparse, allocated) => {
    const volume = newVolume(lab, { format, sparse, virtualBytes: 16 * MiB });
    await lab.host.createVolume(volume);
    const info = await lab.host.volumeInfo(volume);
    expect(info).toMatchObject({ virtualBytes: 16 * MiB, format });
    expect(info.actualBytes >= 16 * MiB).toBe(allocated);
    expect(info.backingVolumeId).toBeUndefined();
  });

  it('names the volume below it relatively, so that the domain can be moved', async () => {
    const base = newVolume(lab);
    await lab.host.createVolume(base);
    const upper = newVolume(lab, { diskId: base.diskId, backing: { volumeId: base.volumeId, format: 'cow' } });
    await lab.host.createVolume(upper);
    expect((await lab.host.volumeInfo(upper)).backingVolumeId).toBe(base.volumeId);
    const header = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', lab.host.volumePath(upper)], { encoding: 'utf8' })) as Record<string, string>;
    expect(header['backing-filename']).toBe(base.volumeId);
  });

  it('is refused over an existing one, without its domain, on a missing volume and under a name that is no id', async () => {
    const volume = newVolume(lab);
    await lab.host.createVolume(volume);
    await expect(lab.host.createVolume(volume)).rejects.toMatchObject({ code: 'volume-in-use' });
    await expect(lab.host.createVolume(newVolume(lab, { domainId: randomUUID() }))).rejects.toMatchObject({ code: 'no-such-volume' });
    await expect(lab.host.createVolume(newVolume(lab, { backing: { volumeId: randomUUID(), format: 'cow' } }))).rejects.toMatchObject({ code: 'no-such-volume' });
    await expect(lab.host.createVolume(newVolume(lab, { volumeId: '../../escape' }))).rejects.toMatchObject({ code: 'no-such-volume' });
    const tooLarge = newVolume(lab, { format: 'raw', sparse: false, virtualBytes: 2 ** 50 });
    await expect(lab.host.createVolume(tooLarge)).rejects.toMatchObject({ code: 'no-space' });
    await expect(lab.host.volumeInfo(tooLarge)).rejects.toMatchObject({ code: 'no-such-volume' });
  });

  it('goes again, also when it is gone already', async () => {
    const volume = newVolume(lab);
    await lab.host.createVolume(volume);
    await lab.host.removeVolume(volume);
    await lab.host.removeVolume(volume);
    await expect(lab.host.volumeInfo(volume)).rejects.toMatchObject({ code: 'no-such-volume' });
    await lab.host.removeDisk(volume.domainId, volume.diskId);
    await lab.host.removeDisk(volume.domainId, volume.diskId);
  });

  it('counts in the domain it lies in', async () => {
    const { availableBytes, usedBytes } = await lab.host.domainSpace(lab.domainId);
    expect(availableBytes).toBeGreaterThan(0);
    expect(usedBytes).toBeGreaterThan(0);
    await expect(lab.host.domainSpace(randomUUID())).rejects.toMatchObject({ code: 'no-such-volume' });
  });
});

describe.each<[VolumeFormat]>([['cow'], ['raw']])('a %s volume that a VM writes to', (format) => {
  it('cannot be removed, nor plugged into another VM, neither as it is nor as a snapshot', async () => {
    const disk = await ext4Disk(lab, {}, { format });
    const [owner, other] = [await startVm(lab, 'owner', [disk]), await startVm(lab, 'other', [])];
    await expect(lab.host.removeVolume(disk.top)).rejects.toMatchObject({ code: 'volume-in-use' });
    await expect(lab.host.removeDisk(lab.domainId, disk.diskId)).rejects.toMatchObject({ code: 'volume-in-use' });
    await expect(lab.host.plugDisk(other, disk)).rejects.toMatchObject({ code: 'volume-in-use' });
    await expect(lab.host.plugDisk(other, { ...disk, transient: true })).rejects.toMatchObject({ code: 'volume-in-use' });
    expect(await fs.readdir(lab.host.devicesDirectory(other))).toEqual([]);
    expect(await fs.readdir(path.join(lab.stateDir, 'vms', other, 'overlays'))).toEqual([]);

    const step = nextOf(disk);
    await lab.host.snapshot(owner, [step]);
    await lab.host.plugDisk(other, { ...disk, transient: true });
    await expect(lab.host.removeVolume(step.current)).rejects.toMatchObject({ code: 'volume-in-use' });
    await lab.host.unplugDisk(other, disk.diskId);
    await lab.host.unplugDisk(other, disk.diskId); // absent is fine
    await lab.host.stopVm(owner);
    await lab.host.stopVm(other);
    await lab.host.removeDisk(lab.domainId, disk.diskId);
  });

  it('takes what is written through its by-id entry, and the guest of another VM finds it there', async () => {
    const source = await ext4Disk(lab, { restored: 'from outside' }, { format: 'raw' });
    const target: VmDisk = plainDisk(newVolume(lab, { format }));
    await lab.host.createVolume({ ...target.top, format, virtualBytes: 64 * MiB, sparse: true });
    const appliance = await startVm(lab, 'appliance', []);
    await lab.host.plugDisk(appliance, target);
    const entry = path.join(lab.host.devicesDirectory(appliance), `scsi-0QEMU_QEMU_HARDDISK_${target.diskId}`);
    const { kind } = await copyOfEntry(entry, target.diskId);
    if (kind === 'file') execFileSync('dd', [`if=${lab.host.volumePath(source.top)}`, `of=${entry}`, 'bs=1M', 'conv=notrunc,fsync'], { stdio: 'ignore', timeout: 30_000 });
    else execFileSync('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', lab.host.volumePath(source.top), `nbd+unix:///${target.diskId}?socket=${await fs.realpath(entry)}`]);
    expect((await copyOfEntry(entry, target.diskId)).digest).toBe(await digestOfVolume(lab, source.top));
    await lab.host.unplugDisk(appliance, target.diskId);
    expect(await digestOfVolume(lab, target.top)).toBe(await digestOfVolume(lab, source.top));
    const restored = await startVm(lab, 'restored', [target]);
    expect(await inGuest(lab, restored, 'cat /data/0/restored')).toBe('from outside');
    await lab.host.stopVm(appliance);
    await lab.host.stopVm(restored);
  });
});

describe('damaged volumes', () => {
  it('are those whose file, or one below it, is missing or no image any more, and none else', async () => {
    const base = newVolume(lab);
    await lab.host.createVolume(base);
    const upper = newVolume(lab, { diskId: base.diskId, backing: { volumeId: base.volumeId, format: 'cow' } });
    await lab.host.createVolume(upper);
    const raw = newVolume(lab, { format: 'raw' });
    await lab.host.createVolume(raw);
    const all = [ref(base), ref(upper), ref(raw)];
    expect(await lab.host.damagedVolumes(all)).toEqual([]);

    await fs.rename(lab.host.volumePath(base), `${lab.host.volumePath(base)}.away`);
    expect(await lab.host.damagedVolumes(all)).toEqual([ref(base), ref(upper)]);
    await fs.rename(`${lab.host.volumePath(base)}.away`, lab.host.volumePath(base));
    expect(await lab.host.damagedVolumes(all)).toEqual([]);

    await fs.writeFile(lab.host.volumePath(upper), Buffer.alloc(MiB, 0x55));
    expect(await lab.host.damagedVolumes(all)).toEqual([ref(upper)]);
  });

  it('are found under a running VM too', async () => {
    const disk = await ext4Disk(lab);
    const vmId = await startVm(lab, 'holed', [disk]);
    const step = nextOf(disk);
    await lab.host.snapshot(vmId, [step]);
    expect(await lab.host.damagedVolumes([step.current, step.next])).toEqual([]);
    await fs.rm(lab.host.volumePath(step.current));
    expect(await lab.host.damagedVolumes([step.current, step.next])).toEqual([step.current, step.next]);
    await lab.host.stopVm(vmId);
  });
});
