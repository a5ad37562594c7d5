// VM backups and checkpoints of the fake engine: live or cold with `legacy`, else hybrid, each with its locks; one chain of checkpoints per VM.
import { randomUUID } from 'node:crypto';
import type { Checkpoint, EngineBackups, NewVmBackup, VmBackup, VmBackupDisk, VmBackupPhase } from '../../adapters/ovirt/port-backups';
import { FakeEngineTransfers } from './fake-engine-transfers';
import { look, refuse, type FakeDisk, type FakeSnapshot, type FakeVm, type Moving } from './fake-world';

export type FakeCheckpoint = { -readonly [Key in keyof Checkpoint]: Checkpoint[Key] } & { readonly diskIds: Set<string> };

export interface FakeVmBackup extends Moving {
  readonly id: string;
  readonly request: NewVmBackup;
  readonly style: 'live' | 'cold' | 'hybrid';
  readonly createdAt: string;
  readonly modes: ReadonlyMap<string, 'full' | 'incremental'>;
  phase: VmBackupPhase;
  toCheckpointId?: string;
  snapshotId?: string;
  /** A hybrid one only notes that it shall end. */
  endAsked?: boolean;
}

const isOver = (phase: VmBackupPhase): boolean => phase === 'succeeded' || phase === 'failed';

export abstract class FakeEngineBackups extends FakeEngineTransfers implements EngineBackups {
  readonly vmBackups = new Map<string, FakeVmBackup>();
  /** By VM, oldest first. */
  readonly checkpoints = new Map<string, FakeCheckpoint[]>();
  /** VMs whose file systems are frozen. */
  readonly frozen = new Set<string>();
  /** Agents that do not run refuse; one whose hook takes its time answers nothing meanwhile. */
  agentMissing = false;
  slowHook: Promise<unknown> = Promise.resolve();
  /** Thaws that are refused before one is answered. */
  failingThaws = 0;
  /** VM backups that fail before one gets ready. */
  failingVmBackups = 0;
  /** Live incremental ones whose from-checkpoint cannot be redefined: the request is refused and all checkpoints of the VM are gone. */
  failingRedefinitions = 0;
  /** VM backups whose end fails. */
  failingVmBackupEnds = 0;
  /** Hybrid ones whose snapshot the engine cannot merge: they succeed all the same, and it stays. */
  failingOwnMerges = 0;
  /** Of the guest's file systems, around a live backup. */
  freezeFails = false;

  startVmBackup = (request: NewVmBackup): Promise<VmBackup> =>
    this.change('startVmBackup', () => {
      const vm = this.vmOf(request.vmId);
      this.refuseInBackup(vm.id);
      const disks = this.disksOf(vm, request);
      const from = this.fromCheckpoint(request);
      if (vm.status !== 'up' && vm.status !== 'down') refuse('engine.conflict', 'The Virtual Machine should be in Up or Down status.');
      if ([...vm.snapshots.values()].some(({ status }) => status === 'in_preview')) refuse('engine.conflict', 'VM is previewing a Snapshot.');
      const style = !request.legacy ? 'hybrid' : vm.status === 'down' ? 'cold' : 'live';
      const modes = new Map(disks.map((disk) => [disk.settings.diskId, isTracked(disk) && from?.diskIds.has(disk.settings.diskId) === true ? ('incremental' as const) : ('full' as const)]));
      const backup: FakeVmBackup = { id: randomUUID(), request, style, modes, createdAt: new Date().toISOString(), phase: 'initializing' };
      this.vmBackups.set(backup.id, backup);
      if (style === 'live' && from !== undefined && this.failingRedefinitions-- > 0) this.loseCheckpoints(vm, backup);
      this.report(backup, vm, 10_790);
      if (style !== 'hybrid') for (const disk of disks) disk.status = 'locked';
      else backup.snapshotId = this.ownSnapshot(vm, disks).id;
      const fails = this.failingVmBackups-- > 0 || (style === 'live' && this.freezeFails && request.requireConsistency);
      backup.moving = { looks: this.looks, then: () => (fails ? this.finalize(backup, 'failed') : this.becomeReady(backup, vm, disks)) };
      return viewOf(backup);
    });
  getVmBackup = (vmId: string, backupId: string): Promise<VmBackup | undefined> =>
    this.read('getVmBackup', () => {
      const backup = this.vmBackups.get(backupId);
      return backup?.request.vmId === vmId ? viewOf(look(backup)) : undefined;
    });
  listVmBackups = (vmId: string): Promise<readonly VmBackup[]> => this.read('listVmBackups', () => this.backupsOf(this.vmOf(vmId).id).map((backup) => viewOf(look(backup))));
  listVmBackupDisks = (vmId: string, backupId: string): Promise<readonly VmBackupDisk[]> =>
    this.read('listVmBackupDisks', () => {
      const backup = this.vmBackups.get(backupId);
      if (backup?.request.vmId !== vmId) return refuse('engine.not-found', `no backup ${backupId} of VM ${vmId}`);
      return [...backup.modes].map(([diskId, mode]) => ({ diskId, ...(isOver(backup.phase) ? {} : { mode }) }));
    });
  /** Those that the engine leaves behind when it has lost track of their backup. */
  readonly scratchDisks = new Map<string, string[]>();
  listScratchDiskIds = (backupId: string): Promise<readonly string[]> => this.read('listScratchDiskIds', () => {
    for (const id of this.scratchDisks.get(backupId) ?? []) if (this.disks.has(id)) look(this.diskOf(id));
    return (this.scratchDisks.get(backupId) ?? []).filter((id) => this.disks.has(id));
  });
  finalizeVmBackup = (vmId: string, backupId: string): Promise<void> =>
    this.change('finalizeVmBackup', () => {
      const backup = this.vmBackups.get(backupId);
      if (backup?.request.vmId !== vmId) return;
      if (this.hasActiveTransfer(backupId)) refuse('engine.locked', 'There is an active image transfer for VM backup');
      if (isOver(backup.phase) || backup.phase === 'finalizing' || backup.endAsked === true) return;
      backup.endAsked = true;
      if (backup.phase === 'ready') this.finalize(backup);
      else if (backup.style !== 'hybrid') backup.moving = { looks: this.looks, then: () => this.endVmBackup(backup, 'failed') };
    });

  listCheckpoints = (vmId: string): Promise<readonly Checkpoint[]> => this.read('listCheckpoints', () => this.checkpointsOf(this.vmOf(vmId).id).map(({ id, parentId, state, createdAt }) => ({ id, parentId, state, createdAt })));
  listCheckpointDiskIds = (vmId: string, checkpointId: string): Promise<readonly string[] | undefined> =>
    this.read('listCheckpointDiskIds', () => {
      const found = this.checkpointsOf(vmId).find(({ id }) => id === checkpointId);
      return found && [...found.diskIds];
    });
  removeCheckpoint = (vmId: string, checkpointId: string): Promise<void> =>
    this.change('removeCheckpoint', () => {
      if (!this.checkpointsOf(vmId).some(({ id }) => id === checkpointId)) return;
      this.refuseInBackup(vmId);
      this.dropCheckpoint(vmId, checkpointId);
    });
  freezeVm = (vmId: string): Promise<void> => this.change('freezeVm', () => this.askAgent(vmId, 'freeze'));
  thawVm = (vmId: string): Promise<void> => this.change('thawVm', () => this.askAgent(vmId, 'thaw'));

  /** As the engine does some minutes after the end. */
  forgetVmBackup(backupId: string): void {
    this.vmBackups.delete(backupId);
  }
  /** By an unfinished one; live and cold ones hold the VM, hybrid ones do not. */
  protected refuseInBackup(vmId: string, styles: readonly FakeVmBackup['style'][] = ['live', 'cold', 'hybrid']): void {
    if (this.backupsOf(vmId).some((backup) => !isOver(look(backup).phase) && styles.includes(backup.style))) refuse('engine.locked', 'The VM is during a backup operation.');
  }
  protected override needReadyBackup(vmBackupId: string, diskId: string): void {
    const backup = this.vmBackups.get(vmBackupId);
    if (backup?.modes.has(diskId) !== true) refuse('engine.conflict', 'General command validation failure.');
    if (backup.phase !== 'ready' || backup.endAsked === true) refuse('engine.conflict', `The VM backup is not in READY phase, backup phase is ${backup.phase.toUpperCase()}.`);
  }

  /** One request at a time. */
  private async askAgent(vmId: string, what: 'freeze' | 'thaw'): Promise<void> {
    const vm = this.vmOf(vmId);
    if (vm.status !== 'up') refuse('engine.conflict', 'VM is not running.');
    await this.slowHook;
    const fails = this.agentMissing || (what === 'thaw' && this.failingThaws-- > 0);
    this.tell(vm, { freeze: fails ? 10_769 : 10_767, thaw: fails ? 10_770 : 10_768 }[what], `the guest of VM ${vm.name}`);
    if (fails) refuse('engine.refused', 'the guest\'s agent does not answer');
    if (what === 'freeze') this.frozen.add(vmId);
    else this.frozen.delete(vmId);
  }
  private backupsOf(vmId: string): FakeVmBackup[] {
    return [...this.vmBackups.values()].filter(({ request }) => request.vmId === vmId);
  }
  private checkpointsOf(vmId: string): FakeCheckpoint[] {
    return this.checkpoints.get(vmId) ?? [];
  }
  private disksOf(vm: FakeVm, { diskIds }: NewVmBackup): FakeDisk[] {
    const disks = diskIds.map((diskId) => this.diskOf(diskId));
    for (const { settings, status } of disks) if (status === 'locked') refuse('engine.locked', `The following disks are locked: ${settings.alias}.`);
    for (const { settings } of disks) if (vm.attachments.get(settings.diskId)?.active !== true) refuse('engine.conflict', `The following disks are not active on VM ${vm.name}: ${settings.diskId}`);
    return disks;
  }
  private fromCheckpoint({ vmId, fromCheckpointId }: NewVmBackup): FakeCheckpoint | undefined {
    if (fromCheckpointId === undefined) return undefined;
    const found = this.checkpointsOf(vmId).find(({ id }) => id === fromCheckpointId) ?? refuse('engine.refused', `Checkpoint ID ${fromCheckpointId} doesn't exist.`);
    return found.state === 'created' ? found : refuse('engine.refused', `Checkpoint ID ${fromCheckpointId} is invalid and should be removed.`);
  }
  private loseCheckpoints(vm: FakeVm, backup: FakeVmBackup): never {
    this.checkpoints.delete(vm.id);
    backup.phase = 'failed';
    this.report(backup, vm, 10_791);
    return refuse('engine.refused', '[]');
  }
  private ownSnapshot(vm: FakeVm, disks: readonly FakeDisk[]): FakeSnapshot {
    const volumes = new Map(disks.map((disk) => [disk.settings.diskId, disk.volume]));
    const snapshot: FakeSnapshot = { id: randomUUID(), description: 'Auto-generated for Backup VM', status: 'locked', type: 'regular', createdAt: new Date().toISOString(), ovf: this.ovfOf(vm, disks), volumes };
    for (const disk of disks) disk.volume = randomUUID();
    vm.snapshots.set(snapshot.id, snapshot);
    return snapshot;
  }
  private becomeReady(backup: FakeVmBackup, vm: FakeVm, disks: readonly FakeDisk[]): void {
    backup.phase = 'ready';
    const snapshot = vm.snapshots.get(backup.snapshotId ?? '');
    if (snapshot) snapshot.status = 'ok';
    const tracked = disks.filter(isTracked).map(({ settings }) => settings.diskId);
    if (tracked.length > 0 || backup.style === 'hybrid') {
      const chain = this.checkpointsOf(vm.id);
      const checkpoint: FakeCheckpoint = { id: randomUUID(), parentId: chain.at(-1)?.id ?? null, state: 'created', createdAt: backup.createdAt, diskIds: new Set(tracked) };
      this.checkpoints.set(vm.id, [...chain, checkpoint]);
      backup.toCheckpointId = checkpoint.id;
    }
    if (backup.endAsked === true) this.finalize(backup);
  }
  /** Also the way of one that fails before it is ready. */
  private finalize(backup: FakeVmBackup, end: 'succeeded' | 'failed' = this.failingVmBackupEnds-- > 0 ? 'failed' : 'succeeded'): void {
    backup.phase = 'finalizing';
    backup.moving = { looks: this.looks, then: () => this.endVmBackup(backup, end) };
  }
  private endVmBackup(backup: FakeVmBackup, phase: 'succeeded' | 'failed'): void {
    const { vmId, diskIds } = backup.request;
    const vm = this.vms.get(vmId);
    for (const disk of diskIds.flatMap((id) => this.disks.get(id) ?? [])) if (backup.style !== 'hybrid') disk.status = 'ok';
    if (phase === 'failed' && backup.toCheckpointId !== undefined) this.dropCheckpoint(vmId, backup.toCheckpointId);
    const own = vm?.snapshots.get(backup.snapshotId ?? '');
    const isLeft = this.failingOwnMerges-- > 0;
    if (isLeft && own) own.status = 'ok';
    else vm?.snapshots.delete(backup.snapshotId ?? '');
    // The engine names no snapshot that is gone, and none at all of one that failed.
    if (!isLeft || phase === 'failed') delete backup.snapshotId;
    backup.phase = phase;
    if (vm) this.report(backup, vm, phase === 'failed' ? 10_792 : 10_793);
  }
  private dropCheckpoint(vmId: string, checkpointId: string): void {
    const chain = this.checkpointsOf(vmId);
    const dropped = chain.find(({ id }) => id === checkpointId);
    for (const each of chain) if (each.parentId === checkpointId) each.parentId = dropped?.parentId ?? null;
    this.checkpoints.set(vmId, chain.filter((each) => each !== dropped));
  }
  private report({ id, request: { correlationId } }: FakeVmBackup, { name }: FakeVm, code: number): void {
    this.events.push({ id: String(this.events.length), code, severity: code === 10_791 || code === 10_792 ? 'error' : 'normal', description: `Backup ${id} for VM ${name}`, correlationId });
  }
}

const isTracked = ({ settings }: FakeDisk): boolean => settings.format === 'cow' && settings.backup === 'incremental';

function viewOf({ id, request, phase, createdAt, toCheckpointId, snapshotId }: FakeVmBackup): VmBackup {
  const { description, fromCheckpointId } = request;
  return { id, description, phase, phaseText: phase, createdAt, ...(fromCheckpointId === undefined ? {} : { fromCheckpointId }), ...(toCheckpointId === undefined ? {} : { toCheckpointId }), ...(snapshotId === undefined ? {} : { snapshotId }) };
}
