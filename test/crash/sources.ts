// What a lane's runs begin with: the sealed backups from which it restores and on which its incremental backups lie. Made when first wanted, kept
// from cell to cell, and put back as they were by whoever changes them, so that a run takes the same steps every time.
import { rm } from 'node:fs/promises';
import { checkpointRemoved } from './by-hand';
import type { Lane } from './lane';
import { backupsOf, checkpointsOf, contentsOf, manifestOf, type Backup, type Contents } from './outside';
import { plannedRun, type Wish } from './runs';

export interface Source extends Backup {
  readonly contents: Contents;
  /** Where the engine would go on from. */
  readonly checkpointId: string | undefined;
}

/** `full`: the last of the lane's full backups by transfer. `incremental`: one that lies on it. */
export type SourceName = 'appliance' | 'full' | 'incremental';

const transfer = { flow: 'backupVm', method: 'transfer' } as const;
const wishes: Readonly<Record<SourceName, Wish>> = {
  appliance: { flow: 'backupVm', method: 'appliance' },
  full: { ...transfer, asks: { kind: 'full', witness: 'never' } },
  incremental: { ...transfer, asks: { kind: 'incremental', strict: true, witness: 'never' } },
};

export class Sources {
  private readonly kept = new Map<SourceName, Source>();
  private spoiledBackupId: string | undefined;

  constructor(private readonly lane: Lane) {}

  get all(): readonly Source[] {
    return [...this.kept.values()];
  }

  /** For reading. */
  async get(name: SourceName): Promise<Source> {
    const kept = this.kept.get(name);
    if (kept) return kept;
    if (name === 'incremental') {
      await this.readyForTransfer();
      await this.lane.change();
    }
    return this.make(name);
  }

  /** One full backup by transfer, nothing on it, and no checkpoint but its own: a full one then removes one checkpoint, an incremental one none. */
  async readyForTransfer(): Promise<void> {
    await this.drop('incremental');
    const { lane } = this;
    const { backupId, checkpointId } = this.kept.get('full') ?? {};
    if (backupId === this.spoiledBackupId || checkpointId === undefined || !(await checkpointsOf(lane.stack, lane.vm.id)).includes(checkpointId)) {
      await this.drop('full');
      await this.make('full');
    }
    await this.tidy();
  }

  /** The host has forgotten what changed since the full backup: another one is made when one is wanted. */
  spoiled(): void {
    this.spoiledBackupId = this.kept.get('full')?.backupId;
  }

  /** What a cell has made is put away; only a full backup by transfer takes the place of the last one. */
  async take(made: readonly Backup[]): Promise<void> {
    for (const backup of made) {
      const { method, kind } = await manifestOf(backup);
      if (method !== 'transfer' || kind !== 'full') continue;
      await this.drop('incremental');
      this.kept.set('full', await this.sourceOf(backup));
    }
    await this.tidy();
  }

  /** Nothing else of the VM is in the repository, and no other checkpoint in the engine. */
  private async tidy(): Promise<void> {
    const { lane, all } = this;
    for (const { backupId, directory } of await backupsOf(lane, lane.vm.id)) if (!all.some((source) => source.backupId === backupId)) await rm(directory, { recursive: true, force: true });
    for (const id of await checkpointsOf(lane.stack, lane.vm.id)) if (!all.some(({ checkpointId }) => checkpointId === id)) await checkpointRemoved(lane, id);
  }

  forget(): void {
    this.kept.clear();
  }

  private async drop(name: SourceName): Promise<void> {
    const source = this.kept.get(name);
    this.kept.delete(name);
    if (source) await rm(source.directory, { recursive: true, force: true });
  }

  private async sourceOf(backup: Backup): Promise<Source> {
    return { ...backup, contents: contentsOf(this.lane.vm), checkpointId: (await manifestOf(backup)).checkpoint?.id };
  }

  private async make(name: SourceName): Promise<Source> {
    const { lane } = this;
    await lane.revive();
    await lane.wish(undefined);
    const before = await backupsOf(lane, lane.vm.id);
    await (await plannedRun(lane, wishes[name]).start()).result();
    const made = (await backupsOf(lane, lane.vm.id)).find(({ backupId }) => !before.some((each) => each.backupId === backupId));
    if (!made) throw new Error(`lane ${lane.name} has no new backup in its repository`);
    const source = await this.sourceOf(made);
    this.kept.set(name, source);
    return source;
  }
}
