// What the kernel knows about a block device of this machine: who uses it, and how much was written to it. Nothing here for regular files.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { HoldfastError } from '../../domain/failures';

/** `major:minor`, from st_rdev as glibc packs it. */
export function deviceNumber(rdev: number): string {
  const value = BigInt(rdev);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn);
  const minor = (value & 0xffn) | ((value >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** Counters of everything that can change content (Documentation/block/stat.rst): writes, sectors written, discards, sectors discarded. */
export async function writeCounters(device: string): Promise<string> {
  const fields = (await readFile(`/sys/dev/block/${device}/stat`, 'latin1')).trim().split(/\s+/);
  return [fields[4], fields[6], fields[11] ?? '0', fields[13] ?? '0'].join(' ');
}

/** sysfs counts in sectors of 512 bytes, whatever the device's own are. */
export async function deviceBytes(device: string): Promise<number> {
  return Number((await readFile(`/sys/dev/block/${device}/size`, 'latin1')).trim()) * 512;
}

/** Refuses a device that is mounted, or that LVM, RAID, multipath or a loop built on it holds; its partitions count too. */
export async function refuseUsedDevice(path: string, device: string, diskId: string): Promise<void> {
  const uses: string[] = [];
  for (const part of [device, ...(await partitionsOf(device))]) {
    for (const holder of await readdir(`/sys/dev/block/${part}/holders`).catch(() => [])) uses.push(`held by ${holder}`);
    for (const mountPoint of await mountPointsOf(part)) uses.push(`mounted at ${mountPoint}`);
  }
  if (uses.length === 0) return;
  throw new HoldfastError(
    'device.foreign',
    `Disk ${diskId} (${path}) is in use on this machine (${uses.join(', ')}): nothing is written to it. Unmount it, and keep LVM and multipath of the appliance away from guests' disks (LVM filter).`,
    { diskId, path, uses },
  );
}

async function partitionsOf(device: string): Promise<string[]> {
  const directory = await readlink(`/sys/dev/block/${device}`).catch(() => undefined);
  const name = directory?.split('/').at(-1);
  if (name === undefined) return [];
  const entries = await readdir(`/sys/dev/block/${device}`);
  const numbers = await Promise.all(entries.filter((entry) => entry.startsWith(name)).map((entry) => readFile(`/sys/dev/block/${device}/${entry}/dev`, 'latin1').catch(() => '')));
  return numbers.map((number) => number.trim()).filter((number) => number !== '');
}

async function mountPointsOf(device: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.map((line) => line.split(' ')).filter((fields) => fields[2] === device).map((fields) => fields[4] ?? '');
}
