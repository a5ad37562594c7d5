// Where the disk is read from: an NBD export, as the engine's host offers a snapshot, and a device, as the appliance's guest sees one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants, mkdir, open, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import type { BenchDisk } from './disk';

export interface Source {
  readonly name: 'nbd' | 'device';
  /** What it is on this machine. */
  readonly what: string;
  /** A directory with the disk by its serial, as the product looks for it. */
  readonly devices: string;
  /** For qemu-img: options and name of its input. */
  readonly input: readonly string[];
  /** For programs that speak NBD. */
  readonly uri?: string;
}

const clients = 16;
const readyLimitMs = 15_000;
const longestSocketPathBytes = 107;

/** The image is in the page cache (it was just written, and the warm-up reads it): everybody reads it warm. */
export async function nbdSource(place: Workplace, disk: BenchDisk, diskId: string, env: NodeJS.ProcessEnv): Promise<Source> {
  const socket = path.join(place.directory, 'nbd');
  if (Buffer.byteLength(socket) > longestSocketPathBytes) throw new Error(`${socket} is too long for a unix socket: choose a shorter --dir`);
  const args = ['--persistent', '--read-only', `--shared=${clients}`, '--socket', socket, '--export-name', diskId, '--format', 'qcow2', disk.qcow2];
  await serve(place, ['qemu-nbd', ...args], socket, env);
  const devices = await named(place, 'devices-nbd', diskId, socket);
  const uri = `nbd+unix:///${diskId}?socket=${socket}`;
  return { name: 'nbd', what: 'qemu-nbd on the qcow2 image, over a unix socket', devices, input: ['-f', 'raw', uri], uri };
}

/** A block device when that is possible: unlike a file it does not tell where its holes are, and everybody has to read all of it. */
export async function deviceSource(place: Workplace, disk: BenchDisk, diskId: string, env: NodeJS.ProcessEnv): Promise<Source> {
  const loop = process.getuid?.() === 0 ? await loopDevice(place, disk, env).catch(() => undefined) : undefined;
  const fuse = loop === undefined ? await fuseExport(place, disk, env).catch(() => undefined) : undefined;
  const found = loop ?? fuse ?? { file: disk.raw, what: 'a plain file: neither loop devices nor FUSE are to be had here' };
  // Past the page cache, as the product reads devices.
  return { name: 'device', what: found.what, devices: await named(place, 'devices', diskId, found.file), input: ['-T', 'none', '-f', 'raw', found.file] };
}

async function named(place: Workplace, directory: string, diskId: string, target: string): Promise<string> {
  const devices = path.join(place.directory, directory);
  await mkdir(devices);
  await symlink(target, path.join(devices, `scsi-0QEMU_QEMU_HARDDISK_${diskId}`));
  return devices;
}

async function loopDevice(place: Workplace, disk: BenchDisk, env: NodeJS.ProcessEnv): Promise<{ file: string; what: string }> {
  const options = { signal: place.signal, env };
  const file = (await runCommand(['losetup', '--find', '--show', '--read-only', disk.raw], options)).trim();
  // Detached while it is open, it goes by itself when the last one closes it: nothing is left whatever becomes of us.
  const handle = await open(file, constants.O_RDONLY);
  place.atEnd(() => handle.close());
  await runCommand(['losetup', '--detach', file], options);
  return { file, what: 'a loop device on the raw file: it does not tell its holes, so everybody reads all of it' };
}

async function fuseExport(place: Workplace, disk: BenchDisk, env: NodeJS.ProcessEnv): Promise<{ file: string; what: string }> {
  const file = path.join(place.directory, 'device');
  const ready = path.join(place.directory, 'fuse.pid');
  await writeFile(file, '');
  const node = `driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=${disk.raw}`;
  await serve(place, ['qemu-storage-daemon', '--blockdev', node, '--export', `type=fuse,id=disk,node-name=disk,mountpoint=${file},writable=off`, '--pidfile', ready], ready, env);
  return { file, what: 'a FUSE export of QEMU on the raw file: it tells its holes' };
}

/** Runs beside the benchmark until its end, and dies with it. */
async function serve(place: Workplace, command: readonly string[], appears: string, env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['ignore', 'ignore', 'inherit'], env });
  const exited = new Promise<void>((resolve) => {
    for (const event of ['close', 'error']) child.once(event, resolve);
  });
  place.atEnd(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const deadlineMs = performance.now() + readyLimitMs;
  while (!existsSync(appears)) {
    await sleep(20);
    if (child.exitCode !== null || performance.now() > deadlineMs) throw new Error(`${command[0] ?? ''} does not serve the disk`);
  }
}
