// The fake host's side of backups: bitmaps are names in the volumes' files, exports and live backups are files, so that a second host finds
// them again as the real one does. And a daemon whose tickets a test may use as a client would.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  BackupDisk,
  BackupHost,
  BitmapInfo,
  DataExport,
  ImageioDaemon,
  StartedBackup,
  Ticket,
  TicketState,
} from '../../../lab/host/backup-port';
import { HostError, type VolumeRef } from '../../../lab/host/port';
import { FakeHost } from './fake-host';

export class FakeBackupHost extends FakeHost implements BackupHost {
  get backups(): BackupHost {
    return this;
  }

  /** What the faults asked for, by disk. */
  readonly lies = new Map<string, number>();
  readonly scratchLimits = new Map<string, number>();

  constructor(directory: string) {
    super(directory);
    for (const folder of ['exports', 'backups']) mkdirSync(join(directory, folder), { recursive: true });
  }

  async startLiveBackup(
    vmId: string,
    backupId: string,
    disks: readonly BackupDisk[],
    { freeze, requireConsistency }: { readonly freeze: boolean; readonly requireConsistency: boolean },
  ): Promise<StartedBackup> {
    this.needVm(vmId);
    for (const { disk, changedSince = [] } of disks) this.needBitmaps(disk.top, changedSince);
    const frozen =
      freeze &&
      (await this.freeze(vmId).then(
        () => true,
        () => false,
      ));
    if (!frozen && requireConsistency) throw new HostError('freeze-failed', `the guest of VM ${vmId} cannot be frozen`);
    await this.step('startLiveBackup');
    this.addTo(disks);
    const exports = disks.map(({ disk, changedSince, scratch }) => {
      if (scratch === undefined) throw new HostError('no-such-volume', `disk ${disk.diskId} has no scratch disk`);
      this.marker(scratch);
      return { diskId: disk.diskId, ...this.served(`backup-${backupId}`, disk.diskId, disk.top, changedSince) };
    });
    const started: StartedBackup = { frozen, exports };
    writeFileSync(
      this.backupFile(backupId),
      JSON.stringify({ vmId, started, names: disks.map(({ disk, toCheckpointId }) => [disk.top, toCheckpointId]) }),
    );
    return started;
  }

  async addBitmaps(disks: readonly BackupDisk[]): Promise<void> {
    await this.step('addBitmaps');
    for (const { disk } of disks) if (this.isOpen(disk.top)) throw new HostError('volume-in-use', `volume ${disk.top.volumeId} is open`);
    this.addTo(disks);
  }

  private addTo(disks: readonly BackupDisk[]): void {
    for (const { disk, toCheckpointId } of disks) {
      if (toCheckpointId === undefined) continue;
      const marker = this.marker(disk.top);
      this.putMarker(disk.top, { ...marker, bitmaps: { ...marker.bitmaps, [toCheckpointId]: { inconsistent: false } } });
    }
  }

  async stopLiveBackup(_vmId: string, backupId: string, { dropCheckpoint }: { readonly dropCheckpoint: boolean }): Promise<void> {
    await this.step('stopLiveBackup');
    if (!existsSync(this.backupFile(backupId))) return;
    const { names } = JSON.parse(readFileSync(this.backupFile(backupId), 'utf8')) as { names: [VolumeRef, string | undefined][] };
    for (const [volume, name] of names) if (dropCheckpoint && name !== undefined) this.dropBitmap(volume, name);
    rmSync(this.backupFile(backupId));
  }

  findLiveBackup(_vmId: string, backupId: string): Promise<StartedBackup | undefined> {
    if (!existsSync(this.backupFile(backupId))) return Promise.resolve(undefined);
    return Promise.resolve((JSON.parse(readFileSync(this.backupFile(backupId), 'utf8')) as { started: StartedBackup }).started);
  }

  bitmaps(_vmId: string, volume: VolumeRef): Promise<readonly BitmapInfo[]> {
    const found = Object.entries(this.marker(volume).bitmaps ?? {});
    return Promise.resolve(
      found.map(([name, { inconsistent }]) => ({ name, inconsistent, recording: !inconsistent, granularityBytes: 65_536 })),
    );
  }

  async removeBitmap(_vmId: string, volume: VolumeRef, checkpointId: string): Promise<void> {
    await this.step('removeBitmap');
    for (const each of this.chain(volume)) this.dropBitmap(each, checkpointId);
  }

  private dropBitmap(volume: VolumeRef, name: string): void {
    const marker = this.marker(volume);
    const rest = Object.entries(marker.bitmaps ?? {}).filter(([other]) => other !== name);
    this.putMarker(volume, { ...marker, bitmaps: Object.fromEntries(rest) });
  }

  async resizeVolume(_vmId: string | undefined, volume: VolumeRef, virtualBytes: number): Promise<void> {
    await this.step('resizeVolume');
    this.putMarker(volume, { ...this.marker(volume), virtualBytes });
  }

  async exportVolume({
    transferId,
    volume,
    writable,
    changedSince,
    asFile,
  }: Parameters<BackupHost['exportVolume']>[0]): Promise<DataExport> {
    await this.step('exportVolume');
    if (writable && this.isOpen(volume)) throw new HostError('volume-in-use', `volume ${volume.volumeId} is open`);
    this.needBitmaps(volume, changedSince ?? []);
    writeFileSync(join(this.directory, 'exports', transferId), '');
    if (asFile) return { url: `file://${this.volumeFile(volume)}`, sizeBytes: 196_608, dirty: false };
    return this.served(transferId, volume.diskId, volume, changedSince);
  }

  private served(name: string, exportName: string, volume: VolumeRef, changedSince: readonly string[] | undefined): DataExport {
    const { virtualBytes } = this.marker(volume);
    return { url: `nbd:unix:/fake/${name}:exportname=${exportName}`, sizeBytes: virtualBytes, dirty: changedSince !== undefined };
  }

  endExport(transferId: string): Promise<void> {
    rmSync(join(this.directory, 'exports', transferId), { force: true });
    return Promise.resolve();
  }

  /** Transfers whose data is served by a process of its own. */
  exports(): readonly string[] {
    return readdirSync(join(this.directory, 'exports'));
  }

  liveBackups(): readonly string[] {
    return readdirSync(join(this.directory, 'backups'));
  }

  lieAboutNextBitmap(diskId: string, bytes: number): void {
    this.lies.set(diskId, bytes);
  }

  limitNextScratch(diskId: string, bytes: number): void {
    this.scratchLimits.set(diskId, bytes);
  }

  forgetBitmaps(_vmId: string, volume: VolumeRef): Promise<void> {
    for (const each of this.chain(volume)) this.putMarker(each, { ...this.marker(each), bitmaps: {} });
    return Promise.resolve();
  }

  /** What a killed QEMU leaves: its backups are gone, what it recorded is inconsistent. */
  override async killVm(vmId: string): Promise<void> {
    for (const { top } of this.plugged(vmId)) {
      const marker = this.marker(top);
      this.putMarker(top, {
        ...marker,
        bitmaps: Object.fromEntries(Object.keys(marker.bitmaps ?? {}).map((name) => [name, { inconsistent: true }])),
      });
    }
    for (const id of this.liveBackups()) {
      const { vmId: owner } = JSON.parse(readFileSync(this.backupFile(id), 'utf8')) as { vmId: string };
      if (owner === vmId) rmSync(this.backupFile(id));
    }
    await super.killVm(vmId);
  }

  private needBitmaps(volume: VolumeRef, names: readonly string[]): void {
    const known = this.marker(volume).bitmaps ?? {};
    for (const name of names)
      if (known[name]?.inconsistent !== false) throw new HostError('bitmap-lost', `volume ${volume.volumeId} has no good bitmap ${name}`);
  }

  private backupFile(backupId: string): string {
    return join(this.directory, 'backups', backupId);
  }
}

interface Held {
  readonly ticket: Ticket;
  active: boolean;
  transferredBytes: number;
  lastUsedMs: number;
  renewals: number;
}

/** Tickets in memory; a test uses them as a client of the real daemon would. */
export class FakeImageio implements ImageioDaemon {
  readonly tickets = new Map<string, Held>();
  failing: 'nothing' | 'adding' | 'renewing' | 'removing' = 'nothing';

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  address(): { readonly url: string; readonly unixSocket: string } {
    return { url: 'https://localhost:54322', unixSocket: '/fake/imageio.sock' };
  }

  addTicket(ticket: Ticket): Promise<void> {
    if (this.failing === 'adding') return Promise.reject(new HostError('qemu-failed', 'the daemon does not answer'));
    this.tickets.set(ticket.uuid, { ticket, active: false, transferredBytes: 0, lastUsedMs: Date.now(), renewals: 0 });
    return Promise.resolve();
  }

  ticketState(uuid: string): Promise<TicketState | undefined> {
    const held = this.tickets.get(uuid);
    if (held === undefined) return Promise.resolve(undefined);
    const { active, transferredBytes, lastUsedMs } = held;
    return Promise.resolve({
      active,
      canceled: false,
      idleSeconds: active ? 0 : Math.floor((Date.now() - lastUsedMs) / 1000),
      transferredBytes,
    });
  }

  extendTicket(uuid: string): Promise<void> {
    const held = this.tickets.get(uuid);
    if (this.failing === 'renewing' || held === undefined) return Promise.reject(new HostError('qemu-failed', `no ticket ${uuid}`));
    held.renewals += 1;
    return Promise.resolve();
  }

  removeTicket(uuid: string): Promise<void> {
    if (this.failing === 'removing') return Promise.reject(new HostError('ticket-busy', `ticket ${uuid} is in use`));
    this.tickets.delete(uuid);
    return Promise.resolve();
  }

  /** The ticket of a transfer, as its URL names it. */
  of(transferId: string): Held {
    const held = [...this.tickets.values()].find(({ ticket }) => ticket.transferId === transferId);
    if (held === undefined) throw new Error(`transfer ${transferId} has no ticket`);
    return held;
  }
}
