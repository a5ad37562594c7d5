// The host's part in VM backups, checkpoints and image transfers, behind the port that the engine side uses. Only finds out whether a QEMU
// has the volume; the work is done next door.
import path from 'node:path';
import type { BackupDisk, BackupHost, BitmapInfo, DataExport, StartedBackup } from '../backup-port';
import { addFileBitmap, fileBitmaps, fileBitmapsSince, removeFileBitmap } from '../bitmaps/file-bitmaps';
import { liveBitmaps, removeLiveBitmaps } from '../bitmaps/live-bitmaps';
import { volumeNode } from '../block-graph';
import { addExport, removeExport } from '../exports';
import type { HostLog } from '../host-options';
import { HostError, type VolumeRef } from '../port';
import type { RunDirectory } from '../run-directory';
import type { RunningVm, VmPaths } from '../running-vm';
import { describeVolume, type Storage } from '../storage';
import { runTool, toHostError } from '../tools';
import { VolumeExports, type ExportRequest } from '../transfers/volume-exports';
import { Lies } from './bitmap-lies';
import { findLiveBackup, startLiveBackup, stopLiveBackup } from './live-backup';

export interface BackupHostParts {
  readonly stateDir: string;
  readonly storage: Storage;
  readonly run: RunDirectory;
  readonly log: HostLog;
  readonly findVm: (vmId: string) => RunningVm | undefined;
  readonly pathsOf: (vmId: string) => VmPaths;
}

export class QemuBackupHost implements BackupHost {
  private readonly lies = new Lies();
  private readonly scratchLimits = new Map<string, number>();
  private readonly exports: VolumeExports;

  constructor(private readonly parts: BackupHostParts) {
    this.exports = new VolumeExports(path.join(path.resolve(parts.stateDir), 'exports'), parts.storage, parts.run, this.lies);
  }

  /** At start of the host. */
  sweep(): Promise<void> {
    return this.exports.sweep();
  }

  /** With the VMs. */
  endExports(): Promise<void> {
    return this.exports.endAll();
  }

  async startLiveBackup(vmId: string, backupId: string, disks: readonly BackupDisk[], options: { readonly freeze: boolean; readonly requireConsistency: boolean }): Promise<StartedBackup> {
    const vm = this.parts.findVm(vmId);
    if (!vm) throw new HostError('vm-not-running', `VM ${vmId} is not running on this host`);
    return startLiveBackup({ vm, backupId, disks, ...options, scratchLimit: (diskId) => this.takeScratchLimit(diskId), lie: (diskId) => this.lies.take(diskId) });
  }

  async addBitmaps(disks: readonly BackupDisk[]): Promise<void> {
    const { storage } = this.parts;
    for (const { disk, changedSince } of disks) if (changedSince) await fileBitmapsSince(storage, disk.top, changedSince);
    const added: { readonly volume: VolumeRef; readonly name: string }[] = [];
    for (const { disk, toCheckpointId } of disks) {
      if (toCheckpointId === undefined) continue;
      try {
        await addFileBitmap(storage.volumePath(disk.top), toCheckpointId);
        added.push({ volume: disk.top, name: toCheckpointId });
      } catch (error) {
        for (const { volume, name } of added) await removeFileBitmap(storage, volume, name);
        throw toHostError(error, `checkpoint ${toCheckpointId} on ${describeVolume(disk.top)}`);
      }
    }
  }

  async stopLiveBackup(vmId: string, backupId: string, options: { readonly dropCheckpoint: boolean }): Promise<void> {
    await stopLiveBackup(this.parts.findVm(vmId), this.parts.pathsOf(vmId), this.parts.storage, backupId, options);
  }

  async findLiveBackup(vmId: string, backupId: string): Promise<StartedBackup | undefined> {
    const vm = this.parts.findVm(vmId);
    return vm && findLiveBackup(vm, backupId);
  }

  async bitmaps(vmId: string, volume: VolumeRef): Promise<readonly BitmapInfo[]> {
    const vm = this.parts.findVm(vmId);
    return vm?.disks.has(volume.diskId) ? (await liveBitmaps(vm))(volumeNode(volume)) : fileBitmaps(this.parts.storage, volume);
  }

  async removeBitmap(vmId: string, volume: VolumeRef, checkpointId: string): Promise<void> {
    const vm = this.vmThatWrites(vmId, volume);
    if (vm) return removeLiveBitmaps(vm, volume, (name) => name === checkpointId);
    for (const layer of await this.parts.storage.chain(volume)) await removeFileBitmap(this.parts.storage, layer.volume, checkpointId);
  }

  async forgetBitmaps(vmId: string, volume: VolumeRef): Promise<void> {
    const vm = this.vmThatWrites(vmId, volume);
    if (vm) return removeLiveBitmaps(vm, volume, () => true);
    const { storage, log } = this.parts;
    for (const { volume: layer } of await storage.chain(volume)) {
      for (const { name } of await fileBitmaps(storage, layer)) {
        await removeFileBitmap(storage, layer, name).catch((error: unknown) => log.warn({ volumeId: layer.volumeId, error: String(error) }, `bitmap ${name} of ${describeVolume(layer)} stays`));
      }
    }
  }

  async resizeVolume(vmId: string | undefined, volume: VolumeRef, virtualBytes: number): Promise<void> {
    const { storage } = this.parts;
    const { virtualBytes: before, format } = await storage.volumeInfo(volume);
    if (virtualBytes === before) return;
    if (virtualBytes < before) throw new HostError('qemu-failed', `${describeVolume(volume)} has ${before} bytes and cannot shrink to ${virtualBytes}`);
    const vm = vmId === undefined ? undefined : this.vmThatWrites(vmId, volume);
    try {
      if (vm) await resizeLive(vm, volume, virtualBytes);
      else await runTool('qemu-img', ['resize', '-q', '-f', format === 'cow' ? 'qcow2' : 'raw', storage.volumePath(volume), String(virtualBytes)]);
    } catch (error) {
      throw toHostError(error, `${describeVolume(volume)} could not grow to ${virtualBytes} bytes`);
    }
  }

  exportVolume(request: ExportRequest): Promise<DataExport> {
    return this.exports.serve(request);
  }

  endExport(transferId: string): Promise<void> {
    return this.exports.end(transferId);
  }

  lieAboutNextBitmap(diskId: string, bytes: number): void {
    this.lies.prepare(diskId, bytes);
  }

  limitNextScratch(diskId: string, bytes: number): void {
    this.scratchLimits.set(diskId, bytes);
  }

  private takeScratchLimit(diskId: string): number | undefined {
    const bytes = this.scratchLimits.get(diskId);
    this.scratchLimits.delete(diskId);
    return bytes;
  }

  private vmThatWrites(vmId: string, volume: VolumeRef): RunningVm | undefined {
    const vm = this.parts.findVm(vmId);
    const plugged = vm?.disks.get(volume.diskId);
    return plugged && !plugged.transient && plugged.top.volumeId === volume.volumeId ? vm : undefined;
  }
}

/** An export lets nobody else resize what it may write to, so the by-id entry is away for a moment. */
function resizeLive(vm: RunningVm, volume: VolumeRef, virtualBytes: number): Promise<void> {
  return vm.diskTurns.run(volume.diskId, async () => {
    const disk = vm.disks.get(volume.diskId);
    if (!disk) throw new HostError('volume-in-use', `${vm.label} let go of disk ${volume.diskId} meanwhile; ask again`);
    await removeExport(vm, disk);
    try {
      await vm.qmp.execute('block_resize', { 'node-name': volumeNode(volume), size: virtualBytes });
    } finally {
      await addExport(vm, disk);
    }
  });
}
