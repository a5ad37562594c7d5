// From a specification to a guest that answers: start QEMU on the saved state, hot-plug the disks while it is still paused, let it
// run, then set clock and random numbers and mount the file systems through the agent.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { attach } from './plug';
import { HostError, type VmSpec } from './port';
import { identify, killAndWait, type ProcessIdentity } from './processes';
import { launchQemu, type Machine } from './qemu-command';
import { QmpClient } from './qmp-client';
import { RunningVm, clearRemains, type HostContext, type VmPaths } from './running-vm';
import { writeJsonFile } from './state-file';
import { exists } from './storage';

const monitorLimitMs = 30_000;
const resumeLimitMs = 60_000;
/** oVirt shows a VM without an agent as up after about this long. */
const agentLimitMs = 60_000;

const statusSchema = z.object({ status: z.string() });

export interface StartRequest {
  readonly host: HostContext;
  readonly paths: VmPaths;
  readonly spec: VmSpec;
  readonly machine: Machine;
  readonly stateFile: string;
}

/** The saved state itself is at fault: make a new one and try again. */
export class ResumeFailure extends Error {}

/** Resolves when the guest runs with all its disks; a VM that cannot be started leaves nothing behind. */
export async function startQemu({ host, paths, spec, machine, stateFile }: StartRequest): Promise<RunningVm> {
  const sockets = host.run.sockets(spec.vmId);
  await clearRemains(host.run, paths, spec.vmId);
  for (const directory of [paths.directory, paths.overlays, paths.byId]) await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  await writeJsonFile(paths.spec, { ...spec, disks: [] });
  await writeJsonFile(paths.sockets, sockets);

  const gone = new AbortController();
  const child = launchQemu({ machine, name: spec.name, uuid: spec.vmId, sockets, consoleFile: paths.console, messagesFile: paths.messages, pidFile: paths.pidFile, stateFile });
  child.once('exit', () => gone.abort());
  child.once('error', () => gone.abort());
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  let vm: RunningVm | undefined;
  try {
    if (!identity) throw new Error('QEMU could not be started; "npm run setup" installs it');
    await writeJsonFile(paths.pid, identity);
    const monitor = await QmpClient.connect(sockets.qmp, { timeoutMs: monitorLimitMs, abort: gone.signal });
    await untilResumed(monitor, stateFile);
    vm = new RunningVm(host, paths, { ...spec, disks: [] }, identity, 'wait_for_launch');
    vm.attachMonitor(monitor);
    await plugAndRun(vm, spec);
    return vm;
  } catch (error) {
    await giveUp(vm, identity, () => clearRemains(host.run, paths, spec.vmId));
    if (error instanceof HostError || error instanceof ResumeFailure) throw error;
    const said = (await fs.readFile(paths.messages, 'utf8').catch(() => '')).trim().split('\n').slice(-3).join(' ');
    throw new HostError('qemu-failed', `VM ${spec.name} (${spec.vmId}) did not start: ${error instanceof Error ? error.message : String(error)} ${said}`.trim());
  }
}

async function plugAndRun(vm: RunningVm, spec: VmSpec): Promise<void> {
  for (const disk of spec.disks) {
    await attach(vm, disk);
    vm.disks.set(disk.diskId, disk);
  }
  await vm.saveSpec();
  vm.setStatus('powering_up');
  await vm.qmp.execute('cont');
}

async function giveUp(vm: RunningVm | undefined, identity: ProcessIdentity | undefined, clear: () => Promise<void>): Promise<void> {
  vm?.release();
  if (identity) await killAndWait(identity);
  await clear();
}

async function untilResumed(monitor: QmpClient, stateFile: string): Promise<void> {
  for (const deadline = Date.now() + resumeLimitMs; Date.now() < deadline; ) {
    await sleep(10);
    try {
      const { status } = statusSchema.parse(await monitor.execute('query-status'));
      if (status === 'paused') return;
      if (status !== 'inmigrate') break;
    } catch {
      break; // QEMU ends when the state does not fit
    }
  }
  monitor.close();
  throw new ResumeFailure(`the saved guest state ${stateFile} could not be resumed`);
}

/** The rest of the way, in the background: the guest answers, is told the time and mounts its disks, then it is `up`. */
export async function makeReady(vm: RunningVm): Promise<void> {
  const running = (): boolean => !vm.released.signal.aborted && !vm.isOver;
  let answers = false;
  for (const deadline = Date.now() + agentLimitMs; running() && !answers && Date.now() < deadline; ) answers = await vm.agent.answers(5_000);
  if (!running()) return;
  if (!answers) vm.host.log.warn({ vmId: vm.vmId }, `${vm.label} has no answering guest agent; it counts as up all the same`);
  else if (!(await exists(vm.paths.prepared))) await prepareGuest(vm);
  if (running() && vm.status === 'powering_up') vm.setStatus('up');
}

/** A resumed guest lives in the past and shares its random pool with every other one resumed from the same state. */
async function prepareGuest(vm: RunningVm): Promise<void> {
  const mounts = [...vm.disks.values()].map((disk, index) => `mount_disk ${disk.diskId} ${index} ${disk.readOnly ? 'ro' : 'rw'}`);
  const script = [
    `date -u -s @$(( ${Math.floor(Date.now() / 1000)} )) >/dev/null`,
    `echo ${randomBytes(64).toString('base64')} | base64 -d | reseed-random || echo 'no new random numbers'`,
    'mount_disk() { grep -q " /data/$2 " /proc/mounts && return; device=$(disk-by-serial $1) || { echo "disk $1 did not appear"; return; }; mkdir -p /data/$2; mount -t ext4 -o $3 $device /data/$2 2>/dev/null || { rmdir /data/$2; echo "disk $1 has no ext4 file system"; }; }',
    ...mounts,
  ].join('\n');
  try {
    const { output } = await vm.agent.shell(script, 60_000);
    await writeJsonFile(vm.paths.prepared, {});
    if (output.trim() !== '') vm.host.log.info({ vmId: vm.vmId, output: output.trim() }, `${vm.label}: the guest says about its preparation`);
  } catch (error) {
    if (!vm.released.signal.aborted) vm.host.log.warn({ vmId: vm.vmId, error: String(error) }, `${vm.label}: the guest could not be prepared`);
  }
}
