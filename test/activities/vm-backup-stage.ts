// A desk with a VM whose disks are tracked, and one VM backup of a run of ours on it: what the tests of VM backups share.
import { randomUUID } from 'node:crypto';
import type { EndedVmBackup, EnsureVmBackupInput, ReadyVmBackup, VmBackupOfRun } from '../../activities/vm-backups';
import type { FakeVmBackup } from '../fakes/fake-engine-backups';
import { useDesks, type Desk } from './desk';

export class VmBackupStage {
  of: VmBackupOfRun & { readonly vmBackupKey: string; readonly description: string };

  constructor(readonly desk: Desk) {
    for (const disk of desk.disks) disk.settings = { ...disk.settings, format: 'cow', backup: 'incremental' };
    this.of = { engine: 'lab', runId: desk.runId, vmId: desk.vm.id, vmBackupKey: randomUUID(), description: `Holdfast backup ${randomUUID()}` };
  }

  get diskIds(): string[] {
    return this.desk.disks.map((disk) => disk.settings.diskId);
  }
  get backup(): FakeVmBackup | undefined {
    return [...this.desk.engine.vmBackups.values()].find(({ request }) => request.correlationId === this.of.vmBackupKey);
  }

  /** The engine's. */
  get id(): string {
    return this.backup?.id ?? '';
  }
  /** As by a request whose answer was lost. */
  async asked(style: 'live' | 'hybrid'): Promise<void> {
    const { vmId, vmBackupKey: correlationId, description } = this.of;
    await this.desk.engine.startVmBackup({ vmId, diskIds: this.diskIds, description, correlationId, legacy: style === 'live', requireConsistency: style === 'live' });
  }

  input(changes: Partial<EnsureVmBackupInput> = {}): EnsureVmBackupInput {
    return { ...this.of, diskIds: this.diskIds, fromCheckpointId: null, vmStatus: this.desk.vm.status, quiesce: 'best-effort', ...changes };
  }
  ensure(changes: Partial<EnsureVmBackupInput> = {}): Promise<ReadyVmBackup> {
    return this.desk.retried('ensureVmBackup', this.input(changes));
  }
  ended(keepCheckpoint = true, diskIds: readonly string[] = this.diskIds): Promise<EndedVmBackup> {
    return this.desk.retried('ensureVmBackupEnded', { ...this.of, diskIds, keepCheckpoint });
  }
  async checkpoints(): Promise<readonly string[]> {
    return (await this.desk.engine.listCheckpoints(this.desk.vm.id)).map(({ id }) => id);
  }
  async held(): Promise<Readonly<Record<string, string>>> {
    return Object.fromEntries((await this.desk.holdings()).map(({ kind, state }) => [kind, state]));
  }

  /** A whole backup of another run, whose checkpoint stays. */
  async earlierBackup(): Promise<string> {
    const mine = this.of;
    this.of = { ...mine, runId: await this.desk.openRun(), vmBackupKey: randomUUID(), description: `Holdfast backup ${randomUUID()}` };
    const { checkpointId } = await this.ensure();
    await this.ended();
    this.of = mine;
    return checkpointId ?? '';
  }
}

/** A fresh one for each test; call it at the top of a file. */
export function useVmBackups(): () => VmBackupStage {
  const openDesk = useDesks();
  let stage: VmBackupStage | undefined;
  beforeEach(async () => {
    stage = new VmBackupStage(await openDesk());
  });
  return () => {
    if (!stage) throw new Error('no test has begun');
    return stage;
  };
}
