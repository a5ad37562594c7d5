// The new disks filled by uploads: written through a transfer each, and proven on the same ticket by the host's own checksum before the
// transfer is finalized. The engine removes the disk of an upload that is cancelled or fails; the undo of the disk takes that as done. It gives an
// upload whose ticket is gone no other one (TransferDiskImageCommand.handleResuming): that disk is made and written anew.
import { patched } from '@temporalio/workflow';
import { DiskTransfer } from '../disk-transfer';
import { fail, readFailure } from '../failures';
import { inParallel } from '../in-parallel';
import { uploadBegunAnew } from '../patches';
import { diskCreated } from './disks';
import type { Filled, Restore, RestoredDisk, RestorePlan } from './restore';

/** A host that loses more tickets of one disk has a trouble that no fresh start mends. */
const mostTimes = 3;

export async function filledByTransfer(restore: Restore, { savedVmId, disks }: RestorePlan): Promise<Filled> {
  const { run, proxies, settings } = restore;
  run.enter('copy');
  const heldDiskIds = await proxies.control.listHeldDisks({ runId: run.runId });
  const fromMs = Date.now();
  const filled = await inParallel(disks, settings.disksAtOnce, (disk) => diskFilled(restore, { ...disk, savedVmId, heldDiskIds }));
  return { disks: filled, seconds: (Date.now() - fromMs) / 1000 };
}

type DiskToFill = RestoredDisk & { readonly savedVmId: string; readonly heldDiskIds: readonly string[] };

async function diskFilled(restore: Restore, disk: DiskToFill): Promise<Filled['disks'][number]> {
  const { input, run, proxies, settings, lockedVmId } = restore;
  const { source: { diskId, alias }, diskId: targetDiskId } = disk;
  for (let times = 1; ; times += 1) {
    const transfer = new DiskTransfer({ run, proxies, settings, direction: 'upload', progressDiskId: diskId, diskId: targetDiskId, alias, vmId: lockedVmId });
    try {
      return await uploaded(restore, disk, transfer);
    } catch (error) {
      if (readFailure(error).code !== 'imageio.ticket-gone' || times === mostTimes || !patched(uploadBegunAnew)) throw error;
      run.warn(`the host lost the ticket of the upload of disk ${alias}: the disk is written once more from the beginning`);
      await transfer.end('cancel');
      await proxies.waiting(settings.deadlines.attachSeconds).removeDisk({ engine: input.engine, runId: run.runId, diskId: targetDiskId });
      run.setDisk(diskId, { state: 'waiting', positionBytes: 0, dataBytes: 0 });
      await diskCreated(restore, disk);
    }
  }
}

async function uploaded({ input, run, proxies }: Restore, { source, diskId: targetDiskId, storageDomainId, savedVmId, heldDiskIds }: DiskToFill, transfer: DiskTransfer): Promise<Filled['disks'][number]> {
  const { engine, repository, backupId } = input;
  const { diskId, alias, virtualBytes } = source;
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
