// The lab's host: storage domains on disk and one QEMU per running VM, behind the port that the engine side uses.
// This file only finds the VM or the files that a call is about; the work is done next door.
import fs from 'node:fs/promises';
import path from 'node:path';
import { adoptVm, findQemu, readSpec } from './adopt';
import { AgentRefusal } from './agent-client';
import type { BackupHost } from './backup-port';
import { QemuBackupHost } from './backups/backup-host';
import { ResumeFailure, makeReady, startQemu } from './bring-up';
import { chooseExportKind } from './exports';
import { freezeGuest, thawGuest } from './freeze';
import { chooseAccelerator, dropGuestState, ensureGuestState } from './guest-state';
import { watchHeartbeat } from './heartbeat';
import type { HostOptions } from './host-options';
import { mergeCold, mergeLive } from './merge';
import { KeyedMutex } from './mutex';
import { plugDisk, unplugDisk } from './plug';
import {
  HostError,
  type Host,
  type HostVmEvent,
  type HostVmStatus,
  type MergeDisk,
  type NewVolume,
  type SnapshotDisk,
  type SnapshotOutcome,
  type VmDisk,
  type VmSpec,
  type VolumeInfo,
  type VolumeRef,
} from './port';
import { killAndWait } from './processes';
import type { Machine } from './qemu-command';
import { RunDirectory } from './run-directory';
import { clearRemains, vmPaths, type HostContext, type RunningVm, type VmPaths } from './running-vm';
import { snapshotCold, snapshotLive } from './snapshot';
import { Storage, checkedId } from './storage';
import { toHostError } from './tools';

const execLimitMs = 60_000;
const agentLimitMs = 3_000;

/** A host whose files can be reached from here, for filling disks before a VM sees them. */
export interface LocalHost extends Host {
  readonly backups: BackupHost;
  volumePath(volume: VolumeRef): string;
}

export function createHost(options: HostOptions): LocalHost {
  return new QemuHost(options);
}

class QemuHost implements LocalHost {
  readonly backups: QemuBackupHost;
  private readonly storage: Storage;
  private readonly run: RunDirectory;
  private readonly vmsDirectory: string;
  private readonly vms = new Map<string, RunningVm>();
  private readonly starting = new Set<string>();
  private readonly listeners = new Set<(event: HostVmEvent) => void>();
  private readonly background = new Set<Promise<void>>();
  private readonly vmTurns = new KeyedMutex();
  private started: { readonly context: HostContext; readonly machine: Machine } | undefined;

  constructor(private readonly options: HostOptions) {
    this.storage = new Storage(path.join(path.resolve(options.stateDir), 'sd'));
    this.run = new RunDirectory(options.stateDir);
    this.vmsDirectory = path.join(path.resolve(options.stateDir), 'vms');
    const { storage, run } = this;
    this.backups = new QemuBackupHost({ stateDir: options.stateDir, storage, run, log: options.log, findVm: (vmId) => this.vms.get(vmId), pathsOf: (vmId) => this.pathsOf(vmId) });
  }

  async start(): Promise<void> {
    const { guestDir, cacheDir, qemuData = [], log, fuse = 'auto', accel = 'auto' } = this.options;
    await fs.mkdir(this.vmsDirectory, { recursive: true, mode: 0o700 });
    await this.run.create();
    await this.storage.sweepUnfinished();
    await this.backups.sweep();
    const accelerator = accel === 'tcg' ? 'tcg' : await chooseAccelerator({ guestDir, qemuData }, cacheDir);
    const exportKind = await chooseExportKind(fuse, log);
    log.info({ accelerator, exportKind }, `lab host: guests run on ${accelerator}, attached disks are served as ${exportKind === 'fuse' ? 'FUSE files' : 'NBD sockets'}`);
    const context: HostContext = { storage: this.storage, run: this.run, log, exportKind, emit: (event) => this.emit(event) };
    this.started = { context, machine: { guestDir, accelerator, qemuData } };
    for (const vmId of await fs.readdir(this.vmsDirectory)) await this.adoptOrReport(context, vmId);
  }

  async close({ stopVms }: { readonly stopVms: boolean }): Promise<void> {
    // A VM that is being started is waited for: its turn comes before the one taken here.
    await Promise.all([...this.starting].map((vmId) => this.vmTurns.run(vmId, () => Promise.resolve())));
    if (stopVms) await Promise.all([this.backups.endExports(), ...[...this.vms.keys()].map((vmId) => this.stopVm(vmId))]);
    for (const vm of this.vms.values()) vm.release();
    this.vms.clear();
    await Promise.all(this.background);
    await this.run.removeIfEmpty();
  }

  createDomain(domainId: string): Promise<void> {
    return this.storage.createDomain(domainId);
  }

  domainSpace(domainId: string): Promise<{ readonly availableBytes: number; readonly usedBytes: number }> {
    return this.storage.domainSpace(domainId);
  }

  volumePath(volume: VolumeRef): string {
    return this.storage.volumePath(volume);
  }

  createVolume(volume: NewVolume): Promise<void> {
    return this.storage.createVolume(volume);
  }

  shareVolume(volume: VolumeRef, diskId: string): Promise<void> {
    return this.storage.shareVolume(volume, diskId);
  }

  volumeInfo(volume: VolumeRef): Promise<VolumeInfo> {
    return this.storage.volumeInfo(volume);
  }

  removeVolume(volume: VolumeRef): Promise<void> {
    return this.storage.removeVolume(volume);
  }

  removeDisk(domainId: string, diskId: string): Promise<void> {
    return this.storage.removeDisk(domainId, diskId);
  }

  damagedVolumes(volumes: readonly VolumeRef[]): Promise<readonly VolumeRef[]> {
    return this.storage.damagedVolumes(volumes);
  }

  startVm(spec: VmSpec): Promise<void> {
    checkedId(spec.vmId, 'VM');
    return this.vmTurns.run(spec.vmId, async () => {
      if (this.vms.has(spec.vmId)) throw new HostError('already-running', `VM ${spec.name} (${spec.vmId}) is running already`);
      this.starting.add(spec.vmId);
      this.emit({ vmId: spec.vmId, status: 'wait_for_launch' });
      try {
        this.keep(await this.launch(spec));
      } catch (error) {
        this.emit({ vmId: spec.vmId, status: 'down', reason: error instanceof Error ? error.message : String(error) });
        throw error;
      } finally {
        this.starting.delete(spec.vmId);
      }
    });
  }

  async shutdownVm(vmId: string): Promise<void> {
    const vm = this.runningVm(vmId);
    vm.setStatus('powering_down');
    if (!(await asksAgent(vm))) await vm.qmp.execute('system_powerdown');
  }

  stopVm(vmId: string): Promise<void> {
    return this.vmTurns.run(vmId, async () => {
      const vm = this.vms.get(vmId);
      if (!vm) return;
      vm.expectStop();
      await vm.qmp.execute('quit', {}, 5_000).catch(() => undefined);
      await killAndWait(vm.process);
      await vm.ended;
    });
  }

  async killVm(vmId: string): Promise<void> {
    const vm = this.runningVm(vmId);
    await killAndWait(vm.process);
    await vm.ended;
  }

  vmStatus(vmId: string): HostVmStatus {
    return this.vms.get(vmId)?.status ?? (this.starting.has(vmId) ? 'wait_for_launch' : 'down');
  }

  onVmEvent(listener: (event: HostVmEvent) => void): void {
    this.listeners.add(listener);
  }

  async freeze(vmId: string): Promise<{ readonly filesystems: number }> {
    return freezeGuest(this.runningVm(vmId));
  }

  async thaw(vmId: string): Promise<{ readonly filesystems: number }> {
    return thawGuest(this.runningVm(vmId));
  }

  async guestExec(vmId: string, script: string, timeoutMs = execLimitMs): Promise<{ readonly exitCode: number; readonly output: string }> {
    const vm = this.runningVm(vmId);
    return vm.agent.shell(script, timeoutMs).catch((error: unknown) => {
      throw toHostError(error, vm.label, 'agent-unavailable');
    });
  }

  snapshot(vmId: string, disks: readonly SnapshotDisk[]): Promise<SnapshotOutcome> {
    const vm = this.vms.get(vmId);
    return vm ? snapshotLive(vm, disks) : snapshotCold(this.storage, disks);
  }

  async merge(vmId: string, disk: MergeDisk, onProgress: (percent: number) => void = () => undefined): Promise<void> {
    const vm = this.vms.get(vmId);
    const plugged = vm?.disks.get(disk.diskId);
    if (!vm || !plugged || plugged.transient) return mergeCold(this.storage, disk, onProgress);
    return vm.diskTurns.run(disk.diskId, () => mergeLive(vm, disk, onProgress)).catch((error: unknown) => {
      throw toHostError(error, `merging disk ${disk.diskId} of ${vm.label}`, 'job-failed');
    });
  }

  async plugDisk(vmId: string, disk: VmDisk): Promise<void> {
    return plugDisk(this.runningVm(vmId), disk);
  }

  async unplugDisk(vmId: string, diskId: string): Promise<void> {
    const vm = this.vms.get(vmId);
    if (!vm) return;
    try {
      await unplugDisk(vm, diskId);
    } catch (error) {
      if (vm.isOver) return; // it died meanwhile, and its disks with it
      throw toHostError(error, `disk ${diskId} of ${vm.label}`);
    }
  }

  devicesDirectory(vmId: string): string {
    return this.pathsOf(vmId).byId;
  }

  private async launch(spec: VmSpec): Promise<RunningVm> {
    if (!this.started) throw new HostError('qemu-failed', 'the lab host was not started');
    const { context, machine } = this.started;
    const request = { host: context, paths: this.pathsOf(spec.vmId), spec, machine };
    const stateFile = await ensureGuestState(machine, this.options.cacheDir);
    try {
      return await startQemu({ ...request, stateFile });
    } catch (error) {
      if (!(error instanceof ResumeFailure)) throw error;
      this.options.log.warn({ vmId: spec.vmId }, `${error.message}; making a new one`);
      await dropGuestState(stateFile);
      return await startQemu({ ...request, stateFile: await ensureGuestState(machine, this.options.cacheDir) });
    }
  }

  private keep(vm: RunningVm): void {
    this.vms.set(vm.vmId, vm);
    for (const job of [makeReady(vm), watchHeartbeat(vm)]) {
      const work = job.finally(() => this.background.delete(work));
      this.background.add(work);
    }
  }

  private async adoptOrReport(context: HostContext, vmId: string): Promise<void> {
    const paths = this.pathsOf(vmId);
    const spec = await readSpec(paths);
    if (!spec) return;
    const identity = await findQemu(context, paths, vmId);
    if (identity) {
      try {
        this.keep(await adoptVm(context, paths, spec, identity));
      } catch (error) {
        throw new HostError('qemu-failed', `VM ${spec.name} (${vmId}) lives as process ${identity.pid} but cannot be adopted; end the other lab on this state, or that process: ${String(error)}`);
      }
      return;
    }
    await clearRemains(this.run, paths, vmId);
    this.emit({ vmId, status: 'down', reason: 'lost: qemu ended while the lab was away' });
  }

  private emit(event: HostVmEvent): void {
    if (event.status === 'down') this.vms.delete(event.vmId);
    for (const listener of this.listeners) listener(event);
  }

  private runningVm(vmId: string): RunningVm {
    const vm = this.vms.get(vmId);
    if (!vm) throw new HostError('vm-not-running', `VM ${vmId} is not running on this host`);
    return vm;
  }

  private pathsOf(vmId: string): VmPaths {
    return vmPaths(this.vmsDirectory, checkedId(vmId, 'VM'));
  }
}

/** A guest that obeys does not answer any more. False when there is no agent, or when it refuses (as it does while it is frozen). */
async function asksAgent(vm: RunningVm): Promise<boolean> {
  if (!(await vm.agent.answers(agentLimitMs))) return false;
  try {
    await vm.agent.execute('guest-shutdown', { mode: 'powerdown' }, agentLimitMs);
    return true;
  } catch (error) {
    return !(error instanceof AgentRefusal);
  }
}
