// The Engine port over the REST API of oVirt, OLVM and RHV 4.4 and newer: puts the nouns together on one connection.
import { connect, type ConnectionOptions } from './connection';
import { attachmentCalls } from './attachments';
import { checkpointCalls } from './checkpoints';
import { diskCalls } from './disks';
import { eventCalls } from './events';
import { examinationCalls } from './examination';
import { imageTransferCalls } from './image-transfers';
import type { Engine, EngineExamination } from './port';
import { snapshotCalls } from './snapshots';
import { systemCalls } from './system';
import { vmBackupCalls } from './vm-backups';
import { vmCalls } from './vms';

export type EngineOptions = ConnectionOptions;

/** Nothing is sent before the first call. `close` ends the session and the connections; calls under way fail. */
export function createEngine(options: EngineOptions): Engine & EngineExamination & { close(): Promise<void> } {
  const connection = connect(options);
  return {
    name: options.name,
    ...systemCalls(connection),
    ...eventCalls(connection),
    ...vmCalls(connection),
    ...diskCalls(connection),
    ...attachmentCalls(connection),
    ...snapshotCalls(connection),
    ...vmBackupCalls(connection),
    ...checkpointCalls(connection),
    ...imageTransferCalls(connection),
    ...examinationCalls(connection, options),
    close: () => connection.close(),
  };
}
