// Hour-long work of a worker beside a repository: disks through image transfers, and re-reading backups. Role mover. What a new attempt goes on
// from is the durable position; the ticket's URL is read from the engine inside each attempt and never leaves it.
import { Context } from '@temporalio/activity';
import type { Transport } from '../adapters/blocks';
import type { ImageioReader } from '../adapters/imageio';
import type { Repository } from '../adapters/repository/port';
import { HoldfastError } from '../domain/failures';
import type { ImageOfRun, RestorePosition, TargetOfRun } from './of-run';
import { CopyReporter } from './copy-reporter';
import { copyFromImage, copyToImage, proveBlocks, refOf } from './copy-work';
import type { MoverCopyDependencies } from './dependencies';
import { openTransferReader, openTransferWitness, openTransferWriter, type DataOfTransfer } from './transfer-data';

export interface TransferOf {
  readonly transferId: string;
  /** Read in a live VM backup: it is over (`backup.failed`) when its VM is down. */
  readonly isLive?: boolean | undefined;
}

export interface TransferCopyActivities {
  /** `source`: the VM backup's id. `baseBackupId`: the image lies on it and only what changed is read. `imageio.ticket-gone` needs another transfer. */
  backupDiskByTransfer(input: ImageOfRun & TransferOf & { readonly source: string; readonly baseBackupId: string | null }): Promise<{ readonly dataBytes: number; readonly transport: Transport }>;
  /** `heldDiskIds` and `from`: as for `restoreDisk`. */
  restoreDiskByTransfer(input: TargetOfRun & TransferOf & { readonly heldDiskIds: readonly string[]; readonly from: RestorePosition }): Promise<{ readonly dataBytes: number }>;
  /** The host's own checksum of what the ticket shows against the root of the digests, of the partial or the sealed backup. `targetDiskId`: of an upload. */
  witnessTransfer(input: ImageOfRun & TransferOf & { readonly targetDiskId?: string | undefined }): Promise<{ readonly root: string }>;
  /** Re-reads a sealed disk through its chain and compares every digest. `from`: where an earlier, steered attempt got to. */
  verifyDisk(input: ImageOfRun & { readonly from: RestorePosition }): Promise<{ readonly root: string; readonly dataBytes: number }>;
}

export function createTransferCopyActivities(dependencies: MoverCopyDependencies): TransferCopyActivities {
  const { repositoryOf, heartbeatMs } = dependencies;
  const workOf = ({ repository }: ImageOfRun) => ({ context: Context.current(), store: repositoryOf(repository), heartbeatMs });
  const dataOf = ({ engine, transferId, virtualBytes, vmId, isLive }: ImageOfRun & TransferOf, diskId: string | undefined): DataOfTransfer => ({
    engine, transferId, virtualBytes, diskId, servedByVmId: isLive === true ? vmId : undefined, signal: Context.current().cancellationSignal,
  });

  return {
    async backupDiskByTransfer(input) {
      const { source, baseBackupId } = input;
      const changesOf = (reader: ImageioReader): ImageioReader['changes'] => (from, signal) => reader.changes(from, signal);
      return copyToImage(workOf(input), input, { source, ...(baseBackupId === null ? {} : { baseBackupId }) }, () => openTransferReader(dependencies, dataOf(input, input.diskId)), changesOf);
    },

    async restoreDiskByTransfer(input) {
      const work = workOf(input);
      const blank = await isBlankWhenNew(work.store, input);
      return copyFromImage(work, input, () => openTransferWriter(dependencies, dataOf(input, input.targetDiskId), blank));
    },

    async witnessTransfer(input) {
      const { context, store } = workOf(input);
      const expected = await store.rootOf(refOf(input), input.diskId);
      const name = `disk ${input.targetDiskId ?? input.diskId}`;
      if (expected.virtualBytes !== input.virtualBytes) throw new HoldfastError('digest.mismatch', `In the engine ${name} has ${input.virtualBytes} bytes, in backup ${input.backupId} it has ${expected.virtualBytes}: it is not the same disk.`, { diskId: input.diskId });
      // Hours without figures: the heartbeats tell that it is alive.
      const reporter = new CopyReporter(context, input.diskId, 0, heartbeatMs, () => Promise.resolve());
      const witness = await openTransferWitness(dependencies, dataOf(input, input.targetDiskId));
      try {
        const root = await reporter.during((signal) => witness.checksum(signal));
        if (root === expected.root) return { root };
        throw new HoldfastError('digest.mismatch', `The host's checksum of ${name} (${root}) is not that of backup ${input.backupId} (${expected.root}): they do not hold the same bytes. The backup of it cannot be trusted, or what was restored from it. The next backup begins anew with a full one; look at the host's and the repository's storage.`, { diskId: input.diskId, backupId: input.backupId, found: root, expected: expected.root });
      } finally {
        await witness.close();
      }
    },

    async verifyDisk(input) {
      const work = workOf(input);
      return proveBlocks(work, input, await work.store.openDigests(refOf(input), input.diskId), () => work.store.openImage(refOf(input), input.diskId));
    },
  };
}

/** Of a new disk like the one that was backed up. On block storage a preallocated one shows whatever its storage held before. */
async function isBlankWhenNew(store: Repository, input: TargetOfRun): Promise<boolean> {
  const { manifest } = await store.readManifest(refOf(input));
  const settings = manifest.disks.find((disk) => disk.settings.diskId === input.diskId)?.settings;
  return settings !== undefined && (settings.format === 'cow' || settings.sparse);
}
