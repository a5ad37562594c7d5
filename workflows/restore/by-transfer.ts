// The new disks filled by uploads: written through a transfer each, and proven on the same ticket by the host's own checksum before the
// transfer is finalized. The engine removes the disk of an upload that is cancelled or fails; the undo of the disk takes that as done.
import { DiskTransfer } from '../disk-transfer';
import { fail } from '../failures';
import { inParallel } from '../in-parallel';
import type { Filled, Restore, RestoredDisk, RestorePlan } from './restore';

export async function filledByTransfer(restore: Restore, { savedVmId, disks }: RestorePlan): Promise<Filled> {
  const { run, proxies, settings } = restore;
  run.enter('copy');
  const heldDiskIds = await proxies.control.listHeldDisks({ runId: run.runId });
  const fromMs = Date.now();
  const filled = await inParallel(disks, settings.disksAtOnce, (disk) => diskFilled(restore, { ...disk, savedVmId, heldDiskIds }));
  return { disks: filled, seconds: (Date.now() - fromMs) / 1000 };
}

async function diskFilled({ input, run, proxies, settings, lockedVmId }: Restore, { source, diskId: targetDiskId, storageDomainId, savedVmId, heldDiskIds }: RestoredDisk & { readonly savedVmId: string; readonly heldDiskIds: readonly string[] }): Promise<Filled['disks'][number]> {
  const { engine, repository, backupId } = input;
  const { diskId, alias, virtualBytes } = source;
  const transfer = new DiskTransfer({ run, proxies, settings, direction: 'upload', progressDiskId: diskId, diskId: targetDiskId, alias, vmId: lockedVmId });
  /** Over pauses and new tickets. */
  const done: { dataBytes?: number } = {};
  const filled = await run.copy({ diskId, storageDomainId }, (bandwidthBytesPerSecond) =>
    transfer.during(async (transferId) => {
      const of = { engine, runId: run.runId, repository, vmId: savedVmId, backupId, diskId, targetDiskId, virtualBytes, transferId, bandwidthBytesPerSecond };
      if (done.dataBytes === undefined) {
        run.setDisk(diskId, { state: 'copying' });
        done.dataBytes = (await proxies.moverCopies(repository).restoreDiskByTransfer({ ...of, heldDiskIds, from: run.durablePosition(diskId) })).dataBytes;
      }
      run.setDisk(diskId, { state: 'proving', positionBytes: virtualBytes, dataBytes: done.dataBytes });
      const { root } = await proxies.moverCopies(repository).witnessTransfer(of);
      if (root !== source.root) throw fail('digest.mismatch', `Disk ${alias} (${targetDiskId}) was written, but the host reads ${root} where the backup has ${source.root}. It is removed.`, { diskId: targetDiskId });
      return { dataBytes: done.dataBytes, root };
    }),
  );
  await transfer.end('finalize');
  run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes, dataBytes: filled.dataBytes });
  return filled;
}
