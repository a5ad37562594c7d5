// The disks of a VM backup, each read through an image transfer of its own: copied, witnessed when it is due, and the transfer ended.
import { defaultWitness, witnessDue, type Chosen } from '../../domain/chain';
import type { DiskSettings } from '../../domain/disks';
import { DiskTransfer } from '../disk-transfer';
import { fail, failureText, readFailure, wasCancelled } from '../failures';
import { inParallel } from '../in-parallel';
import type { Backup, CopiedDisk, PlannedBackup } from './backup';
import type { TransferPlan } from './plan-transfer';
import type { OpenVmBackup } from './vm-backup';

export async function disksCopied(backup: Backup, plan: PlannedBackup & Pick<TransferPlan, 'backups'>, choice: Chosen, vmBackup: OpenVmBackup): Promise<readonly CopiedDisk[]> {
  const { input, run, settings } = backup;
  run.enter('copy');
  const isWitnessDue = witnessDue(input.witness ?? settings.witness ?? defaultWitness, plan.backups.map(({ witnessed }) => witnessed));
  const incremental = new Set(choice.disks.filter(({ mode }) => mode === 'incremental').map(({ diskId }) => diskId));
  return inParallel(plan.disks, settings.disksAtOnce, (disk) =>
    diskCopied(backup, { disk, isWitnessDue, vmBackupId: vmBackup.vmBackupId, isLive: vmBackup.ready.style === 'live', baseBackupId: incremental.has(disk.diskId) ? choice.baseBackupId : null }),
  );
}

interface DiskToCopy {
  readonly disk: DiskSettings;
  readonly vmBackupId: string;
  /** The image lies on it: only what changed is read. */
  readonly baseBackupId: string | null;
  readonly isWitnessDue: boolean;
  readonly isLive: boolean;
}

/** What is done of it, over pauses and new tickets. */
interface DoneSoFar {
  copied?: { readonly dataBytes: number; readonly transport: CopiedDisk['transport'] };
  isWitnessed?: boolean;
}

async function diskCopied(backup: Backup, { disk, vmBackupId, baseBackupId, isWitnessDue, isLive }: DiskToCopy): Promise<CopiedDisk> {
  const { input, run, proxies, settings, backupId } = backup;
  const { engine, vmId, repository } = input;
  const { diskId, alias, virtualBytes } = disk;
  const startedMs = Date.now();
  const transfer = new DiskTransfer({ run, proxies, settings, direction: 'download', progressDiskId: diskId, diskId, alias, vmId, vmBackupId });
  const done: DoneSoFar = {};
  const copied = await run.copy(disk, (bandwidthBytesPerSecond) =>
    transfer.during(async (transferId) => {
      const of = { engine, runId: run.runId, repository, vmId, backupId, diskId, virtualBytes, transferId, isLive, bandwidthBytesPerSecond };
      if (!done.copied) run.setDisk(diskId, { state: 'copying' });
      const now = (done.copied ??= await belowIsGood(baseBackupId, () => proxies.moverCopies(repository).backupDiskByTransfer({ ...of, source: vmBackupId, baseBackupId })));
      if (isWitnessDue && done.isWitnessed === undefined) {
        run.setDisk(diskId, { state: 'proving', positionBytes: virtualBytes, dataBytes: now.dataBytes });
        done.isWitnessed = await witnessed(backup, alias, () => proxies.moverCopies(repository).witnessTransfer(of));
      }
      return now;
    }),
  );
  await ended(transfer);
  run.setDisk(diskId, { state: 'done', positionBytes: virtualBytes, dataBytes: copied.dataBytes });
  return { settings: disk, ...copied, seconds: (Date.now() - startedMs) / 1000, witnessed: done.isWitnessed === true };
}

/** The rest of a block that changed in part comes from the backup below, and must have its digest there: one that has not is decay, and no fault of the source. */
async function belowIsGood<T>(baseBackupId: string | null, copy: () => Promise<T>): Promise<T> {
  try {
    return await copy();
  } catch (error) {
    throw baseBackupId !== null && readFailure(error).code === 'digest.mismatch' ? fail('chain.broken', failureText(error), { backupId: baseBackupId }) : error;
  }
}

/** A host that cannot is a warning: the digests still prove the repository. One that disagrees ends the backup. */
async function witnessed({ run }: Backup, alias: string, ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (readFailure(error).code !== 'imageio.refused') throw error;
    run.warn(`the host could not bear witness for disk ${alias}: ${failureText(error)}`);
    return false;
  }
}

/** All of the disk is copied and durable: a transfer that does not end now is ended after the seal, and is no reason to throw the copy away. */
async function ended(transfer: DiskTransfer): Promise<void> {
  try {
    await transfer.end('finalize');
  } catch (error) {
    if (wasCancelled(error)) throw error;
  }
}
