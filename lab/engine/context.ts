// What every command and resource works with, and the few questions that all of them ask.
import type { BackupHost, ImageioDaemon } from '../host/backup-port';
import type { Host, VolumeRef } from '../host/port';
import type { Clock } from './clock';
import type { EngineDatabase } from './database-port';
import type { EventLog } from './events';
import { entityNotFound, notFound } from './faults';
import type { Holds } from './injected/holds';
import type { InjectedFaults } from './injected/injected-faults';
import type { Jobs } from './jobs';
import type { Locks } from './locks';
import type {
  AttachmentRecord,
  DiskRecord,
  DomainRecord,
  ImageRecord,
  PlaceRecord,
  SnapshotRecord,
  VmRecord,
  VmStatus,
} from './state/model';
import type { Store } from './state/store';
import type { Background } from './background';
import type { Turns } from './turns';
import type { Volumes } from './volumes';

export interface Context {
  readonly store: Store;
  readonly host: Host;
  /** The same host, for bitmaps, backups and exports. */
  readonly backups: BackupHost;
  readonly imageio: ImageioDaemon;
  /** Absent: the engine tells nothing of backups of itself, as one before 4.6 (API root). */
  readonly database?: EngineDatabase;
  readonly clock: Clock;
  readonly settings: Settings;
  /** One step after another per backup or transfer. */
  readonly turns: Turns;
  readonly locks: Locks;
  readonly events: EventLog;
  readonly jobs: Jobs;
  readonly volumes: Volumes;
  readonly background: Background;
  readonly injected: InjectedFaults;
  readonly holds: Holds;
  readonly log: (line: string) => void;
  /** VMs that go down because somebody asked: no "down with error" for these. */
  readonly expectedDown: Set<string>;
}

/** What differs between versions of the engine, to be switched while the lab runs. */
export interface Settings {
  /** Detaching a disk, a snapshot's included, ends its change tracking (engine-rules 0.1: master since May 2026, not 4.5.7). */
  detachWipesTracking: boolean;
  /** VMs whose compatibility is below 4.7: their backups are live or cold unasked (engine-rules 0.4). */
  vmsBelow47: readonly string[];
  /** A restart fails the backups whose id the client chose (resume-backup.ts): engines since 4.5.3 do. */
  restartFailsNamedBackups: boolean;
  /** Events older than so many days are gone (AuditLogAgingThreshold). */
  auditLogAgingDays: number;
}

export function needVm({ store }: Context, id: string): VmRecord {
  const vm = store.tables.vms.get(id);
  if (vm === undefined) throw notFound();
  return vm;
}

export function needDisk({ store }: Context, id: string): DiskRecord {
  const disk = store.tables.disks.get(id);
  if (disk === undefined) throw notFound();
  return disk;
}

export function needSnapshot({ store }: Context, vmId: string, id: string): SnapshotRecord {
  const snapshot = store.tables.snapshots.get(id);
  if (snapshot?.vmId !== vmId) throw entityNotFound(id);
  return snapshot;
}

export function needDomain({ store }: Context, id: string): DomainRecord {
  const domain = store.tables.domains.get(id);
  if (domain === undefined) throw notFound();
  return domain;
}

export function placesOf({ store }: Context, kind: PlaceRecord['kind']): PlaceRecord[] {
  return store.tables.places.where((place) => place.kind === kind);
}

/** The lab has exactly one of most places. */
export function thePlace(context: Context, kind: PlaceRecord['kind']): PlaceRecord {
  const [place] = placesOf(context, kind);
  if (place === undefined) throw new Error(`the lab has no ${kind}`);
  return place;
}

export function attachmentId(vmId: string, diskId: string): string {
  return `${vmId}/${diskId}`;
}

export function attachmentsOf({ store }: Context, vmId: string): AttachmentRecord[] {
  return store.tables.attachments.where((attachment) => attachment.vmId === vmId);
}

export function snapshotsOf({ store }: Context, vmId: string): SnapshotRecord[] {
  return store.tables.snapshots.where((snapshot) => snapshot.vmId === vmId).sort((left, right) => left.createdMs - right.createdMs);
}

export function activeSnapshot(context: Context, vmId: string): SnapshotRecord {
  const active = snapshotsOf(context, vmId).find((snapshot) => snapshot.type === 'active');
  if (active === undefined) throw new Error(`VM ${vmId} has no active snapshot`);
  return active;
}

export function imagesOf({ store }: Context, diskId: string): ImageRecord[] {
  return store.tables.images.where((image) => image.diskId === diskId);
}

export function imagesOfSnapshot({ store }: Context, snapshotId: string): ImageRecord[] {
  return store.tables.images.where((image) => image.snapshotId === snapshotId);
}

export function activeImage(context: Context, diskId: string): ImageRecord | undefined {
  return imagesOf(context, diskId).find((image) => image.active);
}

/** The image and everything below it, base first. */
export function chainOf({ store }: Context, image: ImageRecord): ImageRecord[] {
  const chain = [image];
  for (let below = store.tables.images.get(image.parentId); below !== undefined; below = store.tables.images.get(below.parentId))
    chain.unshift(below);
  return chain;
}

export function volumeRef(image: ImageRecord): VolumeRef {
  return { domainId: image.domainId, diskId: image.diskId, volumeId: image.id };
}

/** The VM's own image disks: what snapshots are made of. Shareable disks, LUNs and attached snapshots are not. */
export function ownImageDisks(context: Context, vmId: string): { readonly disk: DiskRecord; readonly attachment: AttachmentRecord }[] {
  return attachmentsOf(context, vmId).flatMap((attachment) => {
    const disk = context.store.tables.disks.get(attachment.diskId);
    return disk?.kind === 'image' && !disk.shareable && attachment.snapshotId === undefined ? [{ disk, attachment }] : [];
  });
}

export function aliases(disks: readonly DiskRecord[]): string {
  return disks.map((disk) => disk.alias).join(', ');
}

export function isRunning(vm: VmRecord): boolean {
  return vm.status !== 'down' && vm.status !== 'image_locked';
}

/** `not_responding` → `NotResponding`, as refusals spell it. */
export function statusWord(status: VmStatus | DomainRecord['status'] | SnapshotRecord['status']): string {
  return status
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** The host on which the VMs of this VM's cluster run. */
export function hostOf(context: Context, vm: VmRecord): PlaceRecord {
  const host = placesOf(context, 'host').find((place) => place.parentId === vm.clusterId);
  if (host === undefined) throw new Error(`the cluster ${vm.clusterId} has no host`);
  return host;
}
