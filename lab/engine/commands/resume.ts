// What a new engine does with the operations that the last one left behind: resume what the host can finish, take back
// what nobody got an answer for (engine-rules.md section 5, "engine restart").
import type { Context } from '../context';
import type { OperationRecord } from '../state/operations';
import { resumeAdd } from './add-disk';
import { carryOutCopy } from './copy-template';
import { carryOutRemoval } from './remove-disk';
import { resumeCreateSnapshot } from './finish-snapshot';
import { carryOutUnplug, takeBackPlug } from './plug-disk';
import { carryOutDrop } from './end-preview';
import { takeBackPreview } from './preview-snapshot';
import { carryOut as carryOutRemoveSnapshot } from './remove-snapshot';
import { carryOut as carryOutRemoveVm } from './remove-vm';
import { resumeTransfer } from './ask-transfer';
import { resumeRemoveCheckpoint } from './remove-checkpoint';
import { carryOutResize } from './resize-disk';
import { operationOf } from './end-backup';
import { failUnmonitored, resumeBackup } from './resume-backup';

export function resumeOperations(context: Context): void {
  failUnmonitored(context);
  for (const operation of context.store.tables.operations.all()) {
    // A hybrid backup's own snapshot is its backup's to resume.
    if (operation.kind !== 'vm-backup' && 'backupId' in operation && operationOf(context, operation.backupId ?? '') !== undefined) continue;
    context.log(`resuming ${operation.kind} ${operation.id}`);
    void context.background.run(`resume ${operation.kind}`, () => resume(context, operation));
  }
  // Imports are short and leave a complete VM or none; their jobs are all that can be left open.
  const resumed = new Set(context.store.tables.operations.all().map(({ jobId }) => jobId));
  context.store.write(() => {
    for (const job of context.store.tables.jobs.where((candidate) => candidate.status === 'started' && !resumed.has(candidate.id)))
      context.jobs.end(job.id, 'failed');
  });
}

async function resume(context: Context, operation: OperationRecord): Promise<void> {
  switch (operation.kind) {
    case 'create-snapshot':
      return resumeCreateSnapshot(context, operation);
    case 'remove-snapshot':
      return carryOutRemoveSnapshot(context, operation);
    case 'add-disk':
      return resumeAdd(context, operation);
    case 'remove-disk':
      return carryOutRemoval(context, operation);
    case 'plug-disk':
      return takeBackPlug(context, operation);
    case 'unplug-disk':
      return carryOutUnplug(context, operation);
    case 'copy-template':
      return carryOutCopy(context, operation);
    case 'remove-vm':
      return carryOutRemoveVm(context, operation);
    case 'preview-snapshot':
      return takeBackPreview(context, operation);
    case 'drop-volumes':
      return carryOutDrop(context, operation);
    case 'vm-backup':
      return resumeBackup(context, operation);
    case 'remove-checkpoint':
      return resumeRemoveCheckpoint(context, operation);
    case 'image-transfer':
      return resumeTransfer(context, operation);
    case 'resize-disk':
      await carryOutResize(context, operation);
  }
}
