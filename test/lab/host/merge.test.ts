// Removing snapshots: whichever volume of a chain goes, whether the VM runs or not, the disk reads the same afterwards,
// the file is gone, and the chain on disk is what a VM (or qemu-img) opens next.
import { randomUUID } from 'node:crypto';
import { QmpClient } from '../../../lab/host/qmp-client';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { MergeDisk, VmDisk, VolumeFormat, VolumeRef } from '../../../lab/host';
import { some, tellSeed } from '../../support/share';
import { ext4Disk, inGuest, nextOf, openTestHost, startVm, untilStatus, type TestHost } from './lab-host';
import { digestOfVolume } from './volume-content';

tellSeed();
jest.setTimeout(120_000);

let lab: TestHost;
beforeAll(async () => {
  lab = await openTestHost();
});
afterAll(() => lab.close());

interface Chain {
  readonly disk: VmDisk;
  /** Base first, the active one last. */
  readonly volumes: readonly VolumeRef[];
}

/** A running VM whose disk has three volumes, a file written into each. */
async function chainOfThree(vmId: string, first: VmDisk): Promise<Chain> {
  let disk = first;
  for (const step of [1, 2]) {
    await inGuest(lab, vmId, `dd if=/dev/urandom of=/data/0/file${step} bs=64k count=40 2>/dev/null; sync`);
    const next = nextOf(disk);
    await lab.host.snapshot(vmId, [next]);
    disk = { ...disk, top: next.next, format: 'cow' };
  }
  await inGuest(lab, vmId, 'dd if=/dev/urandom of=/data/0/file3 bs=64k count=40 2>/dev/null; sync');
  return { disk, volumes: await backwards(disk.top) };
}

/** The chain as the volumes' own headers tell it, base first. */
async function backwards(top: VolumeRef): Promise<VolumeRef[]> {
  const { backingVolumeId } = await lab.host.volumeInfo(top);
  return backingVolumeId === undefined ? [top] : [...(await backwards({ ...top, volumeId: backingVolumeId })), top];
}

const ids = (volumes: readonly VolumeRef[]): string[] => volumes.map(({ volumeId }) => volumeId);
const allFiles = 'cd /data/0 && sha256sum file1 file2 file3';

function removal(chain: Chain, what: 'middle' | 'active'): MergeDisk {
  const [base, middle, active] = chain.volumes;
  if (!base || !middle || !active) throw new Error('not a chain of three');
  const { diskId } = chain.disk;
  return what === 'active' ? { diskId, base: middle, top: active, topIsActive: true } : { diskId, base, top: middle, topIsActive: false };
}

describe.each<[VolumeFormat]>([['cow'], ['raw']])('a chain of three volumes on a %s base', (format) => {
  it.each(some(['middle', 'active'] as const, 1))('loses its %s volume under the running guest', async (what) => {
    const first = await ext4Disk(lab, {}, { format });
    const vmId = await startVm(lab, 'live', [first]);
    const chain = await chainOfThree(vmId, first);
    const before = await inGuest(lab, vmId, allFiles);
    const merge = removal(chain, what);
    await lab.host.merge(vmId, merge);
    await expect(lab.host.volumeInfo(merge.top)).rejects.toMatchObject({ code: 'no-such-volume' });
    expect(lab.events.filter((event) => event.vmId === vmId && event.status === 'paused')).toEqual([]);
    expect(await fs.readdir(lab.host.devicesDirectory(vmId))).toHaveLength(1);
    expect(await inGuest(lab, vmId, `echo 3 > /proc/sys/vm/drop_caches; ${allFiles}`)).toBe(before);
    expect(await nodesOf(vmId)).toEqual(ids(chain.volumes.filter(({ volumeId }) => volumeId !== merge.top.volumeId)).sort());

    const active = what === 'active' ? merge.base : chain.disk.top;
    expect(ids(await backwards(active))).toEqual(ids(chain.volumes.filter(({ volumeId }) => volumeId !== merge.top.volumeId)));
    await inGuest(lab, vmId, 'echo afterwards > /data/0/afterwards; sync');
    await lab.host.stopVm(vmId);
    await lab.host.startVm({ vmId, name: 'live', disks: [{ ...chain.disk, top: active, format: 'cow' }] });
    await untilStatus(lab, vmId, 'up');
    expect(await inGuest(lab, vmId, `cat /data/0/afterwards; ${allFiles}`)).toBe(`afterwards\n${before}`);
    await lab.host.stopVm(vmId);
  });

  it.each(some(['middle', 'active'] as const, 1))('loses its %s volume while the VM is down', async (what) => {
    const first = await ext4Disk(lab, {}, { format });
    const vmId = await startVm(lab, 'cold', [first]);
    const chain = await chainOfThree(vmId, first);
    await lab.host.stopVm(vmId);
    const merge = removal(chain, what);
    const before = await digestOfVolume(lab, chain.disk.top);
    const percents: number[] = [];
    await lab.host.merge(vmId, merge, (percent) => void percents.push(percent));
    expect(percents.at(-1)).toBe(100);
    await expect(lab.host.volumeInfo(merge.top)).rejects.toMatchObject({ code: 'no-such-volume' });
    const active = what === 'active' ? merge.base : chain.disk.top;
    expect(await digestOfVolume(lab, active)).toBe(before);
    expect(ids(await backwards(active))).toEqual(ids(chain.volumes.filter(({ volumeId }) => volumeId !== merge.top.volumeId)));
    await lab.host.merge(vmId, merge); // asked again after a restart: nothing left to do
  });
});

describe('a merge', () => {
  it('of a snapshot that is attached elsewhere is refused and changes nothing', async () => {
    const first = await ext4Disk(lab);
    const [vmId, appliance] = [await startVm(lab, 'source', [first]), await startVm(lab, 'appliance', [])];
    const step = nextOf(first);
    await lab.host.snapshot(vmId, [step]);
    await lab.host.plugDisk(appliance, { ...first, transient: true });
    const merge = { diskId: first.diskId, base: step.current, top: step.next, topIsActive: true };
    await expect(lab.host.merge(vmId, merge)).rejects.toMatchObject({ code: 'volume-in-use' });
    expect(await inGuest(lab, vmId, 'echo still > /data/0/still && sync && cat /data/0/still')).toBe('still');
    await lab.host.unplugDisk(appliance, first.diskId);
    await lab.host.merge(vmId, merge);
    await lab.host.stopVm(vmId);
    await lab.host.stopVm(appliance);
  });

  it('into a volume that is not directly below is refused, live and cold', async () => {
    const first = await ext4Disk(lab);
    const vmId = await startVm(lab, 'strangers', [first]);
    const chain = await chainOfThree(vmId, first);
    const [base, , active] = chain.volumes;
    if (!base || !active) throw new Error('not a chain of three');
    const wrong = { diskId: first.diskId, base, top: active, topIsActive: true };
    await expect(lab.host.merge(vmId, wrong)).rejects.toMatchObject({ code: 'job-failed' });
    await expect(lab.host.merge(vmId, { ...removal(chain, 'middle'), topIsActive: true })).rejects.toMatchObject({ code: 'job-failed' });
    await lab.host.stopVm(vmId);
    await expect(lab.host.merge(vmId, wrong)).rejects.toMatchObject({ code: 'job-failed' });
    expect(ids(await backwards(chain.disk.top))).toEqual(ids(chain.volumes));
  });

  it('that the lab lost sight of is finished when it is asked for again', async () => {
    const first = await ext4Disk(lab);
    const vmId = await startVm(lab, 'resumed', [first]);
    const step = nextOf(first);
    await lab.host.snapshot(vmId, [step]);
    await inGuest(lab, vmId, 'dd if=/dev/urandom of=/data/0/file bs=64k count=40 2>/dev/null; sync');
    const before = await inGuest(lab, vmId, 'sha256sum /data/0/file');
    const merge = { diskId: first.diskId, base: step.current, top: step.next, topIsActive: true };
    const begun = lab.host.merge(vmId, merge).catch(() => 'lost sight');
    await untilJobRuns(vmId, merge);
    await lab.host.close({ stopVms: false });
    await begun;
    lab = await lab.reopen();
    await untilStatus(lab, vmId, 'up');
    await lab.host.merge(vmId, merge);
    await expect(lab.host.volumeInfo(step.next)).rejects.toMatchObject({ code: 'no-such-volume' });
    expect(await fs.readdir(lab.host.devicesDirectory(vmId))).toHaveLength(1);
    expect(await inGuest(lab, vmId, 'echo 3 > /proc/sys/vm/drop_caches; sha256sum /data/0/file')).toBe(before);
    await lab.host.stopVm(vmId);
  });

  it('is all or nothing for a snapshot of several disks', async () => {
    const [good, bad] = [await ext4Disk(lab), await ext4Disk(lab)];
    const vmId = await startVm(lab, 'atomic', [good, bad]);
    const [fine, broken] = [nextOf(good), nextOf(bad)];
    await lab.host.createVolume({ ...broken.next, format: 'cow', virtualBytes: 1 << 20, sparse: true }); // the id is taken
    await expect(lab.host.snapshot(vmId, [fine, broken])).rejects.toMatchObject({ code: 'volume-in-use' });
    await expect(lab.host.volumeInfo(fine.next)).rejects.toMatchObject({ code: 'no-such-volume' });
    expect(await inGuest(lab, vmId, 'echo on > /data/0/on && echo on > /data/1/on && sync && cat /data/1/on')).toBe('on');
    await lab.host.stopVm(vmId);
    const cold = randomUUID();
    await expect(lab.host.snapshot(cold, [nextOf(good), broken])).rejects.toMatchObject({ code: 'volume-in-use' });
    expect((await fs.readdir(path.dirname(lab.host.volumePath(good.top)))).sort()).toEqual([good.top.volumeId, `${good.top.volumeId}.meta`].sort());
  });
});

async function observe(vmId: string): Promise<QmpClient> {
  const { observe: socket } = JSON.parse(await fs.readFile(path.join(lab.stateDir, 'vms', vmId, 'sockets.json'), 'utf8')) as { observe: string };
  return QmpClient.connect(socket, { timeoutMs: 5_000 });
}

/** The volumes that QEMU itself has open, seen from outside. */
async function nodesOf(vmId: string): Promise<string[]> {
  const observer = await observe(vmId);
  const nodes = (await observer.execute('query-named-block-nodes', { flat: true })) as { drv: string; file: string }[];
  observer.close();
  return nodes.filter(({ drv }) => drv === 'file').map(({ file }) => path.basename(file)).sort();
}

async function untilJobRuns(vmId: string, merge: MergeDisk): Promise<void> {
  const observer = await observe(vmId);
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const jobs = (await observer.execute('query-jobs')) as { id: string }[];
    if (jobs.some(({ id }) => id.includes(merge.top.volumeId))) break;
  }
  observer.close();
}
