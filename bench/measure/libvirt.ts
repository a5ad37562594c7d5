// A libvirtd of our own, with its files in the workplace, for virtnbdbackup: libvirt refuses to be a session daemon for root, so as root everything
// of it runs as "nobody". Its domains have nothing to boot and stay paused: they take no CPU.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { versionOf } from './machine';
import { runCommand } from './processes';
import type { Workplace } from './workplace';

const nobody = 65_534;
export const libvirtUri = 'qemu:///session';
const readyLimitMs = 20_000;

export interface Libvirt {
  readonly directory: string;
  /** Before every command: another user, when we are root. */
  readonly as: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** A file or directory of its user's. */
  theirs(name: string, make: (file: string) => Promise<unknown>): Promise<string>;
  virsh(...args: readonly string[]): Promise<string>;
  /** Paused, with one disk `sda`; ended with the workplace. */
  startDomain(name: string, qcow2: string): Promise<void>;
}

/** Why virtnbdbackup cannot take part; undefined when it can. */
export function whyNotVirtnbdbackup(env: NodeJS.ProcessEnv): string | undefined {
  const wanted = { virtnbdbackup: '--version', libvirtd: '--version', virsh: '--version', 'qemu-system-x86_64': '--version' };
  const missing = Object.entries(wanted).filter(([program, flag]) => versionOf(program, flag, env) === undefined).map(([program]) => program);
  if (missing.length === 0) return undefined;
  return `not installed (${missing.join(', ')}): skipped, install with: apt-get install --no-install-recommends virtnbdbackup libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86`;
}

export async function startLibvirt(place: Workplace, env: NodeJS.ProcessEnv): Promise<Libvirt> {
  const isRoot = process.getuid?.() === 0;
  const directory = path.join(place.directory, 'libvirt');
  const as = isRoot ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'] : [];
  const laneEnv = { ...env, HOME: directory, XDG_RUNTIME_DIR: directory, XDG_CONFIG_HOME: path.join(directory, 'config'), XDG_CACHE_HOME: path.join(directory, 'cache') };
  const theirs = async (file: string, make: (file: string) => Promise<unknown>): Promise<string> => {
    await make(file);
    if (isRoot) await chown(file, nobody, nobody);
    return file;
  };
  // "nobody" must be able to come through to a directory of its own.
  if (isRoot) await chmod(place.directory, 0o711);
  await theirs(directory, (made) => mkdir(made, { mode: 0o700 }));
  const virsh = (signal: AbortSignal, ...args: readonly string[]): Promise<string> => runCommand([...as, 'virsh', '-q', '-c', libvirtUri, ...args], { signal, env: laneEnv });
  await begin(place, as, laneEnv, () => virsh(place.signal, 'list'));
  return {
    directory,
    as,
    env: laneEnv,
    theirs: (name, make) => theirs(path.join(directory, name), make),
    virsh: (...args) => virsh(place.signal, ...args),
    async startDomain(name, qcow2) {
      const definition = await theirs(path.join(directory, `${name}.xml`), (file) => writeFile(file, domainXml(name, qcow2)));
      await virsh(place.signal, 'define', definition);
      await virsh(place.signal, 'start', '--paused', name);
      place.atEnd(() => virsh(AbortSignal.timeout(readyLimitMs), 'destroy', name));
    },
  };
}

async function begin(place: Workplace, as: readonly string[], env: NodeJS.ProcessEnv, ask: () => Promise<unknown>): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...(as.length > 0 ? as.slice(1) : ['--']), 'libvirtd'], { stdio: 'ignore', env });
  const exited = once(child, 'close');
  place.atEnd(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const deadlineMs = performance.now() + readyLimitMs;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (place.signal.aborted || performance.now() > deadlineMs) throw error;
      await sleep(100);
    }
  }
}

function domainXml(name: string, image: string): string {
  return `<domain type='qemu'>
  <name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='sda' bus='scsi'/></disk>
  </devices>
</domain>`;
}
