// Rows of the event log: VM backups, checkpoints, image transfers. See events.ts; numbers from ovirt-api.md 2.6 to 2.8 and
// engine-rules.md section 8, severities and sentences from ovirt-engine, AuditLogType.java and AuditLogMessages.properties.
import { kind } from './event-kind';

export const backupEventKinds = {
  backupStarted: kind(10_790, 'normal', 'Backup {backup} for VM {vm} started (User: {user}).'),
  backupNeedsFull: kind(10_791, 'error', 'Incremental backup {backup} for VM {vm} failed. Full backup is now needed (User: {user}).'),
  backupFailed: kind(10_792, 'error', 'Backup {backup} for VM {vm} failed (User: {user}).'),
  backupSucceeded: kind(10_793, 'normal', 'Backup {backup} for VM {vm} completed successfully (User: {user}).'),
  backupFinalized: kind(10_794, 'normal', 'Backup {backup} for VM {vm} finalized (User: {user}).'),
  backupFinalizeFailed: kind(10_795, 'error', 'Backup {backup} for VM {vm} failed to finalize (User: {user}).'),
  backupStopped: kind(10_796, 'normal', 'Backup {backup} for VM {vm} stopped (User: {user}).'),
  checkpointRemoved: kind(10_797, 'normal', 'Checkpoint {checkpoint} for VM {vm} deleted (User: {user}).'),
  checkpointRemovalFailed: kind(10_798, 'error', 'Failed to delete checkpoint {checkpoint} for VM {vm} (User: {user}).'),
  scratchStarted: kind(10_799, 'normal', 'Scratch disk creation for VM {vm} backup {backup} disk {diskId} started (User: {user}).'),
  scratchMade: kind(10_805, 'normal', 'Scratch disk creation for VM {vm} backup {backup} disk {diskId} succeeded (User: {user}).'),
  scratchFailed: kind(10_806, 'error', 'Failed to create scratch disk for VM {vm} disk {diskId} to use in backup {backup} (User: {user}).'),
  backupLeftover: kind(
    10_813,
    'warning',
    "Possible failure while removing a snapshot that was generated automatically during backup of VM '{vm}'. The snapshot may be removed manually",
  ),
  backupUnmonitored: kind(
    10_814,
    'error',
    'Backup {backup} for VM {vm} was marked as failed since it is no longer monitored, cleanup may be required.',
  ),

  transferStarted: kind(1031, 'normal', 'Image {direction} with disk {disk} was initiated by {user}.'),
  transferSucceeded: kind(1032, 'normal', 'Image {direction} with disk {disk} succeeded.'),
  transferCancelled: kind(1033, 'normal', 'Image {direction} with disk {disk} was cancelled.'),
  transferFailed: kind(1034, 'error', 'Image {direction} with disk {disk} failed.'),
  transferRenewalFailed: kind(1064, 'error', 'Transfer was stopped by system. Reason: failure in transfer image ticket renewal.'),
  transferTicketMissing: kind(1065, 'error', 'Transfer was stopped by system. Reason: missing transfer image ticket.'),
  transferNoHost: kind(1067, 'error', 'Transfer was stopped by system. Reason: Could not find a suitable host for image data transfer.'),
  /** Despite its words: the host's NBD server did not start (TransferDiskImageCommand.startImageTransferSession). */
  transferPrepareFailed: kind(1068, 'error', 'Transfer was stopped by system. Reason: failed to create a signed image ticket.'),
  transferTicketFailed: kind(1069, 'error', 'Transfer was stopped by system. Reason: failed to add host image ticket.'),
  uploadPausedIdle: kind(1071, 'error', 'Upload was paused by system. Reason: timeout due to transfer inactivity.'),
  downloadCancelledIdle: kind(1072, 'error', 'Download was canceled by system. Reason: timeout due to transfer inactivity.'),
  transferPaused: kind(1073, 'normal', 'Image transfer was paused by user ({user}).'),
  transferResumed: kind(1074, 'normal', 'Image transfer was resumed by user ({user}).'),
  transferCancelledIdle: kind(1076, 'error', 'The transfer was canceled by the system according to the timeout policy. Reason: client inactivity timeout.'),
  transferPausedIdle: kind(1077, 'warning', 'The transfer was paused by the system according to the timeout policy. Reason: client inactivity timeout.'),
} as const;
