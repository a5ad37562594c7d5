// The one QEMU command line: a machine without disks (they are hot-plugged), the same for every VM, because the saved guest
// state can only be resumed by a machine of the same make. What differs per VM (names, sockets, files) is not part of that make.
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { VmSockets } from './run-directory';

export type Accelerator = 'kvm' | 'tcg';

export interface Machine {
  readonly guestDir: string;
  readonly accelerator: Accelerator;
  readonly qemuData: readonly string[];
}

export const qemuProgram = 'qemu-system-x86_64';
/** The host's end of the guest agent's port. */
export const agentChardev = 'agent';

/** What the guest sees. No iothreads: QEMU 7.2 aborts with them when an NBD client leaves (qemu-lab.md, trap 2). */
export function machineArguments({ accelerator }: Machine): readonly string[] {
  return [
    ...['-machine', 'pc', '-accel', accelerator === 'kvm' ? 'kvm' : 'tcg,tb-size=32', '-cpu', 'max', '-m', '128'],
    ...['-display', 'none', '-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-append', 'console=ttyS0 quiet panic=-1 random.trust_cpu=on'],
    ...['-device', 'virtio-serial-pci,id=serial0', '-device', `virtserialport,bus=serial0.0,chardev=${agentChardev},id=agent-port,name=org.qemu.guest_agent.0`],
    ...['-device', 'virtio-scsi-pci,id=scsi0', '-device', 'virtio-rng-pci,id=rng0'],
  ];
}

export interface Launch {
  readonly machine: Machine;
  readonly name: string;
  readonly uuid: string;
  readonly sockets: Pick<VmSockets, 'qmp' | 'observe' | 'agent'>;
  readonly consoleFile: string;
  readonly messagesFile: string;
  readonly pidFile: string;
  /** Resume from this saved state; cold boot without. */
  readonly stateFile?: string;
}

/** Starts QEMU in a session of its own, so that it outlives whatever happens to the lab. */
export function launchQemu(launch: Launch): ChildProcess {
  const { machine, sockets } = launch;
  const server = (socketPath: string): string => `unix:${escaped(socketPath)},server=on,wait=off`;
  const args = [
    ...machine.qemuData.flatMap((directory) => ['-L', directory]),
    ...machineArguments(machine),
    ...['-kernel', path.join(machine.guestDir, 'vmlinux'), '-initrd', path.join(machine.guestDir, 'initrd.zst')],
    ...['-name', `guest=${escaped(launch.name)}`, '-uuid', launch.uuid, '-pidfile', launch.pidFile],
    ...['-chardev', `file,id=console,path=${escaped(launch.consoleFile)},append=on`, '-serial', 'chardev:console'],
    ...['-qmp', server(sockets.qmp), '-qmp', server(sockets.observe)],
    ...['-chardev', `socket,id=${agentChardev},path=${escaped(sockets.agent)},server=on,wait=off`],
    ...(launch.stateFile === undefined ? [] : ['-incoming', 'fd:3']),
  ];
  const messages = fs.openSync(launch.messagesFile, 'a', 0o600);
  const state = launch.stateFile === undefined ? undefined : fs.openSync(launch.stateFile, 'r');
  try {
    const child = spawn(qemuProgram, args, { detached: true, cwd: '/', stdio: ['ignore', messages, messages, state ?? 'ignore'] });
    child.unref();
    return child;
  } finally {
    fs.closeSync(messages);
    if (state !== undefined) fs.closeSync(state);
  }
}

/** QEMU's option syntax: a comma inside a value is written twice. */
const escaped = (value: string): string => value.replaceAll(',', ',,');
