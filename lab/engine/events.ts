// The event log: what the engine tells about itself, with the numbers, severities and sentences of its audit log
// (ovirt-api.md section 2, engine-rules.md section 8; sentences from AuditLogMessages.properties).
import { randomUUID } from 'node:crypto';
import { kind, type EventKind } from './event-kind';
import { backupEventKinds } from './events-backups';
import type { EventRecord, Severity } from './state/model';
import type { Store } from './state/store';

export const eventKinds = {
  ...backupEventKinds,
  vmStarted: kind(32, 'normal', 'VM {vm} started on Host {host}'),
  vmStartAsked: kind(153, 'normal', 'VM {vm} was started by {user} (Host: {host}).'),
  vmStartFailed: kind(54, 'error', 'Failed to run VM {vm} (User: {user}).'),
  vmStopped: kind(33, 'normal', 'VM {vm} powered off by {user} (Host: {host}).'),
  vmDown: kind(61, 'normal', 'VM {vm} is down. Exit message: {reason}'),
  vmDownError: kind(119, 'error', 'VM {vm} is down with error. Exit message: {reason}.'),
  vmNotResponding: kind(126, 'warning', 'VM {vm} is not responding.'),
  vmPaused: kind(1025, 'normal', 'VM {vm} has been paused.'),
  shutdownAsked: kind(73, 'normal', 'VM shutdown initiated by {user} on VM {vm} (Host: {host}).'),
  vmCreated: kind(34, 'normal', 'VM {vm} was created by {user}.'),
  vmUpdated: kind(35, 'normal', 'VM {vm} configuration was updated by {user}.'),
  vmImportAsked: kind(37, 'normal', 'VM {vm} creation was initiated by {user}.'),
  vmCreatedDone: kind(53, 'normal', 'VM {vm} creation has been completed.'),
  vmCreateFailed: kind(60, 'error', 'Failed to complete VM {vm} creation.'),
  vmRemoved: kind(113, 'normal', 'VM {vm} was successfully removed by {user}.'),
  vmImported: kind(174, 'normal', 'VM {vm} has been successfully imported from the given configuration.'),
  vmImportedInPart: kind(175, 'warning', 'VM {vm} has been imported from the given configuration but the following disk(s) failed to attach: {disk}.'),
  snapshotAsked: kind(45, 'normal', "Snapshot '{snapshot}' creation for VM '{vm}' was initiated by {user}."),
  snapshotCreated: kind(68, 'normal', "Snapshot '{snapshot}' creation for VM '{vm}' has been completed."),
  /** Of a command that was refused nothing is logged; a hybrid backup, in which it was, says this. */
  snapshotRefused: kind(117, 'error', 'Failed to create Snapshot {snapshot} for VM {vm} (User: {user}).'),
  snapshotFailed: kind(69, 'error', "Failed to complete snapshot '{snapshot}' creation for VM '{vm}'."),
  snapshotDoubtful: kind(10_774, 'warning', 'Snapshot {snapshot} for VM {vm} (User: {user}), may be inconsistent as there was a failure during creation.'),
  snapshotRemovalAsked: kind(342, 'normal', "Snapshot '{snapshot}' deletion for VM '{vm}' was initiated by {user}."),
  snapshotRemoved: kind(356, 'normal', "Snapshot '{snapshot}' deletion for VM '{vm}' has been completed."),
  snapshotRemovalFailed: kind(357, 'error', "Failed to delete snapshot '{snapshot}' for VM '{vm}'."),
  snapshotRemovalPartial: kind(359, 'warning', "Due to partial snapshot removal, Snapshot '{snapshot}' of VM '{vm}' now contains only the following disks: '{disk}'."),
  previewAsked: kind(46, 'normal', 'Snapshot-Preview {snapshot} for VM {vm} was initiated by {user}.'),
  previewDone: kind(71, 'normal', 'Snapshot-Preview {snapshot} for VM {vm} has been completed.'),
  previewFailed: kind(99, 'error', 'Failed to complete Snapshot-Preview {snapshot} for VM {vm}.'),
  commitAsked: kind(94, 'normal', 'Committing a Snapshot-Preview for VM {vm} was initialized by {user}.'),
  commitDone: kind(95, 'normal', 'Committing a Snapshot-Preview for VM {vm} has been completed.'),
  undoAsked: kind(650, 'normal', 'Undoing a Snapshot-Preview for VM {vm} was initialized by {user}.'),
  undoDone: kind(651, 'normal', 'Undoing a Snapshot-Preview for VM {vm} has been completed.'),
  diskPlugged: kind(2000, 'normal', 'VM {vm} disk {disk} was plugged by {user}.'),
  diskPlugFailed: kind(2001, 'error', 'Failed to plug disk {disk} to VM {vm} (User: {user}).'),
  diskUnplugged: kind(2002, 'normal', 'VM {vm} disk {disk} was unplugged by {user}.'),
  diskUnplugFailed: kind(2003, 'error', 'Failed to unplug disk {disk} from VM {vm} (User: {user}).'),
  diskRemoved: kind(2014, 'normal', 'Disk {disk} was successfully removed from domain {domain} (User {user}).'),
  diskRemovalFailed: kind(2015, 'warning', 'Failed to remove disk {disk} from storage domain {domain} (User: {user}).'),
  diskAttached: kind(2016, 'normal', 'Disk {disk} was successfully attached to VM {vm} by {user}.'),
  diskAttachFailed: kind(2017, 'error', 'Failed to attach Disk {disk} to VM {vm} (User: {user}).'),
  diskDetached: kind(2018, 'normal', 'Disk {disk} was successfully detached from VM {vm} by {user}.'),
  diskDetachFailed: kind(2019, 'error', 'Failed to detach Disk {disk} from VM {vm} (User: {user}).'),
  diskAddAsked: kind(2020, 'normal', "Add-Disk operation of '{disk}' was initiated by {user}."),
  diskAdded: kind(2021, 'normal', "The disk '{disk}' was successfully added."),
  diskAddFailed: kind(2022, 'error', 'Add-Disk operation failed to complete.'),
  diskUpdated: kind(88, 'normal', 'VM {vm} {disk} disk was updated by {user}.'),
  freezeDone: kind(10_767, 'normal', 'Guest filesystems on VM {vm} have been frozen successfully.'),
  thawDone: kind(10_768, 'normal', 'Guest filesystems on VM {vm} have been thawed successfully.'),
  freezeFailed: kind(10_769, 'warning', 'Failed to freeze guest filesystems on {vm} (Host: {host}, User: {user}).'),
  thawFailed: kind(10_770, 'warning', 'Failed to thaw guest filesystems on {vm} (Host: {host}, User: {user}).'),
  domainActivated: kind(966, 'normal', 'Storage Domain {domain} (Data Center {dataCenter}) was activated by {user}'),
  domainDeactivated: kind(968, 'normal', "Storage Domain {domain} (Data Center {dataCenter}) was deactivated and has moved to 'Preparing for maintenance' until it will no longer be accessed by any Host of the Data Center."),
} as const satisfies Readonly<Record<string, EventKind>>;

export type EventName = keyof typeof eventKinds;

/** Who asked, and under which correlation id everything that follows is filed. */
export interface Actor {
  readonly user: string;
  readonly correlationId: string;
}

export interface EventSubject {
  readonly vm?: { readonly id: string; readonly name: string };
  readonly snapshot?: string;
  readonly disk?: string;
  readonly domain?: { readonly id: string; readonly name: string };
  readonly host?: string;
  readonly dataCenter?: string;
  readonly reason?: string;
  readonly backup?: string;
  readonly checkpoint?: string;
  readonly diskId?: string;
  readonly direction?: 'Upload' | 'Download';
}

export interface PostedEvent {
  readonly severity: Severity;
  readonly description: string;
  readonly origin: string;
  readonly customId: number;
  readonly vmId?: string;
  readonly domainId?: string;
}

const postedCodes: Readonly<Record<Severity, number>> = { normal: 9801, warning: 9802, error: 9803, alert: 9804 };
const longestDescription = 5000;

export class EventLog {
  constructor(private readonly store: Store) {}

  record(name: EventName, actor: Actor, subject: EventSubject = {}): void {
    const { code, severity, text } = eventKinds[name];
    const words: Readonly<Record<string, string | undefined>> = {
      user: actor.user,
      vm: subject.vm?.name,
      snapshot: subject.snapshot,
      disk: subject.disk,
      domain: subject.domain?.name,
      host: subject.host,
      dataCenter: subject.dataCenter,
      reason: subject.reason,
      backup: subject.backup,
      checkpoint: subject.checkpoint,
      diskId: subject.diskId,
      direction: subject.direction,
    };
    this.append({
      code,
      severity,
      description: text.replace(/\{(\w+)\}/g, (_, word: string) => words[word] ?? '<UNKNOWN>'),
      correlationId: actor.correlationId,
      origin: 'oVirt',
      customId: -1,
      user: actor.user,
      ...(subject.vm === undefined ? {} : { vmId: subject.vm.id }),
      ...(subject.domain === undefined ? {} : { domainId: subject.domain.id }),
    });
  }

  /** AddExternalEventCommand: of who posted it, and under which correlation id, the row keeps only what the body says. */
  post(posted: PostedEvent): EventRecord {
    return this.append({
      ...posted,
      code: postedCodes[posted.severity],
      description: posted.description.slice(0, longestDescription),
      correlationId: '',
    });
  }

  /** What somebody else wrote into the engine's audit log. */
  follow(row: Pick<EventRecord, 'auditLogId' | 'code' | 'severity' | 'description' | 'timeMs' | 'deleted'>): EventRecord {
    return this.append({ ...row, correlationId: '', origin: 'oVirt', customId: -1 });
  }

  private append(event: Omit<EventRecord, 'id' | 'index' | 'timeMs' | 'deleted'> & Partial<Pick<EventRecord, 'timeMs' | 'deleted'>>): EventRecord {
    return this.store.write(() => {
      const { installation, events } = this.store.tables;
      const index = installation.get('installation')?.nextEventIndex ?? 1;
      installation.patch('installation', { nextEventIndex: index + 1 });
      const row: EventRecord = { timeMs: Date.now(), deleted: false, ...event, id: String(index), index };
      events.put(row);
      return row;
    });
  }
}

export function newId(): string {
  return randomUUID();
}
