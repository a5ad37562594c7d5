// A VM with two tracked disks, and chains of backups with their checkpoints: the tests change one thing at a time.
import type { ChainBackup, ChainDisk, ChainFacts, EngineCheckpoint } from '../../../domain/chain';

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export const disk = (diskId: string, more: Partial<ChainDisk> = {}): ChainDisk => ({ diskId, alias: `alias-${diskId}`, virtualBytes: 1024, tracked: true, ...more });

export function backup(backupId: string, base: ChainBackup | null, ageMs: number, more: Partial<ChainBackup> = {}): ChainBackup {
  return {
    backupId,
    kind: base === null ? 'full' : 'incremental',
    baseBackupId: base?.backupId ?? null,
    sealed: true,
    checkpointId: `cp-${backupId}`,
    disks: ['a', 'b'].map((diskId) => ({ diskId, virtualBytes: 1024, baseBackupId: base?.backupId ?? null })),
    verification: 'none',
    expired: false,
    ageMs,
    ...more,
  };
}

export const checkpoint = (id: string, parentId: string | null, more: Partial<EngineCheckpoint> = {}): EngineCheckpoint => ({ id, parentId, state: 'created', ours: true, ...more });

/** Checkpoints of these names in a line, oldest first. */
export const line = (...ids: readonly string[]): EngineCheckpoint[] => ids.map((id, at) => checkpoint(id, ids[at - 1] ?? null));

export const f = backup('f', null, 3 * dayMs);
export const i1 = backup('i1', f, 2 * dayMs);
export const i2 = backup('i2', i1, dayMs);

export const facts = (more: Partial<ChainFacts> = {}): ChainFacts => ({
  wanted: 'incremental',
  strict: false,
  policy: { maxChainLength: 10 },
  disks: [disk('a'), disk('b')],
  backups: [f, i1, i2],
  checkpoints: line('cp-f', 'cp-i1', 'cp-i2'),
  past: {},
  ...more,
});
