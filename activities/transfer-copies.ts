// Hour-long work of a worker beside a repository: disks through image transfers, and re-reading backups. Role mover. What a new attempt goes on
// from is the durable position; the ticket's URL is read from the engine inside each attempt and never leaves it.
import type { Transport } from '../adapters/blocks';
import { HoldfastError } from '../domain/failures';
import type { ImageOfRun, RestorePosition, TargetOfRun } from './copies';
import type { MoverCopyDependencies } from './dependencies';

export interface TransferOf {
  readonly transferId: string;
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

export function createTransferCopyActivities(_: MoverCopyDependencies): TransferCopyActivities {
  const notYet = (): Promise<never> => Promise.reject(new HoldfastError('config.invalid', 'Copies through image transfers are not built yet.'));
  return { backupDiskByTransfer: notYet, restoreDiskByTransfer: notYet, witnessTransfer: notYet, verifyDisk: notYet };
}
