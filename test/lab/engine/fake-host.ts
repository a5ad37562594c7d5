// A host with rules but without QEMU: volumes are small JSON files, VMs are words. It refuses what the real one refuses
// (volumes in use, unknown volumes, VMs that do not run) and stands still where a test says so.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  HostError,
  type Host,
  type HostVmEvent,
  type HostVmStatus,
  type MergeDisk,
  type NewVolume,
  type SnapshotDisk,
  type VmDisk,
  type VmSpec,
  type VolumeFormat,
  type VolumeInfo,
  type VolumeRef,
} from '../../../lab/host/port';

export interface Marker {
  readonly format: VolumeFormat;
  readonly virtualBytes: number;
  readonly backing?: string;
  /** Dirty bitmaps by name; true: QEMU was killed while it recorded. */
  readonly bitmaps?: Readonly<Record<string, { readonly inconsistent: boolean }>>;
}

export type Step =
  | 'startLiveBackup'
  | 'stopLiveBackup'
  | 'addBitmaps'
  | 'removeBitmap'
  | 'exportVolume'
  | 'resizeVolume'
  | 'snapshot'
  | 'afterSnapshotFiles'
  | 'afterSnapshot'
  | 'merge'
  | 'createVolume'
  | 'removeDisk'
  | 'plugDisk'
  | 'unplugDisk'
  | 'startVm'
  | 'freeze';

/** A running fake VM, kept in a file so that a second host adopts it as the real one does. */
export interface FakeVm {
  status: HostVmStatus;
  disks: VmDisk[];
}

export class FakeHost implements Host {
  availableBytes = 1024 ** 4;
  private readonly listeners: ((event: HostVmEvent) => void)[] = [];
  private readonly gates = new Map<Step, Promise<void>>();
  private readonly failures = new Map<Step, HostError>();

  constructor(protected readonly directory: string) {
    mkdirSync(join(directory, 'vms'), { recursive: true });
  }

  /** The next calls of this step wait until the returned function is called. */
  hold(step: Step): () => void {
    let open = (): void => undefined;
    this.gates.set(
      step,
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    return () => {
      this.gates.delete(step);
      open();
    };
  }

  failNext(step: Step, code: HostError['code']): void {
    this.failures.set(step, new HostError(code, `the test wants ${step} to fail`));
  }

  /** A VM's state changes by itself, as guests do. */
  report(vmId: string, status: HostVmStatus, reason?: string): void {
    const vm = this.readVm(vmId);
    if (status === 'down') rmSync(this.vmFile(vmId), { force: true });
    else this.writeVm(vmId, { disks: vm?.disks ?? [], status });
    for (const listener of this.listeners) listener({ vmId, status, ...(reason === undefined ? {} : { reason }) });
  }

  volumeFile({ domainId, diskId, volumeId }: VolumeRef): string {
    return join(this.directory, domainId, 'images', diskId, volumeId);
  }

  plugged(vmId: string): readonly VmDisk[] {
    return this.readVm(vmId)?.disks ?? [];
  }

  protected async step(step: Step): Promise<void> {
    await this.gates.get(step);
    const failure = this.failures.get(step);
    this.failures.delete(step);
    if (failure !== undefined) throw failure;
  }

  private vmFile(vmId: string): string {
    return join(this.directory, 'vms', vmId);
  }

  protected readVm(vmId: string): FakeVm | undefined {
    return existsSync(this.vmFile(vmId)) ? (JSON.parse(readFileSync(this.vmFile(vmId), 'utf8')) as FakeVm) : undefined;
  }

  protected writeVm(vmId: string, vm: FakeVm): void {
    writeFileSync(this.vmFile(vmId), JSON.stringify(vm));
  }

  protected needVm(vmId: string): FakeVm {
    const vm = this.readVm(vmId);
    if (vm === undefined) throw new HostError('vm-not-running', `VM ${vmId} does not run`);
    return vm;
  }

  protected marker(volume: VolumeRef): Marker {
    const file = this.volumeFile(volume);
    if (!existsSync(file)) throw new HostError('no-such-volume', `volume ${volume.volumeId} does not exist`);
    return JSON.parse(readFileSync(file, 'utf8')) as Marker;
  }

  protected putMarker(volume: VolumeRef, marker: Marker): void {
    writeFileSync(this.volumeFile(volume), JSON.stringify(marker));
  }

  /** The volume and everything below it. */
  protected chain(volume: VolumeRef): VolumeRef[] {
    const { backing } = this.marker(volume);
    return backing === undefined ? [volume] : [volume, ...this.chain({ ...volume, volumeId: backing })];
  }

  protected isOpen(volume: VolumeRef): boolean {
    return readdirSync(join(this.directory, 'vms')).some((vmId) =>
      this.plugged(vmId).some((disk) => this.chain(disk.top).some(({ volumeId }) => volumeId === volume.volumeId)),
    );
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.listeners.length = 0;
    return Promise.resolve();
  }

  createDomain(domainId: string): Promise<void> {
    mkdirSync(join(this.directory, domainId, 'images'), { recursive: true });
    return Promise.resolve();
  }

  domainSpace(): Promise<{ readonly availableBytes: number; readonly usedBytes: number }> {
    return Promise.resolve({ availableBytes: this.availableBytes, usedBytes: 0 });
  }

  async createVolume(volume: NewVolume): Promise<void> {
    await this.step('createVolume');
    if (existsSync(this.volumeFile(volume))) throw new HostError('volume-in-use', `volume ${volume.volumeId} exists already`);
    if (volume.backing !== undefined) this.marker({ ...volume, volumeId: volume.backing.volumeId });
    mkdirSync(join(this.volumeFile(volume), '..'), { recursive: true });
    const marker: Marker = {
      format: volume.format,
      virtualBytes: volume.virtualBytes,
      ...(volume.backing === undefined ? {} : { backing: volume.backing.volumeId }),
    };
    writeFileSync(this.volumeFile(volume), JSON.stringify(marker));
  }

  shareVolume(volume: VolumeRef, diskId: string): Promise<void> {
    const target = this.volumeFile({ ...volume, diskId });
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, JSON.stringify(this.marker(volume)));
    return Promise.resolve();
  }

  async volumeInfo(volume: VolumeRef): Promise<VolumeInfo> {
    const { backing, format, virtualBytes } = await Promise.resolve().then(() => this.marker(volume));
    return { format, virtualBytes, actualBytes: 4096, ...(backing === undefined ? {} : { backingVolumeId: backing }) };
  }

  async removeVolume(volume: VolumeRef): Promise<void> {
    if (await Promise.resolve(existsSync(this.volumeFile(volume)) && this.isOpen(volume)))
      throw new HostError('volume-in-use', `volume ${volume.volumeId} is open`);
    rmSync(this.volumeFile(volume), { force: true });
  }

  async removeDisk(domainId: string, diskId: string): Promise<void> {
    await this.step('removeDisk');
    rmSync(join(this.directory, domainId, 'images', diskId), { recursive: true, force: true });
  }

  damagedVolumes(volumes: readonly VolumeRef[]): Promise<readonly VolumeRef[]> {
    return Promise.resolve(volumes.filter((volume) => !existsSync(this.volumeFile(volume))));
  }

  async startVm(spec: VmSpec): Promise<void> {
    await this.step('startVm');
    if (this.readVm(spec.vmId) !== undefined) throw new HostError('already-running', `VM ${spec.name} runs already`);
    for (const disk of spec.disks) this.chain(disk.top);
    this.writeVm(spec.vmId, { status: 'powering_up', disks: [...spec.disks] });
    this.report(spec.vmId, 'up');
  }

  async shutdownVm(vmId: string): Promise<void> {
    this.needVm(vmId);
    this.report(vmId, 'powering_down');
    await Promise.resolve();
    this.report(vmId, 'down', 'guest shutdown');
  }

  stopVm(vmId: string): Promise<void> {
    if (this.readVm(vmId) !== undefined) this.report(vmId, 'down', 'stopped');
    return Promise.resolve();
  }

  killVm(vmId: string): Promise<void> {
    this.needVm(vmId);
    this.report(vmId, 'down', 'lost: qemu was killed');
    return Promise.resolve();
  }

  vmStatus(vmId: string): HostVmStatus {
    return this.readVm(vmId)?.status ?? 'down';
  }

  onVmEvent(listener: (event: HostVmEvent) => void): void {
    this.listeners.push(listener);
  }

  async freeze(vmId: string): Promise<{ readonly filesystems: number }> {
    await this.step('freeze');
    this.needVm(vmId);
    return { filesystems: 1 };
  }

  async thaw(vmId: string): Promise<{ readonly filesystems: number }> {
    await Promise.resolve(this.needVm(vmId));
    return { filesystems: 1 };
  }

  async guestExec(vmId: string, script: string): Promise<{ readonly exitCode: number; readonly output: string }> {
    await Promise.resolve(this.needVm(vmId));
    return { exitCode: 0, output: script };
  }

  async snapshot(vmId: string, disks: readonly SnapshotDisk[]): Promise<{ readonly frozen: boolean }> {
    await this.step('snapshot');
    const vm = this.readVm(vmId);
    for (const { diskId, current } of disks) {
      const plugged = vm?.disks.find((disk) => disk.diskId === diskId && !disk.transient);
      if (plugged !== undefined && plugged.top.volumeId !== current.volumeId)
        throw new HostError('qemu-failed', `disk ${diskId} writes to another volume`);
    }
    for (const { current, currentFormat, next, toCheckpointId } of disks) {
      const { virtualBytes, bitmaps } = this.marker(current);
      await this.createVolume({
        ...next,
        format: 'cow',
        virtualBytes,
        sparse: true,
        backing: { volumeId: current.volumeId, format: currentFormat },
      });
      const begun = toCheckpointId === undefined ? {} : { [toCheckpointId]: { inconsistent: false } };
      this.putMarker(next, { ...this.marker(next), bitmaps: { ...bitmaps, ...begun } });
    }
    await this.step('afterSnapshotFiles');
    if (vm === undefined) return { frozen: false };
    const disksAfter = vm.disks.map((disk): VmDisk => {
      const snapshot = disks.find((candidate) => candidate.diskId === disk.diskId && !disk.transient);
      return snapshot === undefined ? disk : { ...disk, top: snapshot.next, format: 'cow' };
    });
    this.writeVm(vmId, { ...vm, disks: disksAfter });
    await this.step('afterSnapshot');
    return { frozen: true };
  }

  async merge(vmId: string, { base, top, diskId }: MergeDisk, onProgress?: (percent: number) => void): Promise<void> {
    await this.step('merge');
    onProgress?.(50);
    if (!existsSync(this.volumeFile(top)) && existsSync(this.volumeFile(base))) return;
    if (this.marker(top).backing !== base.volumeId)
      throw new HostError('job-failed', `volume ${top.volumeId} does not rest on ${base.volumeId}`);
    const folder = join(this.volumeFile(top), '..');
    this.putMarker(base, { ...this.marker(base), bitmaps: { ...this.marker(base).bitmaps, ...this.marker(top).bitmaps } });
    for (const name of readdirSync(folder)) {
      const marker = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Marker;
      if (marker.backing === top.volumeId) writeFileSync(join(folder, name), JSON.stringify({ ...marker, backing: base.volumeId }));
    }
    const vm = this.readVm(vmId);
    if (vm !== undefined)
      this.writeVm(vmId, {
        ...vm,
        disks: vm.disks.map((disk) => (disk.diskId === diskId && disk.top.volumeId === top.volumeId ? { ...disk, top: base } : disk)),
      });
    rmSync(this.volumeFile(top));
    onProgress?.(100);
  }

  async plugDisk(vmId: string, disk: VmDisk): Promise<void> {
    await this.step('plugDisk');
    const vm = this.needVm(vmId);
    this.chain(disk.top);
    this.writeVm(vmId, { ...vm, disks: [...vm.disks.filter(({ diskId }) => diskId !== disk.diskId), disk] });
  }

  async unplugDisk(vmId: string, diskId: string): Promise<void> {
    await this.step('unplugDisk');
    const vm = this.readVm(vmId);
    if (vm !== undefined) this.writeVm(vmId, { ...vm, disks: vm.disks.filter((disk) => disk.diskId !== diskId) });
  }

  devicesDirectory(vmId: string): string {
    return join(this.directory, 'devices', vmId);
  }
}
