// The image transfer of one disk: asked for when its copy begins, renewed when its ticket is gone, ended when the copy is done. Its undo is on
// the run's stack from before it is asked for. The copy itself goes on at its durable position; nothing of that is here.
import { patched, sleep, uuid4 } from '@temporalio/workflow';
import type { RunSettings } from '../domain/flows/settings';
import { transferMark } from '../domain/ids';
import type { ArmedUndo } from './compensation';
import { readFailure } from './failures';
import type { FlowRun } from './flow-run';
import { uploadBegunAnew } from './patches';
import type { Proxies } from './proxies';

export interface TransferOfDisk {
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  readonly direction: 'download' | 'upload';
  /** The disk as the run's progress knows it, and the engine's disk. */
  readonly progressDiskId: string;
  readonly diskId: string;
  readonly alias: string;
  /** The VM whose lock the run has. */
  readonly vmId?: string | undefined;
  readonly vmBackupId?: string | undefined;
}

/**
 * Before another try where a ticket was gone before anything was moved. A new download needs nobody's consent; an upload was only tried again, in vain, before
 * it was begun anew (restore/by-transfer). After these it is another trouble than a host that has just restarted.
 */
const vainPausesMs = { download: [1_000, 3_000, 8_000], upload: [5_000, 10_000, 20_000] } as const;
/** A copy that has run for so long had its ticket. */
const wasThereMs = 60_000;

export class DiskTransfer {
  private asked: { readonly transferKey: string; readonly undo: ArmedUndo; hasBegun: boolean } | undefined;

  constructor(private readonly of: TransferOfDisk) {}

  /** Works with the transfer that there is, or a new one; again when its ticket is gone. May be called again after a pause. */
  async during<T>(work: (transferId: string) => Promise<T>): Promise<T> {
    const { run, progressDiskId, direction } = this.of;
    for (let inVain = 0; ; ) {
      const begunAtMs = Date.now();
      const { positionBytes } = run.durablePosition(progressDiskId);
      try {
        return await work(await this.begun());
      } catch (error) {
        if (!this.isGone(error) || (direction === 'upload' && patched(uploadBegunAnew))) throw error;
        const hasMoved = run.durablePosition(progressDiskId).positionBytes > positionBytes || Date.now() - begunAtMs > wasThereMs;
        inVain = hasMoved ? 0 : inVain + 1;
        const pauseMs = inVain === 0 ? 0 : vainPausesMs[direction][inVain - 1];
        if (pauseMs === undefined) throw error;
        run.setDisk(progressDiskId, { state: 'waiting' });
        // An upload's disk would go with its transfer.
        if (direction === 'download') await this.end('cancel');
        if (pauseMs > 0) await sleep(pauseMs);
      }
    }
  }

  /** A step of its own, which may fail or be cancelled: then the undo on the stack is still there. */
  async end(outcome: 'finalize' | 'cancel'): Promise<void> {
    if (!this.asked) return;
    const { transferKey, undo } = this.asked;
    const { proxies, settings } = this.of;
    await proxies.waiting(settings.deadlines.attachSeconds).ensureTransferEnded({ ...this.inputOf(transferKey), outcome });
    undo.disarm();
    this.asked = undefined;
  }

  private async begun(): Promise<string> {
    const { proxies, settings } = this.of;
    const asked = (this.asked ??= this.toAsk());
    const { transferId } = await proxies.waiting(settings.deadlines.attachSeconds).ensureTransfer(this.inputOf(asked.transferKey));
    asked.hasBegun = true;
    return transferId;
  }

  private toAsk(): NonNullable<DiskTransfer['asked']> {
    const { run, proxies, direction, diskId, alias } = this.of;
    const transferKey = uuid4();
    const undo = run.undo.push({
      name: `end the ${direction} of disk ${alias}`,
      leftover: { kind: 'transfer', mark: transferMark(diskId, transferKey) },
      run: () => proxies.undo.ensureTransferEnded({ ...this.inputOf(transferKey), outcome: 'cancel' }),
    });
    return { transferKey, undo, hasBegun: false };
  }

  /** Nobody reads during a pause, so the engine ends a download that waits for long: that is no failure of the disk. */
  private isGone(error: unknown): boolean {
    const { code } = readFailure(error);
    return code === 'imageio.ticket-gone' || (code === 'transfer.failed' && this.of.direction === 'download' && this.asked?.hasBegun === true);
  }

  private inputOf(transferKey: string) {
    const { run, direction, diskId, vmId, vmBackupId } = this.of;
    return { engine: run.start.engine, runId: run.runId, diskId, transferKey, vmId, vmBackupId, direction };
  }
}
