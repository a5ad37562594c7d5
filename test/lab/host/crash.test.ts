// SIGKILL to the lab at arbitrary moments between snapshot, attach, detach and merge. The VMs live on, and every next lab brings
// files, QEMU's graph, mounts and the guest back into agreement; nothing the guest wrote is lost.
import { transformFileSync } from '@swc/core';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VolumeRef } from '../../../lab/host';
import { askQemu } from '../../support/leftovers/qmp';
import { cacheDirectory, ext4Disk, guestDirectory, inGuest, nextOf, openTestHost, startVm, untilStatus, type TestHost } from './lab-host';

jest.setTimeout(180_000);

const checkout = path.resolve(__dirname, '../../..');
/** Milliseconds after the recovery: each falls into another part of a round (a round takes about 250 ms when the machine is idle). */
const killAfterMs = [15, 60, 110, 170, 230, 300, 420];

let lab: TestHost;
beforeAll(async () => {
  lab = await openTestHost();
});
afterAll(() => lab.close());

/** As the lab itself opens a snapshot's layer, through the VM's second monitor. */
async function openLayerBehindTheLab(vmId: string, volume: VolumeRef): Promise<void> {
  const { observe } = JSON.parse(await fs.readFile(path.join(lab.stateDir, 'vms', vmId, 'sockets.json'), 'utf8')) as { observe: string };
  const node = `v${BigInt(`0x${volume.volumeId.replaceAll('-', '')}`).toString(36)}`;
  const file = { driver: 'file', filename: lab.host.volumePath(volume) };
  await askQemu(observe, [{ execute: 'blockdev-add', arguments: { driver: 'qcow2', 'node-name': node, file, backing: null } }]);
}

it('lets go of a layer that was opened for a snapshot, when the lab died before the guest changed over to it', async () => {
  const disk = await ext4Disk(lab, { before: 'the snapshot' });
  const vmId = await startVm(lab, 'caught', [disk]);
  const step = nextOf(disk);
  await lab.host.close({ stopVms: false });
  await lab.host.createVolume({ ...step.next, format: 'cow', virtualBytes: (await lab.host.volumeInfo(disk.top)).virtualBytes, sparse: true, backing: { volumeId: disk.top.volumeId, format: disk.format } });
  await openLayerBehindTheLab(vmId, step.next);
  await expect(lab.host.removeVolume(step.next)).rejects.toThrow(/open in a QEMU/);

  lab = await lab.reopen();
  await untilStatus(lab, vmId, 'up');
  // What the engine does with the files of a snapshot that never reached the guest: away with them, and once more.
  await lab.host.removeVolume(step.next);
  await lab.host.snapshot(vmId, [step]);
  await inGuest(lab, vmId, 'echo after > /data/0/after && sync');
  await lab.host.merge(vmId, { diskId: disk.diskId, base: disk.top, top: step.next, topIsActive: true });
  expect(await inGuest(lab, vmId, 'cat /data/0/before /data/0/after')).toBe('the snapshotafter');
  await lab.host.stopVm(vmId);
});

/** The host as plain JavaScript: a process that is to be killed cannot run under jest. */
async function compileHost(target: string): Promise<string> {
  for (const directory of ['lab/host', 'test/lab/host']) {
    for (const name of await fs.readdir(path.join(checkout, directory), { recursive: true })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      await fs.mkdir(path.dirname(path.join(target, directory, name)), { recursive: true });
      const { code } = transformFileSync(path.join(checkout, directory, name), { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } });
      await fs.writeFile(path.join(target, directory, name.replace(/\.ts$/, '.js')), code);
    }
  }
  await fs.symlink(path.join(checkout, 'node_modules'), path.join(target, 'node_modules'));
  return path.join(target, 'test/lab/host/crash-child.js');
}

/** Resolves when the child has printed this; rejects with all it said when it ends before. */
function untilSaid(child: ChildProcess, wanted: string, heard: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      heard.push(chunk.toString());
      if (heard.join('').includes(wanted)) resolve();
    });
    child.stderr?.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
    child.once('exit', () => reject(new Error(`the lab ended by itself: ${heard.join('')}`)));
  });
}

it('leaves nothing that the next lab cannot put right', async () => {
  const disk = await ext4Disk(lab);
  const [demo, appliance] = [await startVm(lab, 'demo', [disk]), await startVm(lab, 'appliance', [])];
  await inGuest(lab, demo, '(i=0; while [ ! -e /run/stop ]; do i=$((i+1)); echo $i >> /data/0/log; sync; sleep 0.02; done; touch /run/stopped) >/dev/null 2>&1 &');
  await lab.host.close({ stopVms: false });

  const child = await compileHost(path.join(lab.stateDir, 'compiled'));
  const task = { stateDir: lab.stateDir, guestDir: await guestDirectory(), cacheDir: cacheDirectory(), demo, appliance, base: disk.top };
  for (const afterMs of killAfterMs) {
    const process = spawn(globalThis.process.execPath, [child, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const heard: string[] = [];
    await untilSaid(process, 'recovered', heard);
    await sleep(afterMs);
    if (process.exitCode !== null) throw new Error(`the lab ended by itself: ${heard.join('')}`);
    process.kill('SIGKILL');
    await once(process, 'close');
  }

  lab = await lab.reopen();
  await untilStatus(lab, demo, 'up');
  await untilStatus(lab, appliance, 'up');
  const names = (await fs.readdir(path.dirname(lab.host.volumePath(disk.top)))).map((name) => path.basename(name, '.meta')).filter((name) => name !== disk.top.volumeId);
  await lab.host.unplugDisk(appliance, disk.diskId);
  for (const volumeId of names) {
    const top = { ...disk.top, volumeId };
    await lab.host.removeVolume(top).catch(() => lab.host.merge(demo, { diskId: disk.diskId, base: disk.top, top, topIsActive: true }));
  }
  expect((await fs.readdir(path.dirname(lab.host.volumePath(disk.top)))).sort()).toEqual([disk.top.volumeId, `${disk.top.volumeId}.meta`].sort());
  expect(await fs.readdir(lab.host.devicesDirectory(appliance))).toEqual([]);
  expect(await fs.readdir(path.join(lab.stateDir, 'vms', appliance, 'overlays'))).toEqual([]);

  // Every number is there, in order: no write went to a volume that was dropped.
  const script = 'touch /run/stop; while [ ! -e /run/stopped ]; do sleep 0.05; done; sync; awk "\\$1 != NR { bad = 1 } END { print bad ? \\"gap\\" : \\"whole\\", NR }" /data/0/log';
  const [verdict, lines] = (await inGuest(lab, demo, script)).split(' ');
  expect(verdict).toBe('whole');
  expect(Number(lines)).toBeGreaterThan(10);
  await lab.host.stopVm(demo);
  execFileSync('qemu-img', ['check', '-q', lab.host.volumePath(disk.top)]);
});
