// Backups of a running VM and what change tracking goes through between them: snapshots, their removal, deleted checkpoints, a lab that is killed, a
// QEMU that is killed. Each incremental, laid on the one before it, is what a second reader of the same moment saw.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { HostError, type BackupDisk, type MergeDisk, type VmDisk } from '../../../lab/host';
import { tellSeed } from '../../support/share';
import { sometimes } from '../../support/sometimes';
import { begin, download, end, expectEqual, exportOf, openBackupLab, ownBytes, reference, scratchFor, type BackupLab } from './backup-lab';
import { ext4Disk, inGuest, nextOf, startVm, untilStatus } from './lab-host';

tellSeed();
jest.setTimeout(180_000);

const MiB = 1024 * 1024;
let backups: BackupLab;
beforeAll(async () => {
  backups = await openBackupLab();
});
afterAll(() => backups.close());

const write = (vmId: string, name: string, mebibytes = 1): Promise<string> => inGuest(backups.lab, vmId, `dd if=/dev/urandom of=/data/0/${name} bs=64k count=${mebibytes * 16} conv=notrunc 2>/dev/null; sync`);

/** One disk's chain of downloads. */
class Chain {
  last: string | undefined;

  constructor(
    readonly vmId: string,
    public disk: VmDisk,
  ) {}

  /** A backup while the guest goes on writing; what came through the daemon must be that moment. Returns the bytes it brought. */
  async backup(checkpointId: string, since?: readonly string[]): Promise<number> {
    const { vmId, disk } = this;
    const begun = await begin(backups, vmId, [disk], checkpointId, since);
    expect(begun.started.frozen).toBe(true);
    const served = exportOf(begun.started, disk);
    try {
      await write(vmId, 'meanwhile');
      const [moment, file] = [await reference(backups, served), await download(backups, served, since && this.last)];
      await expectEqual(file, moment);
      await fs.rm(moment);
      this.last = file;
      return await ownBytes(file);
    } finally {
      await end(backups, vmId, begun);
    }
  }

  /** Returns how to remove it again. */
  async snapshot(toCheckpointId?: string): Promise<MergeDisk> {
    const step = nextOf(this.disk);
    await backups.lab.host.snapshot(this.vmId, [{ ...step, ...(toCheckpointId !== undefined && { toCheckpointId }) }]);
    this.disk = { ...this.disk, top: step.next, format: 'cow' };
    return { diskId: this.disk.diskId, base: step.current, top: step.next, topIsActive: true };
  }

  async merge(merge: MergeDisk): Promise<void> {
    await backups.lab.host.merge(this.vmId, merge);
    if (merge.topIsActive) this.disk = { ...this.disk, top: merge.base };
  }

  bitmaps(): Promise<readonly string[]> {
    return backups.lab.host.backups.bitmaps(this.vmId, this.disk.top).then((found) => found.map(({ name }) => name).sort());
  }
}

const ids = (count: number): string[] => Array.from({ length: count }, () => randomUUID());

sometimes('are incremental over checkpoints, snapshots and their removal, live and cold', async () => {
  const first = await ext4Disk(backups.lab, { old: Buffer.alloc(8 * MiB, 'old') });
  const chain = new Chain(await startVm(backups.lab, 'chain', [first]), first);
  const { vmId } = chain;
  const [cp1, cp2, cp3, cp4, cp5, cp6] = ids(6) as [string, string, string, string, string, string];
  expect(await chain.backup(cp1)).toBeGreaterThan(8 * MiB);

  await write(vmId, 'one', 2);
  expect(await chain.backup(cp2, [cp1])).toBeLessThan(8 * MiB);

  // Under a snapshot the writes go to an overlay.
  await write(vmId, 'two');
  const snapshot = await chain.snapshot();
  await write(vmId, 'three');
  await chain.backup(cp3, [cp2]);
  await write(vmId, 'four');
  await chain.merge(snapshot);
  await write(vmId, 'five');
  expect(await chain.backup(cp4, [cp3])).toBeLessThan(8 * MiB);
  expect(await chain.bitmaps()).toEqual([cp1, cp2, cp3, cp4].sort());

  // A checkpoint that goes takes nothing from the others; one in a middle layer, begun there, is carried down too.
  await backups.lab.host.backups.removeBitmap(vmId, chain.disk.top, cp3);
  const [lower, upper] = [await chain.snapshot(), await chain.snapshot(cp5)];
  await write(vmId, 'six');
  await chain.merge({ ...lower, topIsActive: false });
  await write(vmId, 'seven');
  await chain.backup(cp6, [cp4]);
  await chain.merge({ ...upper, base: lower.base });
  expect(await chain.bitmaps()).toEqual([cp1, cp2, cp4, cp5, cp6].sort());

  await write(vmId, 'eight');
  await backups.lab.host.stopVm(vmId);
  await coldRounds(chain, cp6, first);
});

/** VM down: bitmaps and exports by the files alone, with a snapshot and its removal in between. */
async function coldRounds(chain: Chain, since: string, first: VmDisk): Promise<void> {
  const { host } = backups.lab;
  const [cp1, cp2] = ids(2) as [string, string];
  const round = async (checkpointId: string, from: string): Promise<void> => {
    await host.backups.addBitmaps([{ disk: chain.disk, toCheckpointId: checkpointId, changedSince: [from] }]);
    const transferId = randomUUID();
    const served = await host.backups.exportVolume({ transferId, volume: chain.disk.top, writable: false, shallow: false, asFile: false, changedSince: [from] });
    expect(await host.backups.exportVolume({ transferId, volume: chain.disk.top, writable: false, shallow: false, asFile: false, changedSince: [from] })).toEqual(served);
    const [moment, file] = [await reference(backups, served), await download(backups, served, chain.last)];
    await host.backups.endExport(transferId);
    await expectEqual(file, moment);
    chain.last = file;
  };
  const offline = (offset: string): void => void execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -q -P 7 ${offset} 1M`, host.volumePath(chain.disk.top)]);
  await round(cp1, since);
  offline('40M');
  const snapshot = await chain.snapshot();
  offline('42M');
  await chain.merge(snapshot);
  offline('44M');
  expect(chain.disk.top).toEqual(first.top);
  await round(cp2, cp1);
  expect(await ownBytes(chain.last ?? '')).toBeLessThan(5 * MiB);
  execFileSync('qemu-img', ['check', '-q', host.volumePath(chain.disk.top)]);
  await host.backups.removeBitmap(chain.vmId, chain.disk.top, cp1);
  expect(await chain.bitmaps()).not.toContain(cp1);
  expect(await chain.bitmaps()).toContain(cp2);
}

sometimes('of several disks are one moment; hybrid: the snapshot is served, and its checkpoint begins with it', async () => {
  const [left, right, raw] = [await ext4Disk(backups.lab), await ext4Disk(backups.lab), await ext4Disk(backups.lab, {}, { format: 'raw' })];
  const vmId = await startVm(backups.lab, 'several', [left, right, raw]);
  const { host } = backups.lab;
  // The right disk is never ahead of the left one, in no moment that both are shown in.
  const script = 'n=0; while [ ! -e /run/stop ]; do n=$((n+1)); printf %016d $n > /data/0/n; sync /data/0; printf %016d $n > /data/1/n; sync /data/1; done';
  await inGuest(backups.lab, vmId, `(${script}) >/dev/null 2>&1 &`);
  const [cp1, cp2] = ids(2) as [string, string];
  const begun = await begin(backups, vmId, [left, right, raw], cp1);
  const seen: number[] = [];
  for (const disk of [left, right]) {
    const moment = await reference(backups, exportOf(begun.started, disk));
    seen.push(Number(execFileSync('debugfs', ['-R', 'cat n', moment], { stdio: ['ignore', 'pipe', 'ignore'] }).toString()));
  }
  expect(seen[0]).toBeGreaterThanOrEqual(seen[1] ?? Infinity);
  expect((seen[0] ?? 0) - (seen[1] ?? 0)).toBeLessThanOrEqual(1);
  expect(exportOf(begun.started, raw)).toMatchObject({ dirty: false, sizeBytes: 64 * MiB });
  expect(await host.backups.bitmaps(vmId, raw.top)).toEqual([]);
  await expect(host.unplugDisk(vmId, left.diskId)).rejects.toMatchObject({ code: 'device-busy' });
  await inGuest(backups.lab, vmId, 'touch /run/stop; sleep 0.2; sync');
  const full = await download(backups, exportOf(begun.started, left));
  await end(backups, vmId, begun);

  await write(vmId, 'before');
  const step = nextOf(left);
  await host.snapshot(vmId, [{ ...step, toCheckpointId: cp2 }]);
  await write(vmId, 'after', 4);
  const transferId = randomUUID();
  const served = await host.backups.exportVolume({ transferId, volume: left.top, writable: false, shallow: false, asFile: false, changedSince: [cp1] });
  const [moment, file] = [await reference(backups, served), await download(backups, served, full)];
  await expectEqual(file, moment);
  expect(execFileSync('debugfs', ['-R', 'ls', moment], { stdio: ['ignore', 'pipe', 'ignore'] }).toString()).toMatch(/before/);
  await expect(host.merge(vmId, { diskId: left.diskId, base: step.current, top: step.next, topIsActive: true })).rejects.toMatchObject({ code: 'volume-in-use' });
  await host.backups.endExport(transferId);
  await host.merge(vmId, { diskId: left.diskId, base: step.current, top: step.next, topIsActive: true });
  const next = new Chain(vmId, left);
  next.last = file;
  expect(await next.backup(randomUUID(), [cp2])).toBeLessThan(8 * MiB);
  await host.stopVm(vmId);
});

sometimes('are found again by the next lab, and end cleanly', async () => {
  const disk = await ext4Disk(backups.lab);
  const vmId = await startVm(backups.lab, 'adopted', [disk]);
  const cp1 = randomUUID();
  const begun = await begin(backups, vmId, [disk], cp1);
  const moment = await reference(backups, exportOf(begun.started, disk));
  await backups.reopen();
  await untilStatus(backups.lab, vmId, 'up');
  const { host } = backups.lab;
  expect(await host.backups.findLiveBackup(vmId, begun.backupId)).toEqual(begun.started);
  expect(await host.backups.findLiveBackup(vmId, randomUUID())).toBeUndefined();
  await write(vmId, 'meanwhile', 2);
  await expectEqual(await download(backups, exportOf(begun.started, disk)), moment);
  await host.backups.stopLiveBackup(vmId, begun.backupId, { dropCheckpoint: true });
  await host.backups.stopLiveBackup(vmId, begun.backupId, { dropCheckpoint: true });
  expect(await host.backups.findLiveBackup(vmId, begun.backupId)).toBeUndefined();
  expect(await host.backups.bitmaps(vmId, disk.top)).toEqual([]);
  for (const volume of begun.scratch) await host.removeVolume(volume);
  await host.unplugDisk(vmId, disk.diskId);
  await host.stopVm(vmId);
});

it('refuse what cannot be told, before anything is touched', async () => {
  const disk = await ext4Disk(backups.lab);
  const vmId = await startVm(backups.lab, 'lost', [disk]);
  const { host } = backups.lab;
  const chain = new Chain(vmId, disk);
  const cp1 = randomUUID();
  await chain.backup(cp1);
  const refusal = async (since: string): Promise<unknown> => begin(backups, vmId, [disk], randomUUID(), [since]).catch((error: unknown) => (error instanceof HostError ? error.code : error));
  expect(await refusal(randomUUID())).toBe('bitmap-lost');

  await host.killVm(vmId);
  await host.startVm({ vmId, name: 'lost', disks: [disk] });
  await untilStatus(backups.lab, vmId, 'up');
  // QEMU had never stored it: it came into being after the last clean end.
  expect(await chain.bitmaps()).toEqual([]);
  const cp2 = randomUUID();
  await chain.backup(cp2);
  await host.stopVm(vmId);
  await host.startVm({ vmId, name: 'lost', disks: [disk] });
  await untilStatus(backups.lab, vmId, 'up');
  expect(await host.backups.bitmaps(vmId, disk.top)).toEqual([{ name: cp2, inconsistent: false, recording: true, granularityBytes: 65_536 }]);
  await host.killVm(vmId);
  await host.startVm({ vmId, name: 'lost', disks: [disk] });
  await untilStatus(backups.lab, vmId, 'up');
  expect(await host.backups.bitmaps(vmId, disk.top)).toMatchObject([{ name: cp2, inconsistent: true }]);
  expect(await refusal(cp2)).toBe('bitmap-lost');
  expect(await chain.bitmaps()).toEqual([cp2]);
  expect(await fs.readdir(path.join(backups.lab.stateDir, 'vms', vmId, 'backups'))).toEqual([]);
  await host.backups.removeBitmap(vmId, disk.top, cp2);

  const cp3 = randomUUID();
  await chain.backup(cp3);
  await host.backups.forgetBitmaps(vmId, disk.top);
  expect(await refusal(cp3)).toBe('bitmap-lost');

  await inGuest(backups.lab, vmId, 'touch /run/no-agent; (sleep 0.2; killall qemu-ga) >/dev/null 2>&1 &');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const part: BackupDisk = { disk, toCheckpointId: randomUUID(), scratch: await scratchFor(backups, disk) };
  const backupId = randomUUID();
  await expect(host.backups.startLiveBackup(vmId, backupId, [part], { freeze: true, requireConsistency: true })).rejects.toMatchObject({ code: 'freeze-failed' });
  expect(await chain.bitmaps()).toEqual([]);
  expect((await host.backups.startLiveBackup(vmId, backupId, [part], { freeze: true, requireConsistency: false })).frozen).toBe(false);
  await host.stopVm(vmId);
});

sometimes('can be made to lie, and to run out of scratch space', async () => {
  const disk = await ext4Disk(backups.lab);
  const vmId = await startVm(backups.lab, 'faulty', [disk]);
  const { host } = backups.lab;
  const chain = new Chain(vmId, disk);
  const cp1 = randomUUID();
  await chain.backup(cp1);
  await write(vmId, 'changed', 2);
  host.backups.lieAboutNextBitmap(disk.diskId, MiB);
  await expect(chain.backup(randomUUID(), [cp1])).rejects.toThrow('Content mismatch');

  host.backups.limitNextScratch(disk.diskId, MiB);
  const begun = await begin(backups, vmId, [disk], randomUUID());
  await inGuest(backups.lab, vmId, '(sleep 0.2; dd if=/dev/urandom of=/data/0/changed bs=64k count=32 conv=notrunc; sync) >/dev/null 2>&1 &');
  await untilStatus(backups.lab, vmId, 'paused');
  expect(backups.lab.events.at(-1)?.reason).toMatch(/No space left/);
  await end(backups, vmId, begun);
  await host.stopVm(vmId);
});
