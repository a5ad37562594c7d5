// A VM's life on the host: start, commands in the guest, shutdown by the guest, pulled plug, sudden death, a lab that goes and comes.
import fs from 'node:fs/promises';
import path from 'node:path';
import { QmpClient } from '../../../lab/host/qmp-client';
import { mountsBelow } from '../../../lab/host/run-directory';
import { ext4Disk, inGuest, newVolume, nextOf, openTestHost, plainDisk, startVm, untilStatus, type TestHost } from './lab-host';

jest.setTimeout(120_000);

describe('a VM', () => {
  let lab: TestHost;
  beforeAll(async () => {
    lab = await openTestHost();
  });
  afterAll(() => lab.close());

  const statePath = (vmId: string, name: string): string => path.join(lab.stateDir, 'vms', vmId, name);
  const sockets = async (vmId: string): Promise<Record<string, string>> => JSON.parse(await fs.readFile(statePath(vmId, 'sockets.json'), 'utf8')) as Record<string, string>;
  const pidOf = async (vmId: string): Promise<number> => (JSON.parse(await fs.readFile(statePath(vmId, 'pid.json'), 'utf8')) as { pid: number }).pid;
  const eventsOf = (vmId: string, test = lab): unknown[] => test.events.filter((event) => event.vmId === vmId);

  it('starts with its file systems mounted in disk order, runs scripts and shuts down from inside', async () => {
    const disks = [await ext4Disk(lab, { name: 'first' }), { ...(await ext4Disk(lab, { name: 'second' })), bus: 'virtio' as const }];
    const vmId = await startVm(lab, 'demo', disks);
    expect(await inGuest(lab, vmId, 'cat /data/0/name /data/1/name')).toBe('firstsecond');
    expect(await lab.host.guestExec(vmId, 'echo out; echo err >&2; exit 7')).toEqual({ exitCode: 7, output: 'out\nerr\n' });
    await lab.host.shutdownVm(vmId);
    await untilStatus(lab, vmId, 'down');
    expect(eventsOf(vmId)).toEqual([
      { vmId, status: 'wait_for_launch' },
      { vmId, status: 'powering_up' },
      { vmId, status: 'up' },
      { vmId, status: 'powering_down' },
      { vmId, status: 'down', reason: 'guest shutdown' },
    ]);
  });

  it('powers down by its power button when its agent is gone, and is up without one file system', async () => {
    const vmId = await startVm(lab, 'no agent', [plainDisk(await emptyVolume())]);
    expect(await inGuest(lab, vmId, 'ls /data')).toBe('');
    await lab.host.guestExec(vmId, 'touch /run/no-agent; killall qemu-ga', 1_000).catch(() => undefined);
    const disk = plainDisk(await emptyVolume());
    await lab.host.plugDisk(vmId, disk);
    expect(await lab.host.snapshot(vmId, [nextOf(disk)])).toEqual({ frozen: false });
    await expect(lab.host.freeze(vmId)).rejects.toMatchObject({ code: 'agent-unavailable' });
    await lab.host.shutdownVm(vmId);
    await untilStatus(lab, vmId, 'down');
    expect(eventsOf(vmId).at(-1)).toEqual({ vmId, status: 'down', reason: 'guest shutdown' });
  });

  it('knows the time and shares no random numbers with another VM resumed from the same state', async () => {
    const [one, other] = await Promise.all([startVm(lab, 'one', []), startVm(lab, 'other', [])]);
    const script = 'date +%s; head -c 16 /dev/urandom | od -An -tx1';
    const [left, right] = await Promise.all([inGuest(lab, one, script), inGuest(lab, other, script)]);
    expect(Math.abs(Number(left.split('\n')[0]) - Date.now() / 1000)).toBeLessThan(15);
    expect(left.split('\n')[1]).not.toBe(right.split('\n')[1]);
    await lab.host.stopVm(one);
    await lab.host.stopVm(other);
    expect(eventsOf(one).at(-1)).toEqual({ vmId: one, status: 'down', reason: 'stopped' });
  });

  it('refuses a second start, a start on a missing volume and calls to a VM that is down; a failed start leaves nothing', async () => {
    const vmId = await startVm(lab, 'twice', []);
    await expect(lab.host.startVm({ vmId, name: 'twice', disks: [] })).rejects.toMatchObject({ code: 'already-running' });
    await lab.host.stopVm(vmId);
    await lab.host.stopVm(vmId); // idempotent
    await expect(lab.host.freeze(vmId)).rejects.toMatchObject({ code: 'vm-not-running' });
    await expect(lab.host.plugDisk(vmId, plainDisk(newVolume(lab)))).rejects.toMatchObject({ code: 'vm-not-running' });
    await expect(lab.host.startVm({ vmId, name: 'twice', disks: [plainDisk(newVolume(lab))] })).rejects.toMatchObject({ code: 'no-such-volume' });
    expect(lab.host.vmStatus(vmId)).toBe('down');
    expect(await fs.readdir(statePath(vmId, '.'))).toEqual(expect.not.arrayContaining(['pid.json', 'spec.json', 'sockets.json', 'by-id', 'overlays']));
  });

  it('freezes and thaws on request, and a script that waits for the thaw still answers', async () => {
    const disk = await ext4Disk(lab);
    const vmId = await startVm(lab, 'frozen', [disk]);
    expect(await lab.host.freeze(vmId)).toEqual({ filesystems: 1 });
    const written = inGuest(lab, vmId, 'echo late > /data/0/late && sync && cat /data/0/late');
    expect(await lab.host.thaw(vmId)).toEqual({ filesystems: 1 });
    expect(await written).toBe('late');
    // As a real host: a snapshot finds a guest that somebody else has frozen, and thaws it all the same.
    await lab.host.freeze(vmId);
    expect(await lab.host.snapshot(vmId, [nextOf(disk)])).toEqual({ frozen: true });
    expect(await inGuest(lab, vmId, 'echo later > /data/0/late && sync && cat /data/0/late')).toBe('later');
    await lab.host.stopVm(vmId);
  });

  it('can be observed from outside while the host holds it', async () => {
    const vmId = await startVm(lab, 'observed', [await ext4Disk(lab)]);
    const observer = await QmpClient.connect((await sockets(vmId))['observe'] ?? '', { timeoutMs: 5_000 });
    expect(await observer.execute('query-block-exports')).toHaveLength(1);
    expect(await observer.execute('query-jobs')).toEqual([]);
    observer.close();
    await lab.host.stopVm(vmId);
  });

  it('is paused while it is stopped, not responding while its QEMU hangs, and up again afterwards', async () => {
    const vmId = await startVm(lab, 'hung', []);
    const observer = await QmpClient.connect((await sockets(vmId))['observe'] ?? '', { timeoutMs: 5_000 });
    await observer.execute('stop');
    await untilStatus(lab, vmId, 'paused');
    await observer.execute('cont');
    await untilStatus(lab, vmId, 'up');
    observer.close();
    process.kill(await pidOf(vmId), 'SIGSTOP');
    await untilStatus(lab, vmId, 'not_responding', 40_000);
    process.kill(await pidOf(vmId), 'SIGCONT');
    await untilStatus(lab, vmId, 'up');
    process.kill(await pidOf(vmId), 'SIGSTOP');
    await lab.host.stopVm(vmId); // pulls the plug all the same
    expect(lab.host.vmStatus(vmId)).toBe('down');
  });

  it('is down, with a reason and without remains, when its QEMU is killed', async () => {
    const disk = await ext4Disk(lab);
    const vmId = await startVm(lab, 'victim', [disk]);
    const { qmp } = await sockets(vmId);
    process.kill(await pidOf(vmId), 'SIGKILL');
    await untilStatus(lab, vmId, 'down');
    expect(eventsOf(vmId).at(-1)).toEqual({ vmId, status: 'down', reason: 'lost: qemu was killed' });
    const runDirectory = path.dirname(qmp ?? '');
    expect(await mountsBelow(runDirectory)).toEqual([]);
    expect(await fs.readdir(runDirectory)).toEqual([]);
    await lab.host.startVm({ vmId, name: 'victim', disks: [disk] });
    await untilStatus(lab, vmId, 'up');
    await lab.host.stopVm(vmId);
  });

  it('lives on without the lab and is adopted by the next one, with its disks; one that died meanwhile is reported', async () => {
    const [kept, lost] = [await ext4Disk(lab, { mark: 'kept' }), await ext4Disk(lab)];
    const [survivor, victim] = [await startVm(lab, 'survivor', [kept]), await startVm(lab, 'victim', [lost])];
    const step = nextOf(kept);
    await lab.host.snapshot(survivor, [step]);
    await inGuest(lab, survivor, 'echo running > /run/mark');
    await lab.host.close({ stopVms: false });
    process.kill(await pidOf(victim), 'SIGKILL');
    // Crash of the lab between plugging and noting: a node without a device.
    const stray = await QmpClient.connect((await sockets(survivor))['qmp'] ?? '', { timeoutMs: 5_000 });
    const volume = await emptyVolume();
    await stray.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'v0stray', file: { driver: 'file', filename: lab.host.volumePath(volume) } });
    stray.close();

    const next = await lab.reopen();
    lab = next; // afterAll closes this one
    await untilStatus(next, survivor, 'up');
    expect(eventsOf(victim, next)).toEqual([{ vmId: victim, status: 'down', reason: 'lost: qemu ended while the lab was away' }]);
    expect(await inGuest(next, survivor, 'cat /run/mark /data/0/mark')).toBe('running\nkept');
    expect(await fs.readdir(next.host.devicesDirectory(survivor))).toEqual([`scsi-0QEMU_QEMU_HARDDISK_${kept.diskId}`]);
    expect(next.warnings).toEqual([]);
    await next.host.removeVolume(volume); // the stray node let go of it
    await next.host.merge(survivor, { diskId: kept.diskId, base: step.current, top: step.next, topIsActive: true });
    await next.host.unplugDisk(survivor, kept.diskId);
    await next.host.removeDisk(next.domainId, kept.diskId);
    await next.host.stopVm(survivor);
  });

  async function emptyVolume(): Promise<ReturnType<typeof newVolume>> {
    const volume = newVolume(lab);
    await lab.host.createVolume(volume);
    return volume;
  }
});
