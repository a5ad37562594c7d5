// What the host's tests share: a real host on a throw-away state directory, ext4 disks, ids, and waiting for a VM's state.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createFilesystemVolume, createHost, type HostOptions, type HostVmEvent, type HostVmStatus, type LocalHost, type NewVolume, type VmDisk, type VolumeRef } from '../../../lab/host';

const MiB = 1024 * 1024;

export interface TestHost {
  readonly host: LocalHost;
  readonly stateDir: string;
  readonly domainId: string;
  readonly events: readonly HostVmEvent[];
  /** What the host warned about. */
  readonly warnings: readonly string[];
  /** A second host on the same state, as after a restart of the lab. */
  reopen(): Promise<TestHost>;
  close(): Promise<void>;
}

/** The cache is shared by all tests of a user, so that the guest is built and booted once. Same place as dev/setup.mjs uses. */
export function cacheDirectory(): string {
  return process.env['HOLDFAST_CACHE'] ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'holdfast');
}


/** `npm test` has built the guest and says where; a bare `npx jest` builds it here. */
export async function guestDirectory(): Promise<string> {
  const ready = process.env['HOLDFAST_GUEST'];
  if (ready !== undefined) return ready;
  // dev/ is plain ESM and jest runs CommonJS, so it is run as the program that it is, too.
  const { stdout } = await promisify(execFile)(process.execPath, [path.resolve(__dirname, '../../../dev/guest.mjs'), cacheDirectory()], { timeout: 300_000 });
  return stdout.trim();
}

export async function openTestHost(options: Partial<Pick<HostOptions, 'fuse'>> = {}): Promise<TestHost> {
  const stateDir = await fs.mkdtemp(path.join(os.tmpdir(), 'hf-host-test-'));
  const test = await onState(stateDir, randomUUID(), options);
  await test.host.createDomain(test.domainId);
  return test;
}

async function onState(stateDir: string, domainId: string, options: Partial<Pick<HostOptions, 'fuse'>>): Promise<TestHost> {
  const events: HostVmEvent[] = [];
  const warnings: string[] = [];
  const quiet = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message) };
  const qemuData = (process.env['HOLDFAST_QEMU_DATA'] ?? '').split(':').filter((directory) => directory !== '');
  const host = createHost({ stateDir, guestDir: await guestDirectory(), cacheDir: cacheDirectory(), qemuData, log: quiet, ...options });
  host.onVmEvent((event) => void events.push(event));
  await host.start();
  return {
    host,
    stateDir,
    domainId,
    events,
    warnings,
    reopen: () => onState(stateDir, domainId, options),
    close: async () => {
      await host.close({ stopVms: true });
      await endForgottenVms(stateDir, options);
      await fs.rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** A test that failed between closing one host and opening the next leaves VMs that no host holds. */
async function endForgottenVms(stateDir: string, options: Partial<Pick<HostOptions, 'fuse'>>): Promise<void> {
  const vms = path.join(stateDir, 'vms');
  const living = await Promise.all((await fs.readdir(vms)).map((vmId) => fs.stat(path.join(vms, vmId, 'pid.json')).catch(() => undefined)));
  if (living.every((file) => file === undefined)) return;
  const { host } = await onState(stateDir, randomUUID(), options);
  await host.close({ stopVms: true });
}

export function newVolume(test: TestHost, overrides: Partial<NewVolume> = {}): NewVolume {
  return { domainId: test.domainId, diskId: randomUUID(), volumeId: randomUUID(), format: 'cow', virtualBytes: 64 * MiB, sparse: true, ...overrides };
}

/** An ext4 disk with these files (name to content). */
export async function ext4Disk(test: TestHost, files: Readonly<Record<string, string | Buffer>> = {}, overrides: Partial<NewVolume> = {}): Promise<VmDisk> {
  const source = await fs.mkdtemp(path.join(os.tmpdir(), 'hf-files-'));
  try {
    for (const [name, content] of Object.entries(files)) await fs.writeFile(path.join(source, name), content);
    const volume = newVolume(test, overrides);
    await createFilesystemVolume(test.host, volume, source);
    return plainDisk(volume);
  } finally {
    await fs.rm(source, { recursive: true, force: true });
  }
}

export function plainDisk(volume: NewVolume): VmDisk {
  return { diskId: volume.diskId, top: ref(volume), format: volume.format, bus: 'virtio_scsi', readOnly: false, transient: false };
}

export function ref({ domainId, diskId, volumeId }: VolumeRef): VolumeRef {
  return { domainId, diskId, volumeId };
}

/** The next volume of a disk, as the engine would choose it for a snapshot. */
export function nextOf(disk: VmDisk): { readonly diskId: string; readonly current: VolumeRef; readonly currentFormat: VmDisk['format']; readonly next: VolumeRef } {
  return { diskId: disk.diskId, current: disk.top, currentFormat: disk.format, next: { ...disk.top, volumeId: randomUUID() } };
}

export async function startVm(test: TestHost, name: string, disks: readonly VmDisk[]): Promise<string> {
  const vmId = randomUUID();
  await test.host.startVm({ vmId, name, disks });
  await untilStatus(test, vmId, 'up');
  return vmId;
}

export async function untilStatus({ host }: TestHost, vmId: string, status: HostVmStatus, limitMs = 30_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; host.vmStatus(vmId) !== status; ) {
    await sleep(20);
    if (Date.now() > deadline) throw new Error(`VM ${vmId} is ${host.vmStatus(vmId)}, not ${status}, after ${limitMs} ms`);
  }
}

/** The script's output; a failing script fails the test with what it printed. */
export async function inGuest({ host }: TestHost, vmId: string, script: string): Promise<string> {
  const { exitCode, output } = await host.guestExec(vmId, script);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${output}`);
  return output.trim();
}
