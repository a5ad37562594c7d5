// Image transfers of the fake engine: phases, what becomes of the disk, and a URL only while there is a ticket. It serves no bytes itself;
// `urlOf` may point at a daemon that does.
import { randomUUID } from 'node:crypto';
import type { EngineBackups, ImageTransfer, NewTransfer, TransferPhase } from '../../adapters/ovirt/port-backups';
import { FakeEngineEvents } from './fake-engine-events';
import { look, refuse, type FakeDisk, type Moving } from './fake-world';

export type FakeTransfer = NewTransfer & Moving & { readonly id: string; readonly ticket: string; phase: TransferPhase };

type TransferCalls = Pick<EngineBackups, 'createTransfer' | 'getTransfer' | 'listTransfers' | 'extendTransfer' | 'resumeTransfer' | 'finalizeTransfer' | 'cancelTransfer'>;

const isFinal = (phase: TransferPhase): boolean => ['finished_success', 'finished_failure'].includes(phase);

export abstract class FakeEngineTransfers extends FakeEngineEvents implements TransferCalls {
  readonly transfers = new Map<string, FakeTransfer>();
  /** Transfers that no host can prepare, before one that works. */
  failingTransfers = 0;
  /** Transfers whose engine dies within the request: they stay `initializing`, and no event tells of them. */
  stillbornTransfers = 0;
  /** Uploads whose end finds that what was written is no image, before one that is fine. */
  failingUploads = 0;
  urlOf: (transfer: FakeTransfer) => string = ({ ticket }) => `https://host-1.example:54322/images/${ticket}`;

  /** Refuses, or answers for a disk that a VM backup has ready. */
  protected abstract needReadyBackup(vmBackupId: string, diskId: string): void;

  createTransfer = (request: NewTransfer): Promise<ImageTransfer> =>
    this.change('createTransfer', () => {
      const { diskId, direction, vmBackupId, correlationId } = request;
      const disk = this.disks.get(diskId) ?? refuse('engine.conflict', 'General command validation failure.');
      if (disk.status === 'illegal') refuse('disk.illegal', `disk ${disk.settings.alias} is in ILLEGAL status`);
      if (vmBackupId !== undefined) this.needReadyBackup(vmBackupId, diskId);
      else this.needIdle(disk);
      const transfer: FakeTransfer = { ...request, id: randomUUID(), ticket: randomUUID(), phase: 'initializing' };
      if (vmBackupId === undefined) disk.status = 'locked';
      this.transfers.set(transfer.id, transfer);
      if (this.stillbornTransfers-- > 0) refuse('engine.unreachable', 'the connection was lost');
      this.events.push({ id: String(this.events.length), code: 1031, severity: 'normal', description: `Image ${direction} with disk ${disk.settings.alias} was initiated.`, correlationId });
      const works = this.failingTransfers-- <= 0;
      transfer.moving = { looks: this.looks, then: () => {
        if (works) transfer.phase = 'transferring';
        else this.end(transfer, 'finished_failure');
      } };
      return viewOf(transfer, this.urlOf);
    });
  getTransfer = (transferId: string): Promise<ImageTransfer | undefined> =>
    this.read('getTransfer', () => {
      const transfer = this.transfers.get(transferId);
      return transfer && viewOf(look(transfer), this.urlOf);
    });
  listTransfers = (): Promise<readonly ImageTransfer[]> => this.read('listTransfers', () => [...this.transfers.values()].map((transfer) => viewOf(look(transfer), this.urlOf)));
  extendTransfer = (transferId: string): Promise<void> => this.change('extendTransfer', () => void this.transfers.get(transferId));
  resumeTransfer = (transferId: string): Promise<void> =>
    this.change('resumeTransfer', () => {
      const transfer = this.transfers.get(transferId);
      if (!transfer?.phase.startsWith('paused_')) return;
      transfer.phase = 'resuming';
      transfer.moving = { looks: this.looks, then: () => void (transfer.phase = 'transferring') };
    });
  finalizeTransfer = (transferId: string): Promise<void> =>
    this.change('finalizeTransfer', () => this.endOf(transferId, 'finalizing_success', (transfer) => (transfer.direction === 'upload' && this.failingUploads-- > 0 ? 'finished_failure' : 'finished_success')));
  cancelTransfer = (transferId: string): Promise<void> => this.change('cancelTransfer', () => this.endOf(transferId, 'cancelled_user', () => 'finished_failure'));

  /** As the engine does some minutes after the end. */
  forgetTransfer(transferId: string): void {
    this.transfers.delete(transferId);
  }
  protected hasActiveTransfer(vmBackupId: string): boolean {
    return [...this.transfers.values()].some((transfer) => transfer.vmBackupId === vmBackupId && !isFinal(transfer.phase));
  }

  private needIdle(disk: FakeDisk): void {
    const users = [...this.vms.values()].filter(({ status, attachments }) => status !== 'down' && attachments.get(disk.settings.diskId)?.active === true && attachments.get(disk.settings.diskId)?.snapshotId === undefined);
    if (users.length > 0) refuse('engine.conflict', `The disk ${disk.settings.alias} is plugged to non-Down VMs: ${users.map(({ name }) => name).join(', ')}`);
    if (disk.status === 'locked') refuse('engine.locked', `The following disks are locked: ${disk.settings.alias}.`);
  }
  /** Taken of any transfer, of one that does not exist too; nothing changes one that is over. */
  private endOf(transferId: string, on: TransferPhase, last: (transfer: FakeTransfer) => 'finished_success' | 'finished_failure'): void {
    const transfer = this.transfers.get(transferId);
    if (transfer === undefined || isFinal(transfer.phase)) return;
    transfer.phase = on;
    transfer.moving = { looks: this.looks, then: () => this.end(transfer, last(transfer)) };
  }
  /** An upload that does not succeed takes the disk with it; the disk is free before the last phase is told. */
  private end(transfer: FakeTransfer, phase: 'finished_success' | 'finished_failure'): void {
    const disk = this.disks.get(transfer.diskId);
    if (transfer.direction === 'upload' && phase === 'finished_failure') {
      this.disks.delete(transfer.diskId);
      for (const vm of this.vms.values()) vm.attachments.delete(transfer.diskId);
    } else if (disk && transfer.vmBackupId === undefined) disk.status = 'ok';
    transfer.phase = phase;
  }
}

function viewOf(transfer: FakeTransfer, urlOf: (transfer: FakeTransfer) => string): ImageTransfer {
  const { id, phase, direction, diskId, inactivityTimeoutSeconds } = transfer;
  const hasTicket = phase !== 'initializing' && !phase.startsWith('finished_');
  return { id, phase, phaseText: phase, direction, diskId, inactivityTimeoutSeconds, ...(hasTicket ? { transferUrl: urlOf(transfer), proxyUrl: urlOf(transfer) } : {}) };
}
