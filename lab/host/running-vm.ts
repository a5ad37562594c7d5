// One living QEMU: its monitor, its agent, its disks and its state in oVirt's words. Turns what QEMU tells into transitions;
// how disks come and go, snapshots and merges are next door and work on this object.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { AgentClient } from './agent-client';
import type { ExportKind } from './host-options';
import type { HostLog } from './host-options';
import { KeyedMutex, Mutex } from './mutex';
import type { HostVmEvent, HostVmStatus, VmDisk, VmSpec } from './port';
import { isAlive, waitUntilGone, type ProcessIdentity } from './processes';
import type { QmpClient, QmpEvent } from './qmp-client';
import type { RunDirectory, VmSockets } from './run-directory';
import { removeFile, sweepUnfinished, writeJsonFile } from './state-file';
import type { Storage } from './storage';

export interface HostContext {
  readonly storage: Storage;
  readonly run: RunDirectory;
  readonly log: HostLog;
  readonly exportKind: ExportKind;
  readonly emit: (event: HostVmEvent) => void;
}

const volumeSchema = z.object({ domainId: z.string(), diskId: z.string(), volumeId: z.string() });
const diskSchema = z.object({ diskId: z.string(), top: volumeSchema, format: z.enum(['cow', 'raw']), bus: z.enum(['virtio_scsi', 'virtio']), readOnly: z.boolean(), transient: z.boolean() });
export const specSchema = z.object({ vmId: z.string(), name: z.string(), disks: z.array(diskSchema) });

export interface VmPaths {
  readonly directory: string;
  readonly spec: string;
  readonly pid: string;
  readonly pidFile: string;
  readonly sockets: string;
  readonly console: string;
  readonly messages: string;
  readonly overlays: string;
  readonly byId: string;
  /** What live backups are under way, one file each; kept when the VM ends, for whoever has to clear up after them. */
  readonly backups: string;
  /** Present while the host itself has frozen the guest: whoever adopts the VM thaws it. */
  readonly frozenByHost: string;
  /** Present while the host itself holds the guest still: whoever adopts the VM lets it go on. */
  readonly heldByHost: string;
  /** Present once the guest has its clock and its mounts: an adopted VM is not prepared again. */
  readonly prepared: string;
}

export function vmPaths(vmsDirectory: string, vmId: string): VmPaths {
  const directory = path.join(vmsDirectory, vmId);
  const at = (name: string): string => path.join(directory, name);
  return {
    directory,
    spec: at('spec.json'),
    pid: at('pid.json'),
    pidFile: at('qemu.pid'),
    sockets: at('sockets.json'),
    console: at('console.log'),
    messages: at('qemu.log'),
    overlays: at('overlays'),
    byId: at('by-id'),
    backups: at('backups'),
    frozenByHost: at('frozen-by-host'),
    heldByHost: at('held-by-host'),
    prepared: at('prepared'),
  };
}

/** QEMU's ShutdownCause as the engine shall hear it. */
const shutdownReasons: Readonly<Record<string, string>> = {
  'guest-shutdown': 'guest shutdown',
  'guest-reset': 'guest reboot', // -no-reboot turns it into an end
  'guest-panic': 'lost: the guest panicked',
  'host-qmp-quit': 'stopped',
  'host-signal': 'lost: qemu was ended by a signal',
};

export class RunningVm {
  readonly disks = new Map<string, VmDisk>();
  readonly diskTurns = new KeyedMutex();
  readonly nbdServer = new Mutex();
  /** Live backups begin and end one after another. */
  readonly backupTurns = new Mutex();
  readonly agent: AgentClient;
  /** Aborted when the host lets go of this VM or the VM has ended: background work stops. */
  readonly released = new AbortController();
  readonly sockets: VmSockets;
  /** Resolves after the ended VM's remains are cleared away. */
  readonly ended: Promise<void>;
  private resolveEnded: () => void = () => undefined;
  private readonly saving = new Mutex();
  private currentStatus: HostVmStatus;
  private holders = 0;
  private readonly holding = new Mutex();
  private reachedUp = false;
  private askedToStop = false;
  private shutdownReason: string | undefined;
  private ioError: string | undefined;
  private monitor: QmpClient | undefined;

  constructor(
    readonly host: HostContext,
    readonly paths: VmPaths,
    readonly spec: VmSpec,
    readonly process: ProcessIdentity,
    initialStatus: HostVmStatus,
  ) {
    this.sockets = host.run.sockets(spec.vmId);
    this.agent = new AgentClient(this.sockets.agent, spec.name);
    this.currentStatus = initialStatus;
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    for (const disk of spec.disks) this.disks.set(disk.diskId, disk);
  }

  get vmId(): string {
    return this.spec.vmId;
  }

  get label(): string {
    return `VM ${this.spec.name} (${this.vmId})`;
  }

  get status(): HostVmStatus {
    return this.currentStatus;
  }

  get qmp(): QmpClient {
    if (!this.monitor) throw new Error(`${this.label}: no monitor yet`);
    return this.monitor;
  }

  get isOver(): boolean {
    return this.currentStatus === 'down';
  }

  /** Takes the monitor and lives with what it tells from now on. */
  attachMonitor(monitor: QmpClient): void {
    this.monitor = monitor;
    monitor.onEvent((event) => this.handleEvent(event));
    monitor.onClose(() => {
      if (!this.released.signal.aborted) void this.monitorClosed();
    });
  }

  setStatus(status: HostVmStatus, reason?: string): void {
    if (status === this.currentStatus || this.isOver) return;
    this.currentStatus = status;
    if (status === 'up') this.reachedUp = true;
    this.host.log.info({ vmId: this.vmId, status, ...(reason === undefined ? {} : { reason }) }, `${this.label} is ${status}`);
    this.host.emit({ vmId: this.vmId, status, ...(reason === undefined ? {} : { reason }) });
  }

  /** From here on an end of QEMU is what was asked for. */
  expectStop(): void {
    this.askedToStop = true;
  }

  /** The disks of this moment, for whoever adopts the VM later. Never fails what was done already: QEMU's own graph is the truth. */
  async saveSpec(): Promise<void> {
    try {
      await this.saving.run(() => writeJsonFile(this.paths.spec, { vmId: this.vmId, name: this.spec.name, disks: [...this.disks.values()] } satisfies VmSpec));
    } catch (error) {
      this.host.log.warn({ vmId: this.vmId, error: String(error) }, `${this.label}: ${this.paths.spec} could not be written`);
    }
  }

  /** The host goes, the VM stays. */
  release(): void {
    this.released.abort();
    this.agent.close();
    this.monitor?.close();
  }

  /** What QEMU says about itself, for when it was silent for a while. */
  statusFrom(runState: string): void {
    if (runState === 'running') this.setStatus(this.reachedUp ? 'up' : 'powering_up');
    else this.setStatus('paused', runState);
  }

  /** Stops the guest's clock for a moment; nobody outside is told. Several may hold it at once; a guest that stood still before stays so. */
  hold(): Promise<void> {
    return this.holding.run(async () => {
      if (this.holders === 0 && this.currentStatus !== 'paused') {
        await writeJsonFile(this.paths.heldByHost, {});
        this.holders += 1;
        await this.qmp.execute('stop');
      } else if (this.holders > 0) this.holders += 1;
    });
  }

  letGo(): Promise<void> {
    return this.holding.run(async () => {
      if (this.holders === 1) {
        await this.qmp.execute('cont');
        await removeFile(this.paths.heldByHost);
      }
      this.holders = Math.max(0, this.holders - 1);
    });
  }

  private handleEvent({ name, data }: QmpEvent): void {
    const text = (key: string): string | undefined => (typeof data[key] === 'string' ? data[key] : undefined);
    switch (name) {
      case 'STOP':
        if (this.holders === 0) this.setStatus('paused', this.ioError);
        break;
      case 'RESUME':
        this.ioError = undefined;
        if (this.holders === 0) this.setStatus(this.reachedUp ? 'up' : 'powering_up');
        break;
      case 'BLOCK_IO_ERROR':
        this.ioError = `I/O error on ${text('node-name') ?? 'a disk'}: ${text('reason') ?? 'unknown'}`;
        break;
      case 'POWERDOWN':
        this.setStatus('powering_down');
        break;
      case 'SHUTDOWN':
        this.shutdownReason = shutdownReasons[text('reason') ?? ''] ?? `lost: qemu ended (${text('reason') ?? 'no reason given'})`;
    }
  }

  private async monitorClosed(): Promise<void> {
    // QEMU closes its monitor a moment before it is gone; if it stays, it hangs, and the VM's state is unknown until it ends.
    if (!(await waitUntilGone(this.process, 5_000))) {
      this.setStatus('not_responding', 'the monitor closed while qemu lives on');
      while (!this.released.signal.aborted && (await isAlive(this.process))) await waitUntilGone(this.process, 1_000);
    }
    if (this.released.signal.aborted) return;
    this.release();
    try {
      await clearRemains(this.host.run, this.paths, this.vmId);
    } catch (error) {
      this.host.log.warn({ vmId: this.vmId, error: String(error) }, `${this.label} ended, but not everything it left could be removed`);
    }
    this.setStatus('down', this.askedToStop ? 'stopped' : (this.shutdownReason ?? 'lost: qemu was killed'));
    this.resolveEnded();
  }
}

/** What an ended VM leaves: dead mounts, sockets, links, throw-away overlays, state files. Its console log stays. */
export async function clearRemains(run: RunDirectory, paths: VmPaths, vmId: string): Promise<void> {
  await fs.rm(paths.byId, { recursive: true, force: true });
  await run.clean(vmId);
  await fs.rm(paths.overlays, { recursive: true, force: true });
  for (const file of [paths.sockets, paths.pid, paths.pidFile, paths.frozenByHost, paths.heldByHost, paths.prepared, paths.spec]) await removeFile(file);
  await sweepUnfinished(paths.directory);
}
