// The peer: virtnbdbackup on a domain of a libvirtd of our own, with its files in the workplace. libvirt refuses to be a session daemon for
// root, so as root everything of it runs as "nobody". The domain has nothing to boot and stays paused: it takes no CPU.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { versionOf } from '../measure/machine';
import { measureCommands, runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import { names, type Contender } from './contenders';
import { flush, type BenchDisk } from './disk';

const nobody = 65_534;
const uri = 'qemu:///session';
const domain = 'holdfast-bench';
const readyLimitMs = 20_000;

interface Lane {
  readonly directory: string;
  /** Before every command: another user, when we are root. */
  readonly as: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Why it cannot take part; undefined when it can. */
export function whyNotVirtnbdbackup(env: NodeJS.ProcessEnv): string | undefined {
  const wanted = { virtnbdbackup: '--version', libvirtd: '--version', virsh: '--version', 'qemu-system-x86_64': '--version' };
  const missing = Object.entries(wanted).filter(([program, flag]) => versionOf(program, flag, env) === undefined).map(([program]) => program);
  if (missing.length === 0) return undefined;
  return `not installed (${missing.join(', ')}): skipped, install with: apt-get install --no-install-recommends virtnbdbackup libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86`;
}

export async function virtnbdbackupContender(place: Workplace, disk: BenchDisk, env: NodeJS.ProcessEnv): Promise<Contender> {
  const lane = await prepare(place, env);
  const options = { signal: place.signal, env: lane.env };
  const image = await theirs(lane, path.join(lane.directory, 'disk.qcow2'), (file) => copyFile(disk.qcow2, file));
  await startLibvirt(place, lane);
  const definition = await theirs(lane, path.join(lane.directory, 'domain.xml'), (file) => writeFile(file, domainXml(image)));
  await runCommand([...lane.as, 'virsh', '-q', '-c', uri, 'define', definition], options);
  await runCommand([...lane.as, 'virsh', '-q', '-c', uri, 'start', '--paused', domain], options);
  place.atEnd(() => runCommand([...lane.as, 'virsh', '-q', '-c', uri, 'destroy', domain], { signal: AbortSignal.timeout(readyLimitMs), env: lane.env }));
  const [output, restored] = [path.join(lane.directory, 'output'), path.join(lane.directory, 'restored')];
  const [socket, scratch] = [path.join(lane.directory, 'backup.sock'), path.join(lane.directory, 'scratch')];
  await theirs(lane, scratch, (directory) => mkdir(directory));
  return {
    name: names.virtnbdbackup,
    source: 'nbd',
    // `copy` is a full backup that leaves no checkpoint behind, so that each run finds the same domain.
    run: () => measureCommands([[...lane.as, 'virtnbdbackup', '-U', uri, '-d', domain, '-l', 'copy', '-o', output, '-f', socket, '--scratchdir', scratch]], options, () => flushAll(output)),
    image: async () => {
      await runCommand([...lane.as, 'virtnbdrestore', '-U', uri, '-i', output, '-o', restored], options);
      const file = (await readdir(restored)).find((name) => name === 'disk.qcow2' || name === 'sda');
      if (file === undefined) throw new Error(`virtnbdrestore made no image: ${(await readdir(restored)).join(', ')}`);
      return { file: path.join(restored, file), format: 'qcow2' };
    },
    clean: async () => {
      for (const directory of [output, restored]) await rm(directory, { recursive: true, force: true });
    },
  };
}

async function prepare(place: Workplace, env: NodeJS.ProcessEnv): Promise<Lane> {
  const isRoot = process.getuid?.() === 0;
  const directory = path.join(place.directory, 'libvirt');
  const lane: Lane = {
    directory,
    as: isRoot ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'] : [],
    env: { ...env, HOME: directory, XDG_RUNTIME_DIR: directory, XDG_CONFIG_HOME: path.join(directory, 'config'), XDG_CACHE_HOME: path.join(directory, 'cache') },
  };
  // "nobody" must be able to come through to a directory of its own.
  if (isRoot) await chmod(place.directory, 0o711);
  await theirs(lane, directory, (made) => mkdir(made, { mode: 0o700 }));
  return lane;
}

async function theirs(lane: Lane, file: string, make: (file: string) => Promise<unknown>): Promise<string> {
  await make(file);
  if (lane.as.length > 0) await chown(file, nobody, nobody);
  return file;
}

async function startLibvirt(place: Workplace, lane: Lane): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...(lane.as.length > 0 ? lane.as.slice(1) : ['--']), 'libvirtd'], { stdio: 'ignore', env: lane.env });
  const exited = once(child, 'close');
  place.atEnd(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const deadlineMs = performance.now() + readyLimitMs;
  for (;;) {
    try {
      await runCommand([...lane.as, 'virsh', '-q', '-c', uri, 'list'], { signal: place.signal, env: lane.env });
      return;
    } catch (error) {
      if (place.signal.aborted || performance.now() > deadlineMs) throw error;
      await sleep(100);
    }
  }
}

function domainXml(image: string): string {
  return `<domain type='qemu'>
  <name>${domain}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='sda' bus='scsi'/></disk>
  </devices>
</domain>`;
}

async function flushAll(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) if (entry.isFile()) await flush(path.join(entry.parentPath, entry.name));
  await flush(directory);
}
